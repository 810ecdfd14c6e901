//! From an observation to a plan, in one pass that never waits and never fails.

use crate::plan::{Event, Planned};
use crate::rollout::observed::Observed;
use crate::rollout::parse::{Spec, parse};
use crate::rollout::{Facts, Hold, Plan};

use super::deadline::{self, Deadline};
use super::mesh::Mesh;
use super::scene::Scene;
use super::state::State;
use super::{
    affinity, blue_green, children, commands, experiments, history, invalid, left_behind, named_services, overwritten,
    ping_pong, restart, rivals, runs, safety, status, steps, traffic, wake, workload,
};

/// What should happen to a Rollout next.
///
/// Total: invalid specs and missing objects are ordinary inputs and yield a plan that says so. The last word has the
/// safety guard.
#[must_use]
pub fn decide(observed: &Observed) -> Plan {
    if observed.rollout.metadata.deletion_timestamp.is_some() {
        return Plan::default();
    }
    let mut plan = match parse(observed) {
        Err(errors) => invalid::plan(observed, &errors),
        Ok(spec) => {
            let plan = decide_valid(observed, &spec);
            safety::guard(observed, &spec, plan)
        }
    };
    plan.events.splice(0..0, first_sight(observed));
    plan
}

/// Tells once that somebody looks after this Rollout, whatever becomes of it.
fn first_sight(observed: &Observed) -> Option<Event> {
    let metadata = &observed.rollout.metadata;
    let is_known = observed.rollout.status.as_ref().is_some_and(|status| status.observed_generation.is_some());
    let name = |part: &Option<String>| part.clone().unwrap_or_default();
    let message = format!("Rollout resource added to informer: {}/{}", name(&metadata.namespace), name(&metadata.name));
    (!is_known).then(|| Event::normal("RolloutAddedToInformer", message))
}

/// State → commands → analysis results → deadline → steps → children, traffic, runs → status.
fn decide_valid(observed: &Observed, spec: &Spec) -> Plan {
    let mut scene = Scene::new(observed, spec);
    let mut state = State::read(&scene);
    commands::heed_clients(&scene, &mut state);
    commands::carry_out(&scene, &mut state);
    runs::follow(&scene, &mut state);
    experiments::follow(&scene, &mut state);
    let deadline = take_deadline(&scene, &mut state);
    commands::announce_abort(&scene, &mut state);
    let mut holds = match &scene.blue_green {
        Some(services) => blue_green::advance(&scene, &mut state, services),
        None => steps::advance(&scene, &mut state),
    };
    // What is done from here on counts on the roles that the Services have after a promotion.
    let swapped = ping_pong::swapped(&scene, &state);
    if let Some(spec) = &swapped {
        scene = Scene::new(observed, spec);
    }
    let effects = effects(&scene, &mut state, &mut holds);
    let deadline = if state.is_promoted() { Deadline::NotRunning } else { deadline };
    let facts = facts(&scene, &state);
    state.events.extend(rivals::news(&scene));
    state.events.extend(overwritten::events(&scene, &state, &facts.overwritten));
    let after = status::compute(&scene, &state, &deadline, &holds);
    let events = std::mem::take(&mut state.events);
    Plan {
        wake: wake::compute(&scene, &state, &deadline, &holds),
        status: changed(observed, after),
        effects,
        events,
        facts,
        holds,
    }
}

/// Counts progress, and aborts an update that made none for too long if the spec asks for that.
fn take_deadline(scene: &Scene<'_>, state: &mut State) -> Deadline {
    deadline::adopt(scene, state);
    if deadline::has_stood_still(scene, state) {
        state.progressed_at = Some(scene.observed.now);
    }
    // Nor the time that the proxies need to find istiod again.
    if let Some(until) = scene.observed.control_plane.reconnected_at().filter(|_| state.is_updating()) {
        state.progressed_at = state.progressed_at.map(|at| at.max(until));
    }
    let available = scene.new_replica_set().map_or(0, |rs| rs.replicas_available);
    if available > state.available_max {
        state.available_max = available;
        state.progressed_at = Some(scene.observed.now);
    }
    let deadline = deadline::evaluate(scene, state);
    if deadline == Deadline::Exceeded && scene.spec.progress_deadline_abort && state.is_updating() {
        state.abort(scene.observed.now, Some(deadline::message(&scene.new_name())));
        return Deadline::NotRunning;
    }
    deadline
}

/// What grows comes before traffic moves, what shrinks comes after.
fn effects(scene: &Scene<'_>, state: &mut State, holds: &mut Vec<Hold>) -> Vec<Planned> {
    let mut effects = children::establish(scene, state);
    effects.extend(affinity::refresh(scene, state));
    effects.extend(children::follow_spec(scene, state));
    let (growing, shrinking) = children::resize(scene, state);
    // Templates come before sizes: the next pod is to be born in its role.
    effects.extend(children::relabel(scene, state));
    effects.extend(growing);
    let moves = traffic::plan(scene, state);
    holds.extend(moves.holds);
    effects.extend(moves.effects);
    effects.extend(named_services::point(scene, state));
    if let Some(services) = &scene.blue_green {
        let (switches, pending) = blue_green::switch(scene, state, services);
        holds.extend(pending);
        effects.extend(switches);
    }
    tell_of_control_plane(scene, holds);
    effects.extend(runs::start_and_end(scene, state, holds));
    effects.extend(experiments::start_and_end(scene, state, holds));
    // An object that cannot be patched keeps no traffic from moving, but its pods: somebody may still come through it.
    effects.extend(left_behind::lift(scene));
    effects.extend(shrinking);
    effects.extend(history::clear_away(scene, state));
    effects.extend(children::forget(scene, state));
    effects.extend(workload::scale_down(scene, state));
    // What a budget may refuse comes last, so that nothing waits for it.
    let evictions = restart::plan(scene, state, holds, &effects);
    effects.extend(evictions);
    effects
}

/// A side that is not switched waits for proxies that do not listen, or will.
fn tell_of_control_plane(scene: &Scene<'_>, holds: &mut Vec<Hold>) {
    let Some(hold) = scene.observed.control_plane.not_listening().filter(|hold| !holds.contains(hold)) else { return };
    // The switch of a blue-green Rollout waits for pods alone.
    if scene.mesh.is_some() && holds.iter().any(|hold| matches!(hold, Hold::SideNotSwitched { .. })) {
        holds.push(hold);
    }
}

fn facts(scene: &Scene<'_>, state: &State) -> Facts {
    Facts {
        weight_desired: scene.mesh.as_ref().map(|_| traffic::desired_weight(scene, state)),
        weight_observed: scene.mesh.as_ref().and_then(Mesh::canary_weight),
        overwritten: overwritten::find(scene, state),
        unsafe_plan: false,
    }
}

/// The status, if writing it would change anything on the wire.
pub(crate) fn changed(observed: &Observed, after: serin_api::RolloutStatus) -> Option<serin_api::RolloutStatus> {
    let on_wire = |status: &serin_api::RolloutStatus| serde_json::to_value(status).ok();
    let before = observed.rollout.status.as_ref().and_then(on_wire);
    (before != on_wire(&after)).then_some(after)
}
