//! Where a weight is decided, and which change of routes, subsets, Services and pod labels is safe to make next.

use crate::istio::destination_rule::{set_hashes, subset_hash};
use crate::istio::patch::test_version;
use crate::plan::{Effect, Event, Planned};
use crate::rollout::Hold;
use crate::rollout::observed::{Pod, Writer};

use super::extras::{self, Extras};
use super::handover::{self, Handover};
use super::managed;
use super::mesh::{Mesh, Role, spread_at};
use super::metadata::{relabel_pod, wanted};
use super::replicas::{canary_is_scaled, share};
use super::rollback::is_hurried;
use super::runs;
use super::scene::Scene;
use super::service_switch;
use super::state::State;

/// The next changes of the mesh, and why there are no more of them.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    pub(crate) effects: Vec<Planned>,
    pub(crate) holds: Vec<Hold>,
}

/// Points the sides at their revisions, relabels pods whose role changed, and moves weight; each only where nothing
/// that carries traffic is left without ready pods.
pub(crate) fn plan(scene: &Scene<'_>, state: &State) -> Moves {
    let mut moves = Moves::default();
    relabel_free_pods(scene, state, &mut moves);
    let Some(mesh) = &scene.mesh else { return moves };
    if state.is_initial() {
        return moves;
    }
    let extras = extras::wanted(scene, state, mesh);
    switch_sides(scene, state, (mesh, &extras), &mut moves);
    let weight = match handover::next(scene, state, mesh) {
        Handover::NotNeeded => Some(desired_weight(scene, state)),
        Handover::Weight(weight) => Some(weight),
        Handover::Relabel(pods) => {
            moves.effects.extend(pods);
            None
        }
        Handover::Wait(hold) => {
            moves.holds.push(hold);
            None
        }
    };
    change_routes(scene, state, (mesh, &extras), weight, &mut moves);
    moves.holds.extend(extras.hold);
    moves
}

/// The canary's weight that is wanted now, in percent.
pub(crate) fn desired_weight(scene: &Scene<'_>, state: &State) -> i32 {
    let Some(mesh) = &scene.mesh else { return 0 };
    let new = scene.new_replica_set();
    let nobody_there = new.is_none_or(|rs| rs.replicas_available == 0);
    // What a side carries for another revision goes back to stable before it is pointed at this one.
    let stands = mesh.canary_stands_for(&state.current_hash) || is_stripped(scene, state, mesh);
    if state.aborted.is_some() && stands && !nobody_there && scene.spec.canary.dynamic_stable_scale {
        return weight_of_retreat(scene, mesh);
    }
    if !state.is_updating() || nobody_there || !stands {
        return 0;
    }
    let (before, target) = (state.weight_before_step(scene.spec), state.weight_of_step(scene.spec));
    let observed = mesh.canary_weight().unwrap_or(before);
    let between = (before.min(target)..=before.max(target)).contains(&observed);
    let scaled = canary_is_scaled(scene, state);
    if is_hurried(scene, state) {
        return if scaled { 100 } else { observed };
    }
    let silent = !runs::holds(scene, state).is_empty();
    match scaled && !silent {
        true => target,
        false if between => observed,
        false => before,
    }
}

/// What a stable side that has given pods away cannot carry yet stays on the canary, if that has ready pods.
fn weight_of_retreat(scene: &Scene<'_>, mesh: &Mesh<'_>) -> i32 {
    let ready = |role: Role| count(mesh.end(role).ready(scene.observed).len());
    if ready(Role::Canary) == 0 {
        return 0;
    }
    let capacity = i64::from(ready(Role::Stable)) * 100 / i64::from(scene.spec.replicas.max(1));
    let left = 100 - i32::try_from(capacity).unwrap_or(100).min(100);
    left.min(mesh.weight(Role::Canary))
}

/// The canary's weight that the routes were last seen to carry, if that was for the revision that is being updated to.
fn weight_before(scene: &Scene<'_>, state: &State) -> Option<i32> {
    let status = scene.observed.rollout.status.as_ref()?;
    let canary = &status.canary.weights.as_ref()?.canary;
    let same = canary.pod_template_hash.as_deref() == Some(&state.current_hash) && scene.is_recorded_revision();
    same.then_some(canary.weight)
}

/// Whether the canary side was seen to carry traffic for the revision that is being updated to. The step does not tell:
/// clients skip steps whose weight was never reached.
fn has_carried(scene: &Scene<'_>, state: &State) -> bool {
    weight_before(scene, state).is_some_and(|before| before > 0)
}

/// Whether somebody took away the label that restricts the canary side to the revision that it carries traffic for.
pub(crate) fn is_stripped(scene: &Scene<'_>, state: &State, mesh: &Mesh<'_>) -> bool {
    let carried = weight_before(scene, state).map(|before| before.max(mesh.carried(Role::Canary)));
    mesh.canary.reaches(&state.current_hash) && carried.is_some_and(|weight| weight > 0)
}

