//! From an observation of an Experiment to a plan, in one pass that never waits and never fails.

use chrono::{DateTime, Utc};
use serin_api::{ExperimentStatus, TemplateStatus, Time};

use crate::analysis::phase::Phase;
use crate::claims;
use crate::field_error::FieldError;
use crate::plan::{Event, Wake};
use crate::rollout::control_plane::comes;

use super::parse::{Spec, parse};
use super::templates::{Course, Standing};
use super::{Observed, Plan, analyses, conditions, templates, traffic};

/// What the status says where the required analyses have ended the Experiment.
const REQUIRED_DONE: &str = "Required AnalysisRuns completed";

/// What should happen to an Experiment next. Deciding again on what came of it changes nothing.
#[must_use]
pub fn decide(observed: &Observed) -> Plan {
    if observed.experiment.metadata.deletion_timestamp.is_some() {
        return Plan::default();
    }
    match parse(&observed.experiment) {
        Ok(spec) => traffic::guard(observed, decide_valid(observed, &spec)),
        Err(errors) => traffic::guard(observed, refuse(observed, &errors)),
    }
}

/// Analyses → how the pods fare → phase → what has to be created, scaled and ended.
fn decide_valid(observed: &Observed, spec: &Spec) -> Plan {
    let mut status = begin(observed);
    status.analysis_runs = analyses::follow(observed, spec);
    let mut plan = Plan::default();
    if status.available_at.is_none() && !is_ending(observed, spec, &status) {
        plan.wake = analyses::verify(observed, spec, &mut status.analysis_runs);
    }
    let course = course(observed, spec, &status);
    status.template_statuses = assess(observed, spec, course);
    if has_failed(&status) {
        end_others(observed, spec, &mut status);
    }
    if status.available_at.is_none() && worst_standing(&status) == Standing::Running {
        status.available_at = Some(Time(observed.now));
    }
    if status.available_at.is_some() && !is_ending(observed, spec, &status) && course == Course::On {
        let (effects, wake) = analyses::start(observed, spec, &mut status);
        plan.effects.extend(effects);
        plan.wake = Wake::earlier(plan.wake.take(), wake);
    }
    set_phase(spec, &mut status);
    if is_over(&status) {
        end_others(observed, spec, &mut status);
        plan.effects = analyses::end(observed);
    }
    status.conditions = conditions::compute(observed, &status);
    bring_about(observed, spec, &status, &mut plan);
    let before = observed.experiment.status.clone().unwrap_or_default();
    plan.events = events(&before, &status);
    if !is_over(&status) {
        plan.wake = Wake::earlier(plan.wake.take(), end_of_time(observed, spec, &status));
    }
    finish(observed, status, plan)
}

/// The status as it was; one that told of mistakes in the spec which are mended begins anew.
fn begin(observed: &Observed) -> ExperimentStatus {
    let status = observed.experiment.status.clone().unwrap_or_default();
    let was_refused = status.conditions.iter().any(|condition| condition.kind == conditions::INVALID);
    if was_refused { ExperimentStatus { phase: None, message: None, ..status } } else { status }
}

/// Whether something ends the Experiment, other than time.
fn is_ending(observed: &Observed, spec: &Spec, status: &ExperimentStatus) -> bool {
    observed.experiment.spec.terminate
        || is_over(status)
        || has_failed(status)
        || analyses::is_bad(&status.analysis_runs)
        || analyses::required_are_done(spec, &status.analysis_runs)
}

fn has_failed(status: &ExperimentStatus) -> bool {
    status.template_statuses.iter().any(|t| Standing::of(t).is_some_and(Standing::is_bad))
}

fn is_over(status: &ExperimentStatus) -> bool {
    Phase::of(status.phase.as_deref().unwrap_or_default()).completed()
}

/// Pods stay for as long as an analysis that the Experiment waits for needs them.
fn course(observed: &Observed, spec: &Spec, status: &ExperimentStatus) -> Course {
    if is_ending(observed, spec, status) {
        return Course::Ending;
    }
    let end = end_of_duration(spec, status);
    let is_up = end.is_some_and(|end| end <= observed.now) && !spec.has_required();
    if is_up { Course::TimeIsUp } else { Course::On }
}

fn end_of_duration(spec: &Spec, status: &ExperimentStatus) -> Option<DateTime<Utc>> {
    status.available_at?.0.checked_add_signed(spec.duration?)
}

fn end_of_time(observed: &Observed, spec: &Spec, status: &ExperimentStatus) -> Option<Wake> {
    let at = end_of_duration(spec, status).filter(|at| *at > observed.now)?;
    Some(Wake { at, why: "end of the experiment's duration".to_owned() })
}

fn assess(observed: &Observed, spec: &Spec, course: Course) -> Vec<TemplateStatus> {
    spec.templates.iter().map(|pods| templates::assess(observed, spec, pods, course)).collect()
}

