//! The Services that a canary without traffic routing names: each is pointed at the revision that it stands for, so that people
//! and tests reach one or the other; nothing else depends on them.

use crate::istio::service::managed_by;
use crate::plan::Planned;

use super::scene::Scene;
use super::service_switch;
use super::state::State;

/// Points the canary's Service at the spec's revision, at stable after an abort, and the stable one at stable: once there are
/// pods, and for the first time, when all are there, because others may have used the Service for all of them until now.
pub(crate) fn point(scene: &Scene<'_>, state: &State) -> Vec<Planned> {
    if scene.spec.canary.routing.is_some() || scene.blue_green.is_some() {
        return Vec::new();
    }
    let stable = state.stable_hash.as_deref();
    let canary = if state.aborted.is_some() { stable } else { Some(state.current_hash.as_str()) };
    let services = [(&scene.spec.canary.stable_service, stable), (&scene.spec.canary.canary_service, canary)];
    services.into_iter().filter_map(|(name, hash)| point_one(scene, name.as_deref()?, hash?)).collect()
}

fn point_one(scene: &Scene<'_>, name: &str, hash: &str) -> Option<Planned> {
    let raw = scene.observed.services.get(name)?.present()?;
    let replica_set = scene.by_hash(hash)?;
    let is_ours = managed_by(&raw.object) == Some(scene.rollout_name());
    let needed = if is_ours { 1 } else { replica_set.replicas.max(1) };
    let is_ready = replica_set.replicas_available >= needed;
    if is_ready { service_switch::point(scene, raw, name, hash) } else { None }
}
