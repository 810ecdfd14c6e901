//! From step to step: what holds the step under way, and what its end brings.

use chrono::{DateTime, TimeDelta, Utc};

use crate::plan::Event;
use crate::rollout::Hold;
use crate::rollout::step::Step;

use super::experiments;
use super::extras;
use super::managed;
use super::ping_pong;
use super::replicas::{canary_is_scaled, canary_wanted, may_be_promoted};
use super::rollback::{is_hurried, is_within_window};
use super::runs;
use super::scene::Scene;
use super::state::{INCONCLUSIVE_EXPERIMENT, INCONCLUSIVE_PAUSE, Pause, STEP_PAUSE, State};

/// One reason that may hold a step; `None` lets it pass.
pub(super) type Gate = fn(&Scene<'_>, &State) -> Option<Hold>;

/// Everything that can hold a step, in the order in which it is told.
const GATES: [Gate; 5] = [paused_by_spec, inconclusive, runs::missing, source_silent, step_incomplete];

/// What can hold the promotion after the last step.
const GATES_OF_PROMOTION: [Gate; 6] =
    [paused_by_spec, inconclusive, runs::missing, source_silent, revision_not_available, weight_not_observed];

/// Leaves every step that is complete, promotes if none is left, and says what holds the first that is not.
pub(crate) fn advance(scene: &Scene<'_>, state: &mut State) -> Vec<Hold> {
    if state.aborted.is_some() || state.is_promoted() {
        return Vec::new();
    }
    if state.is_initial() {
        return finish_initial(scene, state);
    }
    let steps = scene.spec.canary.steps.len();
    if is_hurried(scene, state) {
        state.end_pauses();
        if state.step < steps {
            state.enter_step(steps, scene.observed.now);
        }
    }
    loop {
        begin_step(scene, state);
        run_step_clock(scene, state);
        let gates: &[Gate] = if state.step >= steps { &GATES_OF_PROMOTION } else { &GATES };
        let holds: Vec<Hold> = gates.iter().filter_map(|gate| gate(scene, state)).collect();
        if !holds.is_empty() {
            return holds;
        }
        if state.step >= steps {
            promote(scene, state, &promotion_reason(scene, state, steps));
            return Vec::new();
        }
        end_step(scene, state);
    }
}

/// The first deployment is complete when all its pods are available.
fn finish_initial(scene: &Scene<'_>, state: &mut State) -> Vec<Hold> {
    match paused_by_spec(scene, state).or_else(|| revision_not_available(scene, state)) {
        Some(hold) => vec![hold],
        None => {
            promote(scene, state, "Initial deploy");
            Vec::new()
        }
    }
}

/// Makes the current revision the stable one.
pub(super) fn promote(scene: &Scene<'_>, state: &mut State, reason: &str) {
    let message =
        format!("Rollout completed update to revision {} ({}): {reason}", scene.revision.number, state.current_hash);
    state.events.push(Event::normal("RolloutCompleted", message));
    state.stable_hash = Some(state.current_hash.clone());
    ping_pong::take_turns(scene, state);
    state.promote_full = false;
    state.end_pauses();
    state.enter_step(scene.spec.canary.steps.len(), scene.observed.now);
}

fn promotion_reason(scene: &Scene<'_>, state: &State, steps: usize) -> String {
    if state.promote_full {
        "Full promotion requested".to_owned()
    } else if is_within_window(scene, state) {
        "Rollback within window".to_owned()
    } else {
        format!("Completed all {steps} canary steps")
    }
}

/// Enters a pause once; a client that ended it has cleared the pause and left `controllerPause`.
fn begin_step(scene: &Scene<'_>, state: &mut State) {
    let on_pause = matches!(state.current_step(scene.spec), Some(Step::Pause(_)));
    if on_pause && state.pauses.is_empty() && !state.controller_pause && !scene.spec.paused {
        state.begin_pause(STEP_PAUSE, scene.observed.now);
        state.held = TimeDelta::zero();
        state.holding_since = None;
    }
}

/// Stops the step clock while a source is silent, and lets it go on after.
fn run_step_clock(scene: &Scene<'_>, state: &mut State) {
    let now = scene.observed.now;
    let silent = !runs::holds(scene, state).is_empty();
    match (silent, state.holding_since) {
        (true, None) => state.holding_since = Some(now),
        (false, Some(since)) => {
            state.held += now - since;
            state.holding_since = None;
            state.progressed_at = Some(now);
        }
        (true, Some(_)) | (false, None) => {}
    }
}

fn end_step(scene: &Scene<'_>, state: &mut State) {
    let steps = &scene.spec.canary.steps;
    if let Some(step) = state.current_step(scene.spec) {
        let message = format!("Rollout step {}/{} completed ({step})", state.step + 1, steps.len());
        state.events.push(Event::normal("RolloutStepCompleted", message));
    }
    if state.pause(STEP_PAUSE).is_some() || state.controller_pause {
        state.events.push(Event::normal("RolloutResumed", "Rollout is resumed"));
    }
    state.end_pauses();
    state.enter_step(state.step + 1, scene.observed.now);
}

pub(super) fn paused_by_spec(scene: &Scene<'_>, _: &State) -> Option<Hold> {
    scene.spec.paused.then_some(Hold::PausedBySpec)
}

pub(super) fn inconclusive(_: &Scene<'_>, state: &State) -> Option<Hold> {
    let blue_green = &state.blue_green;
    let runs = [&state.step_run, &state.background, &blue_green.before_switch, &blue_green.after_switch];
    let run = runs.into_iter().flatten().find(|run| run.phase == "Inconclusive");
    if state.pause(INCONCLUSIVE_EXPERIMENT).is_some() {
        return Some(inconclusive_hold("experiment", state.experiment.as_deref()));
    }
    state.pause(INCONCLUSIVE_PAUSE).map(|_| inconclusive_hold("analysis", run.map(|run| run.name.as_str())))
}

/// The object may be gone, or be recorded nowhere.
fn inconclusive_hold(kind: &str, name: Option<&str>) -> Hold {
    Hold::Inconclusive { object: name.map_or_else(|| format!("an {kind}"), |name| format!("{kind} {name}")) }
}

pub(super) fn source_silent(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    if is_hurried(scene, state) { None } else { runs::holds(scene, state).into_iter().next() }
}

fn step_incomplete(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    match state.current_step(scene.spec)? {
        Step::SetWeight(_) | Step::SetCanaryScale(_) | Step::SetHeaderRoute(_) | Step::SetMirrorRoute(_) => {
            pods_not_scaled(scene, state)
                .or_else(|| weight_not_observed(scene, state))
                .or_else(|| managed::not_observed(scene, state))
        }
        Step::Pause(duration) => pause_not_over(scene, state, duration.as_ref()),
        Step::Experiment(_) => experiments::not_over(scene, state),
        Step::Analysis(_) => match &state.step_run {
            Some(run) if run.phase == "Successful" => None,
            Some(run) => Some(Hold::AnalysisRunning { run: run.name.clone() }),
            None => Some(Hold::AnalysisRunning { run: "to be created".to_owned() }),
        },
    }
}

fn pause_not_over(scene: &Scene<'_>, state: &State, duration: Option<&TimeDelta>) -> Option<Hold> {
    let step = u32::try_from(state.step).unwrap_or(u32::MAX);
    let pause = state.pause(STEP_PAUSE)?;
    let Some(duration) = duration else {
        return Some(Hold::WaitingForPromotion { step });
    };
    if state.holding_since.is_some() {
        // The end is not known while the clock stands still, which another gate tells.
        return None;
    }
    let until = pause_end(scene, state, pause, *duration);
    (until > scene.observed.now).then_some(Hold::PauseRunning { step, until })
}

/// A pause ends after its duration, and later by as long as the step clock stood still.
fn pause_end(scene: &Scene<'_>, state: &State, pause: &Pause, duration: TimeDelta) -> DateTime<Utc> {
    let held = state.held_until(scene.observed.now);
    pause
        .since
        .checked_add_signed(duration)
        .and_then(|end| end.checked_add_signed(held))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn pods_not_scaled(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    if !canary_is_scaled(scene, state) {
        return Some(Hold::CanaryNotAvailable {
            available: scene.new_replica_set().map_or(0, |rs| rs.replicas_available),
            desired: canary_wanted(scene, state),
        });
    }
    let unsettled = super::basic::not_settled(scene, state)?;
    Some(Hold::ReplicaSetNotSettled { replica_set: unsettled.name.clone() })
}

/// The weight counts only where it goes to this revision, and there is none without pods. After the last step it is the
/// whole, so that stable can be pointed at the revision with nothing at stake.
fn weight_not_observed(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    let (desired, mesh) = (state.weight_of_step(scene.spec), scene.mesh.as_ref()?);
    if scene.spec.replicas == 0 && scene.owned().all(|rs| rs.replicas_actual == 0) {
        return None;
    }
    if desired > 0 && !mesh.canary_stands_for(&state.current_hash) {
        return Some(Hold::SideNotSwitched { side: "the canary side".to_owned(), hash: state.current_hash.clone() });
    }
    mesh.differs_from(desired).or_else(|| extras::not_observed(scene, state))
}

fn revision_not_available(scene: &Scene<'_>, _: &State) -> Option<Hold> {
    let rs = scene.new_replica_set();
    (!may_be_promoted(scene.spec, rs)).then(|| Hold::CanaryNotAvailable {
        available: rs.map_or(0, |rs| rs.replicas_available),
        desired: scene.spec.replicas,
    })
}
