//! Prometheus, and whatever else speaks its HTTP API: instant and range queries in PromQL.

mod ask;
mod verdict;

use async_trait::async_trait;
use http::{Response, StatusCode};
use serin_api::PrometheusMetric;
use serin_core::analysis::sample::Outcome;

use crate::reply::{Source, wrong};
use crate::{Answer, Provider, Request, Transport};
use ask::Ask;

/// The provider `prometheus`.
#[derive(Clone, Debug, Default)]
pub struct Prometheus {
    default_address: Option<String>,
}

impl Prometheus {
    /// A provider that asks the server at `default_address` where a metric has no address of its own.
    #[must_use]
    pub fn new(default_address: Option<String>) -> Self {
        Self { default_address }
    }

    async fn ask(&self, request: &Request, transport: &dyn Transport) -> Result<Answer, Outcome> {
        let absent = || wrong("the metric has no provider.prometheus");
        let metric: &PrometheusMetric = request.metric.provider.prometheus.as_ref().ok_or_else(absent)?;
        let ask = Ask::new(metric, self.default_address.as_deref(), request.now).map_err(wrong)?;
        let source = Source { kind: "Prometheus", address: &ask.address.base };
        let mut response = source.send(transport, ask.post()?, &ask.options).await?;
        if is_unknown_method(&response) {
            response = source.send(transport, ask.get()?, &ask.options).await?;
        }
        verdict::read(&source, &response)
    }
}

#[async_trait]
impl Provider for Prometheus {
    async fn measure(&self, request: &Request, transport: &dyn Transport) -> Answer {
        self.ask(request, transport).await.unwrap_or_else(Answer::without_value)
    }
}

/// Some proxies and old servers take queries by GET only.
fn is_unknown_method<T>(response: &Response<T>) -> bool {
    matches!(response.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
}
