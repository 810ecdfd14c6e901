//! How many pods each ReplicaSet of a blue-green Rollout should have, and until when.

use chrono::{DateTime, Utc};

use crate::rollout::mesh::spread_at;
use crate::rollout::observed::ReplicaSet;
use crate::rollout::replicas::{Size, delay_within_limit, drained, stable_is_whole};
use crate::rollout::scene::Scene;
use crate::rollout::state::State;

use super::Services;
use super::advance::{is_fast_rollback, is_fast_tracked};

/// Pods that the new revision should have now: all, or those of the preview until it may be switched to.
pub(crate) fn preview_wanted(scene: &Scene<'_>, state: &State, services: &Services<'_>) -> i32 {
    let all = scene.spec.replicas;
    let is_preview = state.is_updating()
        && !state.blue_green.check_point
        && !is_fast_tracked(scene, state)
        && !services.is_active(&state.current_hash);
    services.spec.preview_replicas.filter(|_| is_preview).map_or(all, |preview| preview.min(all))
}

/// The size of every ReplicaSet of the Rollout.
pub(crate) fn sizes(scene: &Scene<'_>, state: &State, services: &Services<'_>) -> Vec<Size> {
    let size = |rs: &ReplicaSet| {
        let (replicas, deadline) = if scene.spec.replicas == 0 {
            // Whoever asks for no pods at all gets none, wherever the Services point.
            (0, None)
        } else if state.stable_hash.as_deref() == Some(rs.hash.as_str()) {
            (scene.spec.replicas, None)
        } else if rs.hash == state.current_hash {
            new_size(scene, state, services, rs)
        } else {
            old_size(scene, state, services, rs)
        };
        Size { name: rs.name.clone(), replicas, deadline }
    };
    scene.owned().map(size).collect()
}

fn new_size(
    scene: &Scene<'_>,
    state: &State,
    services: &Services<'_>,
    rs: &ReplicaSet,
) -> (i32, Option<DateTime<Utc>>) {
    if state.aborted.is_none() {
        // The deadline of a revision that comes back tells that it does; it goes with the promotion.
        return (preview_wanted(scene, state, services), rs.deadline().filter(|_| is_fast_rollback(scene, state)));
    }
    let Some(delay) = scene.spec.canary.abort_scale_down_delay else { return (rs.replicas, None) };
    if !stable_is_whole(scene, state) {
        return (rs.replicas, rs.deadline());
    }
    unless_reached((scene, state), services, rs, drained(scene, rs, delay))
}

/// A revision that served until now keeps its pods for the scale-down delay; one that was passed over goes at once.
fn old_size(
    scene: &Scene<'_>,
    state: &State,
    services: &Services<'_>,
    rs: &ReplicaSet,
) -> (i32, Option<DateTime<Utc>>) {
    let has_served = rs.deadline().is_some() || state.blue_green.retired.contains(&rs.hash);
    let delay = if has_served { delay_within_limit(scene, state, rs) } else { chrono::TimeDelta::zero() };
    unless_reached((scene, state), services, rs, drained(scene, rs, delay))
}

/// No pod goes while requests may reach it: not before the active Service points elsewhere, and everybody knows.
fn unless_reached(
    (scene, state): (&Scene<'_>, &State),
    services: &Services<'_>,
    rs: &ReplicaSet,
    (replicas, deadline): (i32, Option<DateTime<Utc>>),
) -> (i32, Option<DateTime<Utc>>) {
    if services.reaches(&rs.hash) {
        return (rs.replicas, None);
    }
    let may_be_known = services.quiet_at(scene.observed).is_some() && !is_long_retired(scene, state, rs);
    if replicas < rs.replicas && may_be_known {
        return (rs.replicas, rs.deadline());
    }
    (replicas, deadline)
}

/// Whether a revision was out of service before the last switch already, for as long as a switch needs to spread.
fn is_long_retired(scene: &Scene<'_>, state: &State, rs: &ReplicaSet) -> bool {
    let is_older = state.blue_green.retired.iter().rev().skip(1).any(|hash| *hash == rs.hash);
    let since = rs.deadline().and_then(|deadline| deadline.checked_sub_signed(scene.spec.canary.scale_down_delay));
    is_older && since.is_some_and(|since| spread_at(since, scene.observed).is_none())
}
