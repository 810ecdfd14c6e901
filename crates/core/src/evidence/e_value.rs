//! Evidence for an abort, and evidence for a promotion.
//!
//! Both are averages of likelihood ratios whose mean is at most 1 while the claim against which they speak is true
//! (Grünwald, de Heide and Koolen, Safe Testing, JRSS B 2024). They can be looked at after every poll.

use super::likelihood::Likelihood;
use super::odds::{EVEN, LATTICE, TOLERANCE, UNACCEPTABLE, lattice, log_sum_exp};
use super::question::Question;

/// How much of the prior is on what the question calls unacceptable; the rest is spread over the lattice.
const ON_UNACCEPTABLE: f64 = 0.5;

/// Alternatives go up to this multiple of the tolerance, and begin above the second.
const ABOVE_TOLERANCE: (f64, f64) = (16.0, 1.1);

/// `ln E` against "the canary's odds are at most `tolerance` times stable's": `E = Σ_i π_i L(ω_i) / L(tolerance)` with half of
/// the prior `π` on `unacceptable` and half spread evenly over the lattice above the tolerance.
pub(super) fn log_abort_evidence(question: &Question, likelihood: &Likelihood) -> f64 {
    let (most, least) = (question.tolerance * ABOVE_TOLERANCE.0, question.tolerance * ABOVE_TOLERANCE.1);
    // Rounding must not decide whether a point belongs to the prior, so bounds are widened by less than a step.
    let range = least.ln() - 1e-9..=most.ln() + 1e-9;
    let spread: Vec<usize> = (0..LATTICE).filter(|&index| range.contains(&lattice(index))).collect();
    let each = ((1.0 - ON_UNACCEPTABLE) / spread.len() as f64).ln();
    let spread = spread.iter().map(|&index| each + likelihood.at(index));
    let on_unacceptable = ON_UNACCEPTABLE.ln() + likelihood.at(UNACCEPTABLE);
    log_sum_exp(spread.chain([on_unacceptable])) - likelihood.at(TOLERANCE)
}

/// How far below the tolerance alternatives of a promotion go, in steps of the lattice: to a quarter.
const STEPS_BELOW: usize = 8;

/// `ln E'` against "the canary's odds are at least `unacceptable` times stable's": a third of the prior on no difference, a third
/// on the tolerance, and a third spread evenly from a quarter of stable's odds to just below them.
pub(super) fn log_promotion_evidence(likelihood: &Likelihood) -> f64 {
    let third = -(3.0_f64.ln());
    let each = third - (STEPS_BELOW as f64).ln();
    let better = (EVEN - STEPS_BELOW..EVEN).map(|index| each + likelihood.at(index));
    let healthy = [third + likelihood.at(EVEN), third + likelihood.at(TOLERANCE)];
    log_sum_exp(better.chain(healthy)) - likelihood.at(UNACCEPTABLE)
}

/// `ln` of the prior of the alternative that a forecast of an abort counts on.
pub(super) fn log_prior_of_unacceptable() -> f64 {
    ON_UNACCEPTABLE.ln()
}

/// `ln` of the prior of "no difference" in the evidence for a promotion.
pub(super) fn log_prior_of_even(question: &Question) -> f64 {
    if question.tolerance > 1.0 { (1.0_f64 / 3.0).ln() } else { (2.0_f64 / 3.0).ln() }
}

#[cfg(test)]
mod tests {
    use super::super::hypergeometric::probability;
    use super::super::stratum::{Arm, Stratum};
    use super::*;

    fn questions() -> Vec<Question> {
        let ordinary = Question::new("errors");
        vec![
            ordinary.clone(),
            Question { tolerance: 1.25, unacceptable: 3.0, ..ordinary.clone() },
            Question { tolerance: 16.0, unacceptable: 32.0, ..ordinary },
        ]
    }

    fn strata(canary: u64, stable: u64, events: u64) -> Vec<Stratum> {
        let of = |x| Stratum::new(Arm::new(canary, x), Arm::new(stable, events - x)).expect("possible counts");
        (events.saturating_sub(stable)..=events.min(canary)).map(of).collect()
    }

    /// Means of both kinds of evidence after one or two polls, by going through all outcomes, with the odds ratio given. The
    /// second poll's canary has more requests if the first looked bad: shares may follow the evidence.
    fn means(question: &Question, odds_ratio: f64) -> (f64, f64) {
        let (mut abort, mut promotion) = (0.0, 0.0);
        for first in strata(6, 10, 4) {
            let after_first = Likelihood::default().plus(question, first, 1.0);
            let canary = if first.canary().events > 2 { 12 } else { 3 };
            for second in strata(canary, 8, 5) {
                let chance = probability(first, odds_ratio.ln()) * probability(second, odds_ratio.ln());
                let likelihood = after_first.clone().plus(question, second, 1.0);
                abort += chance * log_abort_evidence(question, &likelihood).exp();
                promotion += chance * log_promotion_evidence(&likelihood).exp();
            }
        }
        (abort, promotion)
    }

    #[test]
    fn the_mean_of_evidence_is_one_on_the_edge_of_its_claim_and_less_inside() {
        for question in questions() {
            let (abort, _) = means(&question, question.tolerance);
            assert!((abort - 1.0).abs() < 1e-10, "{question:?}: {abort}");
            let (_, promotion) = means(&question, question.unacceptable);
            assert!((promotion - 1.0).abs() < 1e-10, "{question:?}: {promotion}");
            for better in [0.2, 0.5, 0.9] {
                let (abort, _) = means(&question, question.tolerance * better);
                assert!(abort < 1.0 - 1e-3, "{question:?} ×{better}: {abort}");
                let (_, promotion) = means(&question, question.unacceptable / better);
                assert!(promotion < 1.0 - 1e-3, "{question:?} /{better}: {promotion}");
            }
        }
    }

    #[test]
    fn outside_its_claim_evidence_grows() {
        for question in questions() {
            let (abort, _) = means(&question, question.unacceptable);
            let (_, promotion) = means(&question, 1.0);
            assert!(abort > 1.0 && promotion > 1.0, "{question:?}: {abort} {promotion}");
        }
    }

    #[test]
    fn no_poll_is_no_evidence() {
        for question in questions() {
            let none = Likelihood::default();
            assert!(log_abort_evidence(&question, &none).abs() < 1e-12);
            assert!(log_promotion_evidence(&none).abs() < 1e-12);
        }
    }

    #[test]
    fn a_prior_is_the_share_of_the_average_that_it_says() {
        for question in questions() {
            let weight_of_even = if question.tolerance > 1.0 { 1.0 } else { 2.0 } / 3.0;
            assert!((log_prior_of_even(&question).exp() - weight_of_even).abs() < 1e-12);
        }
        assert_eq!(log_prior_of_unacceptable().exp(), ON_UNACCEPTABLE);
    }
}
