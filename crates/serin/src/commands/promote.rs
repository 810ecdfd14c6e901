//! `serin promote`: goes on to the next step, or skips all that is left.

use clap::Args;
use serde_json::json;
use serin_api::{Rollout, RolloutStatus};

use super::act::{Act, Targets, act_on, is_promoted, status_of, unseen};
use crate::console::Console;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  serin promote reviews                 ends the pause that it is in, or skips the step that it is at
  serin promote reviews --full          skips all steps and analyses that are left
  kubectl serin promote reviews -n shop

With spec.paused set, this clears that, and no more. In git, use the annotation serin.dev/promote instead.";

/// Go on to the next step.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Promote {
    #[command(flatten)]
    targets: Targets,
    /// Skip all steps and analyses that are left.
    #[arg(long)]
    full: bool,
}

impl Promote {
    /// Promotes each Rollout.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        if self.full { act_on(&self.targets, &promote_full, console) } else { act_on(&self.targets, &promote, console) }
    }
}

fn promote(rollout: &Rollout) -> Act {
    let status = status_of(rollout);
    if rollout.spec.paused {
        return Act::Spec { fields: json!({"paused": false}), done: "goes on (spec.paused is false now)".to_owned() };
    }
    if let Some(act) = not_to_promote(rollout, &status) {
        return act;
    }
    let steps = rollout.spec.strategy.canary.as_ref().map_or(0, |canary| canary.steps.len());
    let steps = i32::try_from(steps).unwrap_or(i32::MAX);
    let step = status.current_step_index.unwrap_or(0);
    let next = (step + 1).min(steps);
    let run = status.canary.current_step_analysis_run_status.as_ref();
    let is_inconclusive = run.is_some_and(|run| run.status == "Inconclusive");
    if is_inconclusive && step < steps {
        let fields = json!({"controllerPause": false, "pauseConditions": null, "currentStepIndex": next});
        return Act::Status { fields, done: format!("promoted past the inconclusive analysis of step {}", step + 1) };
    }
    if !status.pause_conditions.is_empty() {
        let reasons: Vec<&str> = status.pause_conditions.iter().map(|pause| pause.reason.as_str()).collect();
        let place = if steps > 0 { format!(" at step {}", step + 1) } else { String::new() };
        let done = format!("promoted: the pause{place} ends ({})", reasons.join(", "));
        return Act::Status { fields: json!({"pauseConditions": null}), done };
    }
    if step < steps {
        let done = format!("promoted: step {} of {steps} is skipped", step + 1);
        return Act::Status { fields: json!({"currentStepIndex": next}), done };
    }
    let why = if rollout.spec.strategy.blue_green.is_some() {
        "nothing to skip: the update is not paused; --full skips its analyses"
    } else {
        "nothing to skip: all steps are done, the new version takes over"
    };
    Act::Nothing(why.to_owned())
}

fn promote_full(rollout: &Rollout) -> Act {
    let status = status_of(rollout);
    if let Some(act) = not_to_promote(rollout, &status) {
        return act;
    }
    if status.promote_full {
        return Act::Nothing("already on its way: a full promotion was asked for before".to_owned());
    }
    let note = if rollout.spec.paused { "; it waits until spec.paused is cleared" } else { "" };
    Act::Status { fields: json!({"promoteFull": true}), done: format!("fully promoted{note}") }
}

fn not_to_promote(rollout: &Rollout, status: &RolloutStatus) -> Option<Act> {
    if let Some(why) = unseen(rollout) {
        return Some(Act::Refuse(why));
    }
    if is_promoted(status) {
        let hash = status.stable_rs.as_deref().unwrap_or_default();
        return Some(Act::Nothing(format!("nothing to do: revision {hash} is stable already")));
    }
    if status.abort {
        return Some(Act::Refuse("the update was aborted; `serin retry` starts it again".to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::commands::act::example;

    /// Checks the fields that are patched; `null` for none.
    #[track_caller]
    fn check(case: &str, decide: fn(&Rollout) -> Act, spec: &Value, status: &Value, wanted: &Value) {
        match decide(&example(spec, status)) {
            Act::Status { fields, .. } | Act::Spec { fields, .. } => assert_eq!(fields, *wanted, "{case}"),
            act @ (Act::Nothing(_) | Act::Refuse(_)) => assert!(wanted.is_null(), "{case}: {act:?}"),
        }
    }

    #[test]
    fn promotion_ends_a_pause_or_skips_a_step() {
        let pause = json!([{"reason": "CanaryPauseStep", "startTime": null}]);
        check(
            "a pause",
            promote,
            &json!({}),
            &json!({"currentStepIndex": 1, "pauseConditions": pause, "controllerPause": true}),
            &json!({"pauseConditions": null}),
        );
        check("no pause", promote, &json!({}), &json!({"currentStepIndex": 0}), &json!({"currentStepIndex": 1}));
        check("the last step", promote, &json!({}), &json!({"currentStepIndex": 2}), &json!({"currentStepIndex": 3}));
        check("after the last", promote, &json!({}), &json!({"currentStepIndex": 3}), &Value::Null);
        check(
            "by a person",
            promote,
            &json!({"paused": true}),
            &json!({"pauseConditions": pause}),
            &json!({"paused": false}),
        );
        let run = json!({"currentStepAnalysisRunStatus": {"name": "r", "status": "Inconclusive"}});
        check(
            "inconclusive",
            promote,
            &json!({}),
            &json!({"currentStepIndex": 1, "pauseConditions": pause, "canary": run}),
            &json!({"controllerPause": false, "pauseConditions": null, "currentStepIndex": 2}),
        );
        check("stable already", promote, &json!({}), &json!({"stableRS": "new"}), &Value::Null);
        check("aborted", promote, &json!({}), &json!({"abort": true}), &Value::Null);
        check("not seen", promote, &json!({}), &json!({"observedGeneration": "0"}), &Value::Null);
    }

    #[test]
    fn a_full_promotion_is_asked_for_once() {
        check("asked for", promote_full, &json!({}), &json!({}), &json!({"promoteFull": true}));
        check("twice", promote_full, &json!({}), &json!({"promoteFull": true}), &Value::Null);
        check("stable already", promote_full, &json!({}), &json!({"stableRS": "new"}), &Value::Null);
    }
}
