//! What people see of a Rollout, as plain values: read from what the controller sees, drawn by [`draw`].

mod draw;
mod experiment;
mod live;
mod read;
mod routes;

use chrono::{DateTime, TimeDelta, Utc};

pub(crate) use draw::{Detail, lines};
pub(crate) use experiment::ExperimentTree;
pub(crate) use live::{Screen, live_lines};

/// A Rollout with everything that belongs to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RolloutView {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Healthy, Progressing, Paused or Degraded; empty if no controller has seen it.
    pub(crate) phase: String,
    pub(crate) message: String,
    /// The steps in words.
    pub(crate) steps: Vec<String>,
    /// Index of the current step; the number of steps when all are done.
    pub(crate) step: usize,
    /// How the traffic is split; `None` without traffic routing.
    pub(crate) weight: Option<Weight>,
    pub(crate) replicas: Replicas,
    /// The newest first.
    pub(crate) revisions: Vec<Revision>,
    pub(crate) holds: Vec<HoldView>,
    /// The newest first.
    pub(crate) runs: Vec<Run>,
    /// The newest first.
    pub(crate) experiments: Vec<ExperimentView>,
    /// What belongs to it and was not shown to us: a kind, and why.
    pub(crate) unseen: Vec<String>,
}

/// The canary's share of the traffic, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    /// What the controller wants; `None` if it has not said so.
    pub(crate) desired: Option<i32>,
    /// What the routes say; `None` if they cannot be read or do not agree.
    pub(crate) observed: Option<i32>,
}

/// Numbers of pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replicas {
    pub(crate) desired: i32,
    pub(crate) current: i32,
    pub(crate) updated: i32,
    pub(crate) available: i32,
}

/// One version.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Revision {
    /// Its number; `None` if it has none yet.
    pub(crate) number: Option<u64>,
    pub(crate) hash: String,
    pub(crate) role: Role,
    pub(crate) images: Vec<String>,
    pub(crate) desired: i32,
    pub(crate) ready: i32,
    /// By name.
    pub(crate) pods: Vec<PodView>,
}

/// What a version is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// The newest, and not yet proved.
    Canary,
    /// The proved one.
    Stable,
    /// An earlier one.
    #[default]
    Old,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodView {
    pub(crate) name: String,
    pub(crate) ready: bool,
    pub(crate) terminating: bool,
}

/// Why it does not move.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HoldView {
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) since: Option<DateTime<Utc>>,
}

/// An analysis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Run {
    pub(crate) name: String,
    /// `Background` or `Step`.
    pub(crate) kind: String,
    pub(crate) phase: String,
    pub(crate) message: String,
    pub(crate) metrics: Vec<MetricView>,
}

/// An experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExperimentView {
    pub(crate) name: String,
    pub(crate) phase: String,
    pub(crate) message: String,
    pub(crate) templates: Vec<PodsView>,
    /// Names and phases of its analyses.
    pub(crate) analyses: Vec<(String, String)>,
}

/// The pods of one template of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodsView {
    pub(crate) name: String,
    pub(crate) desired: i32,
    pub(crate) available: i32,
    /// Share of the traffic in percent; 0 for none.
    pub(crate) weight: i32,
}

/// A metric of an analysis.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MetricView {
    pub(crate) name: String,
    pub(crate) phase: String,
    /// What a good measurement fulfils; empty if the metric does not say.
    pub(crate) success: String,
    /// What a bad measurement fulfils; empty if the metric does not say.
    pub(crate) failure: String,
    /// The last measurements as phase and value, the newest last.
    pub(crate) measurements: Vec<(String, String)>,
    pub(crate) message: String,
}

/// A story while it happens.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Live {
    pub(crate) headline: String,
    /// Time in the simulation since it began.
    pub(crate) elapsed: TimeDelta,
    pub(crate) now: DateTime<Utc>,
    pub(crate) rollouts: Vec<RolloutView>,
    pub(crate) traffic: Traffic,
    /// The last entries of the time line, drawn already.
    pub(crate) news: Vec<String>,
    /// What to do with this, such as how to point kubectl at it.
    pub(crate) hints: Vec<String>,
}

/// What became of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Traffic {
    /// Requests in a second of the simulation, lately.
    pub(crate) per_second: f64,
    pub(crate) served: u64,
    pub(crate) failed: u64,
    pub(crate) failed_by_routing: u64,
}
