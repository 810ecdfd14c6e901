//! Metrics sources: how a measurement leaves the process.

use chrono::{DateTime, Utc};
use serin_core::analysis::sample::{Measure, Outcome, Sample};
use std::collections::BTreeMap;

/// How metrics sources are reached.
pub trait Transport: Send + Sync {}

/// Takes one measurement.
pub async fn measure(
    measure: &Measure,
    _args: &BTreeMap<String, String>,
    _transport: &dyn Transport,
    at: DateTime<Utc>,
) -> Sample {
    std::future::ready(()).await;
    Sample {
        metric: measure.metric.clone(),
        started_at: at,
        finished_at: at,
        outcome: Outcome::Wrong {
            message: "unsupported".into(),
        },
        value: String::new(),
        metadata: BTreeMap::new(),
    }
}