/// One set of pods that fails ends all others.
fn end_others(observed: &Observed, spec: &Spec, status: &mut ExperimentStatus) {
    for (pods, template) in spec.templates.iter().zip(&mut status.template_statuses) {
        if !Standing::of(template).is_some_and(Standing::is_over) {
            *template = templates::assess(observed, spec, pods, Course::Ending);
        }
    }
}

fn worst_standing(status: &ExperimentStatus) -> Standing {
    let standings = status.template_statuses.iter();
    standings.map(|t| Standing::of(t).unwrap_or(Standing::Progressing)).max().unwrap_or(Standing::Successful)
}

/// A bad end of pods or analyses is that of the Experiment; otherwise it succeeds when its pods have, or when the analyses
/// that it waits for have.
fn set_phase(spec: &Spec, status: &mut ExperimentStatus) {
    if is_over(status) {
        return;
    }
    let (runs, runs_message) = analyses::worst(&status.analysis_runs);
    let pods = worst_standing(status);
    let of_pods = status.template_statuses.iter().find(|t| Standing::of(t) == Some(pods));
    let of_pods = of_pods.and_then(|t| t.message.clone());
    let (phase, message) = if !pods.is_bad() && runs.bad() {
        (runs, runs_message)
    } else if !pods.is_bad() && analyses::required_are_done(spec, &status.analysis_runs) {
        (Phase::Successful, Some(REQUIRED_DONE.to_owned()))
    } else {
        (phase_of_pods(pods), of_pods)
    };
    status.phase = Some(phase.to_string());
    status.message = message.filter(|message| !message.is_empty());
}

fn phase_of_pods(standing: Standing) -> Phase {
    match standing {
        Standing::Failed => Phase::Failed,
        Standing::Error => Phase::Error,
        Standing::Successful => Phase::Successful,
        Standing::Running => Phase::Running,
        Standing::Progressing => Phase::Pending,
    }
}

fn bring_about(observed: &Observed, spec: &Spec, status: &ExperimentStatus, plan: &mut Plan) {
    for (pods, template) in spec.templates.iter().zip(&status.template_statuses) {
        let (effects, wake) = templates::plan(observed, (spec, pods), template);
        plan.effects.extend(effects);
        plan.wake = Wake::earlier(plan.wake.take(), wake);
    }
    let (effects, wake) = templates::plan_leftovers(observed, spec);
    plan.effects.extend(effects);
    plan.wake = Wake::earlier(plan.wake.take(), wake);
}

fn events(before: &ExperimentStatus, after: &ExperimentStatus) -> Vec<Event> {
    let mut events = Vec::new();
    for template in &after.template_statuses {
        let old = before.template_statuses.iter().find(|old| old.name == template.name);
        let old = old.and_then(|old| old.status.as_deref()).unwrap_or_default();
        let new = template.status.as_deref().unwrap_or_default();
        if old == new {
            continue;
        }
        let mut message = format!("Template '{}' transitioned from {old} -> {new}", template.name);
        if let Some(why) = &template.message {
            message.push_str(&format!(": {why}"));
        }
        let is_bad = Standing::of(template).is_some_and(Standing::is_bad);
        let reason = format!("Template{new}");
        events.push(if is_bad { Event::warning(reason, message) } else { Event::normal(reason, message) });
    }
    events.extend(analyses::events(&before.analysis_runs, &after.analysis_runs));
    let (old, new) = (before.phase.clone().unwrap_or_default(), after.phase.clone().unwrap_or_default());
    if old != new {
        let (reason, message) = (format!("Experiment{new}"), format!("Experiment transitioned from {old} -> {new}"));
        let is_bad = Phase::of(&new).bad();
        events.push(if is_bad { Event::warning(reason, message) } else { Event::normal(reason, message) });
    }
    events
}

/// A spec that cannot be carried out ends the Experiment; mending it begins it anew.
fn refuse(observed: &Observed, errors: &[FieldError]) -> Plan {
    let before = observed.experiment.status.clone().unwrap_or_default();
    let message = format!("The Experiment \"{}\" is invalid: {}", observed.name(), FieldError::join(errors));
    let status = ExperimentStatus {
        phase: Some(Phase::Error.to_string()),
        message: Some(message.clone()),
        conditions: conditions::invalid(observed, message),
        ..before.clone()
    };
    let (effects, wake) = templates::plan_leftovers(observed, &Spec::default());
    let mut plan = Plan { effects: analyses::end(observed), wake, ..Plan::default() };
    plan.effects.extend(effects);
    plan.events = events(&before, &status);
    finish(observed, status, plan)
}

fn finish(observed: &Observed, status: ExperimentStatus, mut plan: Plan) -> Plan {
    let on_wire = |status: &ExperimentStatus| serde_json::to_value(status).ok();
    let before = observed.experiment.status.as_ref().and_then(on_wire);
    plan.status = (before != on_wire(&status)).then_some(status);
    plan.effects.splice(0..0, claims::of_runs(&observed.analysis_runs, &observed.settings));
    plan.wake = plan.wake.filter(|wake| wake.at > observed.now && comes(wake.at));
    plan
}
