//! Phase and message: the one line that clients show.

use crate::rollout::Hold;

use super::blue_green;
use super::conditions::abort_message;
use super::deadline::{self, Deadline};
use super::extras;
use super::managed;
use super::mesh::Role;
use super::named_services;
use super::restart;
use super::scene::Scene;
use super::state::State;

/// A phase and the sentence that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) phase: &'static str,
    pub(crate) message: String,
}

impl Phase {
    pub(crate) fn new(phase: &'static str, message: impl Into<String>) -> Self {
        Phase { phase, message: message.into() }
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.phase == "Healthy"
    }
}

/// The first that fits, in upstream's order; what holds a step for want of data is told before the pause it prolongs.
pub(crate) fn compute(scene: &Scene<'_>, state: &State, deadline: &Deadline, holds: &[Hold]) -> Phase {
    let spec = scene.spec;
    let updated = scene.new_replica_set().map_or(0, |rs| rs.replicas_actual);
    let updated_available = scene.new_replica_set().map_or(0, |rs| rs.replicas_available);
    let all: i32 = scene.owned().map(|rs| rs.replicas_actual).sum();
    if state.aborted.is_some() && !named_services::point(scene, state).is_empty() {
        return Phase::new("Progressing", "canary service cutover pending");
    }
    if state.aborted.is_some() {
        return Phase::new("Degraded", format!("RolloutAborted: {}", abort_message(scene, state)));
    }
    if *deadline == Deadline::Exceeded {
        let message = deadline::message(&scene.new_name());
        return Phase::new("Degraded", format!("ProgressDeadlineExceeded: {message}"));
    }
    if spec.paused {
        return Phase::new("Paused", "manually paused");
    }
    let silence = holds.iter().find(|hold| hold.stops_step_clock());
    if let Some(pause) = state.pauses.first() {
        return Phase::new("Paused", silence.map_or_else(|| pause.reason.clone(), ToString::to_string));
    }
    if restart::is_pending(scene, state) {
        return Phase::new("Progressing", "rollout is restarting");
    }
    if let Some(silence) = silence {
        return Phase::new("Progressing", silence.to_string());
    }
    if updated < spec.replicas {
        return Phase::new("Progressing", "more replicas need to be updated");
    }
    if updated_available < updated.min(spec.replicas) {
        return Phase::new("Progressing", "updated replicas are still becoming available");
    }
    if let Some(hold) = holds.iter().find(|hold| matches!(hold, Hold::MeshNotListening { .. })) {
        return Phase::new("Progressing", hold.to_string());
    }
    if let Some(services) = &scene.blue_green {
        return blue_green::phase(state, services);
    }
    if spec.canary.routing.is_none() && all > updated {
        return Phase::new("Progressing", "old replicas are pending termination");
    }
    if !state.is_promoted() {
        return Phase::new("Progressing", "waiting for all steps to complete");
    }
    if let Some(hold) = scene.mesh.as_ref().and_then(|mesh| mesh.differs_from(0)) {
        return Phase::new("Progressing", format!("promoted; {hold}"));
    }
    if let Some(hold) = managed::not_observed(scene, state).or_else(|| extras::not_observed(scene, state)) {
        return Phase::new("Progressing", format!("promoted; {hold}"));
    }
    if let Some(hold) = first_switch(scene, state) {
        return Phase::new("Progressing", format!("promoted; {hold}"));
    }
    Phase::new("Healthy", "")
}

/// A side that does not stand for the first revision yet. Only the first deployment waits for that: later a tool that takes our
/// labels off would make a Rollout that is well look as if it was not.
fn first_switch(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    let (mesh, stable) = (scene.mesh.as_ref()?, state.stable_hash.as_deref()?);
    let was_healthy = scene.observed.rollout.status.as_ref().is_some_and(|it| it.phase.as_deref() == Some("Healthy"));
    if scene.revision.number > 1 || was_healthy || scene.spec.replicas == 0 {
        return None;
    }
    let stands = |role: Role| mesh.end(role).hash() == Some(stable) || mesh.end(role).is_unrestricted();
    let role = [Role::Stable, Role::Canary].into_iter().find(|role| !stands(*role))?;
    Some(Hold::SideNotSwitched { side: format!("the {role} side"), hash: stable.to_owned() })
}
