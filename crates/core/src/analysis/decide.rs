//! Decides what happens to an AnalysisRun next: takes in what was measured, and says what to measure and when.

use chrono::{DateTime, Utc};
use serin_api::{AnalysisRunStatus, Measurement, MetricResult};

use super::assess::{self, Course, metric_phase};
use super::fold::{fold, stamp};
use super::holding::holding;
use super::jobs;
use super::judge::Verdict;
use super::parse::{self, MetricPlan, RunPlan};
use super::phase::Phase;
use super::sample::{Measure, Semantics};
use super::schedule::{Last, Ticks, due, later};
use super::template::semantics_of;
use super::{Observed, Plan};
use crate::field_error::FieldError;
use crate::plan::{Effect, Event, Wake};
use crate::rollout::hold::Hold;

/// Decides about one run. Deciding again on the written status, with nothing new, changes nothing.
#[must_use]
pub fn decide(observed: &Observed) -> Plan {
    let run = &observed.run;
    if run.metadata.deletion_timestamp.is_some() {
        return Plan::default();
    }
    let mut status = run.status.clone().unwrap_or_default();
    let mut plan = Plan::default();
    if !Phase::of(&status.phase).completed() {
        status.started_at.get_or_insert(stamp(observed.now));
        match read(observed) {
            Ok((run, semantics)) => advance(observed, &run, semantics, (&mut status, &mut plan)),
            Err(message) => {
                status.message = Some(message);
                finish(Phase::Error, observed.now, &mut status, &mut plan);
            }
        }
    }
    plan.effects = jobs::leftovers(observed, &status);
    retire(observed, &mut status, &mut plan);
    plan.status = (run.status.as_ref() != Some(&status)).then_some(status);
    plan
}

/// The run as decisions need it, or why it cannot be made.
fn read(observed: &Observed) -> Result<(RunPlan, Semantics), String> {
    let annotations = observed.run.metadata.annotations.clone().unwrap_or_default();
    let run = parse::plan(&observed.run.spec).map_err(|invalid| invalid.message())?;
    let asked =
        semantics_of(&annotations).map_err(|error| FieldError::new("metadata.annotations", error).to_string())?;
    Ok((run, asked.unwrap_or(observed.semantics)))
}

/// One round of a run that goes on.
fn advance(
    observed: &Observed,
    run: &RunPlan,
    semantics: Semantics,
    (status, plan): (&mut AnalysisRunStatus, &mut Plan),
) {
    let before = status.metric_results.clone();
    for sample in &observed.samples {
        if let Some(metric) = run.metrics.iter().find(|metric| metric.name == sample.metric) {
            fold(&mut status.metric_results, metric, sample, semantics);
        }
    }
    jobs::follow(observed, run, &mut status.metric_results);
    let course = set_phases(observed, run, &mut status.metric_results);
    plan.events = metric_events(&before, &status.metric_results);
    let assessed = assess::run(&run.metrics, &status.metric_results, observed.run.spec.terminate, course);
    status.run_summary = assessed.summary;
    status.dry_run_summary = assessed.dry_run_summary;
    if assessed.phase.completed() {
        status.message = (!assessed.message.is_empty()).then_some(assessed.message);
        finish(assessed.phase, observed.now, status, plan);
    } else {
        status.phase = assessed.phase.to_string();
        status.message = waiting(observed, status);
        ask(observed, run, semantics, (status, plan));
    }
}

/// Brings the phase of every metric that was begun up to date, and says whether the run goes on.
fn set_phases(observed: &Observed, run: &RunPlan, results: &mut [MetricResult]) -> Course {
    if !observed.run.spec.terminate {
        set_phases_on(Course::On, run, results);
        let counts = |result: &&MetricResult| run.metrics.iter().any(|m| m.name == result.name && !m.dry_run);
        if !results.iter().filter(counts).any(|result| Phase::of(&result.phase).bad()) {
            return Course::On;
        }
    }
    // Metrics that still go on learn that somebody, or another metric, has ended the run.
    jobs::terminate(observed.now, run, results);
    set_phases_on(Course::Terminating, run, results);
    Course::Terminating
}

fn set_phases_on(course: Course, run: &RunPlan, results: &mut [MetricResult]) {
    for metric in &run.metrics {
        if let Some(result) = results.iter_mut().find(|result| result.name == metric.name) {
            result.dry_run = metric.dry_run;
            result.phase = metric_phase(metric, result, course).to_string();
        }
    }
}

/// Tells of every metric that is over since the status before.
fn metric_events(before: &[MetricResult], after: &[MetricResult]) -> Vec<Event> {
    let was_over = |name: &str| before.iter().any(|result| result.name == name && Phase::of(&result.phase).completed());
    after
        .iter()
        .map(|result| (&result.name, Phase::of(&result.phase)))
        .filter(|(name, phase)| phase.completed() && !was_over(name))
        .map(|(name, phase)| event(phase, "Metric", format!("Metric '{name}' Completed. Result: {phase}")))
        .collect()
}

