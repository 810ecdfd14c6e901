//! What is kept of all polls of a revision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dispersion::Dispersion;
use super::e_value::log_abort_evidence;
use super::likelihood::Likelihood;
use super::odds::log_sum_exp;
use super::question::{Plan, Question};
use super::stratum::{Arm, Stratum};
use crate::field_error::FieldError;

/// What one poll counted for one question.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Poll {
    /// One for each zone that is counted apart, all of the same time and of standing weights.
    pub strata: Vec<Stratum>,
    /// Stable's counts by pod, to tell whether bad requests come in lumps; empty if they are not known.
    pub stable_pods: Vec<Arm>,
}

/// All evidence about one revision. It is never begun anew while the revision is judged: a fresh start after every step would
/// give every step its own chance of a false alarm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// `falseAbortRate` and `missRate` of the plan that the evidence was begun with; `None` before that.
    pub rates: Option<(f64, f64)>,
    /// By the names of the questions.
    pub questions: BTreeMap<String, Tally>,
    /// Largest `ln E` of all questions combined so far, at least 0. An abort that was due once stays due.
    pub peak: f64,
}

/// All evidence about one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// The tolerance that the evidence so far is about.
    pub tolerance: f64,
    /// The odds ratio that the evidence so far took for unacceptable.
    pub unacceptable: f64,
    /// The question's weight.
    pub weight: f64,
    /// What polls say about every odds ratio.
    pub likelihood: Likelihood,
    /// The canary's counts in all polls.
    pub canary: Arm,
    /// Stable's counts in all polls.
    pub stable: Arm,
    /// Numerator and denominator of the common odds ratio of Mantel and Haenszel (1959), summed over strata.
    pub common_odds: (f64, f64),
    /// How much bad requests come in lumps.
    pub dispersion: Dispersion,
    /// Number of polls.
    pub polls: u64,
}

impl Tally {
    /// No evidence yet.
    #[must_use]
    pub fn new(question: &Question) -> Self {
        Tally {
            tolerance: question.tolerance,
            unacceptable: question.unacceptable,
            weight: question.weight,
            likelihood: Likelihood::default(),
            canary: Arm::default(),
            stable: Arm::default(),
            common_odds: (0.0, 0.0),
            dispersion: Dispersion::default(),
            polls: 0,
        }
    }

    /// The odds ratio that fits best, stratified by poll; `None` without bad requests that tell.
    #[must_use]
    pub fn odds_ratio(&self) -> Option<f64> {
        let (numerator, denominator) = self.common_odds;
        (denominator > 0.0).then(|| numerator / denominator)
    }

    /// By how much the evidence of the next poll is divided: the counts that a request can leave, or the lumps that were
    /// seen, whichever is more. It is settled before the poll.
    #[must_use]
    pub fn temper(&self, question: &Question) -> f64 {
        self.dispersion.factor().max(f64::from(question.counts_per_request))
    }

    fn plus(mut self, question: &Question, poll: &Poll) -> Self {
        let temper = self.temper(question);
        let question = Question { tolerance: self.tolerance, unacceptable: self.unacceptable, ..question.clone() };
        for stratum in &poll.strata {
            self.likelihood = self.likelihood.plus(&question, *stratum, temper);
            self.canary = self.canary.plus(stratum.canary());
            self.stable = self.stable.plus(stratum.stable());
            let (canary, stable, all) = (stratum.canary(), stratum.stable(), stratum.requests().max(1) as f64);
            let good = |arm: Arm| (arm.requests - arm.events) as f64;
            self.common_odds.0 += canary.events as f64 * good(stable) / all;
            self.common_odds.1 += stable.events as f64 * good(canary) / all;
        }
        self.dispersion = self.dispersion.plus(&poll.stable_pods);
        self.polls += 1;
        self
    }

    fn is_whole(&self) -> bool {
        let sums = [self.common_odds.0, self.common_odds.1];
        self.likelihood.is_whole()
            && self.dispersion.is_whole()
            && sums.iter().all(|sum| sum.is_finite() && *sum >= 0.0)
    }
}

