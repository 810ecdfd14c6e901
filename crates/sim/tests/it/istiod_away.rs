//! Istio's control plane is away in an update: proxies keep the routes, subsets and addresses that they know.

use chrono::TimeDelta;
use serde_json::json;
use serin_controller::ObjectName;
use serin_sim::WorldConfig;

use crate::bench::{Bench, manifests, object_mut, tell};

/// How long a killed istiod was away on a real cluster, with the time that proxies took to find it again.
const AWAY: TimeDelta = TimeDelta::seconds(25);

/// How the subsets of a Rollout are told apart.
#[derive(Clone, Copy, Debug)]
enum Labels {
    Hash,
    Role,
}

/// Whether the controller watches istiod.
#[derive(Clone, Copy, Debug)]
enum Evidence {
    Watched,
    None,
}

/// When istiod is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    FirstPause,
    HandOver,
}

/// A Rollout in mid-canary whose old pods go after some seconds, or after the default time.
async fn in_mid_canary(labels: Labels, delay: Option<u32>, evidence: Evidence) -> Bench {
    let mut all = manifests("short");
    object_mut(&mut all, "Rollout")["spec"]["replicas"] = json!(3);
    if let Some(delay) = delay {
        object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"]["scaleDownDelaySeconds"] = json!(delay);
    }
    match labels {
        Labels::Hash => {
            for subset in 0..2 {
                object_mut(&mut all, "DestinationRule")["spec"]["subsets"][subset]["labels"] =
                    json!({"app": "checkout"});
            }
        }
        Labels::Role => {}
    }
    let istiod = match evidence {
        Evidence::Watched => Some(ObjectName::new("istio-system", "istiod")),
        Evidence::None => None,
    };
    let mut bench = Bench::up(&all, WorldConfig { istiod, ..WorldConfig::default() }).await;
    bench.deploy("v2");
    bench.step_is(1).await;
    bench
}

/// Requests that failed by routing when istiod is killed in an update.
async fn lost((labels, delay): (Labels, Option<u32>), evidence: Evidence, moment: Moment) -> u64 {
    let mut bench = in_mid_canary(labels, delay, evidence).await;
    match moment {
        Moment::FirstPause => {
            bench.world.cut_off_proxies(AWAY);
            bench.annotate("serin.dev/promote-full", "enough");
        }
        Moment::HandOver => {
            bench.annotate("serin.dev/promote-full", "enough");
            bench.wait("all traffic on the canary", |bench| bench.weight() == 100).await;
            bench.wait("a turn of the hand-over", |bench| bench.weight() < 100).await;
            bench.world.cut_off_proxies(AWAY);
        }
    }
    bench.healthy().await;
    bench.pass(120).await;
    assert!(bench.world.served().requests > 0, "nobody called");
    bench.world.served().failed_by_routing
}

#[test]
fn pods_that_wait_for_the_default_delay_bridge_the_gap() {
    for labels in [Labels::Hash, Labels::Role] {
        assert_eq!(tell(lost((labels, None), Evidence::None, Moment::FirstPause)), 0, "{labels:?}");
    }
}

#[test]
fn without_the_delay_and_unwatched_requests_are_lost_as_the_documentation_says() {
    assert!(tell(lost((Labels::Hash, Some(1)), Evidence::None, Moment::FirstPause)) > 0);
}

#[test]
fn whoever_watches_istiod_loses_no_request() {
    for labels in [Labels::Hash, Labels::Role] {
        for delay in [Some(1), None] {
            for moment in [Moment::FirstPause, Moment::HandOver] {
                let lost = tell(lost((labels, delay), Evidence::Watched, moment));
                assert_eq!(lost, 0, "{labels:?}, scaleDownDelaySeconds {delay:?}, killed at {moment:?}");
            }
        }
    }
}

#[test]
fn the_update_waits_until_the_proxies_are_back_and_says_so() {
    tell(async {
        let mut bench = in_mid_canary(Labels::Hash, Some(1), Evidence::Watched).await;
        let killed = bench.world.now();
        bench.world.cut_off_proxies(AWAY);
        bench.annotate("serin.dev/promote-full", "enough");
        bench.pass(8).await;
        assert_eq!(bench.message(), "istiod is away: proxies do not learn of changes");
        bench.pass(4).await;
        assert!(bench.message().starts_with("proxies reconnect to istiod until "), "{}", bench.message());
        bench.healthy().await;
        let took = bench.world.now() - killed;
        assert!(took >= TimeDelta::seconds(40) && took < TimeDelta::seconds(60), "{took}");
    });
}

#[test]
fn a_controller_that_starts_anew_while_proxies_reconnect_waits_as_the_one_before_would() {
    for labels in [Labels::Hash, Labels::Role] {
        // Before the next istiod is there, just after, and when the proxies have nearly found it.
        for after in [5, 12, 20] {
            let lost = tell(async {
                let mut bench = in_mid_canary(labels, Some(1), Evidence::Watched).await;
                bench.world.cut_off_proxies(AWAY);
                bench.pass(after).await;
                bench.world.restart_controller();
                bench.annotate("serin.dev/promote-full", "enough");
                bench.healthy().await;
                bench.pass(120).await;
                bench.world.served().failed_by_routing
            });
            assert_eq!(lost, 0, "{labels:?}, a controller that starts {after} s after the kill");
        }
    }
}
