//! Analysis runs: what to measure next, and what the measurements mean.

pub mod args;
mod assess;
pub mod condition;
mod decide;
mod field_path;
mod fold;
pub mod holding;
pub mod job;
mod jobs;
pub mod judge;
pub mod merge;
mod metric;
pub(crate) mod object;
pub mod parse;
pub mod phase;
mod rules;
pub mod sample;
pub mod schedule;
pub mod template;

pub use decide::decide;
pub use holding::holding;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serin_api::{AnalysisRun, AnalysisRunStatus};

use crate::plan::{Effect, Event, Wake};
use job::{Job, StartJob};
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
    /// The Jobs that the run owns, by name.
    pub jobs: BTreeMap<String, Job>,
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
    /// Jobs to create now; the status says already that their measurements are under way.
    pub jobs: Vec<StartJob>,
    /// What is to be deleted: Jobs that nobody waits for any more, and a run that has outlived its `ttlStrategy`.
    pub effects: Vec<Effect>,
    /// Events that tell of what the status now says.
    pub events: Vec<Event>,
    /// When to look again although nothing changed.
    pub wake: Option<Wake>,
}
