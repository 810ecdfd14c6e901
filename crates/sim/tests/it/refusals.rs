//! Writes that are refused for good: people hear of them, and nothing that could be done waits for them.

use serde_json::Value;
use serin_sim::cluster::EVENTS;
use serin_sim::faults::{Failure, Rule};

use crate::bench::{Bench, tell};

/// Takes away the right to a verb.
fn forbid(bench: &Bench, (verb, plural): (&str, &str)) {
    bench.cluster().faults().add(Rule::next(Failure::Forbidden).on(verb, plural).after(0, u64::MAX));
}

/// Message and count of each event that tells of a refused write.
fn refusals(bench: &Bench) -> Vec<(String, i64)> {
    let events = bench.cluster().list(&EVENTS, Some(&bench.namespace));
    let refused = events.iter().filter(|event| event["reason"] == "WriteRefused");
    refused
        .map(|event| (event["message"].as_str().unwrap_or_default().to_owned(), event["count"].as_i64().unwrap_or(0)))
        .collect()
}

/// An update that has sent traffic to `v2`.
async fn in_canary() -> Bench {
    let mut bench = Bench::of("short").await;
    bench.deploy("v2");
    bench.wait("traffic for the canary", |bench| bench.weight() > 0).await;
    bench
}

#[test]
fn a_revision_that_cannot_be_created_keeps_no_traffic_on_the_one_before() {
    tell(async {
        let mut bench = in_canary().await;
        forbid(&bench, ("create", "replicasets"));
        bench.deploy("v3");
        bench.wait("the way back", |bench| bench.weight() == 0).await;
        bench.pass(30).await;
        let refusals = refusals(&bench);
        let [(message, count)] = refusals.as_slice() else { panic!("one event: {refusals:?}") };
        assert!(message.starts_with("create ReplicaSet shop/checkout-") && message.contains("(403 "), "{message}");
        assert!(!message.contains('{') && *count > 1, "{count}: {message}");
        bench.cluster().faults().reset();
        bench.healthy().await;
        bench.assert_all_routed("a revision that could not be created");
    });
}

#[test]
fn an_abort_takes_traffic_back_whatever_else_is_refused() {
    let rights = [
        ("patch", "replicasets"),
        ("patch", "analysisruns"),
        ("delete", "analysisruns"),
        ("create", "analysisruns"),
        ("patch", "pods"),
        ("patch", "destinationrules"),
        ("create", "events"),
    ];
    for right in rights {
        tell(async {
            let mut bench = in_canary().await;
            forbid(&bench, right);
            bench.annotate("serin.dev/abort", "now");
            bench.wait("the way back", |bench| bench.weight() == 0 && bench.phase() == "Degraded").await;
            bench.cluster().faults().reset();
            bench.pass(60).await;
            assert_eq!(bench.status("/canary/weights/canary/weight"), Value::from(0), "{right:?}");
            bench.assert_all_routed(&format!("{right:?}"));
        });
    }
}

#[test]
fn a_status_that_is_refused_is_told_and_nothing_is_done_without_it() {
    tell(async {
        let mut bench = in_canary().await;
        bench
            .cluster()
            .faults()
            .add(Rule::next(Failure::Forbidden).on("patch", "rollouts").at("status").after(0, u64::MAX));
        let weight = bench.weight();
        bench.annotate("serin.dev/abort", "now");
        bench.pass(30).await;
        assert_eq!(bench.weight(), weight);
        let refusals = refusals(&bench);
        assert!(
            refusals.iter().any(|(message, _)| message.starts_with("patch status of Rollout shop/")),
            "{refusals:?}"
        );
        bench.cluster().faults().reset();
        bench.wait("the way back", |bench| bench.weight() == 0).await;
        bench.assert_all_routed("a refused status");
    });
}
