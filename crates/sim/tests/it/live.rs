//! The controller as it runs in production: over HTTP, in real time, with watches, an election, probes and metrics.

mod objects;
mod site;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use serin_sim::cluster::{ANALYSIS_RUNS, CUSTOM_RESOURCE_DEFINITIONS, LEASES, REPLICA_SETS, ROLLOUTS};
use serin_sim::faults::{Failure, Rule};
use serin_sim::metrics::{Call, Caller, Outcome, Server, Sources, Store, StoreConfig, skywalking};

use objects::{istio_definition, judge, plain, routed, steps, success_rate};
use site::{Site, eventually, rollout, route, serve_sources};

/// The weights of the canary that a VirtualService has had, in order.
fn canary_weights(events: &mut serin_sim::cluster::Events) -> Vec<i64> {
    let mut all = Vec::new();
    for change in events.drain().into_iter().filter(|change| change.resource.plural == "virtualservices") {
        let canary = crate::bench::weights(&change.object)[0][1];
        if all.last() != Some(&canary) {
            all.push(canary);
        }
    }
    all
}

#[tokio::test]
async fn an_update_goes_to_its_pause_and_on_to_its_end() {
    let site = Site::open().await;
    site.apply(routed("web", &steps()));
    let mut events = site.cluster.subscribe();
    let controller = site.start("one", |_| {}).await;
    site.healthy("web").await;
    assert_eq!(site.holder(), "one");
    controller.until_ready().await;

    site.set_image("web", "v2");
    site.phase_is("web", "Paused", 3).await;
    assert_eq!(route(&site.cluster, "web"), [40, 60]);
    let labels = "namespace=\"default\",name=\"web\"";
    controller.until_metric(&format!("serin_rollout_weight_observed{{{labels}}} 60")).await;
    let page = controller.metrics().await;
    for line in [format!("serin_rollout_weight_desired{{{labels}}} 60"), "serin_leader 1".to_owned()] {
        assert!(page.lines().any(|l| l == line), "{line} is missing in:\n{page}");
    }
    assert!(page.contains("\nrollout_info{namespace=\"default\",name=\"web\""), "{page}");

    site.resume("web").await;
    site.healthy("web").await;
    assert_eq!(route(&site.cluster, "web"), [100, 0]);
    assert_eq!(canary_weights(&mut events), [0, 20, 60, 100, 0]);
    controller.stop().await;
    assert_eq!(site.holder(), "", "the lease is given back");
    assert!(site.cluster.get(&LEASES, "serin", "serin-controller-lock").is_ok(), "the lease itself stays");
}

#[tokio::test]
async fn it_is_ready_and_works_only_when_all_caches_are_filled() {
    let site = Site::open().await;
    site.apply(routed("web", &steps()));
    site.cluster.faults().add(Rule::next(Failure::Internal).on("list", "services").after(0, u64::MAX));
    let controller = site.start("one", |_| {}).await;
    site.until("the lease", |_| site.holder() == "one").await;
    eventually("the server of probes", async || controller.probe("/healthz").await == 200).await;
    assert_eq!(controller.probe("/readyz").await, 503);
    let writes = site.cluster.writes();
    assert!(writes.iter().all(|write| write.plural == "leases"), "{writes:?}");
    site.cluster.faults().reset();
    controller.until_ready().await;
    site.healthy("web").await;
    controller.stop().await;
}

#[tokio::test]
async fn another_replica_takes_over_in_the_middle_of_an_update() {
    let site = Site::open().await;
    site.apply(routed("web", &steps()));
    let first = site.start("first", |_| {}).await;
    site.healthy("web").await;
    let second = site.start("second", |_| {}).await;
    second.until_ready().await;
    first.until_metric("serin_leader 1").await;
    second.until_metric("serin_leader 0").await;
    site.set_image("web", "v2");
    site.until("the first weight", |cluster| route(cluster, "web") == [80, 20]).await;
    assert_eq!(site.holder(), "first");
    first.stop().await;
    site.until("the other leader", |_| site.holder() == "second").await;
    site.phase_is("web", "Paused", 3).await;
    site.resume("web").await;
    site.healthy("web").await;
    assert_eq!(route(&site.cluster, "web"), [100, 0]);
    second.until_metric("serin_leader 1").await;
    second.stop().await;
    let lease = site.cluster.get(&LEASES, "serin", "serin-controller-lock").unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
}

