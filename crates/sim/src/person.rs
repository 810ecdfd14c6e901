//! The person whom a Rollout waits for: promotes what no time will end.

use serde_json::{Value, json};

use crate::cluster::{Cluster, ROLLOUTS};
use crate::image::Changed;
use crate::rollout_object::status_text;

/// What a Rollout waits for that only a person can end, in words; `None` if time or nothing ends it.
pub(crate) fn awaited(rollout: &Value) -> Option<String> {
    if status_text(rollout, "phase") != "Paused" || rollout["spec"]["paused"] == true {
        return None;
    }
    let pauses = rollout["status"]["pauseConditions"].as_array()?;
    let reasons: Vec<&str> = pauses.iter().filter_map(|pause| pause["reason"].as_str()).collect();
    let is_timed = |reason: &&str| match *reason {
        "CanaryPauseStep" => step_of(rollout).is_some_and(|(_, step)| !step["pause"]["duration"].is_null()),
        "BlueGreenPause" => {
            let after = rollout.pointer("/spec/strategy/blueGreen/autoPromotionSeconds").and_then(Value::as_i64);
            after.is_some_and(|after| after > 0)
        }
        _ => false,
    };
    if reasons.is_empty() || reasons.iter().all(is_timed) {
        return None;
    }
    let place = step_of(rollout).map(|(index, _)| format!(" in step {}", index + 1)).unwrap_or_default();
    Some(format!("{}{place}", reasons.join(", ")))
}

/// Promotes as `serin promote` and `kubectl argo rollouts promote` do.
///
/// # Errors
/// The API server refuses it.
pub(crate) fn promote(cluster: &Cluster, changed: &Changed) -> Result<(), crate::cluster::ApiError> {
    let rollout = cluster.get(&ROLLOUTS, &changed.namespace, &changed.rollout)?;
    let run = rollout.pointer("/status/canary/currentStepAnalysisRunStatus/status");
    let mut status = json!({"pauseConditions": null});
    if run.is_some_and(|run| run == "Inconclusive")
        && let Some((index, _)) = step_of(&rollout)
    {
        status["controllerPause"] = json!(false);
        status["currentStepIndex"] = json!(index + 1);
    }
    cluster.patch_merge(&ROLLOUTS, &changed.namespace, &changed.rollout, &json!({"status": status}))?;
    Ok(())
}

/// Index of the present step, and the step.
fn step_of(rollout: &Value) -> Option<(usize, &Value)> {
    let index = usize::try_from(rollout["status"]["currentStepIndex"].as_i64()?).ok()?;
    Some((index, rollout.pointer("/spec/strategy/canary/steps")?.get(index)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(case: &str, strategy: &Value, status: &Value, wanted: Option<&str>) {
        let mut rollout = json!({"spec": {"strategy": strategy}, "status": {"phase": "Paused"}});
        json_patch::merge(&mut rollout["status"], status);
        assert_eq!(awaited(&rollout).as_deref(), wanted, "{case}");
    }

    #[test]
    fn only_what_time_does_not_end_waits_for_a_person() {
        let because = |reason: &str| json!({"pauseConditions": [{"reason": reason}], "currentStepIndex": 1});
        let canary = |pause: &Value| json!({"canary": {"steps": [{"setWeight": 5}, {"pause": pause}]}});
        let (open, timed) = (canary(&json!({})), canary(&json!({"duration": "5m"})));
        let step = because("CanaryPauseStep");
        check("a pause without an end", &open, &step, Some("CanaryPauseStep in step 2"));
        check("a pause that ends", &timed, &step, None);
        let doubt = because("InconclusiveAnalysisRun");
        check("a doubtful analysis", &timed, &doubt, Some("InconclusiveAnalysisRun in step 2"));
        check("no pause", &open, &json!({"pauseConditions": null}), None);
        check("another phase", &open, &json!({"phase": "Progressing", "pauseConditions": [{"reason": "x"}]}), None);
        let blue_green = |seconds: i64| json!({"blueGreen": {"autoPromotionSeconds": seconds}});
        let pause = json!({"pauseConditions": [{"reason": "BlueGreenPause"}]});
        check("a new version before its promotion", &blue_green(0), &pause, Some("BlueGreenPause"));
        check("a promotion that comes by itself", &blue_green(30), &pause, None);
    }

    #[test]
    fn who_halted_it_ends_it() {
        let steps = json!([{"pause": {}}]);
        let status =
            json!({"phase": "Paused", "currentStepIndex": 0, "pauseConditions": [{"reason": "CanaryPauseStep"}]});
        let rollout = json!({"spec": {"paused": true, "strategy": {"canary": {"steps": steps}}}, "status": status});
        assert_eq!(awaited(&rollout), None);
    }
}
