//! The Experiment: sets of pods that run for a while beside each other and are measured.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube_derive::CustomResource;
use serde_json::Value;

use crate::analysis::{AnalysisRunMetadata, Argument, DryRun, MeasurementRetention};
use crate::status::Condition;
use crate::time::Time;
use crate::value::{DurationString, wire};

wire! {
    /// What the user asks of an Experiment.
    #[derive(CustomResource)]
    #[kube(
        group = "argoproj.io",
        version = "v1alpha1",
        kind = "Experiment",
        plural = "experiments",
        shortname = "exp",
        namespaced,
        status = "ExperimentStatus",
        derive = "Default",
        derive = "PartialEq",
        doc = "Sets of pods that run for a while beside each other and are measured.",
        printcolumn(name = "Status", type_ = "string", json_path = ".status.phase", description = "Phase of the experiment"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since creation"),
        crates(
            kube_core = "kube_core",
            k8s_openapi = "k8s_openapi",
            schemars = "schemars",
            serde = "serde",
            serde_json = "serde_json"
        )
    )]
    pub struct ExperimentSpec {
        /// The sets of pods.
        pub templates: Vec<TemplateSpec>,
        /// How long it runs once all pods are available; until the analyses end if absent.
        pub duration: Option<DurationString>,
        /// Seconds without progress after which it fails; 600 if absent.
        pub progress_deadline_seconds: Option<i32>,
        /// Ends the experiment early.
        pub terminate: bool,
        /// What is measured.
        pub analyses: Vec<ExperimentAnalysis>,
        /// Seconds before the pods are removed after the end; 30 if absent.
        pub scale_down_delay_seconds: Option<i32>,
        /// Metrics that are measured but do not count.
        pub dry_run: Vec<DryRun>,
        /// How many measurements are kept, by metric.
        pub measurement_retention: Vec<MeasurementRetention>,
        /// Labels and annotations for the AnalysisRuns.
        pub analysis_run_metadata: Option<AnalysisRunMetadata>,
    }

    /// One set of pods.
    pub struct TemplateSpec {
        /// Name, unique in the Experiment.
        pub name: String,
        /// Number of pods; 1 if absent.
        pub replicas: Option<i32>,
        /// Seconds for which a pod must be ready before it counts as available; 0 if absent.
        pub min_ready_seconds: Option<i32>,
        /// Selects the pods.
        pub selector: Option<LabelSelector>,
        /// The pod template, raw so that fields newer than this program survive.
        #[schemars(schema_with = "crate::value::any_object")]
        pub template: Option<Value>,
        /// Creates a Service for these pods.
        pub service: Option<TemplateService>,
    }

    /// A Service for one set of pods.
    pub struct TemplateService {
        /// Name of the Service; that of the ReplicaSet if absent.
        pub name: Option<String>,
    }

    /// An analysis of an Experiment.
    pub struct ExperimentAnalysis {
        /// Name, unique in the Experiment.
        pub name: String,
        /// Name of the template.
        pub template_name: String,
        /// Whether the template is a ClusterAnalysisTemplate.
        pub cluster_scope: Option<bool>,
        /// Values for the template's arguments.
        pub args: Vec<Argument>,
        /// Whether the experiment ends when this analysis ends.
        pub required_for_completion: bool,
    }

    /// What is known about an Experiment.
    pub struct ExperimentStatus {
        /// Pending, Running, Successful, Failed, Error or Inconclusive.
        pub phase: Option<String>,
        /// Why the phase is what it is.
        pub message: Option<String>,
        /// The sets of pods, by template.
        pub template_statuses: Vec<TemplateStatus>,
        /// When all pods were available, which is when `duration` begins.
        pub available_at: Option<Time>,
        /// Conditions by type.
        pub conditions: Vec<Condition>,
        /// The AnalysisRuns, by analysis.
        pub analysis_runs: Vec<ExperimentAnalysisRunStatus>,
    }

    /// What is known about one set of pods.
    pub struct TemplateStatus {
        /// Name of the template.
        pub name: String,
        /// Pods that exist.
        pub replicas: i32,
        /// Pods that have the template's spec.
        pub updated_replicas: i32,
        /// Pods that are ready.
        pub ready_replicas: i32,
        /// Pods that have been ready for `minReadySeconds`.
        pub available_replicas: i32,
        /// How often the name of the ReplicaSet was taken by another template.
        pub collision_count: Option<i32>,
        /// Progressing, Running, Successful, Failed or Error.
        pub status: Option<String>,
        /// Why the status is what it is.
        pub message: Option<String>,
        /// When the status last changed or progress was last made.
        pub last_transition_time: Option<Time>,
        /// Name of the Service, if one was created.
        pub service_name: Option<String>,
        /// Hash of the template.
        pub pod_template_hash: Option<String>,
    }

    /// An AnalysisRun of an Experiment.
    pub struct ExperimentAnalysisRunStatus {
        /// Name of the analysis.
        pub name: String,
        /// Name of the AnalysisRun.
        pub analysis_run: String,
        /// Phase of the AnalysisRun.
        pub phase: String,
        /// Message of the AnalysisRun.
        pub message: Option<String>,
    }
}
