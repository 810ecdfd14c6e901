//! From verdicts to phases: what the measurements so far mean for a metric, and the metrics for their run.

use serin_api::{MetricResult, RunSummary};

use super::judge::Verdict;
use super::parse::MetricPlan;
use super::phase::Phase;

/// Errors in a row that a metric tolerates if its spec does not say.
const CONSECUTIVE_ERROR_LIMIT_DEFAULT: i64 = 4;

/// Adds a verdict to the counters of a metric.
///
/// A measurement that only holds counts where the metric says how often it may: no data against an `inconclusiveLimit`,
/// an unreachable source against a `consecutiveErrorLimit`. It is never one of the `count`.
pub(super) fn count(metric: &MetricPlan, result: &mut MetricResult, verdict: Verdict) {
    match verdict {
        Verdict::Successful => {
            add(&mut result.successful);
            add(&mut result.count);
            add(&mut result.consecutive_success);
            result.consecutive_error = None;
        }
        Verdict::Failed => {
            add(&mut result.failed);
            add(&mut result.count);
            end_rows(result);
        }
        Verdict::Inconclusive => {
            add(&mut result.inconclusive);
            add(&mut result.count);
            end_rows(result);
        }
        Verdict::NoData if metric.inconclusive_limit.is_some() => {
            add(&mut result.inconclusive);
            end_rows(result);
        }
        Verdict::SourceDown if metric.consecutive_error_limit.is_none() => {}
        Verdict::Error | Verdict::SourceDown => {
            add(&mut result.error);
            add(&mut result.consecutive_error);
            result.consecutive_success = None;
        }
        Verdict::NoData => {}
    }
}

/// One more; absent means zero, as status leaves zeros out.
fn add(counter: &mut Option<i32>) {
    *counter = Some(counter.unwrap_or(0).saturating_add(1));
}

fn end_rows(result: &mut MetricResult) {
    result.consecutive_error = None;
    result.consecutive_success = None;
}

/// The limit that a metric has broken, and the words for it. Of several the last in the order failures, inconclusive
/// measurements, errors counts.
fn broken_limit(metric: &MetricPlan, result: &MetricResult) -> Option<(Phase, String)> {
    let limits = [
        (Phase::Failed, "failed", result.failed, "failureLimit", metric.failure_limit),
        (
            Phase::Inconclusive,
            "inconclusive",
            result.inconclusive,
            "inconclusiveLimit",
            Some(metric.inconclusive_limit.unwrap_or(0)),
        ),
        (
            Phase::Error,
            "consecutiveErrors",
            result.consecutive_error,
            "consecutiveErrorLimit",
            Some(metric.consecutive_error_limit.unwrap_or(CONSECUTIVE_ERROR_LIMIT_DEFAULT)),
        ),
    ];
    limits.into_iter().rev().find_map(|(phase, what, count, name, limit)| {
        let (count, limit) = (i64::from(count.unwrap_or(0)), limit?);
        (count > limit).then(|| (phase, format!("{what} ({count}) > {name} ({limit})")))
    })
}

/// The end of a metric that broke no limit; `None` if it goes on.
fn natural_end(metric: &MetricPlan, result: &MetricResult) -> Option<(Phase, String)> {
    let in_a_row = i64::from(result.consecutive_success.unwrap_or(0));
    if metric.consecutive_success_limit.is_some_and(|limit| in_a_row >= limit) {
        return Some((Phase::Successful, String::new()));
    }
    let taken = i64::from(result.count.unwrap_or(0));
    metric.effective_count().filter(|count| taken >= *count)?;
    let Some(wanted) = metric.consecutive_success_limit else { return Some((Phase::Successful, String::new())) };
    let phase = if metric.failure_limit.is_some() { Phase::Inconclusive } else { Phase::Failed };
    Some((
        phase,
        format!(
            "consecutiveSuccess ({in_a_row}) < consecutiveSuccessLimit ({wanted}) at the end of its count ({taken})"
        ),
    ))
}

/// Whether the run that a metric belongs to goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// It goes on.
    On,
    /// It is to end.
    Terminating,
}

/// The phase of a metric after its measurements so far; a phase that was final stays.
pub(super) fn metric_phase(metric: &MetricPlan, result: &MetricResult, course: Course) -> Phase {
    let before = Phase::of(&result.phase);
    if before.completed() {
        return before;
    }
    let measured = result.measurements.iter().any(|measurement| Verdict::of(measurement).is_some());
    let end = if measured { broken_limit(metric, result).or_else(|| natural_end(metric, result)) } else { None };
    match (end, course, measured) {
        (Some((phase, _)), _, _) => phase,
        (None, Course::Terminating, _) => Phase::Successful,
        (None, Course::On, _) if result.measurements.is_empty() => Phase::Pending,
        (None, Course::On, _) => Phase::Running,
    }
}

