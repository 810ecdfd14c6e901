//! Measurements that are Jobs: begun, followed to their end, ended with their run, and cleared away.
//!
//! Such a measurement is in status as Running, with the name of its Job, before the Job is created: so a crash between
//! the two, or a controller that starts anew, finds out from status which Job there should be.

use chrono::{DateTime, Utc};
use serin_api::{AnalysisRunStatus, Measurement, MetricResult};

use super::Observed;
use super::fold::{result_of, settle, stamp};
use super::job::{JOB_NAME_KEY, JOB_NAMESPACE_KEY, JOB_UID_KEY, Job, JobState, RunIdentity, StartJob};
use super::job::{job_name, job_number};
use super::judge::{Judgement, Verdict};
use super::parse::{MetricPlan, RunPlan};
use super::phase::Phase;
use super::sample::{Measure, Semantics};
use crate::plan::Effect;

/// The message of a measurement that its run has ended, in Argo Rollouts' words.
const TERMINATED: &str = "Metric Terminated";

/// The measurement of a metric that is under way as a Job.
pub(super) fn pending(result: &MetricResult) -> Option<&Measurement> {
    let last = result.measurements.last()?;
    (Verdict::of(last).is_none() && last.metadata.contains_key(JOB_NAME_KEY)).then_some(last)
}

/// Begins a measurement: enters it in the results as Running, with the name of the Job that there is to be.
pub(super) fn begin(observed: &Observed, metric: &MetricPlan, results: &mut Vec<MetricResult>) {
    let run = identity(observed);
    let result = result_of(results, metric);
    let taken = taken(result);
    let mut measurement = Measurement {
        phase: Phase::Running.to_string(),
        started_at: Some(stamp(observed.now)),
        ..Measurement::default()
    };
    measurement.metadata.insert(JOB_NAME_KEY.to_owned(), job_name(&run.uid, &metric.name, taken + 1));
    measurement.metadata.insert(JOB_NAMESPACE_KEY.to_owned(), run.namespace);
    result.measurements.push(measurement);
    result.phase = Phase::Running.to_string();
    let surplus = result.measurements.len().saturating_sub(metric.retention.max(1));
    result.measurements.drain(..surplus);
}

/// How many Jobs a metric has had. The counters leave out measurements that only hold, such as one whose Job could not be
/// created; no two measurements share a Job for all that.
fn taken(result: &MetricResult) -> i64 {
    let counted = i64::from(result.count.unwrap_or(0)) + i64::from(result.error.unwrap_or(0));
    let names = result.measurements.iter().filter_map(|measurement| measurement.metadata.get(JOB_NAME_KEY));
    names.filter_map(|name| job_number(name)).fold(counted, i64::max)
}

/// Takes over what the Jobs of measurements under way have come to.
pub(super) fn follow(observed: &Observed, run: &RunPlan, results: &mut [MetricResult]) {
    for (metric, result) in under_way(run, results) {
        let Some(measurement) = pending(result) else { continue };
        let name = measurement.metadata[JOB_NAME_KEY].clone();
        let job = observed.jobs.get(&name);
        let was_seen = measurement.metadata.contains_key(JOB_UID_KEY);
        if let Some(judgement) = judge(job, &name, was_seen) {
            settle_last(metric, result, judgement, observed.now);
        } else if let (Some(job), Some(last)) = (job, result.measurements.last_mut()) {
            last.metadata.insert(JOB_UID_KEY.to_owned(), job.uid.clone());
        }
    }
}

/// What a Job says of its measurement; `None` as long as it says nothing.
fn judge(job: Option<&Job>, name: &str, was_seen: bool) -> Option<Judgement> {
    let Some(job) = job else {
        let message = format!("Job {name} was deleted before it ended");
        return was_seen.then_some(Judgement { verdict: Verdict::Error, message });
    };
    match &job.state {
        JobState::Complete => Some(Judgement { verdict: Verdict::Successful, message: String::new() }),
        JobState::Failed { .. } => {
            Some(Judgement { verdict: Verdict::Failed, message: job.failure().unwrap_or_default() })
        }
        // It will never come to anything by itself, and says nothing about the version: a person has to look.
        JobState::Running => {
            job.stuck.as_ref().map(|stuck| Judgement { verdict: Verdict::Inconclusive, message: stuck.clone() })
        }
    }
}

