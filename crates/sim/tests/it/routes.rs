//! Header and mirror routes: who gets which requests in each step, and that nothing of them stays behind.

use std::collections::BTreeMap;

use serde_json::Value;
use serin_sim::cluster::{ROLLOUTS, VIRTUAL_SERVICES};
use serin_sim::mesh::{Served, Traffic};

use crate::bench::{Bench, tell};

/// Names of the VirtualService's routes.
fn names(bench: &Bench) -> Vec<String> {
    let vs = bench.get(&VIRTUAL_SERVICES, "checkout");
    let routes = vs["spec"]["http"].as_array().cloned().unwrap_or_default();
    routes.iter().map(|route| route["name"].as_str().unwrap_or("main").to_owned()).collect()
}

/// Whether nothing in the VirtualService tells of managed routes.
fn is_clean(bench: &Bench) -> bool {
    names(bench) == ["main"] && !bench.get(&VIRTUAL_SERVICES, "checkout").to_string().contains("managed-routes")
}

fn tester() -> Traffic {
    let mut traffic = Traffic::to("shop", "checkout").at_rate(20.0);
    traffic.headers = BTreeMap::from([("x-team".to_owned(), "checkout".to_owned())]);
    traffic
}

/// Requests of one kind alone for 5 s: by the hash that answered, and copies by the hash that got them.
async fn sent(bench: &mut Bench, traffic: Traffic) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    // Proxies learn of a route within the time that the controller allows for.
    bench.pass(3).await;
    bench.world.set_streams(vec![traffic]);
    let before = bench.world.served().clone();
    bench.pass(5).await;
    let after = bench.world.served().clone();
    bench.world.set_streams(vec![Traffic::to("shop", "checkout").at_rate(40.0), tester()]);
    let Served { by_pod_hash, mirrored_by_pod_hash, .. } = after;
    (grown(&before.by_pod_hash, by_pod_hash), grown(&before.mirrored_by_pod_hash, mirrored_by_pod_hash))
}

fn grown(before: &BTreeMap<String, u64>, after: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let more = after.into_iter().map(|(hash, count)| (hash.clone(), count - before.get(&hash).copied().unwrap_or(0)));
    more.filter(|(_, count)| *count > 0).collect()
}

/// An update that stands in a step, with testers among the callers.
async fn at_step(step: i64) -> Bench {
    let mut bench = Bench::of("routes").await;
    bench.world.set_streams(vec![Traffic::to("shop", "checkout").at_rate(40.0), tester()]);
    bench.deploy("v2");
    bench.step_is(step).await;
    bench
}

fn hash(bench: &Bench, field: &str) -> String {
    bench.status(field).as_str().unwrap_or_default().to_owned()
}

#[test]
fn each_request_goes_where_its_step_says() {
    tell(async {
        let mut bench = at_step(2).await;
        let (stable, canary) = (hash(&bench, "/stableRS"), hash(&bench, "/currentPodHash"));
        let (answered, _) = sent(&mut bench, tester()).await;
        assert_eq!(answered.keys().collect::<Vec<_>>(), [&canary], "testers get the canary");
        let (answered, copied) = sent(&mut bench, Traffic::to("shop", "checkout")).await;
        assert_eq!((answered.keys().collect::<Vec<_>>(), copied.len()), (vec![&stable], 0), "and nobody else");
        bench.step_is(4).await;
        assert_eq!(names(&bench), ["testers", "shadow", "main"]);
        let (answered, copied) = sent(&mut bench, Traffic::to("shop", "checkout").at_rate(40.0)).await;
        assert_eq!(answered.keys().collect::<Vec<_>>(), [&stable], "the canary answers nobody");
        let (all, copies) = (answered[&stable], copied[&canary]);
        assert!((all / 4..all * 3 / 4).contains(&copies), "{copies} copies of {all} requests are about half");
        bench.step_is(7).await;
        let (answered, copied) = sent(&mut bench, Traffic::to("shop", "checkout").at_rate(40.0)).await;
        assert_eq!((answered.len(), copied.len()), (2, 1), "the mirror route splits by weight too");
        bench.healthy().await;
        bench.pass(60).await;
        assert!(is_clean(&bench), "{:?}", names(&bench));
        bench.assert_all_routed("header and mirror routes");
        let writes = bench.cluster().writes().len();
        bench.pass(3600).await;
        assert_eq!(bench.cluster().writes().len(), writes, "nothing is left to do");
    });
}

#[test]
fn an_abort_takes_them_away_before_the_pods_go() {
    tell(async {
        for step in [2, 4, 7] {
            let mut bench = at_step(step).await;
            bench.annotate("serin.dev/abort", "now");
            bench.settle().await;
            assert!(is_clean(&bench), "at step {step}: {:?}", names(&bench));
            bench.pass(90).await;
            bench.assert_all_routed("an abort");
        }
    });
}

#[test]
fn a_newer_version_gets_its_own() {
    tell(async {
        for step in [2, 4] {
            let mut bench = at_step(step).await;
            bench.deploy("v3");
            bench.step_is(0).await;
            bench.step_is(step).await;
            let canary = hash(&bench, "/currentPodHash");
            let (answered, _) = sent(&mut bench, tester()).await;
            assert_eq!(answered.keys().collect::<Vec<_>>(), [&canary], "at step {step}");
            bench.healthy().await;
            bench.pass(60).await;
            bench.assert_all_routed("a newer version");
        }
    });
}

#[test]
fn what_a_tool_takes_away_comes_back() {
    tell(async {
        let mut bench = at_step(4).await;
        let before = bench.get(&VIRTUAL_SERVICES, "checkout")["spec"].clone();
        let mut vs: Value = (*bench.get(&VIRTUAL_SERVICES, "checkout")).clone();
        let routes = vs["spec"]["http"].as_array_mut().expect("routes");
        routes.retain(|route| route["name"].is_null());
        let patch = serde_json::json!({"spec": {"http": routes}});
        bench.cluster().patch_merge(&VIRTUAL_SERVICES, "shop", "checkout", &patch).expect("the tool may write");
        bench.settle().await;
        assert_eq!(bench.get(&VIRTUAL_SERVICES, "checkout")["spec"], before);
    });
}

#[test]
fn a_rollout_that_is_deleted_takes_them_along() {
    tell(async {
        let mut bench = at_step(4).await;
        bench.cluster().delete(&ROLLOUTS, "shop", "checkout").expect("it is there");
        bench.pass(60).await;
        assert!(is_clean(&bench), "{:?}", names(&bench));
        let writes = bench.cluster().writes().len();
        bench.pass(3600).await;
        assert_eq!(bench.cluster().writes().len(), writes, "nobody writes for a Rollout that is gone");
    });
}
