//! A metric: what is measured, how often, and what counts as success.

use crate::provider::MetricProvider;
use crate::value::{DurationString, IntOrString, wire};

wire! {
    /// What is measured, how often, and what counts as success.
    pub struct Metric {
        /// Name, unique in the analysis.
        pub name: String,
        /// Time between two measurements, counted from the end of the first; only one is taken if absent and `count` is too.
        pub interval: Option<DurationString>,
        /// Time before the first measurement.
        pub initial_delay: Option<DurationString>,
        /// Number of measurements; without end if absent and `interval` is given.
        pub count: Option<IntOrString>,
        /// Expression over `result` that is true for a good measurement.
        pub success_condition: Option<String>,
        /// Expression over `result` that is true for a bad measurement.
        pub failure_condition: Option<String>,
        /// Bad measurements that are tolerated; 0 if absent, any number if −1.
        pub failure_limit: Option<IntOrString>,
        /// Inconclusive measurements that are tolerated; 0 if absent.
        pub inconclusive_limit: Option<IntOrString>,
        /// Errors in a row that are tolerated; 4 if absent.
        pub consecutive_error_limit: Option<IntOrString>,
        /// Who measures.
        pub provider: MetricProvider,
        /// Good measurements in a row that end the metric as successful; off if absent or 0.
        pub consecutive_success_limit: Option<IntOrString>,
    }
}
