//! What the generator counts of servers that answer.

use std::collections::BTreeMap;

use serin_workload::{Answered, Failed, Second};

use crate::processes::{load, server};
use crate::relay::Relay;

#[tokio::test]
async fn counts_are_those_of_the_server() {
    for fresh in ["true", "false"] {
        let server = server("v1", &[("ERROR_RATE", "0.3"), ("LATENCY", "20"), ("LATENCY_RATE", "0.5")]).await;
        let load = load(&server.address, &[("RATE", "400"), ("FRESH", fresh)]).await;
        load.until(|counts| counts.answered_total() >= 200).await;
        let counts = load.drain().await;
        assert_eq!((counts.pending, counts.paused), (0, true));
        assert_eq!(counts.sent, counts.answered_total());
        let statuses = &counts.answered["v1"];
        assert_eq!(statuses.keys().copied().collect::<Vec<_>>(), [200, 500]);
        for (status, count) in statuses {
            server.shows(&format!("workload_requests_total{{version=\"v1\",code=\"{status}\"}} {count}")).await;
        }
        let latency = counts.latency_ms["v1"];
        assert!(latency.p99 >= 20.0 * 0.96 && latency.p50 <= latency.p99 && latency.p99 <= latency.max, "{latency:?}");
        assert_eq!(added(&load.seconds().await), (counts.sent, counts.answered.clone(), Failed::new()));
        // Drained, it sends nothing more.
        assert_eq!(load.counts().await, counts);
    }
}

#[tokio::test]
async fn errors_of_the_server_are_answers() {
    let server = server("v2", &[("ERROR_RATE", "1")]).await;
    let load = load(&server.address, &[("RATE", "400")]).await;
    load.until(|counts| counts.sent >= 50).await;
    let counts = load.drain().await;
    assert_eq!(counts.answered, Answered::from([("v2".to_owned(), BTreeMap::from([(500, counts.sent)]))]));
    assert_eq!(counts.failed, Failed::new());
}

#[tokio::test]
async fn versions_are_told_apart() {
    let (one, two) = (server("v1", &[]).await, server("v2", &[]).await);
    let relay = Relay::to(&[&one.address, &two.address]).await;
    let load = load(&relay.address, &[("RATE", "400"), ("FRESH", "true")]).await;
    load.until(|counts| counts.answered_total() >= 100).await;
    let counts = load.drain().await;
    let (v1, v2) = (counts.answered["v1"][&200], counts.answered["v2"][&200]);
    assert_eq!(v1 + v2, counts.sent);
    assert!(v1.abs_diff(v2) <= 1, "each has every other connection: {v1} and {v2}");
}

#[tokio::test]
async fn the_pace_is_changed_while_it_runs() {
    let server = server("v1", &[]).await;
    let load = load(&server.address, &[("PAUSED", "true")]).await;
    let counts = load.counts().await;
    assert_eq!((counts.sent, counts.paused, counts.per_second), (0, true, 100.0));
    assert_eq!(load.post("/rate?per-second=800").await.status, 200);
    assert_eq!(load.post("/resume").await.status, 200);
    let counts = load.until(|counts| counts.sent >= 100).await;
    assert_eq!((counts.paused, counts.per_second), (false, 800.0));
    assert_eq!(load.post("/pause").await.status, 200);
    let paused = load.counts().await;
    let drained = load.drain().await;
    assert_eq!(paused.sent, drained.sent);
    for (path, named) in [("/rate?per-second=0", "per-second=0"), ("/rate", "per-second"), ("/mark", "POST /mark")] {
        let reply = load.post(path).await;
        assert!(reply.status.is_client_error() && reply.text.contains(named), "{reply:?}");
    }
    assert!(load.get("/seconds?from=yesterday").await.text.contains("from=yesterday"));
}

#[tokio::test]
async fn the_generator_ends_at_once() {
    let server = server("v1", &[("LATENCY", "1h")]).await;
    let mut load = load(&server.address, &[("TIMEOUT", "2h")]).await;
    load.until(|counts| counts.pending > 0).await;
    load.terminate().await;
    assert!(load.ended().await.success());
}

fn added(seconds: &[Second]) -> (u64, Answered, Failed) {
    let mut sum = (0, Answered::new(), Failed::new());
    for second in seconds {
        sum.0 += second.sent;
        for (version, statuses) in &second.answered {
            for (status, count) in statuses {
                *sum.1.entry(version.clone()).or_default().entry(*status).or_default() += count;
            }
        }
        for (cause, count) in &second.failed {
            *sum.2.entry(cause.clone()).or_default() += count;
        }
        assert_eq!(second.pending, 0);
    }
    sum
}
