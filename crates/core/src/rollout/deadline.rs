//! Whether an update still makes progress, and what to do when it does not.

use chrono::{DateTime, Utc};
use serin_api::Condition;

use super::replicas::canary_is_scaled;
use super::scene::Scene;
use super::state::State;

/// How an update stands against `progressDeadlineSeconds`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// The clock does not run: a pause, an analysis, nothing in progress.
    NotRunning,
    /// It runs out at this moment.
    At(DateTime<Utc>),
    /// It has run out.
    Exceeded,
}

/// Where the update stands. The clock starts anew at each step and with each pod more than ever before became
/// available in this revision: flapping readiness is no progress. It does not run for a revision that is complete:
/// pods that it loses later are no matter of the update.
pub(crate) fn evaluate(scene: &Scene<'_>, state: &State) -> Deadline {
    let waits_for_pods = !state.is_promoted() && !state.waits_on_purpose(scene.spec) && !scene.has_draining();
    // A silent source, or a mesh that does not listen, stops the clock of a step, but it excuses no pods that do not come.
    let waits_for_others = state.holding_since.is_some() || !scene.observed.control_plane.is_listening();
    let waits_for_others_alone = waits_for_others && canary_is_scaled(scene, state);
    if !waits_for_pods || waits_for_others_alone || scene.spec.paused {
        return Deadline::NotRunning;
    }
    let since = state.progressed_at.unwrap_or(scene.observed.now);
    match since.checked_add_signed(scene.spec.progress_deadline) {
        Some(at) if at <= scene.observed.now => Deadline::Exceeded,
        Some(at) => Deadline::At(at),
        None => Deadline::NotRunning,
    }
}

/// Takes over a clock that another controller kept: what it has seen is no progress now, and what it has given up stays
/// so.
pub(crate) fn adopt(scene: &Scene<'_>, state: &mut State) {
    let Some(status) = scene.observed.rollout.status.as_ref().filter(|status| status.serin.is_none()) else { return };
    if !scene.is_recorded_revision() {
        return;
    }
    state.available_max = scene.new_replica_set().map_or(0, |rs| rs.replicas_available);
    let exceeded = |c: &&Condition| c.kind == "Progressing" && c.reason == "ProgressDeadlineExceeded";
    if status.conditions.iter().find(exceeded).is_some() {
        let begun = scene.observed.now.checked_sub_signed(scene.spec.progress_deadline);
        state.progressed_at = state.progressed_at.min(begun);
    }
}

/// Whether the status tells of a pause or of an invalid spec that is over: the time that it took is nobody's delay.
pub(crate) fn has_stood_still(scene: &Scene<'_>, state: &State) -> bool {
    let Some(status) = scene.observed.rollout.status.as_ref() else { return false };
    let stopped = |c: &Condition| c.kind == "InvalidSpec" || (c.kind == "Progressing" && c.reason == "RolloutPaused");
    status.conditions.iter().any(stopped) && !scene.spec.paused && state.pauses.is_empty()
}

/// Text of the condition and of the abort that a missed deadline causes.
pub(crate) fn message(replica_set: &str) -> String {
    format!("ReplicaSet \"{replica_set}\" has timed out progressing.")
}
