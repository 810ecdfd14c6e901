//! Where a measurement becomes a verdict: what one sample means under the conditions of its metric.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::condition::MetricResult;
use super::parse::{MetricPlan, Rule};
use super::phase::Phase;
use super::sample::{Outcome, Sample, Semantics};
use super::schedule::Repeat;

/// What a measurement says about its metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good.
    Successful,
    /// Bad.
    Failed,
    /// Neither good nor bad by the conditions.
    Inconclusive,
    /// The question was wrong, or the answer could not be judged.
    Error,
    /// The source has nothing to judge: hold.
    NoData,
    /// The source could not be asked: hold.
    SourceDown,
}

/// Key in a measurement's metadata that tells why there is no verdict.
pub const OUTCOME_KEY: &str = "serin.dev/outcome";

const NO_DATA: &str = "no-data";
const SOURCE_DOWN: &str = "source-down";

impl Verdict {
    /// The phase of a measurement with this verdict.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {
            Verdict::Successful => Phase::Successful,
            Verdict::Failed => Phase::Failed,
            Verdict::Inconclusive | Verdict::NoData => Phase::Inconclusive,
            Verdict::Error | Verdict::SourceDown => Phase::Error,
        }
    }

    /// The value of [`OUTCOME_KEY`], if the measurement has one.
    #[must_use]
    pub fn outcome(self) -> Option<&'static str> {
        match self {
            Verdict::NoData => Some(NO_DATA),
            Verdict::SourceDown => Some(SOURCE_DOWN),
            Verdict::Successful | Verdict::Failed | Verdict::Inconclusive | Verdict::Error => None,
        }
    }

    /// The verdict of a measurement that is in status; `None` if it is still under way.
    #[must_use]
    pub fn of(measurement: &serin_api::Measurement) -> Option<Verdict> {
        match (measurement.metadata.get(OUTCOME_KEY).map(String::as_str), Phase::of(&measurement.phase)) {
            (_, Phase::Pending | Phase::Running) => None,
            (Some(NO_DATA), _) => Some(Verdict::NoData),
            (Some(SOURCE_DOWN), _) => Some(Verdict::SourceDown),
            (_, Phase::Successful) => Some(Verdict::Successful),
            (_, Phase::Failed) => Some(Verdict::Failed),
            (_, Phase::Inconclusive) => Some(Verdict::Inconclusive),
            (_, Phase::Error) => Some(Verdict::Error),
        }
    }

    /// How soon the metric is to be measured again after it.
    #[must_use]
    pub fn repeat(self) -> Repeat {
        match self {
            Verdict::Successful | Verdict::Failed | Verdict::Inconclusive => Repeat::AtNextTick,
            Verdict::NoData => Repeat::UntilData,
            Verdict::SourceDown => Repeat::UntilReachable,
            Verdict::Error => Repeat::Soon,
        }
    }
}

/// A verdict with the reason for it; empty for the ordinary ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What the measurement says.
    pub verdict: Verdict,
    /// Why.
    pub message: String,
}

/// Judges one sample.
#[must_use]
pub fn judge(metric: &MetricPlan, sample: &Sample, semantics: Semantics) -> Judgement {
    let (verdict, message) = match (&sample.outcome, semantics) {
        (Outcome::Measured(result), Semantics::Serin) => match absence(metric, result) {
            Some(absence) => (Verdict::NoData, format!("no data: {absence}")),
            None => by_conditions(metric, result, sample.finished_at, OnEmpty::Hold),
        },
        (Outcome::Measured(result), Semantics::Argo) => {
            by_conditions(metric, result, sample.finished_at, OnEmpty::Error)
        }
        (Outcome::NoData { message }, Semantics::Serin) => (Verdict::NoData, format!("no data: {message}")),
        (Outcome::NoData { .. }, Semantics::Argo) => {
            by_conditions(metric, &MetricResult::Nil, sample.finished_at, OnEmpty::Error)
        }
        (Outcome::SourceDown { message }, Semantics::Serin) => (Verdict::SourceDown, message.clone()),
        (Outcome::SourceDown { message }, Semantics::Argo) | (Outcome::Wrong { message }, _) => {
            (Verdict::Error, message.clone())
        }
    };
    Judgement { verdict, message }
}

/// What is absent from a result that a condition of the metric would take for a value; `None` if nothing is.
///
/// A comparison with NaN is false, so NaN would fail a successCondition and pass a failureCondition: neither is meant.
fn absence(metric: &MetricPlan, result: &MetricResult) -> Option<String> {
    let mut rules = metric.success.iter().chain(&metric.failure).peekable();
    if rules.peek().is_none() || rules.all(|rule| rule.condition.handles_absence()) {
        return None;
    }
    match result {
        MetricResult::Scalar(number) if number.is_nan() => Some("the result is NaN".to_owned()),
        MetricResult::Vector(numbers) => match numbers.iter().filter(|number| number.is_nan()).count() {
            0 => is_empty(result).then(|| "the result is empty".to_owned()),
            nans => Some(format!("{nans} of {} values are NaN", numbers.len())),
        },
        MetricResult::Nil | MetricResult::Json(_) if is_empty(result) => Some("the result is empty".to_owned()),
        MetricResult::Nil | MetricResult::Scalar(_) | MetricResult::Json(_) => None,
    }
}

