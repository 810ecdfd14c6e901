//! What a blue-green Rollout says of itself where it differs from a canary: pods of the active revision, phase.

use serde_json::json;
use serin_api::{RolloutStatus, labels};

use crate::rollout::observed::ReplicaSet;
use crate::rollout::phase::Phase;
use crate::rollout::scene::Scene;
use crate::rollout::state::State;
use crate::rollout::status::selector_text;

use super::Services;

/// Whether all pods that should serve are available.
pub(crate) fn available(scene: &Scene<'_>, services: &Services<'_>) -> bool {
    active(scene, services).is_some_and(|rs| rs.replicas_available >= scene.spec.replicas)
}

/// Scalers and their like see the pods that serve, and not those of the preview; where the Services point is told too.
pub(crate) fn count_pods(scene: &Scene<'_>, services: &Services<'_>, status: &mut RolloutStatus) {
    status.blue_green.active_selector = services.active_hash().map(str::to_owned);
    status.blue_green.preview_selector = services.preview_hash().map(str::to_owned);
    let Some(active) = active(scene, services) else { return };
    status.hpa_replicas = Some(active.replicas_actual);
    status.ready_replicas = Some(active.replicas_ready);
    status.available_replicas = Some(active.replicas_available);
    let mut selector = scene.spec.selector.clone();
    if selector.is_object() {
        selector["matchLabels"][labels::POD_TEMPLATE_HASH] = json!(active.hash);
    }
    status.selector = Some(selector_text(&selector));
}

/// Phase and message of a revision whose pods are all there.
pub(crate) fn phase(state: &State, services: &Services<'_>) -> Phase {
    if !services.is_active(&state.current_hash) {
        return Phase::new("Progressing", "active service cutover pending");
    }
    if state.is_promoted() {
        return Phase::new("Healthy", "");
    }
    let has_analysis = services.spec.analysis_after.is_some();
    let message = if has_analysis {
        "waiting for analysis to complete"
    } else {
        "waiting for post-promotion verification to complete"
    };
    Phase::new("Progressing", message)
}

fn active<'s>(scene: &'s Scene<'_>, services: &Services<'_>) -> Option<&'s ReplicaSet> {
    services.active_hash().and_then(|hash| scene.by_hash(hash))
}
