//! One measurement as it comes back from a metrics source, before anybody judged it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serin_api::Metric;

use super::condition::MetricResult;

/// A measurement that an analysis run asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Name of the metric within its run.
    pub metric: String,
    /// The metric as the run's spec has it; arguments are substituted by the executor, who alone sees secrets.
    pub spec: Metric,
    /// Arguments of the run by name.
    pub args: BTreeMap<String, ArgValue>,
    /// How absent data is to be treated by the provider.
    pub semantics: Semantics,
}

/// The value of an analysis argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgValue {
    /// A value that is known now.
    Known(String),
    /// A key of a Secret in the run's namespace, read at each measurement and never stored.
    Secret {
        /// Name of the Secret.
        name: String,
        /// Key within its data.
        key: String,
    },
}

/// Which rules decide what an absent value means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Semantics {
    /// No data and an unreachable source hold the step; open and empty buckets are left out.
    #[default]
    Serin,
    /// Argo Rollouts' own: everything goes into the condition as the source sent it, every error counts.
    Argo,
}

/// What a source answered, sorted by what it means for a verdict.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A value that a condition can judge.
    Measured(MetricResult),
    /// The source works, and has nothing for this query.
    NoData {
        /// What was empty, for people.
        message: String,
    },
    /// The source could not be asked: time-out, refused, 5xx, 429.
    SourceDown {
        /// What failed, for people; secrets are already redacted.
        message: String,
    },
    /// The question was wrong: a query that the source rejects, a missing argument, an unsupported result.
    Wrong {
        /// What is wrong and how to mend it; secrets are already redacted.
        message: String,
    },
}

/// A finished measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name of the metric within its run.
    pub metric: String,
    /// When the question was sent.
    pub started_at: DateTime<Utc>,
    /// When the answer was there.
    pub finished_at: DateTime<Utc>,
    /// The answer.
    pub outcome: Outcome,
    /// The answer as text for status (`[0.99,1]`, `0.5`, a JSON document); secrets are redacted. Empty if there is none.
    pub value: String,
    /// Facts worth keeping beside the value, such as warnings of the source or the resolved query (redacted).
    pub metadata: BTreeMap<String, String>,
}