fn is_empty(result: &MetricResult) -> bool {
    match result {
        MetricResult::Nil => true,
        MetricResult::Scalar(_) => false,
        MetricResult::Vector(numbers) => numbers.is_empty(),
        MetricResult::Json(Value::Null) => true,
        MetricResult::Json(Value::Array(items)) => items.is_empty(),
        MetricResult::Json(Value::Object(fields)) => fields.is_empty(),
        MetricResult::Json(Value::Bool(_) | Value::Number(_) | Value::String(_)) => false,
    }
}

/// What a condition that cannot be evaluated on an empty result means.
#[derive(Clone, Copy)]
enum OnEmpty {
    /// No data, since the condition evidently does not handle it.
    Hold,
    /// An error.
    Error,
}

fn by_conditions(
    metric: &MetricPlan,
    result: &MetricResult,
    now: DateTime<Utc>,
    on_empty: OnEmpty,
) -> (Verdict, String) {
    let evaluate = |name: &str, rule: &Option<Rule>| {
        let Some(rule) = rule else { return Ok(None) };
        rule.condition.evaluate(result, now).map(Some).map_err(|error| {
            let (empty, quoted) = (is_empty(result), format!("could not evaluate {name} \"{}\"", rule.text));
            match (empty, on_empty) {
                (true, OnEmpty::Hold) => (Verdict::NoData, format!("no data: the result is empty: {error}")),
                (true, OnEmpty::Error) => (Verdict::Error, format!("{quoted}: {EMPTY}")),
                (false, OnEmpty::Hold | OnEmpty::Error) => (Verdict::Error, format!("{quoted}: {error}")),
            }
        })
    };
    let both = evaluate("successCondition", &metric.success)
        .and_then(|success| Ok((success, evaluate("failureCondition", &metric.failure)?)));
    let verdict = match both {
        Err(error) => return error,
        Ok((None, None)) | Ok((Some(true), None)) | Ok((None | Some(true), Some(false))) => Verdict::Successful,
        Ok((Some(false), None)) | Ok((_, Some(true))) => Verdict::Failed,
        Ok((Some(false), Some(false))) => Verdict::Inconclusive,
    };
    (verdict, String::new())
}

