//! What the server answers.

use crate::processes::server;

#[tokio::test]
async fn every_answer_says_who_gives_it() {
    let server = server("v1", &[]).await;
    for path in ["/", "/reviews/0?a=b", "/healthz", "/readyz", "/metrics"] {
        let reply = server.get(path).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("x-version"), reply.header("x-pod")),
            (200, "v1", "pod-1"),
            "{path}"
        );
    }
    assert_eq!(server.get("/").await.text, "v1 pod-1\n");
    // Probes and metrics are not counted.
    server.shows("workload_requests_total{version=\"v1\",code=\"200\"} 3").await;
}

#[tokio::test]
async fn readiness_comes_when_told() {
    let never = server("v1", &[("READY_AFTER", "never")]).await;
    assert_eq!(never.get("/readyz").await.status, 503);
    assert_eq!(never.get("/").await.status, 200);
    server("v1", &[("READY_AFTER", "200ms")]).await.ready_is(200).await;
}

#[tokio::test]
async fn a_crash_comes_when_told() {
    let mut server = server("v1", &[("CRASH_AFTER", "0.1"), ("DRAIN", "1h")]).await;
    assert_eq!(server.ended().await.code(), Some(1));
}