/// What a run is, given its metrics.
#[derive(Debug, PartialEq)]
pub(super) struct RunAssessment {
    pub(super) phase: Phase,
    /// Why; empty while it runs and if all is well.
    pub(super) message: String,
    pub(super) summary: RunSummary,
    /// `None` if no metric is a dry run.
    pub(super) dry_run_summary: Option<RunSummary>,
}

/// The message of a run that was asked to end.
const TERMINATED: &str = "Run Terminated";

/// Assesses a run; `asked_to_end` is its `spec.terminate`, `course` follows from that and its metrics.
pub(super) fn run(
    metrics: &[MetricPlan],
    results: &[MetricResult],
    asked_to_end: bool,
    course: Course,
) -> RunAssessment {
    let (mut summary, mut dry_run_summary) = (RunSummary::default(), RunSummary::default());
    let mut message = if asked_to_end { TERMINATED.to_owned() } else { String::new() };
    let (mut worst, mut complete) = (None::<Phase>, true);
    for metric in metrics {
        let tally = if metric.dry_run { &mut dry_run_summary } else { &mut summary };
        add(&mut tally.count);
        let Some(result) = results.iter().find(|result| result.name == metric.name) else {
            complete = false;
            continue;
        };
        let phase = Phase::of(&result.phase);
        complete &= phase.completed();
        tally_phase(tally, phase);
        if metric.dry_run || !phase.completed() || worst.is_some_and(|worst| phase <= worst) {
            continue;
        }
        worst = Some(phase);
        if let Some(reason) = reason(metric, result, phase) {
            message = reason;
        }
    }
    let phase = match (course, complete) {
        (Course::On, false) => Phase::Running,
        (Course::On, true) | (Course::Terminating, _) => worst.unwrap_or(Phase::Successful),
    };
    if phase == Phase::Running {
        message.clear();
    }
    let dry_run_summary = dry_run_summary.count.is_some().then_some(dry_run_summary);
    RunAssessment { phase, message, summary, dry_run_summary }
}

/// Why a metric ended as it did, for the run's message; `None` if there is nothing to tell.
fn reason(metric: &MetricPlan, result: &MetricResult, phase: Phase) -> Option<String> {
    let (_, words) = broken_limit(metric, result).or_else(|| natural_end(metric, result))?;
    if words.is_empty() {
        return None;
    }
    let mut text = format!("Metric \"{}\" assessed {phase} due to {words}", metric.name);
    if let Some(message) = result.message.as_deref().filter(|message| !message.is_empty()) {
        text.push_str(&format!(": \"Error Message: {message}\""));
    }
    Some(text)
}

