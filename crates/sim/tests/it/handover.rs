//! Something happens at any moment of the hand-over, when promoted pods change their role: no request is lost.

use chrono::TimeDelta;
use serde_json::json;
use serin_sim::WorldConfig;
use serin_sim::cluster::PODS;

use crate::bench::{Bench, manifests, object_mut, tell};

/// What comes between.
#[derive(Clone, Copy, Debug)]
enum Interruption {
    NewVersion,
    BackToTheOldVersion,
    Scale(i64),
    Restart,
    /// A git tool sets all weight to stable while that still is the old version.
    WeightsOfGit,
    /// A pod of the new version that stands behind the side of that role is deleted, perhaps the only one there.
    PodDeleted(&'static str),
}

/// Promotes v2 at once, lets something happen some time after, and promotes whatever is asked for then.
async fn interrupt(replicas: i64, interruption: Interruption, after: TimeDelta) -> Bench {
    let mut all = manifests("short");
    object_mut(&mut all, "Rollout")["spec"]["replicas"] = json!(replicas);
    // Proxies that hear late of a deleted pod ask it, whatever the controller does.
    let late = if matches!(interruption, Interruption::PodDeleted(_)) { 0 } else { 1_500 };
    let config = WorldConfig { propagation: TimeDelta::milliseconds(late), ..WorldConfig::default() };
    let mut bench = Bench::up(&all, config).await;
    bench.deploy("v2");
    bench.settle().await;
    bench.annotate("serin.dev/promote-full", "v2");
    bench.wait("the promotion", |bench| bench.status("/stableRS") == bench.status("/currentPodHash")).await;
    let moment = bench.world.now() + after;
    bench.world.run_until(moment, |_| false).await.unwrap_or_else(|error| panic!("{error}"));
    match interruption {
        Interruption::NewVersion => bench.deploy("v3"),
        Interruption::BackToTheOldVersion => bench.deploy("v1"),
        Interruption::Scale(replicas) => bench.patch(&json!({"spec": {"replicas": replicas}})),
        Interruption::Restart => bench.world.restart_controller(),
        Interruption::WeightsOfGit => {
            let mut object = object_mut(&mut all, "VirtualService").clone();
            object["metadata"]["namespace"] = json!("shop");
            bench.world.apply(object).expect("the tool may write");
        }
        Interruption::PodDeleted(role) => delete_pod(&mut bench, role),
    }
    bench.settle().await;
    bench.pass(40).await;
    bench.annotate("serin.dev/promote-full", "whatever it is");
    bench.healthy().await;
    bench.pass(60).await;
    bench
}

fn delete_pod(bench: &mut Bench, role: &str) {
    let current = bench.status("/currentPodHash");
    let pods = bench.cluster().list(&PODS, Some(&bench.namespace));
    let found = pods.iter().find(|pod| {
        let labels = &pod["metadata"]["labels"];
        labels["rollouts-pod-template-hash"] == current && labels["version"] == role
    });
    // Before the first turn nobody has that role yet, and after the last one nobody has the other.
    if let Some(name) = found.and_then(|pod| pod["metadata"]["name"].as_str()) {
        bench.cluster().delete(&PODS, &bench.namespace, name).expect("anybody may delete a pod");
    }
}

fn check(replicas: i64, interruption: Interruption, seconds: impl Iterator<Item = i64>) {
    for after in seconds {
        let case = format!("{replicas} replicas, {interruption:?} {after} s after the promotion");
        tell(async {
            let bench = interrupt(replicas, interruption, TimeDelta::seconds(after)).await;
            bench.assert_all_routed(&case);
            assert_eq!(bench.weight(), 0, "{case}");
        });
    }
}

#[test]
fn a_newer_version_comes() {
    check(1, Interruption::NewVersion, (0..12).step_by(2));
    check(3, Interruption::NewVersion, (0..16).step_by(3));
}

#[test]
fn the_old_version_comes_back() {
    check(1, Interruption::BackToTheOldVersion, (0..12).step_by(2));
    check(3, Interruption::BackToTheOldVersion, (0..16).step_by(3));
}

#[test]
fn fewer_or_more_pods_are_wanted() {
    check(3, Interruption::Scale(1), (0..16).step_by(2));
    check(1, Interruption::Scale(4), (0..12).step_by(3));
}

#[test]
fn the_controller_is_restarted() {
    check(1, Interruption::Restart, (0..12).step_by(3));
    check(4, Interruption::Restart, (0..16).step_by(4));
}

#[test]
fn a_git_tool_sets_the_weights_back_while_stable_is_the_old_version() {
    for replicas in [1, 3, 5] {
        check(replicas, Interruption::WeightsOfGit, std::iter::once(0));
    }
}

#[test]
fn the_only_pod_of_a_side_is_deleted() {
    for role in ["stable", "canary"] {
        check(2, Interruption::PodDeleted(role), (0..12).step_by(2));
        check(3, Interruption::PodDeleted(role), (0..18).step_by(3));
    }
}