/// Points each side at the revision that it stands for.
fn switch_sides(scene: &Scene<'_>, state: &State, (mesh, extras): (&Mesh<'_>, &Extras), moves: &mut Moves) {
    let Some(stable) = state.stable_hash.as_deref() else { return };
    let canary = if state.is_promoted() { stable } else { state.current_hash.as_str() };
    let mut subsets = Vec::new();
    for (role, hash) in [(Role::Stable, stable), (Role::Canary, canary)] {
        let end = mesh.end(role);
        if let Some((raw, name)) = end.subset
            && subset_hash(&raw.object, name) != Some(hash)
        {
            if may_point(scene, mesh, role, hash) {
                subsets.push((name, Some(hash)));
            } else {
                moves.holds.push(Hold::SideNotSwitched { side: format!("subset {name}"), hash: hash.to_owned() });
            }
        }
        let hash = if state.aborted.is_some() { stable } else { hash };
        if end.service.is_some() && may_point(scene, mesh, role, hash) && has_ready(scene, hash) {
            moves.effects.extend(end.service.and_then(|(raw, name)| service_switch::point(scene, raw, name, hash)));
        }
    }
    moves.effects.extend(switch_subsets(scene, (mesh, extras), &subsets, (canary, stable)));
}

/// A side that carries traffic is pointed elsewhere only at its first adoption, and only at pods that are ready.
/// A side that carries none, and of which every proxy knows that, may be pointed anywhere, but the stable side only at
/// pods: a tool that applies git gives it all traffic at any moment. A stable side that nobody serves may be, too.
fn may_point(scene: &Scene<'_>, mesh: &Mesh<'_>, role: Role, hash: &str) -> bool {
    let (carried, end) = (mesh.carried(role), mesh.end(role));
    // Proxies learn of labels and of subsets separately: the pods' labels have to be known first.
    let is_known = |pod: &&Pod| spread_at(pod.seen_at, scene.observed).is_none();
    let ready = ready_of(scene, hash).filter(is_known).filter(|pod| end.would_select(&pod.labels)).count();
    let is_deserted = role == Role::Stable && end.ready(scene.observed).is_empty();
    if carried == 0 {
        let keeps_pods = role == Role::Canary || is_deserted || ready > 0;
        // One that is restricted to nothing has had these pods all the time.
        let had_them = end.reaches(hash) && ready > 0;
        return keeps_pods && (had_them || mesh.routes_quiet_at(scene.observed).is_none());
    }
    if is_deserted {
        return true;
    }
    let needed = usize::try_from(share(scene.spec.replicas, carried).max(1)).unwrap_or(usize::MAX);
    // A subset and a Service cannot be pointed elsewhere in one stroke.
    let in_one_stroke = role == Role::Stable && (end.subset.is_none() || end.service.is_none());
    ready >= needed && (end.hash().is_none() || in_one_stroke)
}

fn ready_of<'s>(scene: &'s Scene<'_>, hash: &'s str) -> impl Iterator<Item = &'s Pod> {
    let name = scene.by_hash(hash).map(|rs| rs.name.as_str());
    scene.observed.pods.iter().filter(move |pod| Some(pod.replica_set.as_str()) == name && pod.is_serving())
}

fn has_ready(scene: &Scene<'_>, hash: &str) -> bool {
    scene.spec.replicas == 0 || ready_of(scene, hash).next().is_some()
}

