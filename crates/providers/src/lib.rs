//! Takes one measurement from a metrics source, and says what the answer means: measured, no data, down or wrong.
//!
//! ```text
//!  Measure ─ Sources ─ substitute args ─► Provider ─ Transport ─► source
//!                 └─ redact secrets ◄──── Answer ◄───── reply
//! ```
//!
//! Every request goes through a [`Transport`]; nothing else here opens a socket, waits or reads a clock.

mod address;
mod headers;
mod http;
mod prometheus;
mod redact;
mod reply;
mod resolve;
mod skywalking;
mod sources;
mod transport;
mod web;

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serin_api::Metric;
use serin_core::analysis::sample::{Outcome, Semantics};

pub use crate::http::HttpTransport;
pub use crate::prometheus::Prometheus;
pub use crate::resolve::{Resolved, resolve};
pub use crate::skywalking::SkyWalking;
pub use crate::sources::{Defaults, Sources};
pub use crate::transport::{Transport, TransportError, TransportErrorKind, TransportOptions};
pub use crate::web::Web;

/// A question to a metrics source.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The metric; arguments are already substituted.
    pub metric: Metric,
    /// How absent data is to be treated.
    pub semantics: Semantics,
    /// The moment that the question is about.
    pub now: DateTime<Utc>,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The answer, sorted by what it means for a verdict.
    pub outcome: Outcome,
    /// The measured value as text for status; empty if nothing was measured.
    pub value: String,
    /// Facts worth keeping beside the value, such as warnings of the source or the window that was asked for.
    pub metadata: BTreeMap<String, String>,
}

impl Answer {
    /// An answer without a value.
    #[must_use]
    pub fn without_value(outcome: Outcome) -> Self {
        Self { outcome, value: String::new(), metadata: BTreeMap::new() }
    }
}

/// A kind of metrics source.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Takes one measurement. Whatever goes wrong is an outcome, too.
    async fn measure(&self, request: &Request, transport: &dyn Transport) -> Answer;
}
