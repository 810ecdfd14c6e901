//! The GraphQL endpoint of a SkyWalking server.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, Response};
use serde_json::{Value, json};
use serin_api::SkyWalkingMetric;
use serin_core::analysis::sample::Outcome;

use super::window::Window;
use crate::address::Address;
use crate::reply::{Source, down, wrong};
use crate::transport::{Transport, TransportOptions};

/// A server that can be asked.
pub(super) struct Endpoint<'t> {
    pub(super) address: Address,
    transport: &'t dyn Transport,
}

impl<'t> Endpoint<'t> {
    /// The server at the metric's address.
    pub(super) fn new(metric: &SkyWalkingMetric, transport: &'t dyn Transport) -> Result<Self, Outcome> {
        let text = metric.address.as_deref().unwrap_or_default();
        if text.trim().is_empty() {
            return Err(wrong(
                "provider.skywalking.address is empty; write the URL of the OAP server, http://host:12800",
            ));
        }
        let address = Address::parse(text).ok_or_else(|| {
            wrong(format!("provider.skywalking.address {text} is not a URL; write http://host:12800 or https://…"))
        })?;
        Ok(Self { address, transport })
    }

    /// Asks a query over a window and gives the `data` of the answer.
    pub(super) async fn ask(&self, query: &str, window: &Window) -> Result<Value, Outcome> {
        self.post(&json!({ "query": query, "variables": { "duration": window.duration() } })).await
    }

    /// Asks a query that has no window.
    pub(super) async fn ask_about_server(&self, query: &str) -> Result<Value, Outcome> {
        self.post(&json!({ "query": query })).await
    }

    async fn post(&self, body: &Value) -> Result<Value, Outcome> {
        let mut request = Request::post(format!("{}/graphql", self.address.base))
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header(ACCEPT, "application/json; charset=utf-8")
            .body(Bytes::from(body.to_string()))
            .map_err(|error| wrong(format!("provider.skywalking.address is no URL: {error}")))?;
        self.address.authorize(request.headers_mut());
        let source = Source { kind: "SkyWalking", address: &self.address.base };
        let response = source.send(self.transport, request, &OPTIONS).await?;
        data_of(&source, &response)
    }
}

/// Upstream's time-out.
const OPTIONS: TransportOptions = TransportOptions { timeout: Duration::from_secs(30), insecure: false };

fn data_of(source: &Source<'_>, response: &Response<Bytes>) -> Result<Value, Outcome> {
    let body: Option<Value> = serde_json::from_slice(response.body()).ok();
    if let Some(refusal) = body.as_ref().and_then(|body| refusal(response, body)) {
        return Err(refusal);
    }
    if let Some(refused) = source.refused(response) {
        return Err(refused);
    }
    let mut body = source.json(response)?;
    let data = body.get_mut("data").map(Value::take).filter(|data| !data.is_null());
    data.ok_or_else(|| wrong("no results returned from SkyWalking query"))
}

/// The server's own errors. A query that does not fit the schema comes with status 400, one that failed with 200.
fn refusal(response: &Response<Bytes>, body: &Value) -> Option<Outcome> {
    let errors = body.get("errors")?.as_array().filter(|errors| !errors.is_empty())?;
    let messages: Vec<&str> = errors.iter().map(|error| error["message"].as_str().unwrap_or("no message")).collect();
    let message = messages.join("; ");
    let status = response.status();
    if status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS {
        return Some(down(format!("SkyWalking failed ({status}): {message}")));
    }
    let is_store_down = STORE_TROUBLE.iter().any(|trouble| message.contains(trouble));
    Some(if is_store_down {
        down(format!("SkyWalking cannot read its store: {message}"))
    } else {
        wrong(format!("SkyWalking rejects the query: {message}"))
    })
}

/// Names of Java exceptions that tell of the server's own connection to its database, not of the query.
const STORE_TROUBLE: [&str; 6] = [
    "ConnectException",
    "TimeoutException",
    "java.io.IOException",
    "SQLTransientConnectionException",
    "UnknownHostException",
    "ClosedSessionException",
];