/// Ends the measurements under way, since their run is to end.
pub(super) fn terminate(now: DateTime<Utc>, run: &RunPlan, results: &mut [MetricResult]) {
    for (metric, result) in under_way(run, results) {
        let judgement = Judgement { verdict: Verdict::Inconclusive, message: TERMINATED.to_owned() };
        settle_last(metric, result, judgement, now);
    }
}

fn under_way<'r>(
    run: &'r RunPlan,
    results: &'r mut [MetricResult],
) -> impl Iterator<Item = (&'r MetricPlan, &'r mut MetricResult)> {
    results.iter_mut().filter_map(|result| {
        let metric = run.metrics.iter().find(|metric| metric.is_job && metric.name == result.name)?;
        pending(result).is_some().then_some((metric, result))
    })
}

fn settle_last(metric: &MetricPlan, result: &mut MetricResult, judgement: Judgement, now: DateTime<Utc>) {
    if let Some(mut measurement) = result.measurements.pop() {
        measurement.finished_at = Some(stamp(now));
        settle(metric, result, measurement, judgement);
    }
}

/// The Jobs that measurements under way wait for and that are not there yet.
pub(super) fn missing(
    observed: &Observed,
    run: &RunPlan,
    results: &[MetricResult],
    semantics: Semantics,
) -> Vec<StartJob> {
    let start = |metric: &MetricPlan| {
        let result = results.iter().find(|result| result.name == metric.name)?;
        let measurement = pending(result).filter(|m| !m.metadata.contains_key(JOB_UID_KEY))?;
        let name = measurement.metadata[JOB_NAME_KEY].clone();
        if observed.jobs.contains_key(&name) {
            return None;
        }
        let spec = observed.run.spec.metrics.iter().find(|spec| spec.name == metric.name)?.clone();
        let measure = Measure { metric: metric.name.clone(), spec, args: run.args.clone(), semantics };
        let started_at = measurement.started_at.map_or(observed.now, |time| time.0);
        Some(StartJob { name, run: identity(observed), measure, started_at })
    };
    run.metrics.iter().filter(|metric| metric.is_job).filter_map(start).collect()
}

/// Deletes Jobs that still run although nobody waits for them, and those of measurements that status keeps no more.
pub(super) fn leftovers(observed: &Observed, status: &AnalysisRunStatus) -> Vec<Effect> {
    let is_over = Phase::of(&status.phase).completed();
    let jobs = observed.jobs.values().filter(|job| !job.deleting);
    jobs.filter(|job| match job.state {
        JobState::Running => is_over || is_settled(&job.name, status),
        JobState::Complete | JobState::Failed { .. } => is_forgotten(&job.name, status),
    })
    .map(|job| Effect::DeleteJob { name: job.name.clone(), uid: job.uid.clone() })
    .collect()
}

/// Whether the measurement of a Job is in status and has ended; of several the last counts.
fn is_settled(job: &str, status: &AnalysisRunStatus) -> bool {
    let mut measurements = status.metric_results.iter().flat_map(|result| &result.measurements);
    measurements
        .rfind(|measurement| measurement.metadata.get(JOB_NAME_KEY).is_some_and(|name| name == job))
        .is_some_and(|measurement| Verdict::of(measurement).is_some())
}

/// Whether status has only later measurements of a Job's metric.
fn is_forgotten(job: &str, status: &AnalysisRunStatus) -> bool {
    let Some((stem, _)) = job.rsplit_once('.') else { return false };
    let kept = status.metric_results.iter().flat_map(|result| &result.measurements);
    let names = kept.filter_map(|measurement| measurement.metadata.get(JOB_NAME_KEY));
    let numbers = names.filter(|name| name.rsplit_once('.').is_some_and(|(other, _)| other == stem));
    numbers.filter_map(|name| job_number(name)).min().is_some_and(|first| job_number(job).is_some_and(|n| n < first))
}

fn identity(observed: &Observed) -> RunIdentity {
    let metadata = &observed.run.metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    RunIdentity { namespace: text(&metadata.namespace), name: text(&metadata.name), uid: text(&metadata.uid) }
}
