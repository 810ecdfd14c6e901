//! What all evidence comes to.

use super::e_value::log_promotion_evidence;
use super::forecast::{Forecast, Traffic, forecast};
use super::interval::{OddsInterval, odds_interval};
use super::question::{Plan, Question};
use super::state::{State, Tally};
use super::stratum::Arm;

/// What evidence says about a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Worse than tolerated: abort. It has once been reached, and stays.
    Regression,
    /// Every unacceptable difference is ruled out: promote.
    Healthy,
    /// Neither: wait, or decide otherwise.
    Insufficient,
}

/// The verdict and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// What to do.
    pub verdict: Verdict,
    /// `ln E` of all questions combined, now.
    pub log_evidence: f64,
    /// p-value that may be looked at at any time: `min(1, 1/E)` with the largest `E` so far.
    pub p_value: f64,
    /// One for each question of the plan, in its order.
    pub answers: Vec<Answer>,
}

/// What evidence says about one question.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The question's name.
    pub name: String,
    /// The canary's counts in all polls.
    pub canary: Arm,
    /// Stable's counts in all polls.
    pub stable: Arm,
    /// `ln E` against "within the tolerance".
    pub log_abort_evidence: f64,
    /// `ln E'` against "unacceptable".
    pub log_promotion_evidence: f64,
    /// The odds ratio that fits best; `None` without bad requests.
    pub odds_ratio: Option<f64>,
    /// Where the odds ratio lies with 95 % confidence, at all polls together.
    pub interval: OddsInterval,
    /// By how much evidence is divided since bad requests come in lumps; 1 if they do not.
    pub temper: f64,
    /// When it will be decided; `None` if that cannot be told or traffic is not known.
    pub forecast: Option<Forecast>,
}

/// Confidence of the intervals that are shown.
pub(super) const SHOWN_CONFIDENCE: f64 = 0.95;

/// Where the evidence stands. `requests` is the present traffic of both sides in requests per second and the canary's share of it,
/// from 0 to 1; without it nothing is forecast.
///
/// * Regression as soon as `E ≥ 1/falseAbortRate` at any poll, with the average over all questions: Ville's inequality
///   bounds the probability of that for a canary within all tolerances.
/// * Healthy when every question has `E' ≥ 1/missRate`: a canary that is unacceptable in any of them gets there with at most that
///   probability, so nothing has to be paid for asking several (Berger's intersection-union test, Technometrics 1982).
///
/// `plan` and `state` must have no mistakes.
#[must_use]
pub fn assess(plan: &Plan, state: &State, requests: Option<(f64, f64)>) -> Assessment {
    let answers: Vec<Answer> = plan.questions.iter().map(|question| answer(plan, question, state, requests)).collect();
    let promotes = |answer: &Answer| answer.log_promotion_evidence >= plan.promotion_line();
    let verdict = if state.peak >= plan.abort_line() {
        Verdict::Regression
    } else if !answers.is_empty() && answers.iter().all(promotes) {
        Verdict::Healthy
    } else {
        Verdict::Insufficient
    };
    Assessment { verdict, log_evidence: state.log_evidence(plan), p_value: (-state.peak).exp().min(1.0), answers }
}

fn answer(plan: &Plan, question: &Question, state: &State, requests: Option<(f64, f64)>) -> Answer {
    let unknown = Tally::new(question);
    let tally = state.questions.get(&question.name).unwrap_or(&unknown);
    let traffic = requests.and_then(|(requests_per_second, canary_share)| {
        Some(Traffic { requests_per_second, canary_share, event_rate: event_rate(tally)? })
    });
    Answer {
        name: question.name.clone(),
        canary: tally.canary,
        stable: tally.stable,
        log_abort_evidence: tally.log_abort_evidence(question),
        log_promotion_evidence: log_promotion_evidence(&tally.likelihood),
        odds_ratio: tally.odds_ratio(),
        interval: odds_interval(&tally.likelihood, SHOWN_CONFIDENCE),
        temper: tally.temper(question),
        forecast: traffic.and_then(|traffic| forecast(plan, question, tally, traffic)),
    }
}

