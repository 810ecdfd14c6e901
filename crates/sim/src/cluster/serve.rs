//! The cluster over HTTP, for kubectl and other clients of this machine.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use futures::StreamExt;
use futures::future::select;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::Cluster;
use super::request::options;

/// The largest request body: what etcd takes, and more than any object of ours.
const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

impl Cluster {
    /// Serves the API until `shutdown` is ready; open watches end then.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let over = Arc::new(watch::Sender::new(false));
        let cluster = self.clone();
        let signal = Arc::clone(&over);
        let router = Router::new().fallback(move |request: Request| {
            let cluster = cluster.clone();
            let over = signal.subscribe();
            async move { cluster.exchange(request, over).await }
        });
        let end = async move {
            shutdown.await;
            over.send_replace(true);
        };
        axum::serve(listener, router).with_graceful_shutdown(end).await
    }

    async fn exchange(&self, request: Request, mut over: watch::Receiver<bool>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = match http_body_util::Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return bare(StatusCode::PAYLOAD_TOO_LARGE),
        };
        let options = options(&parts.uri);
        let request = http::Request::from_parts(parts, body);
        let Ok(response) = self.respond(&request) else {
            // A broken connection is the in-process client's to see; over HTTP the nearest thing is a gateway's answer.
            return bare(StatusCode::BAD_GATEWAY);
        };
        if !matches!(options.get("watch").map(String::as_str), Some("true" | "1")) {
            return response;
        }
        let limit = options.get("timeoutSeconds").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let end = async move {
            let over = pin!(over.wait_for(|over| *over));
            match limit {
                Some(limit) => drop(select(over, pin!(tokio::time::sleep(limit))).await),
                None => drop(over.await),
            }
        };
        response.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(end))))
    }
}

fn bare(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}
