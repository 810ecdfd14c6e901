//! A Rollout handed over in each of its phases stays as it is, and goes on from there.

use serde_json::{Value, json};
use serin_sim::cluster::{ANALYSIS_RUNS, DEPLOYMENTS, REPLICA_SETS};
use serin_sim::stage;

use super::{
    CANARY, HASH, NEW, OLD, STABLE, STEP_HASH, Set, after, canary, changes_nothing, condition, hand_over, lay_out,
    leave, owner, point, set, split, weights_left,
};
use crate::bench::{Bench, manifests, object_mut, tell};

/// The next version, in the Deployment or the Rollout, before anybody looks.
fn deploy(bench: &mut Bench, version: &str) {
    bench.deploy(version);
}

fn healthy_conditions(bench: &Bench, hash: &str) -> Value {
    let message = format!("ReplicaSet \"{}-{hash}\" has successfully progressed.", bench.name);
    json!([
        condition(bench, "Available", "True", "AvailableReason", "Rollout has minimum availability"),
        condition(bench, "Progressing", "True", "NewReplicaSetAvailable", &message),
        condition(bench, "Completed", "True", "RolloutCompleted", "RolloutCompleted"),
        condition(bench, "Healthy", "True", "RolloutHealthy", "Rollout is healthy"),
        condition(bench, "Paused", "False", "RolloutPaused", "Rollout is not paused"),
    ])
}

/// Version v1 is stable and nothing else is there.
async fn at_rest() -> Bench {
    let mut bench = set(&canary());
    lay_out(&mut bench, &[STABLE]).await;
    split(&bench, 0, OLD, OLD);
    let conditions = healthy_conditions(&bench, OLD);
    leave(
        &bench,
        1,
        &json!({
            "HPAReplicas": 3, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3,
            "canary": {"weights": weights_left(0, OLD, OLD)}, "conditions": conditions, "phase": "Healthy",
            "currentPodHash": OLD, "stableRS": OLD, "currentStepHash": STEP_HASH, "currentStepIndex": 4,
        }),
    );
    bench
}

/// Version v2 stands in a pause; of its conditions only those that matter.
async fn in_pause(step: i64, weight: i64, replicas: i64) -> Bench {
    let mut bench = set(&canary());
    deploy(&mut bench, "v2");
    lay_out(&mut bench, &[STABLE, Set { replicas, ..CANARY }]).await;
    split(&bench, weight, NEW, OLD);
    let conditions = json!([
        condition(&bench, "Available", "True", "AvailableReason", "Rollout has minimum availability"),
        condition(&bench, "Progressing", "Unknown", "RolloutPaused", "Rollout is paused"),
        condition(&bench, "Paused", "True", "RolloutPaused", "Rollout is paused"),
    ]);
    let total = 3 + replicas;
    leave(
        &bench,
        2,
        &json!({
            "HPAReplicas": total, "replicas": total, "updatedReplicas": replicas, "readyReplicas": total,
            "availableReplicas": total, "canary": {"weights": weights_left(weight, NEW, OLD)}, "conditions": conditions,
            "phase": "Paused", "message": "CanaryPauseStep", "controllerPause": true,
            "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": after(&bench, -60)}],
            "currentPodHash": NEW, "stableRS": OLD, "currentStepHash": STEP_HASH, "currentStepIndex": step,
        }),
    );
    bench
}

#[test]
fn at_rest_it_stays_at_rest_and_the_next_update_goes_its_way() {
    tell(async {
        let mut bench = at_rest().await;
        changes_nothing(&mut bench, 300, "at rest").await;
        deploy(&mut bench, "v2");
        bench.phase_is("Paused").await;
        assert_eq!((bench.weight(), bench.status("/stableRS")), (20, json!(OLD)));
        bench.patch(&json!({"status": {"promoteFull": true}}));
        bench.healthy().await;
        bench.pass(60).await;
        assert_eq!(
            bench
                .cluster()
                .list(&REPLICA_SETS, Some("shop"))
                .iter()
                .filter(|set| set["metadata"]["labels"][HASH].is_string())
                .count(),
            2
        );
        deploy(&mut bench, "v1");
        bench.settle().await;
        assert_eq!(bench.status("/currentPodHash"), OLD, "the version of then is known by the name of then");
        bench.assert_all_routed("adopted at rest");
    });
}

#[test]
fn a_pause_without_end_goes_on_until_somebody_ends_it() {
    tell(async {
        let mut bench = in_pause(1, 20, 1).await;
        changes_nothing(&mut bench, 600, "a pause").await;
        bench.patch(&json!({"status": {"pauseConditions": null}}));
        bench.step_is(3).await;
        bench.phase_is("Paused").await;
        assert_eq!((bench.weight(), bench.status("/currentPodHash")), (60, json!(NEW)));
        bench.patch(&json!({"status": {"promoteFull": true}}));
        bench.healthy().await;
        bench.pass(120).await;
        assert_eq!(bench.status("/stableRS"), NEW);
        bench.assert_all_routed("adopted in a pause");
    });
}