fn tally_phase(tally: &mut RunSummary, phase: Phase) {
    match phase {
        Phase::Successful => add(&mut tally.successful),
        Phase::Failed => add(&mut tally.failed),
        Phase::Inconclusive => add(&mut tally.inconclusive),
        Phase::Error => add(&mut tally.error),
        Phase::Pending | Phase::Running => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::judge::OUTCOME_KEY;
    use super::super::parse::plan;
    use super::*;

    fn metrics(specs: &[Value], dry_run: &[&str]) -> Vec<MetricPlan> {
        let specs: Vec<Value> = specs
            .iter()
            .enumerate()
            .map(|(index, spec)| {
                let mut spec = spec.clone();
                spec["name"] = json!(["m", "n", "o"][index]);
                spec["provider"] = json!({"prometheus": {"query": "up"}});
                spec
            })
            .collect();
        let dry_run: Vec<Value> = dry_run.iter().map(|name| json!({"metricName": name})).collect();
        let spec = serde_json::from_value(json!({"metrics": specs, "dryRun": dry_run})).expect("a spec");
        plan(&spec).unwrap_or_else(|invalid| panic!("{}", invalid.message())).metrics
    }

    /// Folds verdicts written as one letter each: s f i e, n for no data, d for source down.
    fn fold(metric: &MetricPlan, verdicts: &str, course: Course) -> MetricResult {
        let mut result = MetricResult { name: metric.name.clone(), dry_run: metric.dry_run, ..MetricResult::default() };
        for letter in verdicts.chars() {
            let verdict = match letter {
                's' => Verdict::Successful,
                'f' => Verdict::Failed,
                'i' => Verdict::Inconclusive,
                'e' => Verdict::Error,
                'n' => Verdict::NoData,
                'd' => Verdict::SourceDown,
                other => panic!("no verdict {other}"),
            };
            count(metric, &mut result, verdict);
            let outcome = verdict.outcome().map(|outcome| (OUTCOME_KEY.to_owned(), outcome.to_owned()));
            result.measurements.push(serin_api::Measurement {
                phase: verdict.phase().to_string(),
                metadata: outcome.into_iter().collect(),
                ..serin_api::Measurement::default()
            });
            result.phase = metric_phase(metric, &result, Course::On).to_string();
        }
        result.phase = metric_phase(metric, &result, course).to_string();
        result
    }

    #[track_caller]
    fn check(what: &str, spec: Value, verdicts: &str, expected: Phase, words: &str) {
        let metrics = metrics(&[spec], &[]);
        let result = fold(&metrics[0], verdicts, Course::On);
        assert_eq!(Phase::of(&result.phase), expected, "{what}: {result:?}");
        let run = run(&metrics, &[result], false, Course::On);
        let message =
            if words.is_empty() { String::new() } else { format!("Metric \"m\" assessed {expected} due to {words}") };
        assert_eq!(run.message, message, "{what}");
    }

    #[test]
    fn a_metric_ends_by_its_limits() {
        let each = |limits: Value| {
            let mut spec = json!({"interval": "1m"});
            for (name, value) in limits.as_object().expect("limits") {
                spec[name] = value.clone();
            }
            spec
        };
        use Phase::{Error, Failed, Inconclusive, Pending, Running, Successful};
        check("nothing measured", each(json!({})), "", Pending, "");
        check("good so far", each(json!({})), "sss", Running, "");
        check("one failure is one too many", each(json!({})), "sf", Failed, "failed (1) > failureLimit (0)");
        check("failures up to the limit", each(json!({"failureLimit": 3})), "fsfsf", Running, "");
        check("one above it", each(json!({"failureLimit": 3})), "ffff", Failed, "failed (4) > failureLimit (3)");
        check(
            "any number of failures",
            each(json!({"failureLimit": -1, "consecutiveSuccessLimit": 2})),
            "ffffffff",
            Running,
            "",
        );
        check("inconclusive once", each(json!({})), "i", Inconclusive, "inconclusive (1) > inconclusiveLimit (0)");
        check("inconclusive within the limit", each(json!({"inconclusiveLimit": 1})), "is", Running, "");
        check("four errors in a row", each(json!({})), "seeee", Running, "");
        check(
            "five errors in a row",
            each(json!({})),
            "seeeee",
            Error,
            "consecutiveErrors (5) > consecutiveErrorLimit (4)",
        );
        check("a verdict ends the row", each(json!({})), "eeeeseeee", Running, "");
        check(
            "no error tolerated",
            each(json!({"consecutiveErrorLimit": 0})),
            "e",
            Error,
            "consecutiveErrors (1) > consecutiveErrorLimit (0)",
        );
        check(
            "successes in a row",
            each(json!({"consecutiveSuccessLimit": 2, "failureLimit": 5})),
            "sfss",
            Successful,
            "",
        );
        check(
            "a failure ends the row",
            each(json!({"consecutiveSuccessLimit": 2, "failureLimit": 5})),
            "sfs",
            Running,
            "",
        );
    }

    #[test]
    fn a_metric_ends_by_its_count() {
        use Phase::{Failed, Inconclusive, Running, Successful};
        let counted = json!({"interval": "1m", "count": 3, "failureLimit": 1});
        check("not yet", counted.clone(), "ss", Running, "");
        check("reached", counted.clone(), "sss", Successful, "");
        check("reached with a tolerated failure", counted.clone(), "sfs", Successful, "");
        check("errors do not count", counted.clone(), "sesees", Successful, "");
        check("the limit comes before the count", counted, "sff", Failed, "failed (2) > failureLimit (1)");
        check("once without interval", json!({}), "s", Successful, "");
        check(
            "both limits and neither broken",
            json!({"interval": "1m", "count": 4, "failureLimit": 2, "consecutiveSuccessLimit": 2}),
            "sfsf",
            Inconclusive,
            "consecutiveSuccess (0) < consecutiveSuccessLimit (2) at the end of its count (4)",
        );
        check(
            "only successes in a row asked for",
            json!({"interval": "1m", "count": 3, "failureLimit": -1, "consecutiveSuccessLimit": 3}),
            "sfs",
            Failed,
            "consecutiveSuccess (1) < consecutiveSuccessLimit (3) at the end of its count (3)",
        );
    }

    #[test]
    fn a_hold_counts_only_where_the_metric_says_how_often() {
        use Phase::{Error, Inconclusive, Running, Successful};
        let plain = json!({"interval": "1m", "count": 2});
        check("no data for ever", plain.clone(), "nnnnnnnnnnnnnnnn", Running, "");
        check("a dead source for ever", plain.clone(), "dddddddddddddddd", Running, "");
        check("a hold is not one of the count", plain.clone(), "sndns", Successful, "");
        check("a dead source does not lengthen a row of errors", plain, "eedede", Running, "");
        check(
            "no data against its limit",
            json!({"interval": "1m", "inconclusiveLimit": 2}),
            "nnn",
            Inconclusive,
            "inconclusive (3) > inconclusiveLimit (2)",
        );
        check(
            "a dead source against its limit",
            json!({"interval": "1m", "consecutiveErrorLimit": 2}),
            "ddd",
            Error,
            "consecutiveErrors (3) > consecutiveErrorLimit (2)",
        );
        check(
            "the other limit does not matter",
            json!({"interval": "1m", "consecutiveErrorLimit": 2}),
            "nnnn",
            Running,
            "",
        );
        check("nor the other way", json!({"interval": "1m", "inconclusiveLimit": 2}), "dddddd", Running, "");
        let two = metrics(&[json!({"interval": "1m", "inconclusiveLimit": 5})], &[]);
        assert_eq!(fold(&two[0], "snn", Course::On).count, Some(1));
    }

    /// One metric a spec; the verdicts of each, the dry runs, then phase and message of the run.
    #[track_caller]
    fn check_run(what: &str, verdicts: &[&str], dry_run: &[&str], terminate: bool, expected: (Phase, &str)) {
        let specs = vec![json!({"interval": "1m", "count": 2}); verdicts.len()];
        let metrics = metrics(&specs, dry_run);
        let first: Vec<MetricResult> = metrics.iter().zip(verdicts).map(|(m, v)| fold(m, v, Course::On)).collect();
        let bad = first.iter().any(|result| !result.dry_run && Phase::of(&result.phase).bad());
        let course = if bad || terminate { Course::Terminating } else { Course::On };
        let results: Vec<MetricResult> = metrics.iter().zip(verdicts).map(|(m, v)| fold(m, v, course)).collect();
        let got = run(&metrics, &results, terminate, course);
        assert_eq!((got.phase, got.message.as_str()), expected, "{what}");
    }

    #[test]
    fn a_run_is_as_bad_as_its_worst_metric() {
        use Phase::{Error, Failed, Inconclusive, Running, Successful};
        let failed = "Metric \"n\" assessed Failed due to failed (1) > failureLimit (0)";
        let inconclusive = "Metric \"m\" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0)";
        let error = "Metric \"n\" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4)";
        check_run("nothing yet", &["", ""], &[], false, (Running, ""));
        check_run("one is done", &["ss", "s"], &[], false, (Running, ""));
        check_run("both are done", &["ss", "ss"], &[], false, (Successful, ""));
        check_run("one failed, the other ends early", &["s", "f"], &[], false, (Failed, failed));
        check_run("failed is worse than inconclusive", &["i", "f"], &[], false, (Failed, failed));
        check_run("error is worse than inconclusive", &["i", "eeeee"], &[], false, (Error, error));
        check_run("inconclusive", &["i", "s"], &[], false, (Inconclusive, inconclusive));
        check_run("a dry run does not count", &["ss", "f"], &["n"], false, (Successful, ""));
        check_run("a dry run ends nothing", &["s", "f"], &["n"], false, (Running, ""));
        check_run("all are dry runs", &["f", "i"], &["m", "n"], false, (Successful, ""));
        check_run("asked to end in the middle", &["s", ""], &[], true, (Successful, "Run Terminated"));
        check_run("asked to end before the start", &["", ""], &[], true, (Successful, "Run Terminated"));
        check_run("asked to end, and failed", &["s", "f"], &[], true, (Failed, failed));
    }

    #[test]
    fn the_message_of_the_last_measurement_is_told() {
        let metrics = metrics(&[json!({"interval": "1m", "consecutiveErrorLimit": 0})], &[]);
        let mut result = fold(&metrics[0], "e", Course::On);
        result.message = Some("no such host".to_owned());
        let got = run(&metrics, &[result], false, Course::Terminating);
        assert_eq!(
            got.message,
            "Metric \"m\" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): \"Error Message: no such host\""
        );
    }

    #[test]
    fn summaries_count_metrics_by_phase() {
        let metrics = metrics(&[json!({}), json!({}), json!({})], &["o"]);
        let results: Vec<MetricResult> =
            metrics.iter().zip(["s", "f", "i"]).map(|(m, v)| fold(m, v, Course::On)).collect();
        let got = run(&metrics, &results, false, Course::Terminating);
        assert_eq!(json!(got.summary), json!({"count": 2, "successful": 1, "failed": 1}));
        assert_eq!(json!(got.dry_run_summary), json!({"count": 1, "inconclusive": 1}));
    }
}
