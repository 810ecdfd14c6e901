//! The Experiments of a Rollout: what they say about the update, which are started, ended and cleared away.

use std::sync::Arc;

use serin_api::Experiment;

use crate::analysis::phase::Phase;
use crate::claims;
use crate::experiment::service_name;
use crate::field_error::FieldError;
use crate::plan::{Effect, Event, Planned};
use crate::rollout::Hold;
use crate::rollout::step::Step;

use super::experiment_object::build;
use super::rollback::is_hurried;
use super::scene::Scene;
use super::state::{INCONCLUSIVE_EXPERIMENT, State};

/// Takes over what the Experiment of the present step reports: a failure aborts the update, an inconclusive result pauses
/// it.
pub(crate) fn follow(scene: &Scene<'_>, state: &mut State) {
    forget_if_resumed(scene, state);
    let is_under_way = state.is_updating() && !is_hurried(scene, state);
    let Some(experiment) = current(scene, state).filter(|_| is_under_way) else { return };
    if !matches!(state.current_step(scene.spec), Some(Step::Experiment(_))) {
        return;
    }
    match phase(experiment) {
        Phase::Failed | Phase::Error => {
            let message = experiment.status.as_ref().and_then(|status| status.message.as_ref());
            let detail = message.map(|message| format!(": {message}")).unwrap_or_default();
            state.abort(scene.observed.now, Some(format!("Experiment analysis phase is error/failed{detail}")));
        }
        Phase::Inconclusive if state.pause(INCONCLUSIVE_EXPERIMENT).is_none() => {
            state.begin_pause(INCONCLUSIVE_EXPERIMENT, scene.observed.now);
        }
        Phase::Inconclusive | Phase::Pending | Phase::Running | Phase::Successful => {}
    }
}

/// Whoever ends an inconclusive pause without skipping the step asks for another Experiment.
fn forget_if_resumed(scene: &Scene<'_>, state: &mut State) {
    let resumed = state.controller_pause && state.pauses.is_empty();
    if resumed && current(scene, state).is_some_and(|experiment| phase(experiment) == Phase::Inconclusive) {
        state.experiment = None;
        state.controller_pause = false;
    }
}

/// Decides whether there should be an Experiment, records it in the state, and yields what brings that about and ends all
/// others.
pub(crate) fn start_and_end(scene: &Scene<'_>, state: &mut State, holds: &mut Vec<Hold>) -> Vec<Planned> {
    let mut effects = claims::of_experiments(&scene.observed.experiments, &scene.observed.settings);
    if is_wanted(scene, state) {
        let name = state.experiment.get_or_insert_with(|| free_name(scene, &base_name(scene, state.step))).clone();
        if find(scene, &name).is_none() {
            match build(scene, state, &name) {
                Ok(object) => effects.push(Planned {
                    effect: Effect::CreateExperiment { object },
                    event: Some(Event::normal("ExperimentCreated", format!("Created Experiment '{name}'"))),
                }),
                Err(errors) => {
                    let not_made =
                        |why: FieldError| Hold::NotMade { object: format!("experiment {name}"), why: why.to_string() };
                    holds.extend(errors.into_iter().map(not_made));
                }
            }
        }
    }
    effects.extend(end_unwanted(scene, state));
    effects
}

/// Whether the update calls for an Experiment now.
fn is_wanted(scene: &Scene<'_>, state: &State) -> bool {
    let on_step = matches!(state.current_step(scene.spec), Some(Step::Experiment(_)));
    let has_both = scene.stable(state).is_some() && scene.new_replica_set().is_some();
    on_step && state.is_updating() && has_both
}

fn end_unwanted(scene: &Scene<'_>, state: &State) -> Vec<Planned> {
    let kept = state.experiment.as_deref().filter(|_| is_wanted(scene, state));
    let is_going_on = |experiment: &&Arc<Experiment>| {
        !phase(experiment).completed() && !experiment.spec.terminate && experiment.metadata.deletion_timestamp.is_none()
    };
    let others = scene.observed.experiments.iter().filter(is_going_on).filter(|e| Some(name(e)) != kept);
    others
        .map(|experiment| {
            let name = name(experiment);
            Planned {
                effect: Effect::TerminateExperiment { name: name.to_owned() },
                event: Some(Event::normal("ExperimentTerminating", format!("Experiment '{name}' is terminated"))),
            }
        })
        .collect()
}

/// Why the Experiment of the step does not let it go on.
pub(crate) fn not_over(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    match current(scene, state) {
        Some(experiment) if phase(experiment) == Phase::Successful => None,
        Some(experiment) => Some(Hold::ExperimentRunning { experiment: name(experiment).to_owned() }),
        None => Some(Hold::ExperimentRunning {
            experiment: state.experiment.clone().unwrap_or_else(|| base_name(scene, state.step)),
        }),
    }
}

/// The Experiment of the present step, if it exists.
pub(crate) fn current<'s>(scene: &'s Scene<'_>, state: &State) -> Option<&'s Arc<Experiment>> {
    find(scene, state.experiment.as_deref()?)
}

fn find<'s>(scene: &'s Scene<'_>, wanted: &str) -> Option<&'s Arc<Experiment>> {
    scene.observed.experiments.iter().find(|experiment| name(experiment) == wanted)
}

/// Whether an Experiment has had all of its pods and goes on.
pub(crate) fn is_under_way(experiment: &Experiment) -> bool {
    let status = experiment.status.as_ref();
    status.is_some_and(|status| status.available_at.is_some())
        && !phase(experiment).completed()
        && experiment.metadata.deletion_timestamp.is_none()
}

/// Phase of an Experiment; one that has not reported any is pending.
pub(crate) fn phase(experiment: &Experiment) -> Phase {
    Phase::of(experiment.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default())
}

/// Name of an Experiment.
pub(crate) fn name(experiment: &Experiment) -> &str {
    experiment.metadata.name.as_deref().unwrap_or_default()
}

/// Names of the Services that the templates of an Experiment may have.
pub(crate) fn services(experiment: &Experiment) -> Vec<String> {
    let with_service =
        experiment.spec.templates.iter().filter_map(|template| Some((template, template.service.as_ref()?)));
    with_service
        .map(|(template, service)| {
            let given = service.name.clone().filter(|name| !name.is_empty());
            given.unwrap_or_else(|| service_name(name(experiment), &template.name))
        })
        .collect()
}

/// Whether the Experiment that the status names was made for a step of this revision.
pub(crate) fn is_of_step(scene: &Scene<'_>, experiment: &str, step: usize) -> bool {
    let Some(rest) = experiment.strip_prefix(&base_name(scene, step)) else { return false };
    rest.is_empty() || rest.strip_prefix('-').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn base_name(scene: &Scene<'_>, step: usize) -> String {
    format!("{}-{}-{}-{step}", scene.rollout_name(), scene.revision.hash, scene.revision.number)
}

/// The first of `base`, `base-1`, `base-2` … that no Experiment has.
fn free_name(scene: &Scene<'_>, base: &str) -> String {
    let (mut name, mut suffix) = (base.to_owned(), 0);
    while find(scene, &name).is_some() {
        suffix += 1;
        name = format!("{base}-{suffix}");
    }
    name
}
