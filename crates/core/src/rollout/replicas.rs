//! How many pods each ReplicaSet should have.

use chrono::{DateTime, TimeDelta, Utc};

use crate::rollout::observed::ReplicaSet;
use crate::rollout::parse::{Canary, Spec};
use crate::rollout::step::CanaryScale;

use super::basic;
use super::blue_green;
use super::mesh::Role;
use super::restart;
use super::rollback::is_hurried;
use super::scene::Scene;
use super::state::State;
use super::traffic::desired_weight;

/// The size that a ReplicaSet should have, and until when it may keep its pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Name of the ReplicaSet.
    pub(crate) name: String,
    /// Pods wanted now.
    pub(crate) replicas: i32,
    /// When it is to be scaled to zero, if it waits for that.
    pub(crate) deadline: Option<DateTime<Utc>>,
}

/// Pods that the canary should have at its present step; the whole number where the revision is to be promoted.
pub(crate) fn canary_wanted(scene: &Scene<'_>, state: &State) -> i32 {
    let spec = scene.spec;
    if state.is_initial() || state.is_promoted() || is_hurried(scene, state) {
        return spec.replicas;
    }
    if let Some(services) = &scene.blue_green {
        return blue_green::preview_wanted(scene, state, services);
    }
    let weight = state.weight_of_step(spec);
    if spec.canary.routing.is_none() {
        return basic::canary_share(spec, weight);
    }
    scale_of_step(spec, state).unwrap_or_else(|| floored_share(spec, weight))
}

/// Pods that a step asks for apart from the weight; none after the last step, where the revision becomes whole.
fn scale_of_step(spec: &Spec, state: &State) -> Option<i32> {
    state.current_step(spec)?;
    match spec.canary.steps.scale_at(state.step)? {
        CanaryScale::Replicas(replicas) => Some(replicas),
        CanaryScale::Weight(weight) => Some(floored_share(spec, weight)),
        CanaryScale::MatchTrafficWeight => None,
    }
}

/// Pods that a share of traffic needs: `ceil(weight · replicas / 100)`.
pub(crate) fn share(replicas: i32, weight: i32) -> i32 {
    let product = i64::from(replicas.max(0)) * i64::from(weight.clamp(0, 100));
    i32::try_from((product + 99) / 100).unwrap_or(i32::MAX)
}

/// As [`share`], but for the floor that the spec sets for a revision that gets any traffic.
pub(crate) fn floored_share(spec: &Spec, weight: i32) -> i32 {
    match share(spec.replicas, weight) {
        0 => 0,
        pods => pods.max(spec.canary.pods_min).min(spec.replicas),
    }
}

/// The size of every ReplicaSet of the Rollout, in the order in which they should be changed.
pub(crate) fn sizes(scene: &Scene<'_>, state: &State) -> Vec<Size> {
    let mut sizes = sizes_of_roles(scene, state);
    keep_known_pods(scene, &mut sizes);
    for size in sizes.iter_mut().filter(|size| size.replicas == 1) {
        let rs = scene.owned().find(|rs| rs.name == size.name);
        size.replicas += rs.map_or(0, |rs| restart::surge(scene, state, rs));
    }
    sizes
}

/// While proxies do not learn of changes they go on calling the pods that they know.
fn keep_known_pods(scene: &Scene<'_>, sizes: &mut [Size]) {
    if scene.observed.control_plane.is_listening() || scene.spec.replicas == 0 {
        return;
    }
    for rs in scene.owned().filter(|rs| scene.mesh.is_some() && !scene.is_released(rs)) {
        for size in sizes.iter_mut().filter(|size| size.name == rs.name) {
            size.replicas = size.replicas.max(rs.replicas);
        }
    }
}

fn sizes_of_roles(scene: &Scene<'_>, state: &State) -> Vec<Size> {
    if let Some(services) = &scene.blue_green {
        return blue_green::sizes(scene, state, services);
    }
    if scene.spec.canary.routing.is_none() {
        return basic::sizes(scene, state);
    }
    let mut sizes = Vec::new();
    for rs in scene.owned() {
        let (replicas, deadline) = if scene.spec.replicas == 0 {
            // Whoever asks for no pods at all gets none, whatever they carry.
            (0, None)
        } else if Some(rs.hash.as_str()) == state.stable_hash.as_deref() {
            (stable_size(scene, state, rs), None)
        } else if rs.hash == state.current_hash {
            new_size(scene, state, rs)
        } else {
            other_size(scene, state, rs)
        };
        sizes.push(Size { name: rs.name.clone(), replicas, deadline });
    }
    sizes
}

/// Stable keeps the full number, or with `dynamicStableScale` what its share needs, and one more while a lone pod changes
/// its role (see `handover`). It gives no pod away while others change theirs: the ones to go might be the only ones that
/// the mesh knows.
fn stable_size(scene: &Scene<'_>, state: &State, rs: &ReplicaSet) -> i32 {
    let Some(mesh) = &scene.mesh else { return scene.spec.replicas };
    let whole = dynamic_size(scene, state, rs).unwrap_or(scene.spec.replicas);
    let wanted = whole + i32::from(mesh.handover_needs_surge(scene, state, rs));
    if mesh.handover_needs_every_pod(scene, rs) { wanted.max(rs.replicas) } else { wanted }
}

/// Pods of a stable side that shrinks as the canary grows: enough for the weight that is wanted and for the one that the
/// routes carry, whichever is more; and no fewer than there are while proxies may still know an older weight.
fn dynamic_size(scene: &Scene<'_>, state: &State, rs: &ReplicaSet) -> Option<i32> {
    let mesh = scene.mesh.as_ref().filter(|_| scene.spec.canary.dynamic_stable_scale && state.is_updating())?;
    let weight = (100 - desired_weight(scene, state)).max(mesh.weight(Role::Stable));
    let needed = floored_share(scene.spec, weight);
    let settled = mesh.routes_quiet_at(scene.observed).is_none();
    Some(if settled { needed } else { needed.max(rs.replicas.min(scene.spec.replicas)) })
}

