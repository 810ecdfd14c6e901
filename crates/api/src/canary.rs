//! The canary strategy: a growing part of pods or traffic.

use crate::analysis::RolloutAnalysisBackground;
use crate::rollout::{AntiAffinity, PodTemplateMetadata};
use crate::steps::CanaryStep;
use crate::traffic::TrafficRouting;
use crate::value::{IntOrString, wire};

wire! {
    /// A growing part of pods or traffic goes to the new version.
    pub struct CanaryStrategy {
        /// The Service that selects the canary pods.
        pub canary_service: Option<String>,
        /// The Service that selects the stable pods; different from `canaryService`.
        pub stable_service: Option<String>,
        /// What to do, in order; none means straight promotion.
        pub steps: Vec<CanaryStep>,
        /// Who splits the traffic; if absent, the number of pods does.
        pub traffic_routing: Option<TrafficRouting>,
        /// How many pods may be unavailable; 25 % if absent, rounded down.
        pub max_unavailable: Option<IntOrString>,
        /// How many pods may exist beyond `replicas`; 25 % if absent, rounded up.
        pub max_surge: Option<IntOrString>,
        /// Analysis beside the steps.
        pub analysis: Option<RolloutAnalysisBackground>,
        /// Keeps the pods of two revisions apart.
        pub anti_affinity: Option<AntiAffinity>,
        /// What pods carry while they are the canary.
        pub canary_metadata: Option<PodTemplateMetadata>,
        /// What pods carry while they are stable.
        pub stable_metadata: Option<PodTemplateMetadata>,
        /// Seconds before the old version is scaled down; 30 if absent. Only with traffic routing.
        pub scale_down_delay_seconds: Option<i32>,
        /// How many old versions may wait for their scale-down; unlimited if absent.
        pub scale_down_delay_revision_limit: Option<i32>,
        /// Seconds before an aborted canary is scaled down; 30 if absent, never if 0. Only with traffic routing.
        pub abort_scale_down_delay_seconds: Option<i32>,
        /// Whether the stable side shrinks as the canary grows. Only with traffic routing.
        pub dynamic_stable_scale: bool,
        /// Two Services that swap roles with each revision.
        pub ping_pong: Option<PingPong>,
        /// Least number of pods of a ReplicaSet that has any. Only with traffic routing.
        pub min_pods_per_replica_set: Option<i32>,
        /// How many pods of the new version must be available to go on; all of them if absent.
        pub replica_progress_threshold: Option<ReplicaProgressThreshold>,
    }

    /// Two Services that swap roles with each revision; both required and different.
    pub struct PingPong {
        /// The first Service.
        pub ping_service: String,
        /// The second Service.
        pub pong_service: String,
    }

    /// How many pods of the new version must be available to go on.
    pub struct ReplicaProgressThreshold {
        /// `Percent` or `Pods`.
        #[serde(rename = "type")]
        pub kind: String,
        /// Percentage or number of pods, by `type`; negative values are ignored.
        pub value: i32,
    }
}
