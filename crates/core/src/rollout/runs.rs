//! The AnalysisRuns of a Rollout: what they say about the update, which are started, ended and cleared away.

use std::sync::Arc;

use serin_api::AnalysisRun;

use crate::analysis::holding::holding;
use crate::claims;
use crate::field_error::FieldError;
use crate::plan::{Effect, Event, Planned};
use crate::rollout::Hold;
use crate::rollout::step::Step;

use super::blue_green;
use super::rollback::is_hurried;
use super::run_object::{RunKind, build};
use super::scene::Scene;
use super::state::{INCONCLUSIVE_PAUSE, RunRef, State};

/// Phase of a run that could not tell good from bad.
const INCONCLUSIVE: &str = "Inconclusive";

/// Takes over what the current runs report: a failure aborts the update, an inconclusive result pauses it. Each result
/// acts once, when it is first seen, so that a person's later word stands.
pub(crate) fn follow(scene: &Scene<'_>, state: &mut State) {
    forget_if_resumed(state);
    for kind in RunKind::ALL {
        let Some(mut slot) = slot(state, kind).clone() else { continue };
        let Some(run) = find(scene, &slot.name) else { continue };
        let (phase, message) = report(run);
        let is_news = phase != slot.phase;
        slot.phase.clone_from(&phase);
        slot.message.clone_from(&message);
        *slot_mut(state, kind) = Some(slot);
        if !is_news {
            continue;
        }
        announce(state, kind, &phase);
        if state.is_updating() && !is_hurried(scene, state) {
            take_verdict(scene, state, kind, (&phase, &message));
        }
    }
}

/// Whoever ends an inconclusive pause without skipping the step asks for another run.
fn forget_if_resumed(state: &mut State) {
    let resumed = state.controller_pause && state.pauses.is_empty();
    for kind in RunKind::ALL {
        if resumed && slot(state, kind).as_ref().is_some_and(|run| run.phase == INCONCLUSIVE) {
            *slot_mut(state, kind) = None;
            state.controller_pause = false;
        }
    }
}

/// Ends or pauses the update if a run's result says so.
fn take_verdict(scene: &Scene<'_>, state: &mut State, kind: RunKind, (phase, message): (&str, &str)) {
    let now = scene.observed.now;
    match phase {
        "Failed" | "Error" => {
            let detail = if message.is_empty() { String::new() } else { format!(": {message}") };
            state.abort(now, Some(format!("{} analysis phase error/failed{detail}", kind.words())));
        }
        INCONCLUSIVE if state.pause(INCONCLUSIVE_PAUSE).is_none() => state.begin_pause(INCONCLUSIVE_PAUSE, now),
        _ => {}
    }
}

fn announce(state: &mut State, kind: RunKind, phase: &str) {
    let Some(name) = slot(state, kind).as_ref().map(|run| run.name.clone()) else { return };
    let message = format!("{} Analysis Run '{name}' Status New: '{phase}'", kind.words());
    state.events.push(match phase {
        "Failed" | "Error" => Event::warning(format!("AnalysisRun{phase}"), message),
        _ => Event::normal(format!("AnalysisRun{phase}"), message),
    });
}

/// Decides which runs there should be, records them in the state, and yields what brings that about.
pub(crate) fn start_and_end(scene: &Scene<'_>, state: &mut State, holds: &mut Vec<Hold>) -> Vec<Planned> {
    let mut effects = claims::of_runs(&scene.observed.analysis_runs, &scene.observed.settings);
    for kind in RunKind::ALL {
        if !is_wanted(scene, state, kind) {
            continue;
        }
        if slot(state, kind).is_none() {
            let name = free_name(scene, state, kind);
            *slot_mut(state, kind) = Some(RunRef { name, phase: String::new(), message: String::new() });
        }
        if let Some(slot) = slot(state, kind)
            && !is_final(&slot.phase)
            && find(scene, &slot.name).is_none()
        {
            let run = &slot.name;
            match build(scene, state, kind, run) {
                Ok(object) => effects.push(Planned { effect: Effect::CreateAnalysisRun { object }, event: None }),
                Err(errors) => {
                    let not_made =
                        |why: FieldError| Hold::NotMade { object: format!("analysis {run}"), why: why.to_string() };
                    holds.extend(errors.into_iter().map(not_made));
                }
            }
        }
    }
    effects.extend(end_unwanted(scene, state));
    effects
}

/// Whether the update calls for a run of this kind now.
fn is_wanted(scene: &Scene<'_>, state: &State, kind: RunKind) -> bool {
    if !state.is_updating() || is_hurried(scene, state) || scene.stable(state).is_none() {
        return false;
    }
    match kind {
        RunKind::Background => {
            let background = scene.spec.canary.background.as_ref();
            background.is_some_and(|b| state.step >= b.starting_step.map_or(0, |step| step as usize))
        }
        RunKind::Step => matches!(state.current_step(scene.spec), Some(Step::Analysis(_))),
        RunKind::PrePromotion | RunKind::PostPromotion => blue_green::wants_run(scene, state, kind),
    }
}