impl State {
    /// The state after one more poll of some or all questions, by their names; others keep theirs.
    ///
    /// `plan` and the state must have no [mistakes](State::mistakes).
    #[must_use]
    pub fn absorb(self, plan: &Plan, polls: &BTreeMap<String, Poll>) -> Self {
        let mut state = self.begun(plan);
        for question in &plan.questions {
            let Some(poll) = polls.get(&question.name) else { continue };
            let tally = state.questions.remove(&question.name).unwrap_or_else(|| Tally::new(question));
            state.questions.insert(question.name.clone(), tally.plus(question, poll));
        }
        state.peak = state.peak.max(state.log_evidence(plan));
        state
    }

    /// The state after learning how lumpy bad requests are on stable's pods, by questions, from polls before the rollout.
    #[must_use]
    pub fn learn(self, plan: &Plan, pods: &BTreeMap<String, Vec<Arm>>) -> Self {
        let mut state = self.begun(plan);
        for (name, pods) in pods {
            if let Some(tally) = state.questions.get_mut(name) {
                tally.dispersion = tally.dispersion.plus(pods);
            }
        }
        state
    }

    /// The state with every question of the plan in it, so that a plan which changes later is noticed.
    fn begun(mut self, plan: &Plan) -> Self {
        if self.rates.is_none() {
            self.rates = Some((plan.false_abort_rate, plan.miss_rate));
            self.questions = plan.questions.iter().map(|it| (it.name.clone(), Tally::new(it))).collect();
        }
        self
    }

    /// `ln E` of all questions combined: the logarithm of their weighted average. An average of e-values is one whatever
    /// binds the questions together (Vovk and Wang, E-values, Annals of Statistics 2021).
    #[must_use]
    pub fn log_evidence(&self, plan: &Plan) -> f64 {
        log_sum_exp(plan.questions.iter().map(|question| {
            let evidence = self.questions.get(&question.name).map_or(0.0, |tally| tally.log_abort_evidence(question));
            plan.share(question).ln() + evidence
        }))
    }

    /// Why this state does not belong to `plan`; empty if it does. What was set when the evidence was begun stays: rates and
    /// weights that follow what they have shown would have no guarantee.
    #[must_use]
    pub fn mistakes(&self, plan: &Plan) -> Vec<FieldError> {
        let mut mistakes = Vec::new();
        if !(self.peak.is_finite() && self.peak >= 0.0) {
            mistakes.push(FieldError::new("peak", format!("must be a number from 0; it is {}", self.peak)));
        }
        let Some((false_abort_rate, miss_rate)) = self.rates else { return mistakes };
        mistakes.extend(changed("falseAbortRate", false_abort_rate, plan.false_abort_rate));
        mistakes.extend(changed("missRate", miss_rate, plan.miss_rate));
        for (index, question) in plan.questions.iter().enumerate() {
            let found = match self.questions.get(&question.name) {
                Some(tally) => tally.mistakes(question),
                None => vec![FieldError::new("name", format!("`{}` cannot be added {SETTLED}", question.name))],
            };
            mistakes.extend(found.into_iter().map(|mistake| mistake.under(&format!("compare[{index}]"))));
        }
        let is_asked = |name: &String| plan.questions.iter().any(|question| question.name == *name);
        for name in self.questions.keys().filter(|name| !is_asked(name)) {
            mistakes.push(FieldError::new("compare", format!("`{name}` cannot be left out {SETTLED}")));
        }
        mistakes
    }
}

/// Why a plan stays as it is.
const SETTLED: &str = "while a revision is judged, since its evidence answers the earlier question; change it back, or start \
                       a new revision";

fn changed(field: &str, kept: f64, asked: f64) -> Option<FieldError> {
    let message = || format!("cannot change from {kept} to {asked} {SETTLED}");
    // A status may round the last digit.
    ((kept - asked).abs() > 1e-9 * kept.abs()).then(|| FieldError::new(field, message()))
}

