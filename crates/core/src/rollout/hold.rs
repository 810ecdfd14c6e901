//! Why a rollout does not move: every reason to wait, with all that a person must know about it.

use std::fmt;

use chrono::{DateTime, Utc};

/// A reason to wait. The single source of status messages, the live view, metrics and log lines.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Hold {
    /// `spec.paused` is set.
    PausedBySpec,
    /// A pause step without duration waits for a person.
    WaitingForPromotion {
        /// Index of the pause step.
        step: u32,
    },
    /// A pause step runs.
    PauseRunning {
        /// Index of the pause step.
        step: u32,
        /// When it ends if nothing holds it.
        until: DateTime<Utc>,
    },
    /// An analysis or an experiment was inconclusive; a person has to decide.
    Inconclusive {
        /// Which of both, and its name.
        object: String,
    },
    /// Canary pods are not available yet.
    CanaryNotAvailable {
        /// Pods available.
        available: i32,
        /// Pods wanted.
        desired: i32,
    },
    /// A blue-green update waits for its time, or with `None` for a person, before the active Service is switched.
    PausedBeforeSwitch {
        /// When it ends by itself.
        until: Option<DateTime<Utc>>,
    },
    /// Pods of the new version of a blue-green update are not available yet.
    PreviewNotAvailable {
        /// Pods available.
        available: i32,
        /// Pods wanted.
        desired: i32,
    },
    /// Stable pods are not available in the number that their share of traffic needs.
    StableNotAvailable {
        /// Pods available.
        available: i32,
        /// Pods needed.
        needed: i32,
    },
    /// The routes do not yet carry the weight that was decided.
    WeightNotObserved {
        /// Canary weight wanted, in percent.
        desired: i32,
        /// Canary weight read from the routes, in percent.
        observed: i32,
    },
    /// The header and mirror routes and the destinations of experiments that the steps ask for are not all there yet, or
    /// others still are.
    RoutesNotObserved {
        /// Name of the VirtualService.
        virtual_service: String,
    },
    /// A subset or Service does not stand for its revision yet.
    SideNotSwitched {
        /// Which side or subset.
        side: String,
        /// Hash of the revision that it is to stand for.
        hash: String,
    },
    /// A change of the mesh waits until the one before has spread.
    Propagating {
        /// What was changed.
        change: String,
        /// When it counts as spread.
        until: DateTime<Utc>,
    },
    /// Istio's control plane is away, or the proxies have yet to find it again: changes of the mesh wait.
    MeshNotListening {
        /// When every proxy will have found it; `None` while it is away.
        until: Option<DateTime<Utc>>,
    },
    /// A step's analysis still runs.
    AnalysisRunning {
        /// Name of the AnalysisRun.
        run: String,
    },
    /// A step's experiment still runs.
    ExperimentRunning {
        /// Name of the Experiment.
        experiment: String,
    },
    /// A metric has no data; the step clock stands still.
    NoData {
        /// Name of the AnalysisRun.
        run: String,
        /// Name of the metric.
        metric: String,
        /// What the source said.
        message: String,
    },
    /// A metrics source cannot be asked; the step clock stands still.
    SourceDown {
        /// Name of the AnalysisRun.
        run: String,
        /// Name of the metric.
        metric: String,
        /// What failed.
        message: String,
    },
    /// Pods that are older than `spec.restartAt` are left.
    Restarting {
        /// How many.
        left: usize,
    },
    /// An object that the spec names is not there.
    MissingObject {
        /// Kind and name.
        object: String,
    },
    /// An AnalysisRun or an Experiment cannot be made, as something that it needs is not there.
    NotMade {
        /// What it is, and its name.
        object: String,
        /// The field that asks for it, and what is missing.
        why: String,
    },
    /// A ReplicaSet does not yet exist, or its status does not speak of its present spec.
    ReplicaSetNotSettled {
        /// Its name.
        replica_set: String,
    },
    /// The plan would have broken a safety rule; nothing is changed.
    UnsafePlan {
        /// The rule, in words.
        rule: String,
    },
}

