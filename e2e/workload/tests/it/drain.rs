//! A server that ends loses no request.

use http::Method;
use serin_workload::Failed;
use tokio::net::TcpStream;

use crate::processes::{Conversation, load, server};
use crate::relay::Relay;

/// One server takes over from the other under load, again and again.
async fn check_handover(fresh: &str) {
    let mut old = server("v0", &[("DRAIN", "500ms")]).await;
    let relay = Relay::to(&[&old.address]).await;
    let load = load(&relay.address, &[("RATE", "300"), ("FRESH", fresh)]).await;
    for number in 1..=3 {
        let before = format!("v{}", number - 1);
        load.until(|counts| counts.answered.get(&before).is_some_and(|statuses| statuses[&200] > 50)).await;
        let new =
            server(&format!("v{number}"), &[("DRAIN", "500ms"), ("LATENCY", "30"), ("LATENCY_RATE", "0.5")]).await;
        relay.point_at(&[&new.address]);
        old.terminate().await;
        assert!(old.ended().await.success());
        old = new;
    }
    load.until(|counts| counts.answered.contains_key("v3")).await;
    let counts = load.drain().await;
    assert_eq!(counts.failed, Failed::new());
    assert_eq!(counts.answered_total(), counts.sent);
}

#[tokio::test]
async fn a_handover_under_load_loses_nothing_on_new_connections() {
    check_handover("true").await;
}

#[tokio::test]
async fn a_handover_under_load_loses_nothing_on_kept_connections() {
    check_handover("false").await;
}

#[tokio::test]
async fn a_server_that_drains_serves_and_lets_go() {
    let server = server("v1", &[("DRAIN", "1m")]).await;
    let mut kept = Conversation::open(&server.address).await;
    assert_eq!(kept.ask(Method::GET, "/").await.header("connection"), "");
    server.terminate().await;
    server.ready_is(503).await;
    assert_eq!(server.get("/healthz").await.status, 200);
    let reply = kept.ask(Method::GET, "/").await;
    assert_eq!((reply.status.as_u16(), reply.header("connection")), (200, "close"));
    assert!(kept.is_over().await);
    let mut new = Conversation::open(&server.address).await;
    let reply = new.ask(Method::GET, "/").await;
    assert_eq!((reply.status.as_u16(), reply.header("connection")), (200, "close"));
}

#[tokio::test]
async fn a_request_in_flight_is_finished() {
    let mut server = server("v1", &[("DRAIN", "0"), ("LATENCY", "700ms")]).await;
    let mut conversation = Conversation::open(&server.address).await;
    let request = tokio::spawn(async move { conversation.ask(Method::GET, "/").await });
    server.shows("workload_requests_in_flight{version=\"v1\"} 1").await;
    server.terminate().await;
    assert!(server.ended().await.success());
    assert_eq!(request.await.expect("no panic").status, 200);
}

#[tokio::test]
async fn the_first_request_of_a_new_connection_is_waited_for() {
    let mut server = server("v1", &[("DRAIN", "0")]).await;
    let mut conversation = Conversation::open(&server.address).await;
    server.terminate().await;
    // Refused as soon as the port is closed.
    while TcpStream::connect(&server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(conversation.ask(Method::GET, "/").await.status, 200);
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn a_connection_that_idles_keeps_no_server() {
    let mut server = server("v1", &[("DRAIN", "0")]).await;
    let mut kept = Conversation::open(&server.address).await;
    assert_eq!(kept.ask(Method::GET, "/").await.status, 200);
    server.terminate().await;
    assert!(server.ended().await.success());
    assert!(kept.is_over().await);
}
