//! A transport that answers from a script and remembers what it was asked.

use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderMap, Method, Request, Response};
use serde_json::{Value, json};
use serin_api::Metric;
use serin_core::analysis::sample::{Measure, Outcome, Semantics};
use serin_providers::{Transport, TransportError, TransportErrorKind, TransportOptions};

/// What a request was.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) options: TransportOptions,
}

pub(crate) type Reply = Result<Response<Bytes>, TransportError>;

/// Answers each request by a function of it.
pub(crate) struct Fake {
    answer: Box<dyn Fn(&Seen) -> Reply + Send + Sync>,
    seen: Mutex<Vec<Seen>>,
}

impl Fake {
    pub(crate) fn new(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self { answer: Box::new(answer), seen: Mutex::default() }
    }

    pub(crate) fn always(status: u16, body: &str) -> Self {
        let body = body.to_owned();
        Self::new(move |_| reply(status, &body))
    }

    pub(crate) fn failing(kind: TransportErrorKind) -> Self {
        Self::new(move |_| Err(TransportError::new(kind, "it failed")))
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no test panicked with the lock").clone()
    }
}

#[async_trait]
impl Transport for Fake {
    async fn send(&self, request: Request<Bytes>, options: &TransportOptions) -> Reply {
        let seen = Seen {
            method: request.method().clone(),
            url: request.uri().to_string(),
            headers: request.headers().clone(),
            body: String::from_utf8_lossy(request.body()).into_owned(),
            options: options.clone(),
        };
        self.seen.lock().expect("no test panicked with the lock").push(seen.clone());
        (self.answer)(&seen)
    }
}

pub(crate) fn reply(status: u16, body: &str) -> Reply {
    Ok(Response::builder().status(status).body(Bytes::from(body.to_owned())).expect("valid by construction"))
}

pub(crate) fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:40Z".parse().expect("valid by construction")
}

/// A measurement without arguments by a provider.
pub(crate) fn measure(provider: &Value, semantics: Semantics) -> Measure {
    let spec: Metric =
        serde_json::from_value(json!({"name": "m", "provider": provider})).expect("valid by construction");
    Measure { metric: "m".into(), spec, args: Default::default(), semantics }
}

/// An outcome in one line: what it is, and its message or result.
pub(crate) fn line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured(result) => format!("measured {result:?}"),
        Outcome::NoData { message } => format!("no data: {message}"),
        Outcome::SourceDown { message } => format!("down: {message}"),
        Outcome::Wrong { message } => format!("wrong: {message}"),
    }
}