/// Asks every run to end that is under way and not wanted any more.
fn end_unwanted(scene: &Scene<'_>, state: &State) -> Vec<Planned> {
    let kept: Vec<&str> = RunKind::ALL
        .into_iter()
        .filter(|kind| is_wanted(scene, state, *kind))
        .filter_map(|kind| slot(state, kind).as_ref().map(|run| run.name.as_str()))
        .collect();
    scene
        .observed
        .analysis_runs
        .iter()
        .filter(|run| !is_complete(run) && !run.spec.terminate && run.metadata.deletion_timestamp.is_none())
        .filter(|run| !kept.contains(&name(run)))
        .map(|run| Planned {
            effect: Effect::TerminateAnalysisRun { name: name(run).to_owned() },
            event: Some(Event::normal("AnalysisRunTerminating", format!("Analysis run '{}' is terminated", name(run)))),
        })
        .collect()
}

/// Why the runs under way do not let the step go on: absent data, unreachable sources.
///
/// That there is no data of a canary without traffic is as it should be: to wait for it would be to wait for ever.
pub(crate) fn holds(scene: &Scene<'_>, state: &State) -> Vec<Hold> {
    let has_traffic = scene.mesh.as_ref().is_none_or(|mesh| mesh.weight_of(&state.current_hash) > 0);
    let counts =
        |kind: RunKind, hold: &Hold| has_traffic || kind != RunKind::Background || !matches!(hold, Hold::NoData { .. });
    RunKind::ALL
        .into_iter()
        .filter(|kind| is_wanted(scene, state, *kind))
        .filter_map(|kind| Some((kind, find(scene, &slot(state, kind).as_ref()?.name)?)))
        .flat_map(|(kind, run)| holding(run).into_iter().filter(move |hold| counts(kind, hold)))
        .collect()
}

/// The run that should be under way and does not exist: it could not be created yet, or somebody deleted it. Without it
/// a bad version would be promoted unseen.
pub(crate) fn missing(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    RunKind::ALL
        .into_iter()
        .filter(|kind| is_wanted(scene, state, *kind))
        .filter_map(|kind| slot(state, kind).as_ref())
        .find(|run| !is_final(&run.phase) && find(scene, &run.name).is_none())
        .map(|run| Hold::MissingObject { object: format!("AnalysisRun {}", run.name) })
}

/// A run by its name.
pub(crate) fn find<'s>(scene: &'s Scene<'_>, wanted: &str) -> Option<&'s Arc<AnalysisRun>> {
    scene.observed.analysis_runs.iter().find(|run| name(run) == wanted)
}

/// Whether a run has ended.
pub(crate) fn is_complete(run: &AnalysisRun) -> bool {
    is_final(&report(run).0)
}

fn is_final(phase: &str) -> bool {
    matches!(phase, "Successful" | "Failed" | "Error" | INCONCLUSIVE)
}

/// Name of a run.
pub(crate) fn name(run: &AnalysisRun) -> &str {
    run.metadata.name.as_deref().unwrap_or_default()
}

/// Phase and message of a run; both empty before its first status.
pub(crate) fn report(run: &AnalysisRun) -> (String, String) {
    let status = run.status.as_ref();
    (status.map(|s| s.phase.clone()).unwrap_or_default(), status.and_then(|s| s.message.clone()).unwrap_or_default())
}

/// The first of `base`, `base.1`, `base.2` … that no run has.
fn free_name(scene: &Scene<'_>, state: &State, kind: RunKind) -> String {
    let revision = format!("{}-{}-{}", scene.rollout_name(), state.current_hash, scene.revision.number);
    let base = match kind {
        RunKind::Background => revision,
        RunKind::Step => format!("{revision}-{}", state.step),
        RunKind::PrePromotion => format!("{revision}-pre"),
        RunKind::PostPromotion => format!("{revision}-post"),
    };
    let mut name = base.clone();
    let mut suffix = 0;
    while find(scene, &name).is_some() {
        suffix += 1;
        name = format!("{base}.{suffix}");
    }
    name
}

/// The run of a kind that the update has now.
pub(crate) fn slot(state: &State, kind: RunKind) -> &Option<RunRef> {
    match kind {
        RunKind::Background => &state.background,
        RunKind::Step => &state.step_run,
        RunKind::PrePromotion => &state.blue_green.before_switch,
        RunKind::PostPromotion => &state.blue_green.after_switch,
    }
}

fn slot_mut(state: &mut State, kind: RunKind) -> &mut Option<RunRef> {
    match kind {
        RunKind::Background => &mut state.background,
        RunKind::Step => &mut state.step_run,
        RunKind::PrePromotion => &mut state.blue_green.before_switch,
        RunKind::PostPromotion => &mut state.blue_green.after_switch,
    }
}
