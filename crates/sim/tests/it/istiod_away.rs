//! Istio's control plane is away in mid-canary: proxies keep the routes, subsets and addresses that they know.

use chrono::TimeDelta;
use serde_json::json;
use serin_sim::WorldConfig;

use crate::bench::{Bench, manifests, object_mut, tell};

/// How long a killed istiod was away on a real cluster, with the time that proxies took to find it again.
const AWAY: TimeDelta = TimeDelta::seconds(25);

/// Requests that failed by routing when istiod is away from the first pause of an update on.
async fn lost(labels: &str, delay: Option<u32>) -> u64 {
    let mut all = manifests("short");
    object_mut(&mut all, "Rollout")["spec"]["replicas"] = json!(3);
    if let Some(delay) = delay {
        object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"]["scaleDownDelaySeconds"] = json!(delay);
    }
    if labels == "hash" {
        for subset in 0..2 {
            object_mut(&mut all, "DestinationRule")["spec"]["subsets"][subset]["labels"] = json!({"app": "checkout"});
        }
    }
    let mut bench = Bench::up(&all, WorldConfig::default()).await;
    bench.deploy("v2");
    bench.step_is(1).await;
    bench.world.cut_off_proxies(AWAY);
    bench.annotate("serin.dev/promote-full", "enough");
    bench.healthy().await;
    bench.pass(120).await;
    assert!(bench.world.served().requests > 0, "nobody called");
    bench.world.served().failed_by_routing
}

#[test]
fn pods_that_wait_for_the_default_delay_bridge_the_gap() {
    for labels in ["hash", "role"] {
        assert_eq!(tell(lost(labels, None)), 0, "{labels}");
    }
}

#[test]
fn without_the_delay_requests_are_lost_as_the_documentation_says() {
    assert!(tell(lost("hash", Some(1))) > 0);
}
