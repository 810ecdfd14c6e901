//! Analysis runs: what to measure next, and what the measurements mean.

pub mod args;
mod assess;
pub mod condition;
mod decide;
mod field_path;
mod fold;
pub mod holding;
pub mod judge;
pub mod merge;
mod metric;
pub mod parse;
pub mod phase;
mod rules;
pub mod sample;
pub mod schedule;
pub mod template;

pub use decide::decide;
pub use holding::holding;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serin_api::{AnalysisRun, AnalysisRunStatus};

use crate::plan::{Event, Wake};
use sample::{Measure, Sample, Semantics};

/// Everything that a decision about one AnalysisRun may know, taken at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The one moment at which all this was true.
    pub now: DateTime<Utc>,
    /// The run, decoded tolerantly.
    pub run: Arc<AnalysisRun>,
    /// Measurements that have come back and are not in status yet, oldest first.
    pub samples: Vec<Sample>,
    /// Names of the metrics whose measurement is under way.
    pub in_flight: BTreeSet<String>,
    /// Rules for absent data, unless the run's annotation says otherwise.
    pub semantics: Semantics,
}

/// What should happen to an AnalysisRun next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The status to write, if it differs from the one observed.
    pub status: Option<AnalysisRunStatus>,
    /// Measurements to take now.
    pub measure: Vec<Measure>,
    /// Whether the run has outlived its `ttlStrategy` and is to be deleted.
    pub delete: bool,
    /// Events that tell of what the status now says.
    pub events: Vec<Event>,
    /// When to look again although nothing changed.
    pub wake: Option<Wake>,
}