impl Tally {
    /// With fields relative to the question.
    fn mistakes(&self, question: &Question) -> Vec<FieldError> {
        let whole = "is kept in a state that is not as Serin wrote it; start a new revision";
        let broken = (!self.is_whole()).then(|| FieldError::new("", whole));
        let fields = [
            ("tolerance", self.tolerance, question.tolerance),
            ("unacceptable", self.unacceptable, question.unacceptable),
            ("weight", self.weight, question.weight),
        ];
        broken
            .into_iter()
            .chain(fields.into_iter().filter_map(|(field, kept, asked)| changed(field, kept, asked)))
            .collect()
    }

    /// `ln E` against "the odds of a bad request on the canary are at most `tolerance` times stable's".
    #[must_use]
    pub fn log_abort_evidence(&self, question: &Question) -> f64 {
        let question = Question { tolerance: self.tolerance, unacceptable: self.unacceptable, ..question.clone() };
        log_abort_evidence(&question, &self.likelihood)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let slow = Question { weight: 3.0, ..Question::new("slow") };
        Plan { questions: vec![Question::new("errors"), slow], false_abort_rate: 0.05, miss_rate: 0.1 }
    }

    fn poll(canary: (u64, u64), stable: (u64, u64)) -> Poll {
        let arm = |(requests, events)| Arm::new(requests, events);
        Poll { strata: vec![Stratum::new(arm(canary), arm(stable)).expect("possible counts")], stable_pods: Vec::new() }
    }

    fn polls(errors: Poll) -> BTreeMap<String, Poll> {
        BTreeMap::from([("errors".to_owned(), errors)])
    }

    #[test]
    fn a_state_survives_a_status() {
        let plan = plan();
        let state = State::default().absorb(&plan, &polls(poll((100, 4), (900, 9))));
        let text = serde_json::to_string(&state).expect("JSON");
        let back: State = serde_json::from_str(&text).expect("a state");
        assert_eq!(back.mistakes(&plan), []);
        let next = polls(poll((100, 6), (900, 7)));
        let (kept, lost) = (state.absorb(&plan, &next), back.clone().absorb(&plan, &next));
        assert!((kept.log_evidence(&plan) - lost.log_evidence(&plan)).abs() < 1e-9);
        let text = serde_json::to_string(&back.questions["errors"]).expect("JSON");
        assert!(text.len() < 1200, "{} bytes for one question: {text}", text.len());
    }

    #[test]
    fn the_average_has_the_weights_of_the_questions() {
        let plan = plan();
        let state = State::default().absorb(&plan, &polls(poll((1000, 60), (1000, 5))));
        let errors = state.questions["errors"].log_abort_evidence(&plan.questions[0]);
        let expected = (0.25 * errors.exp() + 0.75).ln();
        assert!((state.log_evidence(&plan) - expected).abs() < 1e-9);
        assert_eq!(state.peak, state.log_evidence(&plan));
    }

    #[test]
    fn a_peak_stays_when_evidence_goes_back() {
        let plan = plan();
        let bad = State::default().absorb(&plan, &polls(poll((1000, 60), (1000, 5))));
        let later = bad.clone().absorb(&plan, &polls(poll((1000, 5), (1000, 60))));
        assert!(later.log_evidence(&plan) < bad.peak);
        assert_eq!(later.peak, bad.peak);
    }

