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
    pub fn absorb(mut self, plan: &Plan, polls: &BTreeMap<String, Poll>) -> Self {
        for question in &plan.questions {
            let Some(poll) = polls.get(&question.name) else { continue };
            let tally = self.questions.remove(&question.name).unwrap_or_else(|| Tally::new(question));
            self.questions.insert(question.name.clone(), tally.plus(question, poll));
        }
        self.peak = self.peak.max(self.log_evidence(plan));
        self
    }

    /// The state after learning how lumpy bad requests are on stable's pods, by questions, from polls before the rollout.
    #[must_use]
    pub fn learn(mut self, plan: &Plan, pods: &BTreeMap<String, Vec<Arm>>) -> Self {
        for question in &plan.questions {
            let Some(pods) = pods.get(&question.name) else { continue };
            let tally = self.questions.entry(question.name.clone()).or_insert_with(|| Tally::new(question));
            tally.dispersion = tally.dispersion.plus(pods);
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

    /// Why this state does not belong to `plan`; empty if it does. Questions that the state does not know begin without evidence.
    #[must_use]
    pub fn mistakes(&self, plan: &Plan) -> Vec<FieldError> {
        let mut mistakes = Vec::new();
        if !(self.peak.is_finite() && self.peak >= 0.0) {
            mistakes.push(FieldError::new("peak", format!("must be a number from 0; it is {}", self.peak)));
        }
        for (index, question) in plan.questions.iter().enumerate() {
            let Some(tally) = self.questions.get(&question.name) else { continue };
            if !tally.is_whole() {
                let message = "is not as Serin wrote it; start a new revision";
                mistakes.push(FieldError::new(format!("questions.{}", question.name), message));
            }
            for (field, kept, asked) in [
                ("tolerance", tally.tolerance, question.tolerance),
                ("unacceptable", tally.unacceptable, question.unacceptable),
            ] {
                if (kept - asked).abs() > 1e-9 {
                    let message = format!(
                        "cannot change from {kept} to {asked} while a revision is judged, since its evidence answers the \
                         earlier question; change it back, or start a new revision"
                    );
                    mistakes.push(FieldError::new(format!("compare[{index}].{field}"), message));
                }
            }
        }
        mistakes
    }
}

impl Tally {
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
        let (kept, lost) = (state.absorb(&plan, &next), back.absorb(&plan, &next));
        assert!((kept.log_evidence(&plan) - lost.log_evidence(&plan)).abs() < 1e-9);
        assert!(text.len() < 1500, "{} bytes for one question: {text}", text.len());
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

    #[test]
    fn bounds_cannot_move_while_a_revision_is_judged() {
        let mut plan = plan();
        let state = State::default().absorb(&plan, &polls(poll((100, 4), (900, 9))));
        plan.questions[0].tolerance = 1.5;
        plan.questions[1].tolerance = 1.5;
        let mistakes = state.mistakes(&plan);
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(
            mistakes[0].to_string().starts_with("compare[0].tolerance: cannot change from 1 to 1.5 while"),
            "{}",
            mistakes[0]
        );
        assert_eq!(state.questions["errors"].tolerance, 1.0);
        let edited = State { peak: -1.0, ..State::default() };
        assert_eq!(edited.mistakes(&plan)[0].field, "peak");
    }
}
