//! Argo CD: its verdict on health out of the status, and its actions, each sent as the difference between two objects.

use serde_json::{Map, Value, json};
use serin_sim::WorldConfig;
use serin_sim::cluster::{ANALYSIS_RUNS, ROLLOUTS};

use super::{MERGE, Part, patch, path, paused, read, send, two_pauses};
use crate::bench::{Bench, manifests, object_mut, tell};

/// What Argo CD says of a Rollout with a phase in its status: whether the controller has seen the spec and the workload
/// comes first, and a pause is called a suspension.
pub(crate) fn health(rollout: &Value) -> (String, String) {
    let waiting = ("Progressing".to_owned(), "Waiting for rollout spec update to be observed".to_owned());
    let Some(status) = rollout.get("status").filter(|status| status.is_object()) else { return waiting };
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<i64>().ok());
    let generation = rollout["metadata"]["generation"].as_i64().unwrap_or(0);
    let is_observed = number(&status["observedGeneration"]).is_none_or(|observed| observed >= generation);
    let annotations = &rollout["metadata"]["annotations"];
    let has_workload = rollout["spec"]["workloadRef"].is_object() && annotations.is_object();
    let workload = number(&annotations["rollout.argoproj.io/workload-generation"]);
    if !is_observed || (has_workload && workload != number(&status["workloadObservedGeneration"])) {
        return waiting;
    }
    let phase = status["phase"].as_str().expect("Serin always sets a phase");
    let phase = if phase == "Paused" { "Suspended" } else { phase };
    (phase.to_owned(), status["message"].as_str().unwrap_or_default().to_owned())
}

/// What Argo CD says of an AnalysisRun.
fn health_of_run(run: &Value) -> &'static str {
    match run["status"]["phase"].as_str().unwrap_or_default() {
        "Successful" => "Healthy",
        "Failed" | "Error" => "Degraded",
        "Inconclusive" => "Unknown",
        _ => "Progressing",
    }
}

/// The actions that Argo CD offers for a Rollout as it is.
fn offered(rollout: &Value) -> Vec<&'static str> {
    let (spec, status) = (&rollout["spec"], &rollout["status"]);
    let is_promoted = status["currentPodHash"] == status["stableRS"];
    let is_aborted = status["abort"] == true;
    let is_paused = match status["pauseConditions"].as_array() {
        Some(pauses) => !pauses.is_empty(),
        None => spec["paused"] == true,
    };
    let steps = spec["strategy"]["canary"]["steps"].as_array().map(Vec::len);
    let is_on_step = steps.is_some_and(|steps| status["currentStepIndex"].as_u64() != Some(steps as u64));
    [
        ("abort", !is_promoted && !is_aborted),
        ("pause", !is_promoted && !is_aborted && spec["paused"] != true),
        ("promote-full", !is_promoted),
        ("restart", true),
        ("resume", is_paused),
        ("retry", !is_promoted && is_aborted),
        ("skip-current-step", is_on_step),
    ]
    .into_iter()
    .filter_map(|(name, is_offered)| is_offered.then_some(name))
    .collect()
}