    #[test]
    fn strata_of_zones_multiply_and_lumps_divide() {
        let plan = plan();
        let one = poll((100, 8), (900, 9));
        let zones = Poll { strata: [one.strata.clone(), one.strata.clone()].concat(), stable_pods: Vec::new() };
        let together = State::default().absorb(&plan, &polls(zones));
        let apart = State::default().absorb(&plan, &polls(one.clone())).absorb(&plan, &polls(one.clone()));
        assert_eq!(together.log_evidence(&plan), apart.log_evidence(&plan));
        assert_eq!((together.questions["errors"].polls, apart.questions["errors"].polls), (1, 2));

        let lumps: Vec<Arm> = (0..12).map(|pod| Arm::new(1000, if pod < 6 { 0 } else { 12 })).collect();
        let learned = State::default().learn(&plan, &BTreeMap::from([("errors".to_owned(), lumps)]));
        let factor = learned.questions["errors"].temper(&plan.questions[0]);
        assert!(factor > 6.0, "{factor}");
        let calm = State::default().absorb(&plan, &polls(one.clone())).questions["errors"].likelihood.at(0);
        let tempered = learned.absorb(&plan, &polls(one)).questions["errors"].likelihood.at(0);
        assert!((tempered * factor - calm).abs() < 1e-9);
    }

    #[test]
    fn a_divisor_does_not_know_its_own_poll() {
        let plan = plan();
        let lumpy = Poll {
            stable_pods: (0..12).map(|pod| Arm::new(75, if pod == 0 { 9 } else { 0 })).collect(),
            ..poll((100, 8), (900, 9))
        };
        let with_pods = State::default().absorb(&plan, &polls(lumpy.clone()));
        let without = State::default().absorb(&plan, &polls(poll((100, 8), (900, 9))));
        assert_eq!(with_pods.questions["errors"].likelihood, without.questions["errors"].likelihood);
        let second = with_pods.clone().absorb(&plan, &polls(lumpy));
        assert!(second.log_evidence(&plan) < 2.0 * with_pods.log_evidence(&plan));
    }

    /// A plan that changes after the first poll, and what is said of it.
    #[track_caller]
    fn check_change(what: &str, edit: impl FnOnce(&mut Plan), expected: &[&str]) {
        let mut plan = plan();
        let state = State::default().absorb(&plan, &polls(poll((100, 4), (900, 9))));
        edit(&mut plan);
        let got: Vec<String> = state.mistakes(&plan).iter().map(ToString::to_string).collect();
        let expected: Vec<String> = expected.iter().map(|start| format!("{start} {SETTLED}")).collect();
        assert_eq!(got, expected, "{what}");
        assert_eq!(State::default().mistakes(&plan), [], "{what}: before the first poll");
    }

    #[test]
    fn a_plan_cannot_change_while_a_revision_is_judged() {
        check_change("nothing", |_| {}, &[]);
        check_change("retries", |plan| plan.questions[0].counts_per_request = 3, &[]);
        check_change(
            "bounds",
            |plan| (plan.questions[0].tolerance, plan.questions[1].unacceptable) = (1.5, 3.0),
            &[
                "compare[0].tolerance: cannot change from 1 to 1.5",
                "compare[1].unacceptable: cannot change from 2 to 3",
            ],
        );
        check_change(
            "weights and rates",
            |plan| (plan.questions[1].weight, plan.false_abort_rate, plan.miss_rate) = (1.0, 0.2, 0.3),
            &[
                "falseAbortRate: cannot change from 0.05 to 0.2",
                "missRate: cannot change from 0.1 to 0.3",
                "compare[1].weight: cannot change from 3 to 1",
            ],
        );
        check_change(
            "another question",
            |plan| plan.questions[1] = Question::new("slower"),
            &["compare[1].name: `slower` cannot be added", "compare: `slow` cannot be left out"],
        );
    }

    #[test]
    fn a_state_that_somebody_edited_is_noticed() {
        let plan = plan();
        let mut state = State::default().absorb(&plan, &BTreeMap::new());
        assert_eq!(state.mistakes(&plan), []);
        state.peak = -1.0;
        state.questions.entry("slow".to_owned()).and_modify(|tally| tally.common_odds.0 = f64::NAN);
        let fields: Vec<String> = state.mistakes(&plan).into_iter().map(|mistake| mistake.field).collect();
        assert_eq!(fields, ["peak", "compare[1]"]);
    }
}
