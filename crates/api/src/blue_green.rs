//! The blue-green strategy: two full sets of pods and a switch between them.

use crate::analysis::RolloutAnalysis;
use crate::rollout::{AntiAffinity, PodTemplateMetadata};
use crate::value::{IntOrString, wire};

wire! {
    /// Two full sets of pods and a switch between them.
    pub struct BlueGreenStrategy {
        /// The Service that carries production traffic.
        pub active_service: String,
        /// The Service through which the new version can be tried; different from `activeService`.
        pub preview_service: Option<String>,
        /// Pods of the new version before the switch; all of them if absent.
        pub preview_replica_count: Option<i32>,
        /// Whether to switch without waiting for a person; true if absent.
        pub auto_promotion_enabled: Option<bool>,
        /// Seconds to wait before switching by itself; 0 if absent.
        pub auto_promotion_seconds: Option<i32>,
        /// How many pods may be unavailable during a restart; 25 % if absent.
        pub max_unavailable: Option<IntOrString>,
        /// Seconds before the old version is scaled down; 30 if absent.
        pub scale_down_delay_seconds: Option<i32>,
        /// How many old versions may wait for their scale-down; unlimited if absent.
        pub scale_down_delay_revision_limit: Option<i32>,
        /// Analysis that must succeed before the switch.
        pub pre_promotion_analysis: Option<RolloutAnalysis>,
        /// Keeps the pods of two revisions apart.
        pub anti_affinity: Option<AntiAffinity>,
        /// Analysis after the switch; if it fails, traffic goes back.
        pub post_promotion_analysis: Option<RolloutAnalysis>,
        /// What pods carry while they are the preview.
        pub preview_metadata: Option<PodTemplateMetadata>,
        /// What pods carry while they are active.
        pub active_metadata: Option<PodTemplateMetadata>,
        /// Seconds before an aborted version is scaled down; 30 if absent, never if 0.
        pub abort_scale_down_delay_seconds: Option<i32>,
    }
}