/// Why a condition cannot be evaluated on nothing, in Argo Rollouts' words.
const EMPTY: &str = "metric result is nil or empty: no data returned from the metric provider";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::super::parse::plan;
    use super::*;

    fn metric(success: &str, failure: &str) -> MetricPlan {
        let spec = json!({"metrics": [{"name": "m", "successCondition": success, "failureCondition": failure,
            "provider": {"prometheus": {"query": "up"}}}]});
        let mut plan = plan(&serde_json::from_value(spec).expect("a spec")).expect("a plan");
        plan.metrics.remove(0)
    }

    fn sample(outcome: Outcome) -> Sample {
        Sample {
            metric: "m".to_owned(),
            started_at: DateTime::UNIX_EPOCH,
            finished_at: DateTime::UNIX_EPOCH,
            outcome,
            value: String::new(),
            metadata: BTreeMap::new(),
        }
    }

    /// Conditions, a result, and the verdicts under our rules and under Argo Rollouts'; the message is checked apart.
    #[track_caller]
    fn check(conditions: (&str, &str), result: MetricResult, serin: Verdict, argo: Verdict) {
        let metric = metric(conditions.0, conditions.1);
        let sample = sample(Outcome::Measured(result));
        for (semantics, expected) in [(Semantics::Serin, serin), (Semantics::Argo, argo)] {
            let got = judge(&metric, &sample, semantics);
            assert_eq!(got.verdict, expected, "{conditions:?} {:?} {semantics:?}: {}", sample.outcome, got.message);
        }
    }

    const GOOD: &str = "result >= 0.95";
    const BAD: &str = "result < 0.9";

    #[test]
    fn a_value_is_judged_by_the_conditions() {
        use Verdict::{Error, Failed, Inconclusive, Successful};
        let both = |verdict| (verdict, verdict);
        for (conditions, value, (serin, argo)) in [
            (("", ""), 0.0, both(Successful)),
            ((GOOD, ""), 0.99, both(Successful)),
            ((GOOD, ""), 0.94, both(Failed)),
            (("", BAD), 0.94, both(Successful)),
            (("", BAD), 0.8, both(Failed)),
            ((GOOD, BAD), 0.99, both(Successful)),
            ((GOOD, BAD), 0.92, both(Inconclusive)),
            ((GOOD, BAD), 0.8, both(Failed)),
            (("result > 0", "result > 0"), 1.0, both(Failed)),
            (("asInt('x') > 1", ""), 1.0, both(Error)),
            ((GOOD, "asInt('x') > 1"), 1.0, both(Error)),
            ((GOOD, ""), f64::INFINITY, both(Successful)),
        ] {
            check(conditions, MetricResult::Scalar(value), serin, argo);
        }
    }

    #[test]
    fn absence_holds_unless_the_conditions_handle_it() {
        use Verdict::{Error, Failed, NoData, Successful};
        let nan = || MetricResult::Scalar(f64::NAN);
        let vector = |numbers: &[f64]| MetricResult::Vector(numbers.to_vec());
        check((GOOD, ""), nan(), NoData, Failed);
        check(("", BAD), nan(), NoData, Successful);
        check(("isNaN(result) || result >= 0.95", ""), nan(), Successful, Successful);
        check(("!isNaN(result) && result >= 0.95", ""), nan(), Failed, Failed);
        check(("isNaN(result) || result >= 0.95", BAD), nan(), NoData, Successful);
        check(("", ""), nan(), Successful, Successful);
        check(("result[0] >= 0.95", ""), vector(&[]), NoData, Error);
        check(("len(result) == 0 || result[0] >= 0.95", ""), vector(&[]), Successful, Successful);
        check(("isNil(result) || result[0] >= 0.95", ""), vector(&[]), NoData, Error);
        check(("result[0] >= 0.95", ""), vector(&[f64::NAN]), NoData, Failed);
        check(("result[0] >= 0.95", ""), vector(&[0.99, f64::NAN]), NoData, Successful);
        check(("result[0] >= 0.95", ""), vector(&[0.99, 0.1]), Successful, Successful);
        check((GOOD, ""), MetricResult::Nil, NoData, Error);
        check(("default(result, 1) >= 0.95", ""), MetricResult::Nil, Successful, Successful);
        check(("isNil(result)", ""), MetricResult::Nil, Successful, Successful);
        // As in the reference implementation, nil cannot even be compared.
        check(("isNil(result) || result >= 0.95", ""), MetricResult::Nil, NoData, Error);
        check(("result.a > 1", ""), MetricResult::Json(json!(null)), NoData, Error);
        check(("result.a > 1", ""), MetricResult::Json(json!({"a": 2})), Successful, Successful);
        check(("", ""), vector(&[]), Successful, Successful);
    }

    #[test]
    fn the_other_outcomes_are_told_apart() {
        let told = || "told".to_owned();
        for (outcome, semantics, verdict, message) in [
            (Outcome::NoData { message: told() }, Semantics::Serin, Verdict::NoData, "no data: told".to_owned()),
            (
                Outcome::NoData { message: told() },
                Semantics::Argo,
                Verdict::Error,
                format!("could not evaluate successCondition \"{GOOD}\": {EMPTY}"),
            ),
            (Outcome::SourceDown { message: told() }, Semantics::Serin, Verdict::SourceDown, told()),
            (Outcome::SourceDown { message: told() }, Semantics::Argo, Verdict::Error, told()),
            (Outcome::Wrong { message: told() }, Semantics::Serin, Verdict::Error, told()),
            (Outcome::Wrong { message: told() }, Semantics::Argo, Verdict::Error, told()),
        ] {
            let got = judge(&metric(GOOD, ""), &sample(outcome.clone()), semantics);
            assert_eq!(got, Judgement { verdict, message }, "{outcome:?} {semantics:?}");
        }
    }

    #[test]
    fn messages_name_the_condition() {
        let message =
            |result| judge(&metric("asInt('x') > 1", ""), &sample(Outcome::Measured(result)), Semantics::Argo).message;
        let got = message(MetricResult::Scalar(1.0));
        assert!(got.starts_with("could not evaluate successCondition \"asInt('x') > 1\": "), "{got}");
        assert!(!got.ends_with(EMPTY), "{got}");
        assert_eq!(
            message(MetricResult::Nil),
            format!("could not evaluate successCondition \"asInt('x') > 1\": {EMPTY}")
        );
        let nan = judge(
            &metric("result[0] > 1", ""),
            &sample(Outcome::Measured(MetricResult::Vector(vec![f64::NAN, 2.0]))),
            Semantics::Serin,
        );
        assert_eq!(nan.message, "no data: 1 of 2 values are NaN");
    }

    #[test]
    fn a_verdict_is_read_back_from_status() {
        use Verdict::{Error, Failed, Inconclusive, NoData, SourceDown, Successful};
        for verdict in [Successful, Failed, Inconclusive, Error, NoData, SourceDown] {
            let metadata = verdict.outcome().map(|outcome| (OUTCOME_KEY.to_owned(), outcome.to_owned()));
            let measurement = serin_api::Measurement {
                phase: verdict.phase().to_string(),
                metadata: metadata.into_iter().collect(),
                ..serin_api::Measurement::default()
            };
            assert_eq!(Verdict::of(&measurement), Some(verdict));
        }
        assert_eq!(Verdict::of(&serin_api::Measurement::default()), None);
    }
}