/// The merge patch that makes one object out of another.
fn difference(from: &Value, to: &Value) -> Value {
    let (Some(before), Some(after)) = (from.as_object(), to.as_object()) else { return to.clone() };
    let mut patch = Map::new();
    for (key, value) in after {
        match before.get(key) {
            Some(old) if old == value => {}
            Some(old) if old.is_object() && value.is_object() => {
                patch.insert(key.clone(), difference(old, value));
            }
            Some(_) | None => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

/// Carries out an action as Argo CD does: all of the difference to the status path, and then what is not status to the other.
async fn act(bench: &Bench, edit: impl FnOnce(&mut Value)) {
    let before = read(bench, &ROLLOUTS, &bench.name).await;
    let mut after = before.clone();
    edit(&mut after);
    let mut patch = difference(&before, &after);
    let place = path(bench, &ROLLOUTS, &bench.name);
    let whole = patch.to_string();
    if patch.get("status").is_some() {
        send(bench, "PATCH", &format!("{place}/status"), MERGE, &whole)
            .await
            .unwrap_or_else(|e| panic!("{whole}: {e}"));
    }
    patch.as_object_mut().expect("a patch").remove("status");
    if patch != json!({}) {
        send(bench, "PATCH", &place, MERGE, &patch.to_string()).await.unwrap_or_else(|e| panic!("{patch}: {e}"));
    }
}

fn remove(object: &mut Value, field: &str) {
    object.as_object_mut().and_then(|map| map.remove(field));
}

/// What the actions make of an object.
fn edit(action: &str, rollout: &mut Value) {
    match action {
        "abort" => rollout["status"]["abort"] = json!(true),
        "pause" => rollout["spec"]["paused"] = json!(true),
        "promote-full" => rollout["status"]["promoteFull"] = json!(true),
        "retry" => remove(&mut rollout["status"], "abort"),
        "resume" => {
            if rollout["status"]["pauseConditions"].as_array().is_some_and(|pauses| !pauses.is_empty()) {
                remove(&mut rollout["status"], "pauseConditions");
            }
            if rollout["spec"]["paused"] == true {
                rollout["spec"]["paused"] = json!(false);
            }
        }
        "skip-current-step" => {
            remove(&mut rollout["status"], "pauseConditions");
            let index = rollout["status"]["currentStepIndex"].as_i64().expect("an index");
            rollout["status"]["currentStepIndex"] = json!(index + 1);
        }
        other => panic!("no such action: {other}"),
    }
}

/// Lets actions be taken on an update in its first pause, some time after each other.
#[track_caller]
fn check(case: &str, actions: &[&str], step: i64, verdict: (&str, &str)) {
    tell(async {
        let mut bench = paused(&two_pauses()).await;
        for action in actions {
            assert!(offered(&bench.rollout()).contains(action), "{case}: {action} is offered");
            act(&bench, |rollout| edit(action, rollout)).await;
            bench.pass(60).await;
        }
        let found = health(&bench.rollout());
        assert_eq!((found.0.as_str(), found.1.as_str()), verdict, "{case}\n{}", bench.told());
        assert_eq!(bench.status("/currentStepIndex"), step, "{case}");
        bench.assert_all_routed(case);
    });
}

#[test]
fn every_action_does_what_it_says() {
    let suspended = ("Suspended", "CanaryPauseStep");
    let aborted = ("Degraded", "RolloutAborted: Rollout aborted update to revision 2");
    check("nothing yet", &[], 1, suspended);
    check("resume", &["resume"], 3, suspended);
    check("resume twice", &["resume", "resume"], 4, ("Healthy", ""));
    check("skip-current-step", &["skip-current-step"], 3, suspended);
    check("promote-full", &["promote-full"], 4, ("Healthy", ""));
    check("pause", &["pause"], 1, ("Suspended", "manually paused"));
    check("pause and resume", &["pause", "resume"], 3, suspended);
    check("abort", &["abort"], 0, aborted);
    check("abort and retry", &["abort", "retry"], 1, suspended);
    check("abort, retry and promote-full", &["abort", "retry", "promote-full"], 4, ("Healthy", ""));
}

#[test]
fn restart_is_over_when_the_rollout_is_healthy_again() {
    tell(async {
        let mut bench = Bench::up(&two_pauses(), WorldConfig::default()).await;
        bench.pass(60).await;
        let at = bench.world.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        act(&bench, |rollout| rollout["spec"]["restartAt"] = json!(at)).await;
        bench.settle().await;
        assert_eq!(health(&bench.rollout()).0, "Progressing");
        bench.wait("the restart", |bench| bench.status("/restartedAt") == at).await;
        bench.healthy().await;
        assert_eq!(health(&bench.rollout()).0, "Healthy");
    });
}

#[test]
fn actions_are_offered_when_they_have_a_meaning() {
    tell(async {
        let mut bench = Bench::up(&two_pauses(), WorldConfig::default()).await;
        assert_eq!(offered(&bench.rollout()), ["restart"], "at rest");
        bench.deploy("v2");
        bench.phase_is("Paused").await;
        let in_pause = ["abort", "pause", "promote-full", "restart", "resume", "skip-current-step"];
        assert_eq!(offered(&bench.rollout()), in_pause);
        patch(&bench, Part::Status, r#"{"status":{"abort":true}}"#).await;
        bench.phase_is("Degraded").await;
        assert_eq!(offered(&bench.rollout()), ["promote-full", "restart", "retry", "skip-current-step"]);
    });
}

#[test]
fn a_workload_that_was_changed_is_seen_to_be_observed() {
    tell(async {
        let mut bench = Bench::up(&two_pauses(), WorldConfig::default()).await;
        assert_eq!(health(&bench.rollout()).0, "Healthy");
        for version in ["v2", "v3"] {
            bench.deploy(version);
            bench.phase_is("Paused").await;
            assert_eq!(health(&bench.rollout()), ("Suspended".to_owned(), "CanaryPauseStep".to_owned()), "{version}");
            act(&bench, |rollout| edit("promote-full", rollout)).await;
            bench.healthy().await;
            assert_eq!(health(&bench.rollout()).0, "Healthy", "{version}");
        }
    });
}

#[test]
fn an_invalid_spec_is_degraded() {
    tell(async {
        let mut bench = Bench::up(&two_pauses(), WorldConfig::default()).await;
        bench.patch(&json!({"spec": {"strategy": {"canary": {"steps": [{"setWeight": 120}]}}}}));
        bench.settle().await;
        let (verdict, message) = health(&bench.rollout());
        assert_eq!(verdict, "Degraded");
        assert!(
            message.starts_with(
                "InvalidSpec: The Rollout \"checkout\" is invalid: spec.strategy.canary.steps[0].setWeight"
            ),
            "{message}"
        );
    });
}

#[test]
fn pods_that_never_come_are_degraded_after_the_deadline() {
    tell(async {
        let mut all = two_pauses();
        object_mut(&mut all, "Rollout")["spec"]["progressDeadlineSeconds"] = json!(60);
        let mut bench = Bench::up(&all, WorldConfig::default()).await;
        bench.deploy("error");
        bench.pass(30).await;
        assert_eq!(health(&bench.rollout()).0, "Progressing");
        bench.pass(60).await;
        let (verdict, message) = health(&bench.rollout());
        assert_eq!(verdict, "Degraded");
        assert!(message.ends_with("has timed out progressing."), "{message}");
    });
}

#[test]
fn analysis_runs_have_a_verdict() {
    tell(async {
        let mut bench = Bench::up(&manifests("short"), WorldConfig::default()).await;
        bench.behave("v2", serin_sim::simulate::Conduct::Errors);
        bench.deploy("v2");
        bench.step_is(1).await;
        bench.settle().await;
        let verdicts = |bench: &Bench| {
            let runs = bench.cluster().list(&ANALYSIS_RUNS, None);
            runs.iter().map(|run| health_of_run(run)).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&bench), ["Progressing"]);
        bench.phase_is("Degraded").await;
        assert_eq!(verdicts(&bench), ["Degraded"]);
    });
}
