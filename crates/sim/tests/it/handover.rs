//! Something happens at any moment of the hand-over, when promoted pods change their role: no request is lost.

use chrono::TimeDelta;
use serde_json::json;
use serin_sim::WorldConfig;

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
}

/// Promotes v2 at once, lets something happen some time after, and promotes whatever is asked for then.
async fn interrupt(replicas: i64, interruption: Interruption, after: TimeDelta) -> Bench {
    let mut all = manifests("short");
    object_mut(&mut all, "Rollout")["spec"]["replicas"] = json!(replicas);
    let config = WorldConfig { propagation: TimeDelta::milliseconds(1_500), ..WorldConfig::default() };
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
    }
    bench.settle().await;
    bench.pass(40).await;
    bench.annotate("serin.dev/promote-full", "whatever it is");
    bench.healthy().await;
    bench.pass(60).await;
    bench
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
