//! The transport over the network, against a server on this machine.

use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use bytes::Bytes;
use http::Request;
use serde_json::json;
use serin_core::analysis::sample::Semantics;
use serin_providers::{HttpTransport, Sources, Transport, TransportError, TransportErrorKind, TransportOptions};
use tokio::net::TcpListener;

use crate::fake::{line, measure, noon};

/// Starts a server and gives its URL.
async fn serve() -> String {
    let query = post(|headers: HeaderMap, body: String| async move {
        assert!(body.starts_with("query=up&"), "{body}");
        let expected = "Basic dTpw";
        if headers.get(header::AUTHORIZATION).is_none_or(|value| value != expected) {
            return (StatusCode::UNAUTHORIZED, String::new());
        }
        (StatusCode::OK, json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "7"]}}).to_string())
    });
    let large = get(|| async { "x".repeat(9 << 20) });
    let silent = get(|| async { pending::<String>().await });
    let away = get(|| async { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "http://localhost:1/elsewhere")]) });
    let near = get(|| async { (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/small")]) });
    let routes = Router::new()
        .route("/prefix/api/v1/query", query)
        .route("/large", large)
        .route("/silent", silent)
        .route("/away", away)
        .route("/near", near)
        .route("/small", get(|| async { "small" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("it works on this machine");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

fn transport() -> HttpTransport {
    // Fails if another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    HttpTransport::new()
}

async fn send(url: &str, timeout: Duration) -> Result<(u16, Bytes), TransportError> {
    let request = Request::get(url).body(Bytes::new()).expect("valid by construction");
    let options = TransportOptions { timeout, insecure: false };
    let response = transport().send(request, &options).await?;
    Ok((response.status().as_u16(), response.into_body()))
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_query_reaches_the_server_with_its_credentials() {
    let prometheus = json!({"prometheus": {
        "address": format!("{}/prefix", serve().await), "query": "up",
        "authentication": {"basicAuth": {"username": "u", "password": "p"}},
    }});
    let measure = measure(&prometheus, Semantics::Serin);
    let answer = Sources::default().measure(&measure, &Default::default(), noon(), &transport()).await;
    assert_eq!(line(&answer.outcome), "measured Scalar(7.0)");
}

#[tokio::test]
async fn failures_have_their_kind() {
    let url = serve().await;
    let kind = |result: Result<(u16, Bytes), TransportError>| result.expect_err("a failure").kind;
    assert_eq!(kind(send(&format!("{url}/large"), LONG).await), TransportErrorKind::TooLarge);
    assert_eq!(kind(send(&format!("{url}/silent"), Duration::from_millis(50)).await), TransportErrorKind::Timeout);
    assert_eq!(kind(send("http://127.0.0.1:1/", LONG).await), TransportErrorKind::Refused);
    assert_eq!(kind(send(&url.replace("http:", "https:"), LONG).await), TransportErrorKind::Tls);
}

#[tokio::test]
async fn redirects_stay_on_the_host() {
    let url = serve().await;
    assert_eq!(send(&format!("{url}/near"), LONG).await.map(|(status, body)| (status, body.len())), Ok((200, 5)));
    assert_eq!(send(&format!("{url}/away"), LONG).await.map(|(status, _)| status), Ok(307));
}

#[tokio::test]
async fn plain_http_works_without_ca_certificates() {
    let url = serve().await;
    // The environment is read when a client is built, so that this takes a process of its own.
    let program = std::env::current_exe().expect("valid by construction");
    let child = tokio::task::spawn_blocking(move || {
        std::process::Command::new(program)
            .args(["--exact", "over_http::child_without_ca_certificates", "--nocapture"])
            .envs([
                ("SSL_CERT_FILE", "/nonexistent"),
                ("SSL_CERT_DIR", "/nonexistent"),
                ("SERIN_TEST_URL", url.as_str()),
            ])
            .output()
    });
    let output = child.await.expect("a child").expect("its output");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("reached without certificates"), "{text}");
}

/// Does its work only when the test above starts it.
#[tokio::test]
async fn child_without_ca_certificates() {
    let Ok(url) = std::env::var("SERIN_TEST_URL") else { return };
    assert_eq!(send(&format!("{url}/small"), LONG).await.map(|(status, _)| status), Ok(200));
    let https = send(&url.replace("http:", "https:"), LONG).await;
    assert_eq!(https.expect_err("no certificates").kind, TransportErrorKind::Tls);
    println!("reached without certificates");
}
