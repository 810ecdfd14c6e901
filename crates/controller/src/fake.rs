//! An API server for tests that answers by a closure and remembers what it was asked.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;

/// A request as a test wants to see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) media_type: String,
    pub(crate) body: Value,
}

/// All requests so far, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Asked>>>, Arc<Notify>);

impl Log {
    pub(crate) fn all(&self) -> Vec<Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Completes when some request satisfies a condition.
    pub(crate) async fn until(&self, condition: impl Fn(&Asked) -> bool) {
        loop {
            let mut more = std::pin::pin!(self.1.notified());
            more.as_mut().enable();
            if self.all().iter().any(&condition) {
                return;
            }
            more.await;
        }
    }

    /// Each request as `METHOD last-part-of-the-path`, or with the part before `status`.
    pub(crate) fn short(&self) -> Vec<String> {
        let short = |asked: &Asked| {
            let parts: Vec<&str> = asked.path.rsplitn(3, '/').collect();
            let name = if parts[0] == "status" { format!("{}/status", parts[1]) } else { parts[0].to_owned() };
            format!("{} {name}", asked.method)
        };
        self.all().iter().map(short).collect()
    }
}

/// A client whose requests are answered by `answer`: a status code and a body.
pub(crate) fn client(answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> (kube::Client, Log) {
    let log = Log::default();
    let (answer, asked_log) = (Arc::new(answer), log.clone());
    let service = tower::service_fn(move |request: Request<Body>| {
        let (answer, log) = (answer.clone(), asked_log.clone());
        async move {
            let (parts, body) = request.into_parts();
            let bytes = body.collect().await.expect("a body").to_bytes();
            let media_type = parts.headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
            let asked = Asked {
                method: parts.method.to_string(),
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().unwrap_or_default().to_owned(),
                media_type: media_type.unwrap_or_default().to_owned(),
                body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            };
            log.0.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
            log.1.notify_waiters();
            let (code, body) = answer(&asked);
            let response = Response::builder().status(code).body(Body::from(body.to_string().into_bytes()));
            Ok::<_, std::convert::Infallible>(response.expect("a response"))
        }
    });
    (kube::Client::new(service, "default"), log)
}

/// The body of an answer that is an error.
pub(crate) fn status(code: u16, reason: &str) -> (u16, Value) {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "reason": reason, "message": reason,
    });
    (code, body)
}

/// A metrics source that nobody can reach.
pub(crate) struct NoSource;

#[async_trait::async_trait]
impl serin_providers::Transport for NoSource {
    async fn send(
        &self,
        _request: http::Request<bytes::Bytes>,
        _options: &serin_providers::TransportOptions,
    ) -> Result<http::Response<bytes::Bytes>, serin_providers::TransportError> {
        let kind = serin_providers::TransportErrorKind::Refused;
        Err(serin_providers::TransportError::new(kind, "connection refused"))
    }
}
