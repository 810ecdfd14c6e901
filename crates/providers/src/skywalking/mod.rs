//! SkyWalking: GraphQL queries of users, asked so that a minute without data is not taken for a zero.
//!
//! ```text
//!  query ─ document ─► readings ─ rewrite ─► endpoint ─► sift ─► result without empty buckets
//!             server (version, time zone) ─► window          presence (before 9.5)
//! ```
//!
//! With [`Semantics::Argo`] nothing of this is done: the query goes out as it is, over the minutes up to now in UTC, and
//! the data comes back as it is.

mod document;
mod endpoint;
mod presence;
mod rewrite;
mod server;
mod sift;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use serin_api::SkyWalkingMetric;
use serin_core::analysis::condition::MetricResult;
use serin_core::analysis::sample::{Outcome, Semantics};
use serin_core::time::parse_duration;

use crate::reply::wrong;
use crate::{Answer, Provider, Request, Transport};
use endpoint::Endpoint;
use rewrite::{Question, rewrite};
use server::{Server, Servers};
use sift::{Sifted, sift};
use window::Window;

/// The provider `skywalking`. It remembers for ten minutes which version and time zone a server has, unless a measurement
/// gives no value: then the server may have come back as another one.
#[derive(Debug, Default)]
pub struct SkyWalking {
    servers: Servers,
}

#[async_trait]
impl Provider for SkyWalking {
    async fn measure(&self, request: &Request, transport: &dyn Transport) -> Answer {
        let Some(metric) = &request.metric.provider.skywalking else {
            return Answer::without_value(wrong("the metric has no provider.skywalking"));
        };
        let answer = match request.semantics {
            Semantics::Serin => self.measure_complete_minutes(metric, request.now, transport).await,
            Semantics::Argo => measure_as_sent(metric, request.now, transport).await,
        };
        answer.unwrap_or_else(Answer::without_value)
    }
}

impl SkyWalking {
    async fn measure_complete_minutes(
        &self,
        metric: &SkyWalkingMetric,
        now: DateTime<Utc>,
        transport: &dyn Transport,
    ) -> Result<Answer, Outcome> {
        let (query, interval) = (query(metric)?, interval(metric)?);
        let endpoint = Endpoint::new(metric, transport)?;
        let document = document::parse(query)?;
        let server = self.servers.get(&endpoint, now).await?;
        let window = Window::complete_minutes(now, interval, server.zone, server.fewest_minutes());
        let answer = ask_complete_minutes(&endpoint, &server, rewrite(query, &document, &server), &window).await;
        if !answer.as_ref().is_ok_and(|answer| matches!(answer.outcome, Outcome::Measured(_))) {
            self.servers.forget(&endpoint);
        }
        answer
    }
}

async fn ask_complete_minutes(
    endpoint: &Endpoint<'_>,
    server: &Server,
    question: Question,
    window: &Window,
) -> Result<Answer, Outcome> {
    let mut data = endpoint.ask(&question.text, window).await?;
    let presence = presence::ask(endpoint, &question, &data, window).await?;
    let sifted = sift(&question.readings, &mut data, &presence)?;
    let mut metadata = facts(server, window, &question, &sifted);
    unknown_metric(endpoint, server, &sifted).await?;
    if let Some(outcome) = no_data(&sifted, window) {
        return Ok(Answer { outcome, value: String::new(), metadata });
    }
    if sifted.dropped > 0 {
        metadata.insert("emptyBuckets".to_owned(), sifted.dropped.to_string());
    }
    Ok(Answer { value: data.to_string(), outcome: Outcome::Measured(MetricResult::Json(data)), metadata })
}

/// What upstream does: the window ends now and the data is the result.
async fn measure_as_sent(
    metric: &SkyWalkingMetric,
    now: DateTime<Utc>,
    transport: &dyn Transport,
) -> Result<Answer, Outcome> {
    let window = Window::up_to(now, interval(metric)?);
    let data = Endpoint::new(metric, transport)?.ask(query(metric)?, &window).await?;
    Ok(Answer {
        value: data.to_string(),
        outcome: Outcome::Measured(MetricResult::Json(data)),
        metadata: BTreeMap::new(),
    })
}

fn query(metric: &SkyWalkingMetric) -> Result<&str, Outcome> {
    let query = metric.query.as_deref().filter(|query| !query.trim().is_empty());
    query.ok_or_else(|| wrong("provider.skywalking.query is empty; write a GraphQL query"))
}

fn interval(metric: &SkyWalkingMetric) -> Result<TimeDelta, Outcome> {
    let text = metric.interval.as_deref().unwrap_or_default();
    let interval = parse_duration(text).map_err(|error| wrong(format!("provider.skywalking.interval: {error}")))?;
    if interval <= TimeDelta::zero() {
        return Err(wrong(format!(
            "provider.skywalking.interval: `{text}` is not longer than 0; write for example 5m"
        )));
    }
    Ok(interval)
}

fn facts(server: &Server, window: &Window, question: &Question, sifted: &Sifted<'_>) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::from([
        ("serverVersion".to_owned(), server.version_text.clone()),
        ("window".to_owned(), window.to_string()),
    ]);
    let doubts = question.doubt.iter().chain(&sifted.doubts);
    let doubts: Vec<&str> = doubts.map(String::as_str).collect();
    if !doubts.is_empty() {
        facts.insert("zerosMayBeEmpty".to_owned(), doubts.join("; "));
    }
    facts
}

/// Nothing in the window for at least one thing that the query asks for. A condition such as `all` over an empty list is
/// true, so that a result with only some of it is not handed on.
fn no_data(sifted: &Sifted<'_>, window: &Window) -> Option<Outcome> {
    let empty: Vec<String> = sifted.empty.iter().map(ToString::to_string).collect();
    let message = format!("SkyWalking has nothing for {} in {window}", empty.join(", "));
    (!empty.is_empty()).then_some(Outcome::NoData { message })
}

/// A metric that the server does not know reads as zeros, or as empty.
async fn unknown_metric(endpoint: &Endpoint<'_>, server: &Server, sifted: &Sifted<'_>) -> Result<(), Outcome> {
    let zeros = sifted.zeros.iter().filter(|_| !server.tells_empty());
    let readings = sifted.empty.iter().chain(zeros).copied();
    let names: BTreeSet<&str> = readings.filter_map(|reading| reading.metric.as_deref()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let fields: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(index, name)| format!("name{index}: typeOfMetrics(name: {})", Value::from(*name)))
        .collect();
    // The answer only improves a message; without one, the data stays what it is.
    let Ok(types) = endpoint.ask_about_server(&format!("{{ {} }}", fields.join(" "))).await else { return Ok(()) };
    let is_unknown = |index: usize| types[format!("name{index}")] == "UNKNOWN";
    match names.iter().enumerate().find(|(index, _)| is_unknown(*index)) {
        Some((_, name)) => Err(wrong(format!("metric {name} is unknown to the SkyWalking server; check its name"))),
        None => Ok(()),
    }
}
