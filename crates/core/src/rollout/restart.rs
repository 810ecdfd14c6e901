//! Restarts: pods that are older than `spec.restartAt` are evicted, a few at a time, so that disruption budgets are kept.

use chrono::{DateTime, TimeDelta, Utc};

use crate::plan::{Effect, Planned, Wake};
use crate::rollout::Hold;
use crate::rollout::observed::{Pod, ReplicaSet};

use super::mesh::{Role, spread_at};
use super::scene::Scene;
use super::state::State;

/// How long a pod that a disruption budget protects is left alone before it is tried again.
const RETRY_AFTER: TimeDelta = TimeDelta::seconds(10);

/// Whether a restart was asked for and is not over, or not even due.
pub(crate) fn is_pending(scene: &Scene<'_>, state: &State) -> bool {
    scene.spec.restart_at.is_some() && state.restarted_at != scene.spec.restart_at
}

/// The evictions that are due now; says so where some are left, and remembers the restart once none is.
///
/// `planned` is what is done besides: while traffic or pods change sides, nobody who serves goes.
pub(crate) fn plan(scene: &Scene<'_>, state: &mut State, holds: &mut Vec<Hold>, planned: &[Planned]) -> Vec<Planned> {
    let Some(at) = due(scene, state) else { return Vec::new() };
    let old: Vec<(&ReplicaSet, &Pod)> = pods_in_order(scene, state).filter(|(_, pod)| is_old(pod, at)).collect();
    if old.is_empty() {
        state.restarted_at = Some(at);
        return Vec::new();
    }
    holds.push(Hold::Restarting { left: old.len() });
    holds.extend(scene.observed.control_plane.not_listening());
    let is_quiet = scene.observed.control_plane.is_listening() && !planned.iter().any(moves_traffic);
    let mut budget = if is_quiet { budget(scene) } else { 0 };
    let mut chosen: Vec<&Pod> = Vec::new();
    for (rs, pod) in old {
        // Whoever serves nobody is missed by nobody.
        if !pod.is_serving() {
            chosen.push(pod);
        } else if budget > 0 && may_spare(scene, rs, &chosen) && leaves_sides_served(scene, pod, &chosen) {
            budget -= 1;
            chosen.push(pod);
        }
    }
    let evict = |pod: &Pod| Effect::EvictPod { name: pod.name.clone(), uid: pod.uid.clone() };
    chosen.into_iter().map(|pod| Planned { effect: evict(pod), event: None }).collect()
}

/// When to look again: when the restart is due, and while pods are left that may not go yet.
pub(crate) fn wake(scene: &Scene<'_>, state: &State) -> Option<Wake> {
    let at = scene.spec.restart_at.filter(|_| is_pending(scene, state))?;
    let again = scene.observed.now.checked_add_signed(RETRY_AFTER)?;
    if at > scene.observed.now {
        return Some(Wake { at, why: "restart".to_owned() });
    }
    Some(Wake { at: again, why: "pods are left to restart".to_owned() })
}

/// Pods that a ReplicaSet needs beyond its size: a lone pod that requests are sent to gets another beside it before it goes.
pub(crate) fn surge(scene: &Scene<'_>, state: &State, rs: &ReplicaSet) -> i32 {
    let has_old = |at| pods_of(scene, rs).any(|pod| is_old(pod, at) && pod.is_serving());
    i32::from(due(scene, state).is_some_and(has_old) && is_routed(scene, rs))
}

/// The time before which pods count as old, if they are to be restarted now.
fn due(scene: &Scene<'_>, state: &State) -> Option<DateTime<Utc>> {
    scene.spec.restart_at.filter(|at| is_pending(scene, state) && *at <= scene.observed.now)
}

/// Pods to restart go in this order: stable, new, others from the oldest.
fn pods_in_order<'s>(scene: &'s Scene<'_>, state: &State) -> impl Iterator<Item = (&'s ReplicaSet, &'s Pod)> {
    let mut sets: Vec<&ReplicaSet> = scene.owned().collect();
    sets.sort_by_key(|rs| {
        (state.stable_hash.as_deref() != Some(rs.hash.as_str()), rs.hash != state.current_hash, rs.created)
    });
    sets.into_iter().flat_map(|rs| pods_of(scene, rs).map(move |pod| (rs, pod)))
}

