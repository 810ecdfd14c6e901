//! Blue-green updates in a whole cluster: who serves at every moment, and that no request is lost on the way.

use serde_json::json;
use serin_sim::WorldConfig;
use serin_sim::cluster::{REPLICA_SETS, SERVICES};
use serin_sim::faults::{Failure, Rule};
use serin_sim::simulate::Conduct;

use crate::bench::{Bench, manifests, object_mut, tell};

/// The hash that a Service is restricted to.
fn selected(bench: &Bench, service: &str) -> String {
    let service = bench.get(&SERVICES, service);
    service["spec"]["selector"]["rollouts-pod-template-hash"].as_str().unwrap_or_default().to_owned()
}

/// Hash and size of every ReplicaSet that wants pods.
fn sizes(bench: &Bench) -> Vec<(String, i64)> {
    let all = bench.cluster().list(&REPLICA_SETS, Some(&bench.namespace));
    let hash = |set: &serde_json::Value| {
        set["metadata"]["labels"]["rollouts-pod-template-hash"].as_str().unwrap_or_default().to_owned()
    };
    let mut sizes: Vec<(String, i64)> =
        all.iter().map(|set| (hash(set), set["spec"]["replicas"].as_i64().unwrap_or(-1))).collect();
    sizes.retain(|(_, size)| *size > 0);
    sizes.sort();
    sizes
}

fn both(a: (&str, i64), b: (&str, i64)) -> Vec<(String, i64)> {
    let mut sizes = vec![(a.0.to_owned(), a.1), (b.0.to_owned(), b.1)];
    sizes.sort();
    sizes
}

#[test]
fn an_update_is_previewed_switched_and_cleared_away() {
    for (seed, replicas) in [(0, 3), (1, 1), (2, 5)] {
        let mut all = manifests("blue_green");
        object_mut(&mut all, "Rollout")["spec"]["replicas"] = json!(replicas);
        tell(async {
            let mut bench = Bench::up(&all, WorldConfig { seed, ..WorldConfig::default() }).await;
            let v1 = selected(&bench, "cart");
            assert_eq!((v1.as_str().into(), v1.clone()), (bench.status("/stableRS"), selected(&bench, "cart-preview")));
            bench.deploy("v2");
            bench.phase_is("Paused").await;
            let v2 = selected(&bench, "cart-preview");
            assert_ne!(v1, v2);
            assert_eq!((bench.message().as_str(), selected(&bench, "cart")), ("BlueGreenPause", v1.clone()));
            assert_eq!(sizes(&bench), both((&v1, replicas), (&v2, 1)), "a small preview");
            bench.healthy().await;
            assert_eq!((selected(&bench, "cart"), sizes(&bench)), (v2.clone(), both((&v1, replicas), (&v2, replicas))));
            bench.pass(55).await;
            assert_eq!(sizes(&bench), both((&v1, replicas), (&v2, replicas)), "the old version waits for its delay");
            bench.pass(15).await;
            assert_eq!(sizes(&bench), [(v2, replicas)]);
            let writes = bench.cluster().writes().len();
            bench.pass(3600).await;
            assert_eq!(bench.cluster().writes().len(), writes, "nothing is left to do");
            bench.assert_all_routed("a switch");
        });
    }
}

#[test]
fn a_version_that_fails_while_it_serves_is_switched_back_from() {
    tell(async {
        let mut bench = Bench::of("blue_green").await;
        let v1 = selected(&bench, "cart");
        bench.behave("v2", Conduct::Errors);
        bench.deploy("v2");
        bench.wait("the switch", |bench| selected(bench, "cart") != v1).await;
        bench.phase_is("Degraded").await;
        let expected = "RolloutAborted: Rollout aborted update to revision 2: Blue/green post-promotion analysis phase \
                        error/failed: Metric \"success-rate\" assessed Failed due to failed (1) > failureLimit (0)";
        assert_eq!(bench.message(), expected);
        bench.pass(60).await;
        assert_eq!((selected(&bench, "cart"), sizes(&bench)), (v1.clone(), vec![(v1, 3)]));
        bench.assert_all_routed("a switch back");
    });
}

#[test]
fn the_next_version_and_the_one_before_may_come_at_any_moment() {
    for seconds in [0, 1, 2, 5, 20, 31, 33, 35, 40, 60] {
        tell(async {
            let mut bench = Bench::of("blue_green").await;
            bench.deploy("v2");
            bench.pass(seconds).await;
            bench.deploy("v3");
            bench.pass(seconds).await;
            bench.deploy("v1");
            bench.healthy().await;
            bench.pass(120).await;
            let stable = bench.status("/stableRS").as_str().unwrap_or_default().to_owned();
            assert_eq!((selected(&bench, "cart"), sizes(&bench)), (stable.clone(), vec![(stable, 3)]));
            bench.assert_all_routed(&format!("changes every {seconds} s"));
        });
    }
}

#[test]
fn a_service_that_is_named_no_longer_selects_as_its_author_wrote_it() {
    tell(async {
        let mut bench = Bench::of("blue_green").await;
        let steps = json!([{"setWeight": 50}, {"pause": {}}]);
        bench.patch(&json!({"spec": {"strategy": {"blueGreen": null, "canary": {"steps": steps}}}}));
        bench.deploy("v2");
        bench.settle().await;
        assert_eq!((selected(&bench, "cart"), selected(&bench, "cart-preview")), (String::new(), String::new()));
        bench.phase_is("Paused").await;
        assert_eq!(bench.status("/updatedReplicas"), 2, "{}", bench.told());
        assert_eq!(bench.status("/blueGreen"), json!({}));
        bench.annotate("serin.dev/promote-full", "now");
        bench.healthy().await;
        bench.assert_all_routed("another strategy");
    });
}

#[test]
fn nobody_is_scaled_down_while_the_switch_is_refused() {
    tell(async {
        let mut bench = Bench::of("blue_green").await;
        let v1 = selected(&bench, "cart");
        bench.deploy("v2");
        bench.phase_is("Paused").await;
        let refused = Rule::next(Failure::Internal).on("patch", "services").after(0, u64::MAX);
        bench.cluster().faults().add(refused);
        bench.pass(300).await;
        assert_eq!((selected(&bench, "cart"), sizes(&bench).len()), (v1, 2), "{}", bench.told());
        assert_eq!(bench.message(), "active service cutover pending");
        bench.cluster().faults().reset();
        bench.healthy().await;
        bench.pass(90).await;
        assert_eq!(sizes(&bench).len(), 1);
        bench.assert_all_routed("a late switch");
    });
}
