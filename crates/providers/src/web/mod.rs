//! Any HTTP endpoint: one request, and of its answer the part that a JSONPath finds.

mod ask;
mod verdict;

use async_trait::async_trait;
use serin_core::analysis::sample::Outcome;

use crate::reply::{Source, wrong};
use crate::{Answer, Provider, Request, Transport};
use ask::Ask;

/// The provider `web`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Web;

impl Web {
    async fn ask(&self, request: &Request, transport: &dyn Transport) -> Result<Answer, Outcome> {
        let absent = || wrong("the metric has no provider.web");
        let ask = Ask::new(request.metric.provider.web.as_ref().ok_or_else(absent)?).map_err(wrong)?;
        let source = Source { kind: "The endpoint", address: &ask.shown };
        let response = source.send(transport, ask.request, &ask.options).await?;
        verdict::read(&source, &response, &ask.path, request.semantics)
    }
}

#[async_trait]
impl Provider for Web {
    async fn measure(&self, request: &Request, transport: &dyn Transport) -> Answer {
        self.ask(request, transport).await.unwrap_or_else(Answer::without_value)
    }
}