/// The part of stable's requests that was bad, or of all requests while stable had none.
fn event_rate(tally: &Tally) -> Option<f64> {
    let both = tally.stable.plus(tally.canary);
    let of = |arm: Arm| (arm.events > 0).then(|| arm.events as f64 / arm.requests as f64);
    of(tally.stable).or_else(|| of(both))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::state::Poll;
    use super::super::stratum::Stratum;
    use super::*;

    fn plan() -> Plan {
        Plan {
            questions: vec![Question::new("errors"), Question::new("slow")],
            false_abort_rate: 0.05,
            miss_rate: 0.05,
        }
    }

    type Counts = ((u64, u64), (u64, u64));

    fn absorbed(polls: &[[Option<Counts>; 2]]) -> State {
        let plan = plan();
        polls.iter().fold(State::default(), |state, poll| {
            let mut named = BTreeMap::new();
            for (question, counts) in plan.questions.iter().zip(poll) {
                let Some((canary, stable)) = counts else { continue };
                let arm = |&(requests, events): &(u64, u64)| Arm::new(requests, events);
                let strata = vec![Stratum::new(arm(canary), arm(stable)).expect("possible counts")];
                named.insert(question.name.clone(), Poll { strata, stable_pods: Vec::new() });
            }
            state.absorb(&plan, &named)
        })
    }

    const SAME: Option<Counts> = Some(((3000, 60), (3000, 60)));
    const LITTLE: Option<Counts> = Some(((30, 1), (30, 0)));
    const WORSE: Option<Counts> = Some(((3000, 120), (3000, 60)));
    const BETTER: Option<Counts> = Some(((3000, 30), (3000, 60)));

    #[test]
    fn verdicts() {
        use Verdict::{Healthy, Insufficient, Regression};
        for (what, polls, verdict) in [
            ("no polls", vec![], Insufficient),
            ("both as good", vec![[SAME, SAME]; 3], Healthy),
            ("both better", vec![[BETTER, BETTER]], Healthy),
            ("one is worse", vec![[WORSE, SAME]; 3], Regression),
            ("the other is worse", vec![[SAME, WORSE]], Regression),
            ("a little of one", vec![[SAME, SAME], [SAME, SAME], [None, None], [SAME, LITTLE]], Healthy),
            ("one not yet known", vec![[SAME, LITTLE]; 3], Insufficient),
            ("one never asked", vec![[SAME, None]; 3], Insufficient),
            ("worse once", vec![[WORSE, WORSE], [BETTER, BETTER], [BETTER, BETTER], [BETTER, BETTER]], Regression),
        ] {
            let got = assess(&plan(), &absorbed(&polls), None);
            assert_eq!(got.verdict, verdict, "{what}: {got:?}");
        }
    }

    #[test]
    fn figures_come_with_the_verdict() {
        let state = absorbed(&[[WORSE, LITTLE]]);
        let got = assess(&plan(), &state, Some((100.0, 0.5)));
        let errors = &got.answers[0];
        assert_eq!((errors.canary, errors.stable), (Arm::new(3000, 120), Arm::new(3000, 60)));
        let ratio = errors.odds_ratio.expect("an odds ratio");
        assert!((ratio - 120.0 * 2940.0 / (60.0 * 2880.0)).abs() < 1e-9, "{ratio}");
        assert!(errors.interval.contains(ratio) && !errors.interval.contains(1.0), "{errors:?}");
        assert!((got.p_value - (-got.log_evidence).exp()).abs() < 1e-12 && got.p_value < 0.05);
        assert_eq!(got.answers[1].odds_ratio, None);
        assert!(got.answers.iter().all(|answer| answer.forecast.is_some()));
        assert!(assess(&plan(), &state, None).answers.iter().all(|answer| answer.forecast.is_none()));
        let nothing = assess(&plan(), &State::default(), Some((100.0, 0.5)));
        assert_eq!((nothing.p_value, nothing.answers[0].forecast), (1.0, None));
    }

    #[test]
    fn a_forecast_shrinks_to_nothing_as_evidence_comes() {
        let waits: Vec<f64> = (0..4)
            .map(|polls| {
                let state = absorbed(&vec![[Some(((200, 8), (200, 4))), Some(((200, 4), (200, 4)))]; polls * 2 + 1]);
                let got = assess(&plan(), &state, Some((10.0, 0.5)));
                got.answers[0].forecast.expect("a forecast").abort.typical
            })
            .collect();
        assert!(waits.windows(2).all(|pair| pair[1] < pair[0]), "{waits:?}");
    }
}
