//! How long a decision will take at the present traffic.

use super::e_value::{log_prior_of_even, log_prior_of_unacceptable};
use super::odds::{EVEN, TOLERANCE, UNACCEPTABLE};
use super::question::{Plan, Question};
use super::state::Tally;

/// The traffic that a forecast counts on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Requests per second of both sides together.
    pub requests_per_second: f64,
    /// The canary's part of them, from 0 to 1.
    pub canary_share: f64,
    /// The part of stable's requests which is bad, from 0 to 1.
    pub event_rate: f64,
}

/// Seconds from now until a decision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wait {
    /// About half of all rollouts have decided by then.
    pub typical: f64,
    /// About nine in ten have.
    pub cautious: f64,
}

/// Both decisions that evidence can come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Until an abort, if the canary is as bad as the question calls unacceptable.
    pub abort: Wait,
    /// Until evidence for a promotion, if the canary is as good as stable.
    pub promotion: Wait,
}

/// When one question will be decided; `tally` is what there is so far, a new one before the rollout. `None` if nothing can
/// be told: no traffic, everything on one side, or no bad requests at all.
///
/// Evidence grows per bad request by the Kullback–Leibler divergence between the shares of bad requests that the canary has
/// under both claims (Wald 1945 for the expected sample size); the spread of that growth gives the cautious figure. Events
/// are taken as rare, and the growth of frequent ones is scaled down by the good part of requests.
#[must_use]
pub fn forecast(plan: &Plan, question: &Question, tally: &Tally, traffic: Traffic) -> Option<Forecast> {
    let Traffic { requests_per_second, canary_share, event_rate } = traffic;
    let inside = |part: f64| part > 0.0 && part < 1.0;
    if !(requests_per_second > 0.0 && requests_per_second.is_finite() && inside(canary_share) && inside(event_rate)) {
        return None;
    }
    let log = |point| tally.likelihood.at(point);
    let temper = tally.temper(question);
    let abort = Race {
        truth: tally.unacceptable,
        against: tally.tolerance,
        missing: plan.abort_line()
            - plan.share(question).ln()
            - log_prior_of_unacceptable()
            - (log(UNACCEPTABLE) - log(TOLERANCE)),
    };
    let promotion = Race {
        truth: 1.0,
        against: tally.unacceptable,
        missing: plan.promotion_line() - log_prior_of_even(question) - (log(EVEN) - log(UNACCEPTABLE)),
    };
    Some(Forecast { abort: abort.wait(traffic, temper), promotion: promotion.wait(traffic, temper) })
}

/// A likelihood ratio on its way to a line, when `truth` is the odds ratio and the claim is `against`.
struct Race {
    truth: f64,
    against: f64,
    /// Nats that are still missing.
    missing: f64,
}

/// Nine in ten normal variables are below it.
const NINE_IN_TEN: f64 = 1.2816;

impl Race {
    fn wait(&self, traffic: Traffic, temper: f64) -> Wait {
        let Traffic { requests_per_second, canary_share, event_rate } = traffic;
        if self.missing <= 0.0 {
            return Wait { typical: 0.0, cautious: 0.0 };
        }
        let part = |odds: f64| odds * canary_share / (odds * canary_share + 1.0 - canary_share);
        let (truth, against) = (part(self.truth), part(self.against));
        let (canary, stable) = ((truth / against).ln(), ((1.0 - truth) / (1.0 - against)).ln());
        let canary_rate = self.truth * event_rate / (1.0 - event_rate + self.truth * event_rate);
        let rate = canary_share * canary_rate + (1.0 - canary_share) * event_rate;
        let mean = (truth * canary + (1.0 - truth) * stable) * (1.0 - rate);
        let deviation = ((truth * (1.0 - truth) * (1.0 - rate)).sqrt() * (canary - stable)).abs();
        let spread = NINE_IN_TEN * deviation;
        let root = (spread + (spread * spread + 4.0 * mean * self.missing).sqrt()) / (2.0 * mean);
        let seconds = |events: f64| events * temper / (requests_per_second * rate);
        Wait { typical: seconds(self.missing / mean), cautious: seconds(root * root) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(question: Question) -> Plan {
        Plan { questions: vec![question], false_abort_rate: 0.05, miss_rate: 0.05 }
    }

    const BOOKINFO: Traffic = Traffic { requests_per_second: 100.0, canary_share: 0.25, event_rate: 0.003 };

    fn of(traffic: Traffic, edit: impl FnOnce(&mut Question)) -> Option<Forecast> {
        let mut question = Question::new("errors");
        edit(&mut question);
        let tally = Tally::new(&question);
        forecast(&plan(question.clone()), &question, &tally, traffic)
    }

    #[test]
    fn doubled_errors_at_a_hundred_requests_a_second_take_minutes() {
        // (ln 20 + ln 2) / KL(0.4 ‖ 0.25) = 69.2 bad requests, at 0.375 a second; a little more since 1 in 300 is not rarer.
        let got = of(BOOKINFO, |_| {}).expect("a forecast");
        assert!((got.abort.typical - 185.0).abs() < 3.0, "{got:?}");
        assert!(
            got.abort.cautious > 1.5 * got.abort.typical && got.abort.cautious < 3.0 * got.abort.typical,
            "{got:?}"
        );
        assert!(got.promotion.typical > 100.0 && got.promotion.typical < 600.0, "{got:?}");
    }

    #[test]
    fn less_traffic_finer_differences_and_lumps_take_longer() {
        let base = of(BOOKINFO, |_| {}).expect("a forecast");
        let seldom = of(Traffic { requests_per_second: 2.0, ..BOOKINFO }, |_| {}).expect("a forecast");
        assert!((seldom.abort.typical / base.abort.typical - 50.0).abs() < 1e-6);
        let lumpy = of(BOOKINFO, |question| question.counts_per_request = 3).expect("a forecast");
        assert!((lumpy.abort.typical / base.abort.typical - 3.0).abs() < 1e-6);
        let finer = of(BOOKINFO, |question| question.unacceptable = 1.25).expect("a forecast");
        assert!(finer.promotion.typical > 9.0 * base.promotion.typical, "{finer:?}");
        let small = of(Traffic { canary_share: 0.01, ..BOOKINFO }, |_| {}).expect("a forecast");
        assert!(small.abort.typical > 9.0 * base.abort.typical, "{small:?}");
    }

    #[test]
    fn without_traffic_nothing_can_be_told() {
        for traffic in [
            Traffic { requests_per_second: 0.0, ..BOOKINFO },
            Traffic { requests_per_second: f64::NAN, ..BOOKINFO },
            Traffic { canary_share: 0.0, ..BOOKINFO },
            Traffic { canary_share: 1.0, ..BOOKINFO },
            Traffic { event_rate: 0.0, ..BOOKINFO },
            Traffic { event_rate: 1.0, ..BOOKINFO },
        ] {
            assert_eq!(of(traffic, |_| {}), None, "{traffic:?}");
        }
    }
}
