//! What evidence is asked for: which differences are healthy, which are unacceptable, and how often a verdict may be wrong.

use super::odds::LARGEST;
use crate::field_error::FieldError;

/// One thing to compare: error counts, or counts of requests slower than one boundary.
///
/// Differences are odds ratios: the odds `p/(1−p)` of a bad request on the canary over those on stable. For rare events
/// that is the ratio of the rates: 2 means twice as many errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Name, unique in a plan.
    pub name: String,
    /// Share of the plan's `false_abort_rate` that this question may use, relative to the other weights; above 0.
    pub weight: f64,
    /// Largest odds ratio that still counts as healthy: 1 (as good as stable or better) to 16.
    pub tolerance: f64,
    /// Smallest odds ratio that promotion must rule out, and that an abort is quickest for: above `tolerance`, at most 32.
    pub unacceptable: f64,
    /// How many counts one request can leave: 1 if every request is counted once, 1 plus the number of retries if every
    /// attempt is counted.
    pub counts_per_request: u32,
}

impl Question {
    /// A question with ordinary bounds: nothing worse than stable is healthy, twice as bad is unacceptable, and every
    /// request is counted once.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Question { name: name.into(), weight: 1.0, tolerance: 1.0, unacceptable: 2.0, counts_per_request: 1 }
    }
}

/// Questions that are answered together, and how often the answer may be wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// At least one; with names that differ.
    pub questions: Vec<Question>,
    /// α: largest probability that a canary within all tolerances is ever called a regression. Above 0, at most 0.5.
    pub false_abort_rate: f64,
    /// β: largest probability that a canary with an unacceptable difference is ever called healthy. Above 0, at most 0.5.
    pub miss_rate: f64,
}

/// Largest tolerance; further up the lattice has too few points to tell what is worse.
const TOLERANCE_MAX: f64 = LARGEST / 2.0;

/// More attempts than this are a mistake rather than a retry policy.
const COUNTS_PER_REQUEST_MAX: u32 = 100;

impl Plan {
    /// Every mistake in the plan, with fields named as in an AnalysisTemplate; none if it can be used.
    #[must_use]
    pub fn mistakes(&self) -> Vec<FieldError> {
        let mut mistakes = Vec::new();
        for (field, rate) in [("falseAbortRate", self.false_abort_rate), ("missRate", self.miss_rate)] {
            if !(rate > 0.0 && rate <= 0.5) {
                mistakes.push(FieldError::new(
                    field,
                    format!("must be above 0 and at most 0.5, such as 0.05; it is {rate}"),
                ));
            }
        }
        if self.questions.is_empty() {
            mistakes.push(FieldError::new("compare", "must name at least one thing to compare, such as errors"));
        }
        for (index, question) in self.questions.iter().enumerate() {
            let doubled = self.questions[..index].iter().any(|other| other.name == question.name);
            let prefix = format!("compare[{index}]");
            if doubled {
                let message = format!("`{}` is compared already; give it another name", question.name);
                mistakes.push(FieldError::new("name", message).under(&prefix));
            }
            mistakes.extend(question.mistakes().into_iter().map(|mistake| mistake.under(&prefix)));
        }
        mistakes
    }

    /// The share of a question in the average of all evidence; all shares sum to 1.
    pub(super) fn share(&self, question: &Question) -> f64 {
        question.weight / self.questions.iter().map(|question| question.weight).sum::<f64>()
    }

    /// `ln(1/α)`: where combined evidence aborts.
    #[must_use]
    pub fn abort_line(&self) -> f64 {
        -self.false_abort_rate.ln()
    }

    /// `ln(1/β)`: where the evidence of every question promotes.
    #[must_use]
    pub fn promotion_line(&self) -> f64 {
        -self.miss_rate.ln()
    }
}

