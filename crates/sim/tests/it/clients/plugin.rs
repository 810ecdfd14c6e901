//! The commands of `kubectl argo rollouts`, each as the requests that it sends in that situation.

use std::collections::BTreeSet;

use serde_json::json;
use serin_sim::cluster::{ANALYSIS_RUNS, DEPLOYMENTS, PODS, REPLICA_SETS, ROLLOUTS};
use serin_sim::manifests::Manifest;

use super::Part::{Main, Status};
use super::{MERGE, Part, own_template, patch, path, paused, read, send, two_pauses};
use crate::bench::{Bench, manifests, object_mut, tell};

/// Where an update comes to rest: index of the step, phase, message, and the canary's weight.
type Rest = (i64, &'static str, &'static str, i64);

const NEXT_PAUSE: Rest = (3, "Paused", "CanaryPauseStep", 60);
const HERE: Rest = (1, "Paused", "CanaryPauseStep", 20);
const DONE: Rest = (4, "Healthy", "", 0);
const ABORTED: Rest = (0, "Degraded", "RolloutAborted: Rollout aborted update to revision 2", 0);

/// Sends the requests of a client to an update in its first pause, with and without a pause for breath between them.
#[track_caller]
fn check(case: &str, requests: &[(Part, &str)], expected: Rest) {
    for hurried in [true, false] {
        tell(async {
            let mut bench = paused(&two_pauses()).await;
            for (part, text) in requests {
                patch(&bench, *part, text).await;
                if !hurried {
                    bench.settle().await;
                }
            }
            bench.pass(120).await;
            let (phase, message) = (bench.phase(), bench.message());
            let step = bench.status("/currentStepIndex").as_i64().unwrap_or(-1);
            assert_eq!((step, phase.as_str(), message.as_str(), bench.weight()), expected, "{case}\n{}", bench.told());
            bench.assert_all_routed(case);
        });
    }
}