fn event(phase: Phase, subject: &str, message: String) -> Event {
    let reason = format!("{subject}{phase}");
    match phase {
        Phase::Failed | Phase::Error => Event::warning(reason, message),
        Phase::Successful | Phase::Running | Phase::Pending | Phase::Inconclusive => Event::normal(reason, message),
    }
}

/// Ends the run; its message is in status already.
fn finish(phase: Phase, now: DateTime<Utc>, status: &mut AnalysisRunStatus, plan: &mut Plan) {
    status.phase = phase.to_string();
    status.completed_at = Some(stamp(now));
    let mut message = format!("Analysis Completed. Result: {phase}");
    if let Some(why) = &status.message {
        message.push_str(&format!(" ({why})"));
    }
    plan.events.push(event(phase, "AnalysisRun", message));
}

/// What a run that goes on waits for, beside the next measurement; `None` if nothing.
fn waiting(observed: &Observed, status: &AnalysisRunStatus) -> Option<String> {
    let mut run = (*observed.run).clone();
    run.status = Some(status.clone());
    let holds: Vec<String> = holding(&run).iter().map(Hold::to_string).collect();
    (!holds.is_empty()).then(|| holds.join("; "))
}

/// Asks for the measurements that are due, and to be woken for the next one. Those that are Jobs begin in status.
fn ask(observed: &Observed, run: &RunPlan, semantics: Semantics, (status, plan): (&mut AnalysisRunStatus, &mut Plan)) {
    let started_at = status.started_at.map_or(observed.now, |time| time.0);
    for metric in &run.metrics {
        let result = status.metric_results.iter().find(|result| result.name == metric.name);
        let over = result.is_some_and(|result| Phase::of(&result.phase).completed());
        let under_way = metric.is_job && result.is_some_and(|result| jobs::pending(result).is_some());
        if over || under_way || observed.in_flight.contains(&metric.name) {
            continue;
        }
        match next(metric, result, started_at) {
            Some(at) if at <= observed.now && metric.is_job => {
                jobs::begin(observed, metric, &mut status.metric_results);
            }
            Some(at) if at <= observed.now => plan.measure.extend(measure(observed, run, metric, semantics)),
            Some(at) => {
                let wake = Wake { at, why: format!("metric {} is due", metric.name) };
                plan.wake = Wake::earlier(plan.wake.take(), Some(wake));
            }
            None => {}
        }
    }
    plan.jobs = jobs::missing(observed, run, &status.metric_results, semantics);
}

/// When a metric is due next.
fn next(metric: &MetricPlan, result: Option<&MetricResult>, started_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let ticks = Ticks { first: later(started_at, metric.initial_delay), interval: metric.interval };
    let last = |measurement: &Measurement| {
        let verdict = Verdict::of(measurement)?;
        let start = measurement.started_at.or(measurement.finished_at).map_or(started_at, |time| time.0);
        let end = measurement.finished_at.map_or(start, |time| time.0);
        Some(Last { started_at: start, finished_at: end, repeat: verdict.repeat() })
    };
    due(ticks, result.and_then(|result| result.measurements.iter().rev().find_map(last)))
}

fn measure(observed: &Observed, run: &RunPlan, metric: &MetricPlan, semantics: Semantics) -> Option<Measure> {
    let spec = observed.run.spec.metrics.iter().find(|spec| spec.name == metric.name)?;
    Some(Measure { metric: metric.name.clone(), spec: spec.clone(), args: run.args.clone(), semantics })
}

/// Has a finished run deleted once its `ttlStrategy` says so.
fn retire(observed: &Observed, status: &mut AnalysisRunStatus, plan: &mut Plan) {
    let phase = Phase::of(&status.phase);
    let Some(ttl) = observed.run.spec.ttl_strategy.as_ref().filter(|_| phase.completed()) else { return };
    let by_phase = if phase.bad() { ttl.seconds_after_failure } else { ttl.seconds_after_success };
    let Some(seconds) = by_phase.or(ttl.seconds_after_completion) else { return };
    // Older runs of Argo Rollouts have ended without saying when.
    let completed_at = status.completed_at.get_or_insert(stamp(observed.now)).0;
    let at = later(completed_at, chrono::TimeDelta::seconds(i64::from(seconds)));
    if at <= observed.now {
        let metadata = &observed.run.metadata;
        let (name, uid) = (metadata.name.clone().unwrap_or_default(), metadata.uid.clone().unwrap_or_default());
        plan.effects.push(Effect::DeleteAnalysisRun { name, uid });
    } else {
        plan.wake = Some(Wake { at, why: "the run has outlived its ttlStrategy".to_owned() });
    }
}

#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod tests;