fn pods_of<'s>(scene: &'s Scene<'_>, rs: &ReplicaSet) -> impl Iterator<Item = &'s Pod> + use<'s> {
    let name = rs.name.clone();
    scene.observed.pods.iter().filter(move |pod| pod.replica_set == name)
}

fn is_old(pod: &Pod, restart_at: DateTime<Utc>) -> bool {
    pod.created < restart_at && !pod.terminating
}

/// Pods that may become unavailable now: `maxUnavailable`, but at least one, less what is unavailable already.
fn budget(scene: &Scene<'_>) -> i32 {
    let spec = scene.spec;
    let at_once = spec.canary.unavailable_max.round_down(spec.replicas).max(1);
    let wanted: i32 = scene.owned().map(|rs| rs.replicas).sum();
    // The count of a ReplicaSet may be older than what is seen of its pods, and the other way round.
    let available: i32 = scene.owned().map(|rs| rs.replicas_available.min(answering(scene, rs))).sum();
    available - (wanted.max(spec.replicas) - at_once)
}

/// Whether a ReplicaSet that requests are sent to keeps somebody to answer them.
fn may_spare(scene: &Scene<'_>, rs: &ReplicaSet, chosen: &[&Pod]) -> bool {
    let going = chosen.iter().filter(|pod| pod.replica_set == rs.name && pod.is_serving()).count();
    !is_routed(scene, rs) || answering(scene, rs) > i32::try_from(going).unwrap_or(i32::MAX) + 1
}

/// Whether each side that may be sent requests keeps a pod that every proxy knows: in a hand-over the pods of one ReplicaSet
/// stand behind both sides.
fn leaves_sides_served(scene: &Scene<'_>, pod: &Pod, chosen: &[&Pod]) -> bool {
    let Some(mesh) = &scene.mesh else { return true };
    let is_quiet = mesh.quiet_at(scene.observed).is_none();
    // Nobody misses the pods of a canary that is sent nothing. Stable is where everything may go back to.
    let is_idle = |role| role == Role::Canary && is_quiet && mesh.carried(role) == 0;
    [Role::Canary, Role::Stable].into_iter().filter(|role| !is_idle(*role)).all(|role| {
        let ready = mesh.end(role).ready(scene.observed);
        let stays = |other: &&Pod| {
            other.name != pod.name
                && !chosen.iter().any(|gone| gone.name == other.name)
                && spread_at(other.seen_at, scene.observed).is_none()
        };
        let is_behind = ready.iter().any(|behind| behind.name == pod.name);
        !is_behind || (is_quiet && ready.iter().any(stays))
    })
}

/// Whether an effect changes who is asked, or who answers for a side.
fn moves_traffic(planned: &Planned) -> bool {
    matches!(
        planned.effect,
        Effect::ApplyRoutes { .. }
            | Effect::ApplySubsets { .. }
            | Effect::SwitchService { .. }
            | Effect::RelabelPod { .. }
            | Effect::ScaleReplicaSet { .. }
    )
}

/// Whether requests are sent to a ReplicaSet alone, as far as anybody may believe.
fn is_routed(scene: &Scene<'_>, rs: &ReplicaSet) -> bool {
    let by_service = scene.blue_green.as_ref();
    !scene.is_released(rs) || by_service.is_some_and(|s| s.reaches(&rs.hash) || s.quiet_at(scene.observed).is_some())
}

/// Pods that serve; of those that requests are sent to, the ones that everybody knows.
fn answering(scene: &Scene<'_>, rs: &ReplicaSet) -> i32 {
    let any = !is_routed(scene, rs);
    let counts = |pod: &&Pod| pod.is_serving() && (any || spread_at(pod.seen_at, scene.observed).is_none());
    i32::try_from(pods_of(scene, rs).filter(counts).count()).unwrap_or(i32::MAX)
}