#[tokio::test]
async fn a_controller_whose_lease_was_taken_ends() {
    let site = Site::open().await;
    site.apply(vec![plain("web", &json!([]))]);
    let controller = site.start("one", |_| {}).await;
    site.healthy("web").await;
    let thief = json!({"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 3600}});
    site.cluster.patch_merge(&LEASES, "serin", "serin-controller-lock", &thief).unwrap();
    let error = controller.end().await.unwrap_err();
    assert!(matches!(error, serin_controller::Error::LeadershipLost { .. }), "{error}");
    assert_eq!(site.holder(), "thief", "what is not ours is not given back");
}

#[tokio::test]
async fn watches_that_break_and_lag_behind_are_taken_up_again() {
    let site = Site::open().await;
    site.apply(routed("web", &steps()));
    let controller = site.start("one", |_| {}).await;
    site.healthy("web").await;
    site.set_image("web", "v2");
    site.until("the first weight", |cluster| route(cluster, "web") == [80, 20]).await;
    site.cluster.faults().drop_watches();
    site.phase_is("web", "Paused", 3).await;
    // Nobody watches when the pause ends, and the change is forgotten before anybody watches again: only a new list
    // shows it.
    site.cluster.faults().drop_watches();
    let resumed = json!({"status": {"pauseConditions": null}});
    site.cluster.patch_merge(&ROLLOUTS, "default", "web", &resumed).unwrap();
    site.cluster.compact();
    site.healthy("web").await;
    assert_eq!(route(&site.cluster, "web"), [100, 0]);
    controller.stop().await;
}

#[tokio::test]
async fn an_api_server_that_restarts_stops_nothing_for_good() {
    let mut site = Site::open().await;
    site.apply(routed("web", &steps()));
    let controller = site.start("one", |_| {}).await;
    site.healthy("web").await;
    site.set_image("web", "v2");
    site.until("the first weight", |cluster| route(cluster, "web") == [80, 20]).await;
    site.close().await;
    // The controller sees nothing of this before the server is back.
    site.set_image("web", "v3");
    site.reopen().await;
    site.phase_is("web", "Paused", 3).await;
    site.resume("web").await;
    site.healthy("web").await;
    let revision = &rollout(&site.cluster, "web")["metadata"]["annotations"]["rollout.argoproj.io/revision"];
    assert_eq!(revision, "3");
    controller.stop().await;
}

/// Two minutes before and after now, ten requests a second to each version, every other one answered with its status.
fn recorded(versions: [(&str, u16); 2], now: DateTime<Utc>) -> Sources {
    let store = Store::new(&StoreConfig { scrape_interval: TimeDelta::seconds(1), first_scrape: DateTime::UNIX_EPOCH });
    let caller = Caller { workload: "client".to_owned(), namespace: "default".to_owned() };
    for (version, status) in versions {
        let server = Server {
            workload: "web".to_owned(),
            namespace: "default".to_owned(),
            app: "web".to_owned(),
            version: version.to_owned(),
            canonical_service: "web".to_owned(),
            canonical_revision: version.to_owned(),
        };
        let call = store.call(&Call::answered(&caller, "web.default.svc.cluster.local", server));
        let mut recording = store.recording();
        for tenth in -1_200..1_200_i64 {
            let status = if tenth % 2 == 0 { status } else { 200 };
            let outcome = Outcome { status, flags: "-", duration_ms: 5.0 };
            recording.add(call, now.timestamp_millis() + tenth * 100, outcome);
        }
    }
    Sources::new(&store, skywalking::Config::default())
}

#[tokio::test]
async fn measurements_over_http_let_one_update_through_and_stop_another() {
    let site = Site::open().await;
    let url = serve_sources(recorded([("fine", 200), ("broken", 503)], site.cluster.now())).await;
    site.apply(vec![success_rate(&url)]);
    let judged = |version: &str| json!([{"setWeight": 50}, judge(version)]);
    site.apply(routed("good", &judged("fine")));
    site.apply(routed("bad", &judged("broken")));
    let controller = site.start("one", |_| {}).await;
    for name in ["good", "bad"] {
        site.healthy(name).await;
        site.set_image(name, "v2");
    }
    site.healthy("good").await;
    site.until("the abort", |cluster| rollout(cluster, "bad")["status"]["phase"] == "Degraded").await;
    site.until("the way back", |cluster| route(cluster, "bad") == [100, 0]).await;
    let bad = rollout(&site.cluster, "bad");
    assert!(bad["status"]["message"].as_str().is_some_and(|m| m.contains("success-rate")), "{:#}", bad["status"]);
    assert_ne!(bad["status"]["stableRS"], bad["status"]["currentPodHash"]);
    let runs = site.cluster.list(&ANALYSIS_RUNS, None);
    let told: BTreeMap<&str, (&str, &Value)> = runs
        .iter()
        .map(|run| {
            let metric = &run["status"]["metricResults"][0];
            let owner = run["metadata"]["ownerReferences"][0]["name"].as_str().unwrap();
            (owner, (run["status"]["phase"].as_str().unwrap(), &metric["measurements"][0]["value"]))
        })
        .collect();
    let (all, half) = (json!("[1]"), json!("[0.5]"));
    assert_eq!(told, BTreeMap::from([("bad", ("Failed", &half)), ("good", ("Successful", &all))]));
    let page = controller.metrics().await;
    let measured = "serin_provider_request_seconds_count{provider=\"prometheus\",outcome=\"measured\"} 3";
    assert!(page.lines().any(|line| line == measured), "{page}");
    controller.stop().await;
}

#[tokio::test]
async fn without_istio_plain_canaries_are_served() {
    let site = Site::open().await;
    for (plural, kind) in [("virtualservices", "VirtualService"), ("destinationrules", "DestinationRule")] {
        site.apply(vec![istio_definition(plural, kind)]);
        site.cluster.delete(&CUSTOM_RESOURCE_DEFINITIONS, "", &format!("{plural}.networking.istio.io")).unwrap();
    }
    let listed = site.client().list_api_group_resources("networking.istio.io/v1").await;
    let still_there = listed.is_ok_and(|list| list.resources.iter().any(|r| r.name == "virtualservices"));
    assert!(!still_there, "this cluster has no Istio");
    site.apply(vec![plain("web", &json!([{"setWeight": 50}, {"pause": {"duration": "1s"}}]))]);
    let controller = site.start("one", |_| {}).await;
    site.healthy("web").await;
    controller.until_ready().await;
    site.set_image("web", "v2");
    site.healthy("web").await;
    controller.stop().await;
}

#[tokio::test]
async fn instances_leave_each_others_rollouts_alone() {
    let site = Site::open().await;
    site.apply(vec![plain("ours", &json!([]))]);
    let mut theirs = plain("theirs", &json!([]));
    theirs["metadata"]["labels"] = json!({"argo-rollouts.argoproj.io/controller-instance-id": "blue"});
    site.apply(vec![theirs]);
    let controller = site.start("one", |_| {}).await;
    site.healthy("ours").await;
    site.set_image("ours", "v2");
    site.healthy("ours").await;
    assert_eq!(rollout(&site.cluster, "theirs")["status"], Value::Null);
    assert_eq!(site.cluster.list(&REPLICA_SETS, None).len(), 2, "both of ours");
    // Both run at the same time, each with a lease of its own.
    let blue = site.start("two", |args| args.instance_id = Some("blue".to_owned())).await;
    site.healthy("theirs").await;
    controller.stop().await;
    site.set_image("ours", "v3");
    site.set_image("theirs", "v2");
    site.healthy("theirs").await;
    assert_eq!(rollout(&site.cluster, "ours")["status"]["observedGeneration"], "2");
    blue.stop().await;
}