#[test]
fn commands_to_a_paused_update() {
    let pause = (Main, r#"{"spec":{"paused":true}}"#);
    let unpause = (Main, r#"{"spec":{"paused":false}}"#);
    let clear = (Status, r#"{"status":{"pauseConditions":null}}"#);
    let full = (Status, r#"{"status":{"promoteFull":true}}"#);
    let abort = (Status, r#"{"status":{"abort":true}}"#);
    let retry = (Status, r#"{"status":{"abort":false}}"#);
    check("promote", &[clear], NEXT_PAUSE);
    check("promote twice before anything happened", &[clear, clear], NEXT_PAUSE);
    check("promote --skip-current-step", &[(Status, r#"{"status":{"currentStepIndex":2}}"#)], NEXT_PAUSE);
    check("promote --skip-all-steps", &[(Status, r#"{"status":{"currentStepIndex":4}}"#)], DONE);
    check("promote --full", &[full], DONE);
    check("pause", &[pause], (1, "Paused", "manually paused", 20));
    check("pause, then promote", &[pause, clear, unpause], NEXT_PAUSE);
    check("pause, then promote --full", &[pause, full, unpause], DONE);
    check("abort", &[abort], ABORTED);
    check("abort twice", &[abort, abort], ABORTED);
    check("abort what is paused by the spec", &[pause, abort], ABORTED);
    check("retry rollout of what is not aborted", &[retry], HERE);
}

#[test]
fn a_retry_begins_again_with_the_first_step() {
    tell(async {
        let mut bench = paused(&two_pauses()).await;
        patch(&bench, Status, r#"{"status":{"abort":true}}"#).await;
        bench.phase_is("Degraded").await;
        bench.pass(120).await;
        patch(&bench, Status, r#"{"status":{"abort":false}}"#).await;
        bench.phase_is("Paused").await;
        assert_eq!((bench.status("/currentStepIndex"), bench.weight()), (json!(1), 20));
        assert!(bench.status("/abortedAt").is_null());
        bench.assert_all_routed("a retry");
    });
}

#[test]
fn promote_leaves_a_step_that_is_no_pause() {
    // Without a pause to end, the client names the next step instead.
    let mut all = two_pauses();
    object_mut(&mut all, "Rollout")["spec"]["paused"] = json!(false);
    tell(async {
        let mut bench = Bench::up(&all, serin_sim::WorldConfig::default()).await;
        bench.deploy("v2");
        bench.settle().await;
        patch(&bench, Main, r#"{"spec":{"paused":true}}"#).await;
        bench.pass(60).await;
        assert_eq!((bench.status("/currentStepIndex"), bench.message().as_str()), (json!(0), "manually paused"));
        patch(&bench, Status, r#"{"status":{"pauseConditions":null, "currentStepIndex":1}}"#).await;
        patch(&bench, Main, r#"{"spec":{"paused":false}}"#).await;
        bench.pass(60).await;
        assert_eq!((bench.status("/currentStepIndex"), bench.message().as_str()), (json!(1), "CanaryPauseStep"));
        assert_eq!(bench.weight(), 20, "the pause has the weight of the step that was left");
        bench.assert_all_routed("a step left");
    });
}

#[test]
fn promote_full_takes_up_what_was_aborted_before() {
    tell(async {
        let mut bench = paused(&two_pauses()).await;
        patch(&bench, Status, r#"{"status":{"abort":true}}"#).await;
        bench.phase_is("Degraded").await;
        patch(&bench, Status, r#"{"status":{"promoteFull":true}}"#).await;
        bench.healthy().await;
        bench.assert_all_routed("promoted after an abort");
    });
}

#[test]
fn restart_makes_every_pod_anew() {
    for paused_at in [false, true] {
        tell(async {
            let mut bench = if paused_at {
                paused(&two_pauses()).await
            } else {
                Bench::up(&two_pauses(), serin_sim::WorldConfig::default()).await
            };
            bench.pass(60).await;
            let before = (bench.phase(), bench.weight(), pods(&bench).len());
            let at = bench.world.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            let old = pods(&bench);
            patch(&bench, Main, &format!("{{\n\t\"spec\": {{\n\t\t\"restartAt\": \"{at}\"\n\t}}\n}}")).await;
            bench.wait("the restart", |bench| bench.status("/restartedAt") == at).await;
            bench.pass(30).await;
            assert!(pods(&bench).is_disjoint(&old), "every pod is another one");
            assert_eq!((bench.phase(), bench.weight(), pods(&bench).len()), before, "and nothing else has changed");
        });
    }
}

/// UIDs of the Rollout's pods.
fn pods(bench: &Bench) -> BTreeSet<String> {
    let all = bench.cluster().list(&PODS, Some(&bench.namespace));
    let own = all.iter().filter(|pod| pod["metadata"]["labels"]["rollouts-pod-template-hash"].is_string());
    own.filter_map(|pod| Some(pod["metadata"]["uid"].as_str()?.to_owned())).collect()
}

/// The step's analysis comes to no verdict.
fn inconclusive() -> Vec<Manifest> {
    let mut all = manifests("step_analysis");
    let steps = json!([{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "golden-signals"}], "args": [
        {"name": "service", "value": "checkout"}, {"name": "revision", "value": "canary"},
    ]}}, {"setWeight": 60}, {"pause": {}}]);
    object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"]["steps"] = steps;
    let metric = &mut object_mut(&mut all, "AnalysisTemplate")["spec"]["metrics"][0];
    metric["successCondition"] = json!("result[0] > 2");
    metric["failureCondition"] = json!("result[0] < 0");
    metric["count"] = json!(1);
    all
}

/// Version v2 stands in an analysis that takes its time.
async fn analysed() -> Bench {
    let mut all = inconclusive();
    let template = object_mut(&mut all, "AnalysisTemplate");
    template["spec"]["metrics"][0] = json!({
        "name": "slow", "initialDelay": "10m", "successCondition": "true", "provider": template["spec"]["metrics"][0]["provider"],
    });
    let mut bench = Bench::up(&all, serin_sim::WorldConfig::default()).await;
    bench.deploy("v2");
    bench.step_is(1).await;
    bench.wait("the run", |bench| !bench.status("/canary/currentStepAnalysisRunStatus/name").is_null()).await;
    bench.pass(60).await;
    assert_eq!(bench.status("/currentStepIndex"), 1);
    bench
}

fn run_of(bench: &Bench) -> String {
    bench.status("/canary/currentStepAnalysisRunStatus/name").as_str().expect("a run").to_owned()
}

#[test]
fn promote_skips_an_analysis_that_runs() {
    tell(async {
        let mut bench = analysed().await;
        let run = run_of(&bench);
        patch(&bench, Status, r#"{"status":{"pauseConditions":null, "currentStepIndex":2}}"#).await;
        bench.step_is(3).await;
        bench.phase_is("Paused").await;
        assert_eq!(bench.get(&ANALYSIS_RUNS, &run)["spec"]["terminate"], true, "nobody needs it any more");
        bench.assert_all_routed("a skipped analysis");
    });
}

#[test]
fn terminate_analysisrun_lets_the_step_go_on() {
    tell(async {
        let mut bench = analysed().await;
        let run = run_of(&bench);
        let path = path(&bench, &ANALYSIS_RUNS, &run);
        send(&bench, "PATCH", &path, MERGE, r#"{"spec":{"terminate":true}}"#).await.expect("it is patched");
        bench.settle().await;
        let status = bench.get(&ANALYSIS_RUNS, &run)["status"].clone();
        assert_eq!((&status["phase"], &status["message"]), (&json!("Successful"), &json!("Run Terminated")));
        bench.step_is(3).await;
        assert_eq!(bench.cluster().list(&ANALYSIS_RUNS, None).len(), 1, "it is not made again");
        bench.assert_all_routed("a terminated run");
    });
}

#[test]
fn promote_passes_an_inconclusive_analysis() {
    tell(async {
        let mut bench = paused_by_doubt().await;
        let text = r#"{"status":{"pauseConditions":null, "controllerPause":false, "currentStepIndex":2}}"#;
        patch(&bench, Status, text).await;
        bench.step_is(3).await;
        bench.phase_is("Paused").await;
        assert_eq!(bench.message(), "CanaryPauseStep");
        assert_eq!(bench.cluster().list(&ANALYSIS_RUNS, None).len(), 1);
        bench.assert_all_routed("an inconclusive analysis");
    });
}

#[test]
fn resuming_an_inconclusive_analysis_makes_it_again() {
    tell(async {
        let mut bench = paused_by_doubt().await;
        let first = run_of(&bench);
        patch(&bench, Status, r#"{"status":{"pauseConditions":null}}"#).await;
        bench.wait("another run", |bench| run_of(bench) != first).await;
        assert_eq!(run_of(&bench), format!("{first}.1"));
    });
}

async fn paused_by_doubt() -> Bench {
    let mut bench = Bench::up(&inconclusive(), serin_sim::WorldConfig::default()).await;
    bench.deploy("v2");
    bench.wait("doubt", |bench| bench.message() == "InconclusiveAnalysisRun").await;
    let reasons = bench.status("/pauseConditions/0/reason");
    assert_eq!((reasons, bench.status("/controllerPause")), (json!("InconclusiveAnalysisRun"), json!(true)));
    bench
}

#[test]
fn blue_green_is_promoted_by_ending_its_pause() {
    for (text, case) in [
        (r#"{"status":{"pauseConditions":null}}"#, "promote"),
        (r#"{"status":{"promoteFull":true}}"#, "promote --full"),
    ] {
        tell(async {
            let mut all = manifests("blue_green");
            let blue_green = &mut object_mut(&mut all, "Rollout")["spec"]["strategy"]["blueGreen"];
            blue_green["autoPromotionEnabled"] = json!(false);
            blue_green.as_object_mut().and_then(|all| all.remove("autoPromotionSeconds"));
            let mut bench = Bench::up(&all, serin_sim::WorldConfig::default()).await;
            bench.deploy("v2");
            bench.phase_is("Paused").await;
            bench.pass(600).await;
            assert_eq!(bench.message(), "BlueGreenPause", "{case}");
            patch(&bench, Status, text).await;
            bench.healthy().await;
            bench.assert_all_routed(case);
        });
    }
}

/// `set image` reads the object, sets the image in it, and puts all of it back, the status included.
#[test]
fn set_image_puts_the_whole_object_back() {
    for (manifests, kind) in [(own_template(), &ROLLOUTS), (two_pauses(), &DEPLOYMENTS)] {
        tell(async {
            let mut bench = Bench::up(&manifests, serin_sim::WorldConfig::default()).await;
            let name = bench.name.clone();
            let place = path(&bench, kind, &name);
            let stale = read(&bench, kind, &name).await;
            let mut object = stale.clone();
            object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example/checkout:v2");
            object["status"]["phase"] = json!("Degraded");
            send(&bench, "PUT", &place, "application/json", &object.to_string()).await.expect("it is put");
            let again = send(&bench, "PUT", &place, "application/json", &object.to_string()).await;
            assert!(
                again.is_err_and(|error| error.contains("the object has been modified")),
                "the client tries again then"
            );
            bench.phase_is("Paused").await;
            assert_eq!((bench.status("/currentStepIndex"), bench.weight()), (json!(1), 20), "{}", kind.kind);
            let sets = bench.cluster().list(&REPLICA_SETS, Some(&bench.namespace));
            let own = sets.iter().filter(|set| set["metadata"]["labels"]["rollouts-pod-template-hash"].is_string());
            assert_eq!(own.count(), 2, "{}", kind.kind);
            bench.assert_all_routed("set image");
        });
    }
}
