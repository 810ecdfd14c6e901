//! From the first pod of the preview to the promotion: what holds a blue-green update, and what its end brings.

use chrono::{DateTime, Utc};

use crate::plan::Event;
use crate::rollout::Hold;
use crate::rollout::observed::ReplicaSet;
use crate::rollout::replicas::{canary_is_scaled, canary_wanted, is_fully_available};
use crate::rollout::rollback::{is_hurried, is_within_window};
use crate::rollout::run_object::RunKind;
use crate::rollout::runs;
use crate::rollout::scene::Scene;
use crate::rollout::state::{RunRef, SWITCH_PAUSE, State};
use crate::rollout::steps::{Gate, inconclusive, paused_by_spec, promote, source_silent};

use super::Services;

/// Everything that can hold the preview, in the order in which it is told; the pause comes after all of them.
const GATES_OF_PREVIEW: [Gate; 6] =
    [paused_by_spec, inconclusive, runs::missing, preview_not_available, source_silent, analysis_before_not_over];

/// What can hold the switch.
const GATES_OF_SWITCH: [Gate; 2] = [paused_by_spec, preview_not_available];

/// What can hold the promotion after the switch.
const GATES_OF_PROMOTION: [Gate; 5] =
    [paused_by_spec, inconclusive, runs::missing, source_silent, analysis_after_not_over];

/// Passes the check point and promotes where nothing is in the way, and says what is otherwise. The switch itself is seen
/// in the active Service: only then does the update go on.
pub(crate) fn advance(scene: &Scene<'_>, state: &mut State, services: &Services<'_>) -> Vec<Hold> {
    if state.aborted.is_some() || state.is_promoted() {
        return Vec::new();
    }
    let is_switched = services.is_active(&state.current_hash);
    if is_fast_tracked(scene, state) {
        state.end_pauses();
        state.blue_green.check_point = true;
    }
    if !is_switched && !state.blue_green.check_point {
        let mut holds = all(&GATES_OF_PREVIEW, scene, state);
        if holds.is_empty() {
            holds.extend(pause(scene, state, services));
        }
        if !holds.is_empty() {
            return holds;
        }
        pass_check_point(scene, state);
    }
    if !is_switched || state.is_initial() {
        let holds = all(&GATES_OF_SWITCH, scene, state);
        // Nobody is sent to a first version before it is complete: it is stable once it can serve.
        if holds.is_empty() && (is_switched || state.is_initial()) {
            complete(scene, state);
        }
        return holds;
    }
    let holds = all(&GATES_OF_PROMOTION, scene, state);
    if holds.is_empty() {
        complete(scene, state);
    }
    holds
}

fn all(gates: &[Gate], scene: &Scene<'_>, state: &State) -> Vec<Hold> {
    gates.iter().filter_map(|gate| gate(scene, state)).collect()
}

/// Whether nothing but pods is waited for: a first deployment, a promotion in full, a rollback that is fast.
pub(super) fn is_fast_tracked(scene: &Scene<'_>, state: &State) -> bool {
    state.is_initial() || is_hurried(scene, state) || is_fast_rollback(scene, state)
}

/// Whether the update returns to a revision that was stable before, while that still has the pods it served with, and the spec
/// lets it keep them: without a delay they are only there until every proxy knows.
pub(crate) fn is_fast_rollback(scene: &Scene<'_>, state: &State) -> bool {
    let has_delay = !scene.spec.canary.scale_down_delay.is_zero();
    let still_there = |rs: &ReplicaSet| has_delay && rs.replicas > 0 && rs.deadline().is_some();
    let current = &state.current_hash;
    state.is_updating() && state.blue_green.retired.contains(current) && scene.by_hash(current).is_some_and(still_there)
}

/// Whether the update calls for a run of this kind now.
pub(crate) fn wants_run(scene: &Scene<'_>, state: &State, kind: RunKind) -> bool {
    let Some(services) = scene.blue_green.as_ref().filter(|_| !is_fast_tracked(scene, state)) else { return false };
    let is_before = !services.is_active(&state.current_hash);
    match kind {
        RunKind::Background | RunKind::Step => false,
        RunKind::PrePromotion => {
            let has_begun = state.blue_green.before_switch.is_some() || canary_is_scaled(scene, state);
            is_before && services.spec.analysis_before.is_some() && has_begun
        }
        RunKind::PostPromotion => !is_before && services.spec.analysis_after.is_some(),
    }
}

fn preview_not_available(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    (!canary_is_scaled(scene, state)).then(|| Hold::PreviewNotAvailable {
        available: scene.new_replica_set().map_or(0, |rs| rs.replicas_available),
        desired: canary_wanted(scene, state),
    })
}

fn analysis_before_not_over(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    not_over(scene.spec.blue_green.as_ref()?.analysis_before.is_some(), state.blue_green.before_switch.as_ref())
}

fn analysis_after_not_over(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    let is_wanted = scene.spec.blue_green.as_ref()?.analysis_after.is_some() && !is_fast_tracked(scene, state);
    not_over(is_wanted, state.blue_green.after_switch.as_ref())
}

fn not_over(is_wanted: bool, run: Option<&RunRef>) -> Option<Hold> {
    let is_over = run.is_some_and(|run| run.phase == "Successful");
    let name = run.map_or_else(|| "to be created".to_owned(), |run| run.name.clone());
    (is_wanted && !is_over).then_some(Hold::AnalysisRunning { run: name })
}

/// Enters the pause once; a client that ended it has cleared the pause and left `controllerPause`.
fn pause(scene: &Scene<'_>, state: &mut State, services: &Services<'_>) -> Option<Hold> {
    let (now, spec) = (scene.observed.now, services.spec);
    let is_asked_for = !spec.auto_promotion || spec.auto_promotion_delay.is_some();
    let was_ended = state.controller_pause && state.pauses.is_empty();
    if !is_asked_for || was_ended {
        return None;
    }
    if state.pause(SWITCH_PAUSE).is_none() {
        state.begin_pause(SWITCH_PAUSE, now);
    }
    let since = state.pause(SWITCH_PAUSE)?.since;
    let end = |delay| since.checked_add_signed(delay).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let until = spec.auto_promotion_delay.map(end);
    until.is_none_or(|until| until > now).then_some(Hold::PausedBeforeSwitch { until })
}

/// From here on the new revision may have all its pods, and be switched to when they are available.
fn pass_check_point(scene: &Scene<'_>, state: &mut State) {
    if state.controller_pause {
        state.events.push(Event::normal("RolloutResumed", "Rollout is resumed"));
    }
    state.end_pauses();
    state.blue_green.check_point = true;
    if !is_fully_available(scene.spec, scene.new_replica_set()) {
        state.progressed_at = Some(scene.observed.now);
    }
}

/// Makes the revision that serves the stable one, and remembers which was.
fn complete(scene: &Scene<'_>, state: &mut State) {
    let reason = if state.is_initial() {
        "Initial deploy"
    } else if state.promote_full {
        "Full promotion requested"
    } else if is_within_window(scene, state) {
        "Rollback within window"
    } else if is_fast_rollback(scene, state) {
        "Fast rollback"
    } else {
        "Completed blue-green update"
    };
    let before = state.stable_hash.clone();
    promote(scene, state, reason);
    state.blue_green.check_point = false;
    state.blue_green.retired.extend(before);
    let current = &state.current_hash;
    let has_pods = |hash: &str| scene.by_hash(hash).is_some_and(|rs| rs.replicas > 0);
    state.blue_green.retired.retain(|hash| hash != current && has_pods(hash));
}
