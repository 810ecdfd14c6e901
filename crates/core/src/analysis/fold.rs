//! Takes measurements into the status of their run.

use chrono::{DateTime, SubsecRound, Utc};
use serin_api::{Measurement, MetricResult, Time};

use super::assess::{Course, count, metric_phase};
use super::judge::{Judgement, OUTCOME_KEY, Verdict, judge};
use super::parse::MetricPlan;
use super::phase::Phase;
use super::sample::{Sample, Semantics};

/// Judges a sample and adds it to the results, unless its metric is over or has it already. A measurement that is in status
/// as under way since then ends with it.
///
/// A sample is known by its metric and the second it began in, so taking it twice, after a status write whose reply was
/// lost, changes nothing.
pub(super) fn fold(results: &mut Vec<MetricResult>, metric: &MetricPlan, sample: &Sample, semantics: Semantics) {
    let result = result_of(results, metric);
    let started_at = stamp(sample.started_at);
    let known = result.measurements.iter().position(|before| before.started_at == Some(started_at));
    let ended = known.is_some_and(|at| Verdict::of(&result.measurements[at]).is_some());
    if ended || Phase::of(&result.phase).completed() {
        return;
    }
    let mut measurement = known.map(|at| result.measurements.remove(at)).unwrap_or_default();
    measurement.started_at = Some(started_at);
    measurement.finished_at = Some(stamp(sample.finished_at));
    measurement.value = text(sample.value.clone());
    for (key, value) in &sample.metadata {
        // What the metric asks, such as ResolvedPrometheusQuery, stands once for all its measurements.
        let place = if key.starts_with("Resolved") { &mut result.metadata } else { &mut measurement.metadata };
        place.insert(key.clone(), value.clone());
    }
    settle(metric, result, measurement, judge(metric, sample, semantics));
}

/// Adds a measurement that has come to an end to the results of its metric.
pub(super) fn settle(
    metric: &MetricPlan,
    result: &mut MetricResult,
    mut measurement: Measurement,
    judgement: Judgement,
) {
    measurement.phase = judgement.verdict.phase().to_string();
    measurement.message = text(judgement.message);
    measurement.resume_at = None;
    measurement.metadata.remove(OUTCOME_KEY);
    if let Some(outcome) = judgement.verdict.outcome() {
        measurement.metadata.insert(OUTCOME_KEY.to_owned(), outcome.to_owned());
    }
    count(metric, result, judgement.verdict);
    result.message.clone_from(&measurement.message);
    result.measurements.push(measurement);
    result.phase = metric_phase(metric, result, Course::On).to_string();
    let surplus = result.measurements.len().saturating_sub(metric.retention.max(1));
    result.measurements.drain(..surplus);
}

/// An instant as status keeps it, in whole seconds, so that it is the same before and after it was written.
pub(super) fn stamp(instant: DateTime<Utc>) -> Time {
    Time(instant.trunc_subsecs(0))
}

/// The results of a metric, entered if there are none yet.
pub(super) fn result_of<'r>(results: &'r mut Vec<MetricResult>, metric: &MetricPlan) -> &'r mut MetricResult {
    let index = results.iter().position(|result| result.name == metric.name).unwrap_or_else(|| {
        results.push(MetricResult {
            name: metric.name.clone(),
            phase: Phase::Running.to_string(),
            dry_run: metric.dry_run,
            ..MetricResult::default()
        });
        results.len() - 1
    });
    &mut results[index]
}

fn text(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}
