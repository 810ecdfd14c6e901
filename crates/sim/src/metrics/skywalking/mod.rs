//! Answers GraphQL as a SkyWalking OAP server does, traps included: no data looks like zero, both ends of a duration count,
//! strings are read in the server's time zone, and the running minute is late.

mod document;
mod duration;
mod expression;
mod literal;
mod queries;
mod schema;
#[cfg(test)]
mod tests;
mod values;

use bytes::Bytes;
use chrono::{DateTime, FixedOffset, Offset, TimeDelta, Utc};
use http::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use super::Store;
use document::Refusal;

/// What can be set about the server.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server's version, such as "9.2.0" or "10.1.0"; it decides which fields exist.
    pub version: String,
    /// The server's time zone, in which it reads and writes times.
    pub time_zone: FixedOffset,
    /// How long it takes until what was served can be queried (persistentPeriod).
    pub flush_lag: TimeDelta,
}

impl Default for Config {
    fn default() -> Self {
        Self { version: "10.1.0".to_owned(), time_zone: Utc.fix(), flush_lag: TimeDelta::seconds(25) }
    }
}

/// An OAP server over what the mesh served.
#[derive(Debug, Clone)]
pub struct SkyWalking {
    store: Store,
    config: Config,
}

/// What the answer to one request depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    store: &'a Store,
    config: &'a Config,
    now: DateTime<Utc>,
}

/// Major and minor number of a server's version; what cannot be read counts as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32);

impl Config {
    fn number(&self) -> Version {
        let mut parts = self.version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
        Version(parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }
}

impl SkyWalking {
    /// A server that answers from `store`.
    #[must_use]
    pub fn new(store: Store, config: Config) -> Self {
        Self { store, config }
    }

    /// Answers a request to `/graphql` as of `now`.
    #[must_use]
    pub fn respond(&self, request: &Request<Bytes>, now: DateTime<Utc>) -> Response<Bytes> {
        if request.method() != Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED, "405 Method Not Allowed");
        }
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !content_type.unwrap_or_default().contains("json") {
            return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "415 Unsupported Media Type");
        }
        let Ok(body) = serde_json::from_slice::<Value>(request.body()) else {
            return plain(StatusCode::BAD_REQUEST, "400 Bad Request: the body is not JSON");
        };
        let asked = Asked { store: &self.store, config: &self.config, now };
        match document::execute(&body, asked) {
            Ok(data) => self.json(StatusCode::OK, &json!({ "data": data })),
            Err(Refusal::Invalid(errors)) => self.json(StatusCode::BAD_REQUEST, &json!({ "errors": errors })),
            Err(Refusal::Failed(errors)) => self.json(StatusCode::OK, &json!({ "data": null, "errors": errors })),
            Err(Refusal::Crashed) => plain(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
        }
    }

    fn json(&self, status: StatusCode, body: &Value) -> Response<Bytes> {
        let content_type = if self.config.number() < Version(9, 3) {
            "application/graphql+json"
        } else {
            "application/json; charset=utf-8"
        };
        reply(status, content_type, body.to_string())
    }
}

fn plain(status: StatusCode, body: &str) -> Response<Bytes> {
    reply(status, "text/plain; charset=utf-8", body.to_owned())
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