impl Hold {
    /// The name of the reason, in CamelCase, bounded, fit for a metric label.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Hold::PausedBySpec => "PausedBySpec",
            Hold::WaitingForPromotion { .. } | Hold::PausedBeforeSwitch { until: None } => "WaitingForPromotion",
            Hold::PauseRunning { .. } | Hold::PausedBeforeSwitch { until: Some(_) } => "PauseRunning",
            Hold::Inconclusive { .. } => "Inconclusive",
            Hold::CanaryNotAvailable { .. } => "CanaryNotAvailable",
            Hold::PreviewNotAvailable { .. } => "PreviewNotAvailable",
            Hold::StableNotAvailable { .. } => "StableNotAvailable",
            Hold::WeightNotObserved { .. } => "WeightNotObserved",
            Hold::RoutesNotObserved { .. } => "RoutesNotObserved",
            Hold::SideNotSwitched { .. } => "SideNotSwitched",
            Hold::Propagating { .. } => "Propagating",
            Hold::MeshNotListening { .. } => "MeshNotListening",
            Hold::AnalysisRunning { .. } => "AnalysisRunning",
            Hold::ExperimentRunning { .. } => "ExperimentRunning",
            Hold::NoData { .. } => "NoData",
            Hold::SourceDown { .. } => "SourceDown",
            Hold::Restarting { .. } => "Restarting",
            Hold::MissingObject { .. } | Hold::NotMade { .. } => "MissingObject",
            Hold::ReplicaSetNotSettled { .. } => "ReplicaSetNotSettled",
            Hold::UnsafePlan { .. } => "UnsafePlan",
        }
    }

    /// Whether the step clock stands still while this lasts.
    #[must_use]
    pub fn stops_step_clock(&self) -> bool {
        match self {
            Hold::NoData { .. } | Hold::SourceDown { .. } => true,
            Hold::PausedBySpec
            | Hold::WaitingForPromotion { .. }
            | Hold::PauseRunning { .. }
            | Hold::Inconclusive { .. }
            | Hold::CanaryNotAvailable { .. }
            | Hold::PausedBeforeSwitch { .. }
            | Hold::PreviewNotAvailable { .. }
            | Hold::StableNotAvailable { .. }
            | Hold::WeightNotObserved { .. }
            | Hold::RoutesNotObserved { .. }
            | Hold::SideNotSwitched { .. }
            | Hold::Propagating { .. }
            | Hold::MeshNotListening { .. }
            | Hold::AnalysisRunning { .. }
            | Hold::Restarting { .. }
            | Hold::ExperimentRunning { .. }
            | Hold::MissingObject { .. }
            | Hold::NotMade { .. }
            | Hold::ReplicaSetNotSettled { .. }
            | Hold::UnsafePlan { .. } => false,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::PausedBySpec => write!(f, "paused by spec.paused; ends when that is false"),
            Hold::WaitingForPromotion { step } => {
                write!(f, "step {} is a pause without end; ends with a promotion", step + 1)
            }
            Hold::PauseRunning { step, until } => {
                write!(f, "step {} pauses until {}", step + 1, until.format("%H:%M:%S"))
            }
            Hold::Inconclusive { object } => {
                write!(f, "{object} is inconclusive; ends with a promotion or an abort")
            }
            Hold::CanaryNotAvailable { available, desired } => {
                write!(f, "{available} of {desired} canary pods are available")
            }
            Hold::PausedBeforeSwitch { until: None } => {
                write!(f, "the new version waits to become active; ends with a promotion")
            }
            Hold::PausedBeforeSwitch { until: Some(until) } => {
                write!(f, "the new version becomes active at {}", until.format("%H:%M:%S"))
            }
            Hold::PreviewNotAvailable { available, desired } => {
                write!(f, "{available} of {desired} pods of the new version are available")
            }
            Hold::StableNotAvailable { available, needed } => {
                write!(f, "{available} of the {needed} stable pods that its share of traffic needs are available")
            }
            Hold::WeightNotObserved { desired, observed } => {
                write!(f, "the routes give the canary {observed} %, {desired} % is wanted")
            }
            Hold::RoutesNotObserved { virtual_service } => {
                write!(f, "VirtualService {virtual_service} does not have the routes of this step yet")
            }
            Hold::SideNotSwitched { side, hash } => write!(f, "{side} does not yet stand for revision {hash}"),
            Hold::Propagating { change, until } => {
                write!(f, "{change} spreads through the mesh until {}", until.format("%H:%M:%S"))
            }
            Hold::MeshNotListening { until: None } => write!(f, "istiod is away: proxies do not learn of changes"),
            Hold::MeshNotListening { until: Some(until) } => {
                write!(f, "proxies reconnect to istiod until {}", until.format("%H:%M:%S"))
            }
            Hold::AnalysisRunning { run } => write!(f, "analysis {run} is running"),
            Hold::ExperimentRunning { experiment } => write!(f, "experiment {experiment} is running"),
            Hold::NoData { run, metric, message } => {
                write!(f, "metric {metric} of {run} has no data ({message}); the step waits, nothing is rolled back")
            }
            Hold::SourceDown { run, metric, message } => {
                write!(
                    f,
                    "the source of metric {metric} of {run} cannot be asked ({message}); the step waits, nothing is rolled back"
                )
            }
            Hold::Restarting { left } => write!(f, "{left} pods are left to restart"),
            Hold::MissingObject { object } => write!(f, "{object} does not exist"),
            Hold::NotMade { object, why } => write!(f, "{object} cannot be made yet: {why}"),
            Hold::ReplicaSetNotSettled { replica_set } => {
                write!(f, "ReplicaSet {replica_set} has not caught up with its spec")
            }
            Hold::UnsafePlan { rule } => write!(f, "the next change would be unsafe: {rule}"),
        }
    }
}