#[test]
fn a_pause_of_ten_minutes_ends_ten_minutes_after_it_began() {
    tell(async {
        let mut bench = in_pause(3, 60, 2).await;
        changes_nothing(&mut bench, 300, "a pause of some time").await;
        // It began 60 s before it was laid out, and 310 s have passed since.
        bench.pass(215).await;
        assert_eq!(bench.phase(), "Paused", "{}", bench.told());
        bench.pass(20).await;
        assert_ne!(bench.phase(), "Paused", "{}", bench.told());
        bench.healthy().await;
        assert_eq!(bench.status("/stableRS"), NEW);
        bench.assert_all_routed("adopted in a timed pause");
    });
}

/// Version v2 was given up because of its background analysis.
async fn aborted(replicas: i64, deadline: Option<i64>, message: &str) -> Bench {
    let mut bench = set(&canary());
    deploy(&mut bench, "v2");
    lay_out(&mut bench, &[STABLE, Set { replicas, deadline, ..CANARY }]).await;
    split(&bench, 0, OLD, OLD);
    let conditions = json!([
        condition(&bench, "Available", "True", "AvailableReason", "Rollout has minimum availability"),
        condition(&bench, "Progressing", "False", "RolloutAborted", message),
        condition(&bench, "Healthy", "False", "RolloutHealthy", "Rollout is not healthy"),
    ]);
    leave(
        &bench,
        2,
        &json!({
            "HPAReplicas": 3 + replicas, "replicas": 3 + replicas, "updatedReplicas": replicas, "readyReplicas": 3 + replicas,
            "availableReplicas": 3 + replicas, "canary": {"weights": weights_left(0, OLD, OLD)}, "conditions": conditions,
            "phase": "Degraded", "message": format!("RolloutAborted: {message}"),
            "abort": true, "abortedAt": after(&bench, -60),
            "currentPodHash": NEW, "stableRS": OLD, "currentStepHash": STEP_HASH, "currentStepIndex": 0,
        }),
    );
    bench
}

#[test]
fn what_was_aborted_stays_aborted_for_the_same_reason() {
    let by_analysis = "Rollout aborted update to revision 2: Background analysis phase error/failed: Metric \"apdex\" \
                       assessed Failed due to failed (4) > failureLimit (3)";
    for message in ["Rollout aborted update to revision 2", by_analysis] {
        tell(async {
            let mut bench = aborted(0, None, message).await;
            changes_nothing(&mut bench, 300, message).await;
            assert_eq!(bench.condition("Progressing"), "False RolloutAborted");
            bench.patch(&json!({"status": {"abort": false}}));
            bench.step_is(1).await;
            assert_eq!((bench.weight(), bench.status("/currentPodHash")), (20, json!(NEW)));
            bench.assert_all_routed("retried after an adoption");
        });
    }
}

#[test]
fn pods_of_what_was_aborted_go_when_they_were_to_go() {
    tell(async {
        let mut bench = aborted(1, Some(90), "Rollout aborted update to revision 2").await;
        changes_nothing(&mut bench, 40, "a canary that waits").await;
        bench.pass(30).await;
        let set = bench.get(&REPLICA_SETS, &format!("checkout-{NEW}"));
        assert_eq!(set["spec"]["replicas"], 0, "{}", bench.told());
        assert_eq!(bench.phase(), "Degraded");
        bench.assert_all_routed("a canary that waits");
    });
}

#[test]
fn an_old_version_goes_when_it_was_to_go() {
    tell(async {
        let mut bench = set(&canary());
        deploy(&mut bench, "v2");
        let old = Set { deadline: Some(90), role: None, ..STABLE };
        lay_out(&mut bench, &[old, Set { replicas: 3, role: Some("stable"), ..CANARY }]).await;
        split(&bench, 0, NEW, NEW);
        let conditions = healthy_conditions(&bench, NEW);
        leave(
            &bench,
            2,
            &json!({
                "HPAReplicas": 6, "replicas": 6, "updatedReplicas": 3, "readyReplicas": 6, "availableReplicas": 6,
                "canary": {"weights": weights_left(0, NEW, NEW)}, "conditions": conditions, "phase": "Healthy",
                "currentPodHash": NEW, "stableRS": NEW, "currentStepHash": STEP_HASH, "currentStepIndex": 4,
            }),
        );
        changes_nothing(&mut bench, 40, "an old version that waits").await;
        bench.pass(30).await;
        let set = bench.get(&REPLICA_SETS, &format!("checkout-{OLD}"));
        assert_eq!(set["spec"]["replicas"], 0, "{}", bench.told());
        bench.assert_all_routed("an old version that waits");
    });
}

