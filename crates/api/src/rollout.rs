//! The Rollout: a workload whose new versions are brought in step by step.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube_derive::CustomResource;
use serde_json::Value;
use std::collections::BTreeMap;

use crate::blue_green::BlueGreenStrategy;
use crate::canary::CanaryStrategy;
use crate::status::RolloutStatus;
use crate::time::Time;
use crate::value::{always_written, wire};

wire! {
    /// What the user asks of a Rollout.
    #[derive(CustomResource)]
    #[kube(
        group = "argoproj.io",
        version = "v1alpha1",
        kind = "Rollout",
        plural = "rollouts",
        shortname = "ro",
        namespaced,
        status = "RolloutStatus",
        derive = "Default",
        derive = "PartialEq",
        doc = "A workload whose new versions are brought in step by step.",
        scale(
            spec_replicas_path = ".spec.replicas",
            status_replicas_path = ".status.HPAReplicas",
            label_selector_path = ".status.selector"
        ),
        printcolumn(name = "Desired", type_ = "integer", json_path = ".spec.replicas", description = "Pods asked for"),
        printcolumn(name = "Current", type_ = "integer", json_path = ".status.replicas", description = "Pods that exist, of all revisions"),
        printcolumn(name = "Up-to-date", type_ = "integer", json_path = ".status.updatedReplicas", description = "Pods of the newest revision"),
        printcolumn(name = "Available", type_ = "integer", json_path = ".status.availableReplicas", description = "Pods ready for at least minReadySeconds"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since creation"),
        crates(
            kube_core = "kube_core",
            k8s_openapi = "k8s_openapi",
            schemars = "schemars",
            serde = "serde",
            serde_json = "serde_json"
        )
    )]
    pub struct RolloutSpec {
        /// Desired number of pods; 1 if absent, and then written back so that autoscalers see it.
        pub replicas: Option<i32>,
        /// Selects the pods. Immutable. Required unless `workloadRef` is set.
        pub selector: Option<LabelSelector>,
        /// The pod template, raw so that fields newer than this program survive. Must be absent if `workloadRef` is set.
        #[schemars(schema_with = "crate::value::any_object")]
        pub template: Option<Value>,
        /// Takes the pod template, and the selector if absent, from another object.
        pub workload_ref: Option<WorkloadRef>,
        /// Seconds for which a new pod must be ready before it counts as available; 0 if absent.
        pub min_ready_seconds: Option<i32>,
        /// How far back a rollback may go without running the steps again.
        pub rollback_window: Option<RollbackWindow>,
        /// How a new version replaces the old one.
        pub strategy: RolloutStrategy,
        /// Number of old ReplicaSets kept; 10 if absent.
        pub revision_history_limit: Option<i32>,
        /// Halts scaling and step progress.
        pub paused: bool,
        /// Seconds without progress after which the Rollout is degraded; 600 if absent.
        pub progress_deadline_seconds: Option<i32>,
        /// Aborts the update when `progressDeadlineSeconds` is exceeded.
        pub progress_deadline_abort: bool,
        /// Pods created before this time are restarted.
        pub restart_at: Option<Time>,
        /// How many finished AnalysisRuns are kept.
        pub analysis: Option<AnalysisRunStrategy>,
    }

    /// The object that a Rollout takes its pod template from.
    pub struct WorkloadRef {
        /// For example `apps/v1`.
        pub api_version: Option<String>,
        /// Deployment, ReplicaSet or PodTemplate.
        pub kind: Option<String>,
        /// Name of the object in the Rollout's namespace.
        pub name: Option<String>,
        /// When the object itself is scaled to zero: `never` (default), `onsuccess` or `progressively`.
        pub scale_down: Option<String>,
    }

    /// How far back a rollback may go without running the steps again.
    pub struct RollbackWindow {
        /// Number of revisions.
        pub revisions: Option<i32>,
    }

    /// How a new version replaces the old one; exactly one field should be set.
    pub struct RolloutStrategy {
        /// Two full sets of pods and a switch between them.
        pub blue_green: Option<BlueGreenStrategy>,
        /// A growing part of pods or traffic.
        pub canary: Option<CanaryStrategy>,
    }

    /// How many finished AnalysisRuns are kept.
    pub struct AnalysisRunStrategy {
        /// Number of successful runs kept; 5 if absent.
        pub successful_run_history_limit: Option<i32>,
        /// Number of failed, inconclusive and erroneous runs kept; 5 if absent.
        pub unsuccessful_run_history_limit: Option<i32>,
    }

    /// Labels and annotations that pods carry only while they have a role.
    pub struct PodTemplateMetadata {
        /// Labels by key.
        pub labels: BTreeMap<String, String>,
        /// Annotations by key.
        pub annotations: BTreeMap<String, String>,
    }

    /// Keeps the pods of two revisions apart; exactly one field should be set.
    pub struct AntiAffinity {
        /// The scheduler tries to.
        pub preferred_during_scheduling_ignored_during_execution: Option<PreferredAntiAffinity>,
        /// The scheduler must.
        pub required_during_scheduling_ignored_during_execution: Option<RequiredAntiAffinity>,
    }

    /// Anti-affinity that the scheduler tries to honour.
    pub struct PreferredAntiAffinity {
        /// From 1 to 100.
        pub weight: i32,
    }

    /// Anti-affinity that the scheduler must honour; has no fields.
    pub struct RequiredAntiAffinity {}
}

always_written!(RolloutStrategy, PodTemplateMetadata);
