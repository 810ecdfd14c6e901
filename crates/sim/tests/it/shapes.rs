//! One update in every shape that a Rollout may have, with a good version and, where something would notice, a bad one.

use serde_json::json;
use serin_sim::WorldConfig;
use serin_sim::cluster::{PODS, REPLICA_SETS, SERVICES, VIRTUAL_SERVICES};
use serin_sim::manifests::Manifest;
use serin_sim::simulate::Conduct;

use crate::bench::{Bench, manifests, object_mut, tell, weights, weights_wanted};

/// Deploys v2, lets people promote where that is asked for, and waits for the end and its aftermath.
async fn update(all: &[Manifest], seed: u64) -> Bench {
    let mut bench = Bench::up(all, WorldConfig { seed, ..WorldConfig::default() }).await;
    bench.entries.clear();
    bench.deploy("v2");
    bench.behave("v2", Conduct::Healthy);
    bench
        .wait("Healthy, or a pause without end", |bench| {
            let holds = bench.status("/serin/holds").to_string();
            let is_new = bench.status("/stableRS") == bench.status("/currentPodHash");
            bench.is_observed() && (bench.phase() == "Healthy" && is_new || holds.contains("WaitingForPromotion"))
        })
        .await;
    bench.annotate("serin.dev/promote", "the rest");
    bench.healthy().await;
    bench.pass(120).await;
    bench
}

/// Sizes of the Rollout's ReplicaSets, largest first.
fn sizes(bench: &Bench) -> Vec<i64> {
    let all = bench.cluster().list(&REPLICA_SETS, Some(&bench.namespace));
    let own = all.iter().filter(|set| set["metadata"]["labels"]["rollouts-pod-template-hash"].is_string());
    let mut sizes: Vec<i64> = own.map(|set| set["spec"]["replicas"].as_i64().unwrap_or(-1)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes
}

/// An update ends with everything on the new version, no request lost, and nothing left to do.
fn check(case: &str, all: &[Manifest], replicas: i64, wanted: &[i32]) {
    for seed in 0..3 {
        tell(async {
            let mut bench = update(all, seed).await;
            bench.assert_all_routed(case);
            assert_eq!(weights_wanted(&bench.entries), wanted, "{case}: {}", bench.told());
            assert_eq!(sizes(&bench), [replicas, 0], "{case}: the old version is drained");
            for vs in bench.cluster().list(&VIRTUAL_SERVICES, None) {
                let split: Vec<Vec<i64>> = weights(&vs);
                assert!(split.iter().all(|weights| *weights == [100, 0]), "{case}: {vs:#}");
            }
            let writes = bench.cluster().writes().len();
            bench.pass(3600).await;
            assert_eq!(bench.cluster().writes().len(), writes, "{case}: nothing is left to do");
        });
    }
}

fn with_replicas(file: &str, replicas: i64) -> Vec<Manifest> {
    let mut all = manifests(file);
    object_mut(&mut all, "Rollout")["spec"]["replicas"] = json!(replicas);
    all
}

#[test]
fn role_labels_with_any_number_of_pods() {
    for replicas in [1, 2, 3, 4, 5, 7, 11] {
        let case = format!("role labels, {replicas} replicas");
        check(&case, &with_replicas("short", replicas), replicas, &[20, 60, 100, 0]);
    }
}

#[test]
fn services_as_sides() {
    for replicas in [1, 3] {
        check("services", &with_replicas("services", replicas), replicas, &[20, 60, 100, 0]);
    }
}

#[test]
fn a_tcp_route() {
    check("tcp", &manifests("tcp"), 3, &[20, 60, 100, 0]);
}

#[test]
fn several_virtual_services() {
    check("several VirtualServices", &manifests("several_routes"), 3, &[20, 60, 100, 0]);
}

#[test]
fn a_size_apart_from_the_weight() {
    check("setCanaryScale", &manifests("canary_scale"), 4, &[25, 50, 100, 0]);
}

#[test]
fn an_analysis_that_begins_before_the_canary_has_any_traffic() {
    let mut all = manifests("short");
    let analysis = &mut object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"]["analysis"];
    analysis.as_object_mut().and_then(|analysis| analysis.remove("startingStep"));
    check("no startingStep", &all, 3, &[20, 60, 100, 0]);
}

#[test]
fn an_analysis_as_a_step() {
    check("a step's analysis", &manifests("step_analysis"), 3, &[20, 60, 100, 0]);
}

#[test]
fn a_bad_version_does_not_pass_an_analysis_step() {
    tell(async {
        let mut bench = Bench::of("step_analysis").await;
        bench.behave("v2", Conduct::Errors);
        bench.deploy("v2");
        bench.phase_is("Degraded").await;
        let expected = "RolloutAborted: Rollout aborted update to revision 2: Step-based analysis phase error/failed: \
                        Metric \"success-rate\" assessed Failed due to failed (2) > failureLimit (1)";
        assert_eq!(bench.message(), expected);
        bench.pass(60).await;
        assert_eq!((bench.weight(), sizes(&bench)), (0, vec![3, 0]));
        bench.assert_all_routed("a bad version");
    });
}

#[test]
fn a_basic_canary() {
    for replicas in [1, 2, 5] {
        check("basic", &with_replicas("basic", replicas), replicas, &[]);
    }
    tell(async {
        let mut bench = Bench::of("basic").await;
        bench.deploy("v2");
        for (step, counts) in [(1, vec![4, 1]), (3, vec![3, 2])] {
            bench.step_is(step).await;
            bench.pass(5).await;
            assert_eq!(sizes(&bench), counts, "at step {step}");
        }
        bench.healthy().await;
        bench.assert_all_routed("basic");
    });
}

#[test]
fn services_and_subsets_together() {
    let mut all = manifests("short");
    for side in ["stable", "canary"] {
        let mut service = object_mut(&mut all, "Service").clone();
        service["metadata"]["name"] = json!(format!("checkout-{side}"));
        all.insert(0, crate::bench::manifest(service));
    }
    all.rotate_left(2);
    let canary = &mut object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"];
    canary["canaryService"] = json!("checkout-canary");
    canary["stableService"] = json!("checkout-stable");
    tell(async {
        let bench = update(&all, 0).await;
        bench.assert_all_routed("services and subsets");
        for side in ["stable", "canary"] {
            let service = bench.get(&SERVICES, &format!("checkout-{side}"));
            let hash = &service["spec"]["selector"]["rollouts-pod-template-hash"];
            assert_eq!(*hash, bench.status("/stableRS"), "{side}");
        }
        let pods = bench.cluster().list(&PODS, Some("shop"));
        assert!(pods.iter().all(|pod| pod["metadata"]["labels"]["version"] == "stable"), "roles at the end");
    });
}