#[test]
fn pods_that_did_not_come_in_time_stay_given_up() {
    tell(async {
        let mut bench = set(&canary());
        deploy(&mut bench, "error");
        lay_out(&mut bench, &[STABLE, Set { version: "error", ..CANARY }]).await;
        split(&bench, 0, NEW, OLD);
        let message = format!("ReplicaSet \"checkout-{NEW}\" has timed out progressing.");
        let conditions = json!([condition(&bench, "Progressing", "False", "ProgressDeadlineExceeded", &message)]);
        leave(
            &bench,
            2,
            &json!({
                "HPAReplicas": 4, "replicas": 4, "updatedReplicas": 1, "readyReplicas": 3, "availableReplicas": 3,
                "canary": {"weights": weights_left(0, NEW, OLD)}, "conditions": conditions, "phase": "Degraded",
                "message": format!("ProgressDeadlineExceeded: {message}"),
                "currentPodHash": NEW, "stableRS": OLD, "currentStepHash": STEP_HASH, "currentStepIndex": 0,
            }),
        );
        changes_nothing(&mut bench, 300, "given up").await;
        deploy(&mut bench, "v2");
        bench.phase_is("Paused").await;
        bench.assert_all_routed("given up");
    });
}

/// A background analysis that runs, with measurements that the other controller took.
fn run(bench: &Bench, name: &str) -> Value {
    let rollout = bench.rollout();
    let template = bench.get(&serin_sim::cluster::ANALYSIS_TEMPLATES, "golden-signals");
    let measured = |metric: &str| {
        let at = after(bench, -5);
        json!({
            "name": metric, "phase": "Running", "count": 2, "successful": 2, "consecutiveSuccess": 2,
            "metadata": {"ResolvedPrometheusQuery": "up"},
            "measurements": [
                {"phase": "Successful", "startedAt": after(bench, -15), "finishedAt": after(bench, -15), "value": "[1]"},
                {"phase": "Successful", "startedAt": at, "finishedAt": at, "value": "[1]"},
            ],
        })
    };
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
        "metadata": {
            "name": name, "namespace": bench.namespace, "annotations": {"rollout.argoproj.io/revision": "2"},
            "labels": {"app": "checkout", HASH: NEW, "rollout-type": "Background"},
            "ownerReferences": [owner(&rollout["metadata"])],
        },
        "spec": {
            "args": [{"name": "service", "value": "checkout"}, {"name": "revision", "value": "canary"}],
            "metrics": template["spec"]["metrics"],
        },
        "status": {
            "phase": "Running", "startedAt": after(bench, -30), "dryRunSummary": {},
            "runSummary": {"count": 2}, "metricResults": [measured("success-rate"), measured("latency-p99")],
        },
    })
}

#[test]
fn an_analysis_that_runs_is_taken_along() {
    tell(async {
        let mut all = manifests("short");
        object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"]["steps"] = super::steps();
        let mut bench = set(&all);
        deploy(&mut bench, "v2");
        lay_out(&mut bench, &[STABLE, CANARY]).await;
        split(&bench, 20, NEW, OLD);
        bench.pass(5).await;
        stage::open_streams(&mut bench.world);
        bench.pass(120).await;
        let name = format!("checkout-{NEW}-2");
        bench.cluster().create(&ANALYSIS_RUNS, run(&bench, &name)).expect("a run");
        leave(
            &bench,
            2,
            &json!({
                "HPAReplicas": 4, "replicas": 4, "updatedReplicas": 1, "readyReplicas": 4, "availableReplicas": 4,
                "canary": {
                    "weights": weights_left(20, NEW, OLD),
                    "currentBackgroundAnalysisRunStatus": {"name": name, "status": "Running"},
                },
                "conditions": [condition(&bench, "Progressing", "Unknown", "RolloutPaused", "Rollout is paused")],
                "phase": "Paused", "message": "CanaryPauseStep", "controllerPause": true,
                "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": after(&bench, -30)}],
                "currentPodHash": NEW, "stableRS": OLD, "currentStepHash": STEP_HASH, "currentStepIndex": 1,
            }),
        );
        bench.pass(30).await;
        let counted = |bench: &Bench| {
            let run = bench.get(&ANALYSIS_RUNS, &name);
            run["status"]["metricResults"][0]["count"].as_i64().unwrap_or(-1)
        };
        assert_eq!(counted(&bench), 2, "it is not Serin's yet");
        changes_nothing(&mut bench, 60, "an analysis that runs").await;
        let runs = bench.cluster().list(&ANALYSIS_RUNS, Some("shop"));
        assert_eq!(runs.len(), 1, "it is the same one");
        assert_eq!(runs[0]["metadata"]["labels"][super::INSTANCE], "serin", "and Serin's now");
        assert!(counted(&bench) >= 7, "its measurements go on: {:#}", runs[0]["status"]);
        bench.behave("v2", serin_sim::simulate::Conduct::Errors);
        bench.phase_is("Degraded").await;
        assert!(bench.message().contains("Background analysis phase error/failed"), "{}", bench.message());
        bench.assert_all_routed("an analysis that runs");
    });
}