impl Question {
    fn mistakes(&self) -> Vec<FieldError> {
        let mut mistakes = Vec::new();
        let mut refuse = |field: &str, message: String| mistakes.push(FieldError::new(field, message));
        if self.name.is_empty() {
            refuse("name", "must be given".to_owned());
        }
        if !(self.weight > 0.0 && self.weight.is_finite()) {
            refuse("weight", format!("must be above 0; it is {}", self.weight));
        }
        if !(1.0..=TOLERANCE_MAX).contains(&self.tolerance) {
            let message = format!("must be from 1 (no worse than stable) to {TOLERANCE_MAX}; it is {}", self.tolerance);
            refuse("tolerance", message);
        }
        if !(self.unacceptable > self.tolerance && self.unacceptable <= LARGEST) {
            let message = format!(
                "must be above the tolerance of {} and at most {LARGEST}, such as 2 for twice as many; it is {}",
                self.tolerance, self.unacceptable
            );
            refuse("unacceptable", message);
        }
        if !(1..=COUNTS_PER_REQUEST_MAX).contains(&self.counts_per_request) {
            let message = format!(
                "must be from 1 (each request is counted once) to {COUNTS_PER_REQUEST_MAX}; it is {}",
                self.counts_per_request
            );
            refuse("countsPerRequest", message);
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan after an edit, and the mistakes in it.
    #[track_caller]
    fn check(what: &str, edit: impl FnOnce(&mut Plan), expected: &[&str]) {
        let mut plan = Plan { questions: vec![Question::new("errors")], false_abort_rate: 0.05, miss_rate: 0.1 };
        edit(&mut plan);
        let got: Vec<String> = plan.mistakes().iter().map(ToString::to_string).collect();
        assert_eq!(got, expected, "{what}");
    }

    #[test]
    fn mistakes_name_the_field_and_the_fix() {
        check("a plan", |_| {}, &[]);
        let rate = |field| format!("{field}: must be above 0 and at most 0.5, such as 0.05; it is ");
        check("no false aborts", |plan| plan.false_abort_rate = 0.0, &[&(rate("falseAbortRate") + "0")]);
        check("a percentage", |plan| plan.miss_rate = 5.0, &[&(rate("missRate") + "5")]);
        check("NaN", |plan| plan.miss_rate = f64::NAN, &[&(rate("missRate") + "NaN")]);
        check(
            "nothing",
            |plan| plan.questions.clear(),
            &["compare: must name at least one thing to compare, such as errors"],
        );
        check(
            "twice",
            |plan| plan.questions.push(Question::new("errors")),
            &["compare[1].name: `errors` is compared already; give it another name"],
        );
        let second = |edit: fn(&mut Question)| {
            move |plan: &mut Plan| {
                let mut question = Question::new("slow");
                edit(&mut question);
                plan.questions.push(question);
            }
        };
        check("no name", second(|it| it.name.clear()), &["compare[1].name: must be given"]);
        check("no weight", second(|it| it.weight = 0.0), &["compare[1].weight: must be above 0; it is 0"]);
        check(
            "a tolerance below one",
            second(|it| it.tolerance = 0.05),
            &["compare[1].tolerance: must be from 1 (no worse than stable) to 16; it is 0.05"],
        );
        check(
            "tolerated and unacceptable",
            second(|it| it.tolerance = 2.0),
            &[
                "compare[1].unacceptable: must be above the tolerance of 2 and at most 32, such as 2 for twice as many; it is 2",
            ],
        );
        check(
            "no counts",
            second(|it| it.counts_per_request = 0),
            &["compare[1].countsPerRequest: must be from 1 (each request is counted once) to 100; it is 0"],
        );
        check(
            "all at once",
            second(|it| *it = Question { weight: -1.0, unacceptable: 64.0, ..Question::new("") }),
            &[
                "compare[1].name: must be given",
                "compare[1].weight: must be above 0; it is -1",
                "compare[1].unacceptable: must be above the tolerance of 1 and at most 32, such as 2 for twice as many; it is 64",
            ],
        );
    }

    #[test]
    fn shares_sum_to_one() {
        let mut plan =
            Plan { questions: vec![Question::new("a"), Question::new("b")], false_abort_rate: 0.05, miss_rate: 0.1 };
        plan.questions[0].weight = 3.0;
        assert_eq!(plan.questions.iter().map(|question| plan.share(question)).collect::<Vec<_>>(), [0.75, 0.25]);
        assert!(
            (plan.abort_line() - 20.0_f64.ln()).abs() < 1e-12 && (plan.promotion_line() - 10.0_f64.ln()).abs() < 1e-12
        );
    }
}
