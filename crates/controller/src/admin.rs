//! Metrics and probes over HTTP.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::metrics::Metrics;

/// A server that is bound and not yet serving.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    router: Router,
    purpose: &'static str,
}

/// Binds the server of `/metrics`.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn bind_metrics(address: SocketAddr, metrics: Metrics) -> Result<Bound, Error> {
    let router = Router::new().route("/metrics", get(render)).with_state(metrics);
    bind(address, router, ("metrics", "--metricsPort")).await
}

/// Binds the server of `/healthz`, which answers as long as the process does, and `/readyz`, which does so once the caches
/// are filled, leader or not.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn bind_probes(address: SocketAddr, synced: watch::Receiver<bool>) -> Result<Bound, Error> {
    let router = Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready)).with_state(synced);
    bind(address, router, ("probes", "--healthzPort")).await
}

impl Bound {
    /// The address that was bound, with the port that was found if 0 was asked for.
    ///
    /// # Errors
    /// If the operating system does not tell.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        self.listener.local_addr().map_err(|source| Error::Serve { purpose: self.purpose, source })
    }

    /// Serves until stopped.
    ///
    /// # Errors
    /// If the listener breaks.
    pub async fn serve(self, stop: CancellationToken) -> Result<(), Error> {
        let served = axum::serve(self.listener, self.router).with_graceful_shutdown(stop.cancelled_owned());
        served.await.map_err(|source| Error::Serve { purpose: self.purpose, source })
    }
}

async fn bind(address: SocketAddr, router: Router, names: (&'static str, &'static str)) -> Result<Bound, Error> {
    let (purpose, flag) = names;
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| Error::Bind { address, purpose, flag, source })?;
    Ok(Bound { listener, router, purpose })
}

async fn render(State(metrics): State<Metrics>) -> impl IntoResponse {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, OPEN_METRICS)], metrics.render())
}

async fn ready(State(synced): State<watch::Receiver<bool>>) -> (StatusCode, &'static str) {
    if *synced.borrow() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the caches are still being filled\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn fetch(address: SocketAddr, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    }

    #[tokio::test]
    async fn probes_tell_whether_the_caches_are_filled() {
        let (synced, receiver) = watch::channel(false);
        let bound = bind_probes(([127, 0, 0, 1], 0).into(), receiver).await.expect("bound");
        let (address, stop) = (bound.address().expect("an address"), CancellationToken::new());
        let served = tokio::spawn(bound.serve(stop.clone()));
        assert!(fetch(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(fetch(address, "/readyz").await.starts_with("HTTP/1.1 503"));
        synced.send_replace(true);
        assert!(fetch(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        stop.cancel();
        served.await.expect("joined").expect("served");
    }

    #[tokio::test]
    async fn metrics_are_served_as_open_metrics() {
        let bound = bind_metrics(([127, 0, 0, 1], 0).into(), Metrics::new()).await.expect("bound");
        let (address, stop) = (bound.address().expect("an address"), CancellationToken::new());
        let served = tokio::spawn(bound.serve(stop.clone()));
        let page = fetch(address, "/metrics").await;
        assert!(page.contains("application/openmetrics-text"), "{page}");
        assert!(page.ends_with("# EOF\n"), "{page}");
        stop.cancel();
        served.await.expect("joined").expect("served");
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_named_with_its_flag() {
        let first = bind_metrics(([127, 0, 0, 1], 0).into(), Metrics::new()).await.expect("bound");
        let taken = first.address().expect("an address");
        let error = bind_metrics(taken, Metrics::new()).await.expect_err("taken");
        let text = error.to_string();
        assert!(text.contains("--metricsPort") && text.contains(&taken.to_string()), "{text}");
    }
}
