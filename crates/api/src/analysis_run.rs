//! The AnalysisRun: an analysis that is being made or was made.

use std::collections::BTreeMap;

use kube_derive::CustomResource;

use crate::analysis::{Argument, DryRun, MeasurementRetention};
use crate::metric::Metric;
use crate::time::Time;
use crate::value::{always_written, wire};

wire! {
    /// What an AnalysisRun measures, with all arguments.
    #[derive(CustomResource)]
    #[kube(
        group = "argoproj.io",
        version = "v1alpha1",
        kind = "AnalysisRun",
        plural = "analysisruns",
        shortname = "ar",
        namespaced,
        status = "AnalysisRunStatus",
        derive = "Default",
        derive = "PartialEq",
        doc = "An analysis that is being made or was made.",
        printcolumn(name = "Status", type_ = "string", json_path = ".status.phase", description = "Phase of the analysis"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since creation"),
        crates(
            kube_core = "kube_core",
            k8s_openapi = "k8s_openapi",
            schemars = "schemars",
            serde = "serde",
            serde_json = "serde_json"
        )
    )]
    pub struct AnalysisRunSpec {
        /// What is measured.
        pub metrics: Vec<Metric>,
        /// The arguments and their values.
        pub args: Vec<Argument>,
        /// Ends the run early.
        pub terminate: bool,
        /// Metrics that are measured but do not count.
        pub dry_run: Vec<DryRun>,
        /// How many measurements are kept, by metric.
        pub measurement_retention: Vec<MeasurementRetention>,
        /// When the finished run deletes itself.
        pub ttl_strategy: Option<TtlStrategy>,
    }

    /// When a finished AnalysisRun deletes itself; never if all fields are absent.
    pub struct TtlStrategy {
        /// Seconds after any end; the other two come first.
        pub seconds_after_completion: Option<i32>,
        /// Seconds after an end other than success.
        pub seconds_after_failure: Option<i32>,
        /// Seconds after success.
        pub seconds_after_success: Option<i32>,
    }

    /// What is known about an AnalysisRun.
    pub struct AnalysisRunStatus {
        /// Pending, Running, Successful, Failed, Error or Inconclusive.
        pub phase: String,
        /// Why the phase is what it is.
        pub message: Option<String>,
        /// The results, by metric.
        pub metric_results: Vec<MetricResult>,
        /// When the run began.
        pub started_at: Option<Time>,
        /// Number of metrics by phase, without dry-run metrics; written even if empty.
        pub run_summary: RunSummary,
        /// Number of dry-run metrics by phase.
        pub dry_run_summary: Option<RunSummary>,
        /// When the run ended.
        pub completed_at: Option<Time>,
    }

    /// Number of metrics by phase.
    pub struct RunSummary {
        /// All metrics.
        pub count: Option<i32>,
        /// Successful metrics.
        pub successful: Option<i32>,
        /// Failed metrics.
        pub failed: Option<i32>,
        /// Inconclusive metrics.
        pub inconclusive: Option<i32>,
        /// Metrics that ended in error.
        pub error: Option<i32>,
    }

    /// The result of one metric.
    pub struct MetricResult {
        /// Name of the metric.
        pub name: String,
        /// Pending, Running, Successful, Failed, Error or Inconclusive.
        pub phase: String,
        /// The last measurements, oldest first.
        pub measurements: Vec<Measurement>,
        /// Why the phase is what it is.
        pub message: Option<String>,
        /// Number of measurements, without errors.
        pub count: Option<i32>,
        /// Good measurements.
        pub successful: Option<i32>,
        /// Bad measurements.
        pub failed: Option<i32>,
        /// Inconclusive measurements.
        pub inconclusive: Option<i32>,
        /// Errors.
        pub error: Option<i32>,
        /// Errors in a row, up to now.
        pub consecutive_error: Option<i32>,
        /// Whether the metric does not count.
        pub dry_run: bool,
        /// What the provider has to say about the metric, such as the query after substitution.
        pub metadata: BTreeMap<String, String>,
        /// Good measurements in a row, up to now.
        pub consecutive_success: Option<i32>,
    }

    /// One measurement.
    pub struct Measurement {
        /// Running, Successful, Failed, Error or Inconclusive.
        pub phase: String,
        /// Why the phase is what it is.
        pub message: Option<String>,
        /// When it began.
        pub started_at: Option<Time>,
        /// When it ended.
        pub finished_at: Option<Time>,
        /// What was measured, as text.
        pub value: Option<String>,
        /// What the provider has to say about the measurement.
        pub metadata: BTreeMap<String, String>,
        /// When the provider looks at it again.
        pub resume_at: Option<Time>,
    }
}

always_written!(RunSummary);
