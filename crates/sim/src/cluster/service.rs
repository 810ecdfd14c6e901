//! The API server as a tower service: what kube's client talks to without a socket.

use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::{BoxError, Service};

use super::Cluster;
use super::answer::{Reply, answer};
use super::error::ApiError;
use super::request::{Request, Target};
use super::watch::last_line;
use crate::faults::{Attempt, Fate};

/// One write request as it arrived, whatever became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteRecord {
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: &'static str,
    /// The API group.
    pub group: String,
    /// The plural of the resource.
    pub plural: String,
    /// The namespace, empty for cluster-wide objects.
    pub namespace: String,
    /// The name, empty where the request names none.
    pub name: String,
    /// The subresource, empty for the object itself.
    pub subresource: String,
    /// The User-Agent header.
    pub agent: String,
    /// The `fieldManager`, empty if none was given.
    pub manager: String,
    /// The HTTP status of the answer; 0 where the connection broke before the server acted.
    pub code: u16,
}

/// The cluster behind the interface of an HTTP client.
#[derive(Clone, Debug)]
pub struct ApiService {
    cluster: Cluster,
}

impl Cluster {
    /// The cluster as a tower service; needs no socket and no timer.
    #[must_use]
    pub fn service(&self) -> ApiService {
        ApiService { cluster: self.clone() }
    }

    /// A client of this cluster, default namespace `default`; must be called inside a tokio runtime.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.service(), "default")
    }

    /// Answers one request whose body has arrived.
    ///
    /// # Errors
    /// Only by a fault: the connection breaks, and there is no answer.
    pub(crate) fn respond(&self, request: &http::Request<Bytes>) -> Result<Response<Body>, Broken> {
        let Some(target) = Target::parse(request.uri().path()) else {
            return Ok(render(super::discovery::answer(self, request)));
        };
        let request = Request::new(request.method(), target, request.uri(), request.headers(), request.body().clone());
        match self.faults().fate(attempt(&request)) {
            Fate::Pass => Ok(render(self.carry_out(&request))),
            Fate::Refuse(error) => {
                self.note(&request, error.code);
                if error.code == 410 && request.verb() == "watch" {
                    return Ok(stream(Body::from(last_line(&error))));
                }
                Ok(render(Err(error)))
            }
            Fate::Disconnect => {
                self.note(&request, 0);
                Err(Broken)
            }
            Fate::LoseAnswer => {
                drop(self.carry_out(&request));
                Err(Broken)
            }
        }
    }

    fn carry_out(&self, request: &Request) -> Result<Reply, ApiError> {
        let reply = answer(self, request);
        let code = match &reply {
            Ok(Reply::Object(code, _)) => *code,
            Ok(Reply::Watch(_)) => 200,
            Err(error) => error.code,
        };
        self.note(request, code);
        self.announce();
        reply
    }

    fn note(&self, request: &Request, code: u16) {
        if matches!(request.verb(), "get" | "list" | "watch") {
            return;
        }
        let target = &request.target;
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        self.record().push(WriteRecord {
            verb: request.verb(),
            group: target.group.clone(),
            plural: target.plural.clone(),
            namespace: text(&target.namespace),
            name: text(&target.name),
            subresource: text(&target.subresource),
            agent: request.agent.clone(),
            manager: request.option("fieldManager").to_owned(),
            code,
        });
    }
}

/// The connection broke, as a fault demanded.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("connection to the API server lost")]
pub(crate) struct Broken;

impl Service<http::Request<kube::client::Body>> for ApiService {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<kube::client::Body>) -> Self::Future {
        let cluster = self.cluster.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let request = http::Request::from_parts(parts, body);
            Ok(cluster.respond(&request)?)
        }
        .boxed()
    }
}

fn attempt(request: &Request) -> Attempt<'_> {
    Attempt {
        verb: request.verb(),
        plural: &request.target.plural,
        subresource: request.target.subresource.as_deref().unwrap_or_default(),
    }
}

fn render(reply: Result<Reply, ApiError>) -> Response<Body> {
    match reply {
        Ok(Reply::Object(code, value)) => json(code, &value),
        Ok(Reply::Watch(watch)) => stream(Body::from_stream(watch.lines())),
        Err(error) => json(error.code, &error.status()),
    }
}

fn json(code: u16, value: &Value) -> Response<Body> {
    let body = match value {
        Value::String(text) => Body::from(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Body::from(value.to_string())
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::OK);
    let kind = if value.is_string() {
        http::HeaderValue::from_static("text/plain; charset=utf-8")
    } else {
        http::HeaderValue::from_static("application/json")
    };
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

fn stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
