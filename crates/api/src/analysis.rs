//! How Rollouts refer to analyses, and the two kinds of analysis template.

use std::collections::BTreeMap;

use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::Metric;
use crate::value::{always_written, wire};

wire! {
    /// What is measured, and with which arguments: the spec of both kinds of analysis template.
    #[derive(CustomResource)]
    #[kube(
        group = "argoproj.io",
        version = "v1alpha1",
        kind = "AnalysisTemplate",
        plural = "analysistemplates",
        shortname = "at",
        namespaced,
        derive = "Default",
        derive = "PartialEq",
        doc = "Metrics and conditions that an analysis is made from.",
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", description = "Time since creation"),
        crates(
            kube_core = "kube_core",
            k8s_openapi = "k8s_openapi",
            schemars = "schemars",
            serde = "serde",
            serde_json = "serde_json"
        )
    )]
    pub struct AnalysisTemplateSpec {
        /// What is measured.
        pub metrics: Vec<Metric>,
        /// The arguments that the metrics use, with optional defaults.
        pub args: Vec<Argument>,
        /// Metrics that are measured but do not count.
        pub dry_run: Vec<DryRun>,
        /// How many measurements are kept, by metric.
        pub measurement_retention: Vec<MeasurementRetention>,
        /// Other templates whose metrics and arguments are included.
        pub templates: Vec<AnalysisTemplateRef>,
    }
}

/// The same as an AnalysisTemplate's spec, for templates that all namespaces share.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "ClusterAnalysisTemplate",
    plural = "clusteranalysistemplates",
    shortname = "cat",
    derive = "Default",
    derive = "PartialEq",
    doc = "Metrics and conditions that an analysis is made from, for all namespaces.",
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp",
        description = "Time since creation"
    ),
    crates(
        kube_core = "kube_core",
        k8s_openapi = "k8s_openapi",
        schemars = "schemars",
        serde = "serde",
        serde_json = "serde_json"
    )
)]
#[serde(transparent)]
pub struct ClusterAnalysisTemplateSpec(pub AnalysisTemplateSpec);

/// An analysis that runs beside the steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RolloutAnalysisBackground {
    /// What is run.
    #[serde(flatten)]
    pub analysis: RolloutAnalysis,
    /// Index of the step at which it starts; the first if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starting_step: Option<i32>,
}

wire! {
    /// Which templates an analysis is made from, and with which arguments.
    pub struct RolloutAnalysis {
        /// The templates.
        pub templates: Vec<AnalysisTemplateRef>,
        /// Values for the templates' arguments.
        pub args: Vec<AnalysisRunArgument>,
        /// Metrics that are measured but do not count.
        pub dry_run: Vec<DryRun>,
        /// How many measurements are kept, by metric.
        pub measurement_retention: Vec<MeasurementRetention>,
        /// Labels and annotations for the AnalysisRun.
        pub analysis_run_metadata: Option<AnalysisRunMetadata>,
    }

    /// The name of a template.
    pub struct AnalysisTemplateRef {
        /// Name of the template.
        pub template_name: String,
        /// Whether it is a ClusterAnalysisTemplate.
        pub cluster_scope: Option<bool>,
    }

    /// A value for a template's argument, given by a Rollout.
    pub struct AnalysisRunArgument {
        /// Name of the argument.
        pub name: String,
        /// The value itself.
        pub value: Option<String>,
        /// Where the value comes from.
        pub value_from: Option<ArgumentValueFrom>,
    }

    /// Where a Rollout takes the value of an argument from; exactly one field should be set.
    pub struct ArgumentValueFrom {
        /// The pod hash of a revision: `Stable` or `Latest`.
        pub pod_template_hash_value: Option<String>,
        /// A field of the Rollout.
        pub field_ref: Option<FieldRef>,
    }

    /// A field of an object.
    pub struct FieldRef {
        /// For example `metadata.labels['region']`.
        pub field_path: String,
    }

    /// An argument of a template or of an AnalysisRun.
    pub struct Argument {
        /// Name, used as `{{args.name}}`.
        pub name: String,
        /// The value, or the default of a template.
        pub value: Option<String>,
        /// Where the value comes from.
        pub value_from: Option<ValueFrom>,
    }

    /// Where the value of an argument comes from; exactly one field should be set.
    pub struct ValueFrom {
        /// A key of a Secret.
        pub secret_key_ref: Option<SecretKeyRef>,
        /// A field of the object that made the AnalysisRun.
        pub field_ref: Option<FieldRef>,
    }

    /// A key of a Secret.
    pub struct SecretKeyRef {
        /// Name of the Secret.
        pub name: String,
        /// The key in it.
        pub key: String,
    }

    /// Metrics that are measured but do not count.
    pub struct DryRun {
        /// A regular expression over metric names.
        pub metric_name: String,
    }

    /// How many measurements of some metrics are kept.
    pub struct MeasurementRetention {
        /// A regular expression over metric names.
        pub metric_name: String,
        /// Number of measurements; 0 and less are ignored.
        pub limit: i32,
    }

    /// Labels and annotations for AnalysisRuns.
    pub struct AnalysisRunMetadata {
        /// Labels by key.
        pub labels: BTreeMap<String, String>,
        /// Annotations by key.
        pub annotations: BTreeMap<String, String>,
    }
}

always_written!(AnalysisRunMetadata);
