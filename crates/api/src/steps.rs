//! The canary steps. The order of fields is that of the step hash, which is computed over the JSON text.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use crate::analysis::{AnalysisRunArgument, AnalysisRunMetadata, DryRun, RolloutAnalysis};
use crate::experiment::TemplateService;
use crate::rollout::PodTemplateMetadata;
use crate::value::{DurationString, IntOrString, wire};

wire! {
    /// One step of a canary; exactly one field should be set.
    pub struct CanaryStep {
        /// Share of the traffic for the canary, from 0 to `maxTrafficWeight` (100).
        pub set_weight: Option<i32>,
        /// Waits for a time or for a person.
        pub pause: Option<RolloutPause>,
        /// Runs an Experiment to its end.
        pub experiment: Option<RolloutExperimentStep>,
        /// Runs an analysis to its end.
        pub analysis: Option<RolloutAnalysis>,
        /// Sets the number of canary pods apart from the weight.
        pub set_canary_scale: Option<SetCanaryScale>,
        /// Sends requests with certain headers to the canary.
        pub set_header_route: Option<SetHeaderRoute>,
        /// Copies certain requests to the canary.
        pub set_mirror_route: Option<SetMirrorRoute>,
        /// Runs an external step plugin.
        pub plugin: Option<PluginStep>,
    }

    /// Waits for a time or, without a duration, for a person.
    pub struct RolloutPause {
        /// Seconds as a number or numeric string, or a duration such as `10m`.
        pub duration: Option<IntOrString>,
    }

    /// Sets the number of canary pods apart from the weight; exactly one field should be set.
    pub struct SetCanaryScale {
        /// Percentage of `spec.replicas`.
        pub weight: Option<i32>,
        /// Number of pods.
        pub replicas: Option<i32>,
        /// Goes back to following the traffic weight.
        pub match_traffic_weight: bool,
    }

    /// Sends requests with certain headers to the canary; without `match` the route is removed.
    pub struct SetHeaderRoute {
        /// Name of the route, one of `managedRoutes`.
        pub name: Option<String>,
        /// Any of these must match.
        #[serde(rename = "match")]
        pub matches: Vec<HeaderRoutingMatch>,
    }

    /// A request header to match.
    pub struct HeaderRoutingMatch {
        /// Name of the header.
        pub header_name: String,
        /// What its value must be.
        pub header_value: Option<StringMatch>,
    }

    /// Copies certain requests to the canary; without `match` the route is removed.
    pub struct SetMirrorRoute {
        /// Name of the route, one of `managedRoutes`.
        pub name: String,
        /// Any of these must match.
        #[serde(rename = "match")]
        pub matches: Vec<RouteMatch>,
        /// Share of the matching requests that is copied, from 0 to 100; 100 if absent.
        pub percentage: Option<i32>,
    }

    /// A request to match; all fields that are set must match.
    pub struct RouteMatch {
        /// The HTTP method.
        pub method: Option<StringMatch>,
        /// The path.
        pub path: Option<StringMatch>,
        /// Headers by name.
        pub headers: BTreeMap<String, StringMatch>,
    }

    /// A text to match; exactly one field should be set.
    pub struct StringMatch {
        /// The whole text.
        pub exact: Option<String>,
        /// The beginning of the text.
        pub prefix: Option<String>,
        /// A regular expression in RE2 syntax.
        pub regex: Option<String>,
    }

    /// Runs an external step plugin.
    pub struct PluginStep {
        /// Name of the plugin, `owner/name`.
        pub name: String,
        /// The plugin's own configuration.
        #[schemars(schema_with = "crate::value::any_object")]
        pub config: Option<Value>,
    }

    /// Runs an Experiment to its end.
    pub struct RolloutExperimentStep {
        /// The sets of pods to run.
        pub templates: Vec<RolloutExperimentTemplate>,
        /// How long it runs once all pods are available; until the analyses end if absent.
        pub duration: Option<DurationString>,
        /// What is measured.
        pub analyses: Vec<RolloutExperimentAnalysis>,
        /// Metrics that are measured but do not count.
        pub dry_run: Vec<DryRun>,
        /// Labels and annotations for the AnalysisRuns; written even if empty, as the step hash counts it.
        pub analysis_run_metadata: AnalysisRunMetadata,
        /// Seconds before the pods are removed after the end; 30 if absent.
        pub scale_down_delay_seconds: Option<i32>,
    }

    /// One set of pods of an experiment step.
    pub struct RolloutExperimentTemplate {
        /// Name, unique in the step.
        pub name: String,
        /// Whose pod template is used: `canary` or `stable`.
        pub spec_ref: String,
        /// Number of pods; 1 if absent.
        pub replicas: Option<i32>,
        /// Labels and annotations for the pods; written even if empty, as the step hash counts it.
        pub metadata: PodTemplateMetadata,
        /// Replaces the selector of the Rollout.
        pub selector: Option<LabelSelector>,
        /// Share of the traffic, from 0 to 100. Only with traffic routing.
        pub weight: Option<i32>,
        /// Creates a Service for these pods.
        pub service: Option<TemplateService>,
    }

    /// An analysis of an experiment step.
    pub struct RolloutExperimentAnalysis {
        /// Name, unique in the step.
        pub name: String,
        /// Name of the template.
        pub template_name: String,
        /// Whether the template is a ClusterAnalysisTemplate.
        pub cluster_scope: Option<bool>,
        /// Values for the template's arguments.
        pub args: Vec<AnalysisRunArgument>,
        /// Whether the experiment ends when this analysis ends.
        pub required_for_completion: bool,
    }
}