/// Version v2 is previewed and waits for somebody to let it serve.
#[test]
fn blue_green_waits_before_the_switch() {
    tell(async {
        let mut all = manifests("blue_green");
        let blue_green = &mut object_mut(&mut all, "Rollout")["spec"]["strategy"]["blueGreen"];
        *blue_green = json!({
            "activeService": "cart", "previewService": "cart-preview", "autoPromotionEnabled": false,
            "previewReplicaCount": 1, "scaleDownDelaySeconds": 60,
        });
        let mut bench = set(&all);
        deploy(&mut bench, "v2");
        let plain = Set { role: None, ..STABLE };
        lay_out(&mut bench, &[plain, Set { role: None, ..CANARY }]).await;
        point(&bench, "cart", OLD);
        point(&bench, "cart-preview", NEW);
        leave(
            &bench,
            2,
            &json!({
                "HPAReplicas": 3, "replicas": 4, "updatedReplicas": 1, "readyReplicas": 3, "availableReplicas": 3,
                "blueGreen": {"activeSelector": OLD, "previewSelector": NEW},
                "conditions": [condition(&bench, "Progressing", "Unknown", "RolloutPaused", "Rollout is paused")],
                "phase": "Paused", "message": "BlueGreenPause", "controllerPause": true,
                "pauseConditions": [{"reason": "BlueGreenPause", "startTime": after(&bench, -60)}],
                "currentPodHash": NEW, "stableRS": OLD, "selector": format!("app=cart,{HASH}={OLD}"),
            }),
        );
        changes_nothing(&mut bench, 300, "a preview").await;
        bench.patch(&json!({"status": {"pauseConditions": null}}));
        bench.healthy().await;
        assert_eq!(bench.get(&serin_sim::cluster::SERVICES, "cart")["spec"]["selector"][HASH], NEW);
        bench.pass(90).await;
        assert_eq!(bench.get(&REPLICA_SETS, &format!("cart-{OLD}"))["spec"]["replicas"], 0);
        bench.assert_all_routed("a preview");
    });
}

/// Definitions that do not know `status.serin` cut it off at every write.
#[test]
fn a_basic_canary_without_traffic_routing_is_taken_over_too() {
    tell(async {
        let mut all = manifests("basic");
        object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"]["steps"] = super::steps();
        let mut bench = set(&all);
        deploy(&mut bench, "v2");
        lay_out(&mut bench, &[Set { replicas: 4, role: None, ..STABLE }, Set { role: None, ..CANARY }]).await;
        leave(
            &bench,
            2,
            &json!({
                "HPAReplicas": 5, "replicas": 5, "updatedReplicas": 1, "readyReplicas": 5, "availableReplicas": 5,
                "conditions": [condition(&bench, "Progressing", "Unknown", "RolloutPaused", "Rollout is paused")],
                "phase": "Paused", "message": "CanaryPauseStep", "controllerPause": true,
                "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": after(&bench, -60)}],
                "currentPodHash": NEW, "stableRS": OLD, "currentStepHash": STEP_HASH, "currentStepIndex": 1,
            }),
        );
        changes_nothing(&mut bench, 300, "a basic canary").await;
        bench.patch(&json!({"status": {"promoteFull": true}}));
        bench.healthy().await;
        bench.assert_all_routed("a basic canary");
    });
}

#[test]
fn a_rollout_of_somebody_else_is_left_alone() {
    tell(async {
        let mut bench = in_pause(1, 20, 1).await;
        bench.patch(&json!({"metadata": {"labels": {super::INSTANCE: "another"}}}));
        bench.patch(&json!({"status": {"pauseConditions": null}}));
        let writes = bench.cluster().writes().len();
        bench.pass(300).await;
        assert_eq!(bench.cluster().writes().len(), writes);
        assert_eq!(bench.get(&DEPLOYMENTS, "checkout")["spec"]["replicas"], 1);
        hand_over(&mut bench).await;
        bench.step_is(3).await;
    });
}