fn switch_subsets(
    scene: &Scene<'_>,
    (mesh, extras): (&Mesh<'_>, &Extras),
    subsets: &[(&str, Option<&str>)],
    (canary, stable): (&str, &str),
) -> Option<Planned> {
    let (raw, _) = mesh.canary.subset?;
    let of_experiments = extras::subsets(mesh, raw, extras);
    if subsets.is_empty() && of_experiments.is_empty() {
        return None;
    }
    let name = scene.spec.canary.routing.as_ref()?.destination_rule.as_ref()?.name.clone();
    let mut patch = set_hashes(&raw.object, &raw.version, scene.rollout_name(), subsets).ok()?;
    if patch.is_empty() {
        patch.push(test_version(&raw.version));
    }
    patch.extend(of_experiments);
    let message = format!("DestinationRule {name} subset updated (canary: {canary}, stable: {stable})");
    Some(Planned {
        effect: Effect::ApplySubsets { name, patch },
        event: Some(Event::normal("UpdatedDestinationRule", message)),
    })
}

/// Sets the weight on every route that does not carry it, if both sides can take what they would get, and makes and
/// removes managed routes: one patch for each VirtualService, so that none is written twice.
fn change_routes(
    scene: &Scene<'_>,
    state: &State,
    (mesh, extras): (&Mesh<'_>, &Extras),
    weight: Option<i32>,
    moves: &mut Moves,
) {
    let mut weight = weight.filter(|weight| mesh.differs_from(*weight).is_some());
    if let Some(hold) = weight.and_then(|weight| cannot_carry(scene, state, mesh, weight)) {
        moves.holds.push(hold);
        weight = None;
    }
    let managed = managed::wanted(scene, state, mesh);
    for routed in &mesh.routed {
        let weights = extras::patch(scene, mesh, routed, (extras, weight));
        let has_weights = !weights.is_empty();
        let patch = managed::behind(weights, scene, mesh, routed, &managed);
        if patch.is_empty() {
            continue;
        }
        let event = match weight.filter(|_| has_weights) {
            Some(weight) => Event::normal("TrafficWeightUpdated", weight_message(mesh, weight)),
            None if has_weights => extras::event(extras),
            None => managed.event(&routed.key.name),
        };
        let effect =
            Effect::ApplyRoutes { namespace: routed.key.namespace.clone(), name: routed.key.name.clone(), patch };
        moves.effects.push(Planned { effect, event: Some(event) });
    }
    moves.holds.extend(managed.hold);
}

fn weight_message(mesh: &Mesh<'_>, weight: i32) -> String {
    match mesh.canary_weight() {
        Some(from) if from != weight => format!("Traffic weight updated from {from} to {weight}"),
        Some(_) | None => format!("Traffic weight updated to {weight}"),
    }
}

/// Why a side could not carry its share of a split.
fn cannot_carry(scene: &Scene<'_>, state: &State, mesh: &Mesh<'_>, weight: i32) -> Option<Hold> {
    let ready = |role: Role| count(mesh.end(role).ready(scene.observed).len());
    if weight > 0 && ready(Role::Canary) == 0 {
        return Some(Hold::CanaryNotAvailable { available: 0, desired: share(scene.spec.replicas, weight) });
    }
    // Where nobody answers at all, an endpoint that not every proxy knows yet is better than none.
    let is_lost = |role: Role| mesh.is_deserted(role, scene.observed);
    for (role, gains) in [(Role::Canary, weight), (Role::Stable, 100 - weight)] {
        if gains > 0
            && mesh.carried(role) == 0
            && !has_lost(scene, state, mesh, role)
            && !is_lost(role.other())
            && let Some(until) = mesh.served_at(role, scene.observed)
        {
            let change = format!("the first endpoint of the {role} side");
            return Some(scene.observed.control_plane.hold(change, until));
        }
    }
    // An abort leaves the canary as soon as stable can answer at all: a crowded stable beats a broken canary, or one that
    // is not there. And while pods change their role one after the other, the hand-over itself keeps the balance.
    let crowded = state.aborted.is_some()
        || is_lost(Role::Canary)
        || state.stable_hash.as_deref().is_some_and(|hash| mesh.canary_stands_for(hash));
    let needed = if crowded { 1 } else { share(scene.spec.replicas, 100 - weight).max(1) };
    let rises = weight < 100 && 100 - weight > mesh.carried(Role::Stable);
    if rises && ready(Role::Stable) < needed {
        return Some(Hold::StableNotAvailable { available: ready(Role::Stable), needed });
    }
    None
}

/// Whether a side lost its traffic to somebody else's write a moment ago: proxies know its pods already.
fn has_lost(scene: &Scene<'_>, state: &State, mesh: &Mesh<'_>, role: Role) -> bool {
    let by_others = mesh.routed.iter().any(|routed| routed.raw.writer != Writer::Own);
    let is_known = |pod: &&Pod| spread_at(pod.seen_at, scene.observed).is_none();
    role == Role::Canary
        && by_others
        && has_carried(scene, state)
        && mesh.end(role).ready(scene.observed).iter().any(is_known)
}

fn count(pods: usize) -> i32 {
    i32::try_from(pods).unwrap_or(i32::MAX)
}

/// Relabels pods whose change of labels takes them out of no side that carries traffic.
fn relabel_free_pods(scene: &Scene<'_>, state: &State, moves: &mut Moves) {
    for rs in scene.owned() {
        if !state.is_current_or_stable(rs) && !scene.is_released(rs) {
            continue;
        }
        let metadata = wanted(scene, state, rs);
        for pod in scene.observed.pods.iter().filter(|pod| pod.replica_set == rs.name && !pod.terminating) {
            let Some(effect) = relabel_pod(scene, rs, metadata, pod) else { continue };
            if handover::is_free(scene, pod, &effect) {
                moves.effects.push(Planned { effect, event: None });
            }
        }
    }
}