/// The new revision's size; after an abort it keeps its pods until stable can do without them, and then for a while.
fn new_size(scene: &Scene<'_>, state: &State, rs: &ReplicaSet) -> (i32, Option<DateTime<Utc>>) {
    if state.aborted.is_none() {
        return (canary_wanted(scene, state).max(needed_for_traffic(scene, state, rs)), None);
    }
    let Some(delay) = scene.spec.canary.abort_scale_down_delay else {
        return (rs.replicas, None);
    };
    if scene.spec.canary.dynamic_stable_scale && delay.is_zero() {
        return (needed_for_traffic(scene, state, rs), None);
    }
    let (size, deadline) = drained(scene, rs, delay);
    if !scene.is_released(rs) || !stable_is_whole(scene, state) {
        // The delay counts from the abort all the same, as clients expect to see.
        return (rs.replicas, deadline.or(rs.deadline()));
    }
    (size, deadline)
}

/// Pods that may not go yet, since traffic is still on them: as many as its share needs, or one where the spec sets the
/// number apart from the weight.
fn needed_for_traffic(scene: &Scene<'_>, state: &State, rs: &ReplicaSet) -> i32 {
    let carried = scene.mesh.as_ref().map_or(0, |mesh| mesh.weight_carried_by(&rs.hash));
    let needed = match scale_of_step(scene.spec, state) {
        Some(_) if state.aborted.is_none() => carried.min(1),
        Some(_) | None => share(scene.spec.replicas, carried),
    };
    // A request may still be on its way to the last pod.
    let last = i32::from(!scene.is_released(rs));
    needed.max(last).min(rs.replicas).min(scene.spec.replicas)
}

/// A revision that is neither new nor stable goes: at once if it was passed over in mid-canary, after the scale-down
/// delay if it was stable until now.
fn other_size(scene: &Scene<'_>, state: &State, rs: &ReplicaSet) -> (i32, Option<DateTime<Utc>>) {
    if !scene.is_released(rs) {
        return (rs.replicas, rs.deadline());
    }
    let delay = if state.is_promoted() || rs.deadline().is_some() {
        delay_within_limit(scene, state, rs)
    } else {
        TimeDelta::zero()
    };
    drained(scene, rs, delay)
}

/// The scale-down delay, or none for revisions beyond `scaleDownDelayRevisionLimit`, newest first.
pub(crate) fn delay_within_limit(scene: &Scene<'_>, state: &State, rs: &ReplicaSet) -> TimeDelta {
    let canary: &Canary = &scene.spec.canary;
    let newer_waiting = scene
        .owned()
        .filter(|other| !state.is_current_or_stable(other) && other.replicas > 0)
        .filter(|other| other.revision() > rs.revision())
        .count();
    match canary.scale_down_delay_revisions {
        Some(limit) if newer_waiting >= usize::try_from(limit).unwrap_or(0) => TimeDelta::zero(),
        Some(_) | None => canary.scale_down_delay,
    }
}

/// Size and deadline of a ReplicaSet that carries no traffic and is to be drained `delay` after that was first seen.
pub(crate) fn drained(scene: &Scene<'_>, rs: &ReplicaSet, delay: TimeDelta) -> (i32, Option<DateTime<Utc>>) {
    if delay <= TimeDelta::zero() || rs.replicas == 0 {
        return (0, None);
    }
    let now = scene.observed.now;
    let deadline = rs.deadline().unwrap_or_else(|| now.checked_add_signed(delay).unwrap_or(now));
    if now >= deadline { (0, None) } else { (rs.replicas, Some(deadline)) }
}

/// Whether stable has all its pods.
pub(crate) fn stable_is_whole(scene: &Scene<'_>, state: &State) -> bool {
    scene.stable(state).is_some_and(|stable| stable.replicas_available >= scene.spec.replicas)
}

/// Whether the new revision has the pods that its step asks for, and as many of them available as the spec demands.
pub(crate) fn canary_is_scaled(scene: &Scene<'_>, state: &State) -> bool {
    let wanted = canary_wanted(scene, state);
    let needed = scene.spec.canary.threshold.of(wanted);
    scene
        .new_replica_set()
        .is_some_and(|rs| rs.settled && rs.replicas >= wanted && rs.replicas_available >= needed && !rs.deleting)
}

/// Whether enough pods of the whole revision are available for a promotion.
pub(crate) fn may_be_promoted(spec: &Spec, rs: Option<&ReplicaSet>) -> bool {
    let needed = spec.canary.threshold.of(spec.replicas);
    rs.is_some_and(|rs| rs.settled && rs.replicas >= spec.replicas && rs.replicas_available >= needed)
}

/// Whether every pod of the whole revision is available.
pub(crate) fn is_fully_available(spec: &Spec, rs: Option<&ReplicaSet>) -> bool {
    rs.is_some_and(|rs| rs.settled && rs.replicas >= spec.replicas && rs.replicas_available >= spec.replicas)
}

impl ReplicaSet {
    /// Its scale-down deadline, if it waits for one.
    pub(crate) fn deadline(&self) -> Option<DateTime<Utc>> {
        self.annotations
            .get(serin_api::labels::SCALE_DOWN_DEADLINE)
            .and_then(|text| DateTime::parse_from_rfc3339(text).ok())
            .map(|time| time.with_timezone(&Utc))
    }
}
