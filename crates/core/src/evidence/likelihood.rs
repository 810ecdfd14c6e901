//! What all polls of a revision say about every odds ratio, as a plain row of numbers.

use serde::{Deserialize, Serialize};

use super::hypergeometric::log_likelihood_ratio;
use super::odds::{POINTS, points};
use super::question::Question;
use super::stratum::Stratum;

/// `ln(L(ω)/L(1))`, summed over polls, for a fixed row of odds ratios: a lattice from 1/8 to 32, the question's tolerance, and
/// what it calls unacceptable.
///
/// Polls are independent factors of a product, so this sum is all that has to be kept of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Likelihood(Vec<f64>);

impl Default for Likelihood {
    fn default() -> Self {
        Likelihood(vec![0.0; POINTS])
    }
}

impl Likelihood {
    /// The same with one more stratum, whose part is divided by `temper`, at least 1.
    ///
    /// Where a request leaves up to `k` counts in one arm, dividing by `k` keeps the mean of every likelihood ratio at or
    /// below 1: `E[r^(a/k)] ≤ (E[r])^(a/k)` for `a ≤ k` (Jensen). The divisor must not depend on this stratum's counts.
    #[must_use]
    pub fn plus(mut self, question: &Question, stratum: Stratum, temper: f64) -> Self {
        for (sum, log_odds) in self.0.iter_mut().zip(points(question)) {
            *sum += log_likelihood_ratio(stratum, log_odds) / temper.max(1.0);
        }
        self
    }

    /// Whether it has as many numbers as it must, all of them finite; false if somebody edited a status.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.len() == POINTS && self.0.iter().all(|log| log.is_finite())
    }

    /// The sum at one point, by the constants of `odds`.
    pub(super) fn at(&self, point: usize) -> f64 {
        self.0.get(point).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::stratum::Arm;
    use super::*;

    #[test]
    fn polls_add_up_and_survive_a_status() {
        let question = Question::new("errors");
        let stratum = |x| Stratum::new(Arm::new(100, x), Arm::new(900, 5)).expect("possible counts");
        let (first, second) = (stratum(3), stratum(1));
        let one = |stratum| Likelihood::default().plus(&question, stratum, 1.0);
        let both = one(first).plus(&question, second, 1.0);
        for point in 0..POINTS {
            assert_eq!(both.at(point), one(first).at(point) + one(second).at(point));
        }
        let text = serde_json::to_string(&both).expect("JSON");
        let back: Likelihood = serde_json::from_str(&text).expect("a row of numbers");
        assert!(back.is_whole());
        for point in 0..POINTS {
            assert!((back.at(point) - both.at(point)).abs() < 1e-12);
        }
        let halved = Likelihood::default().plus(&question, first, 2.0);
        assert_eq!(halved.at(0) * 2.0, one(first).at(0));
    }

    #[test]
    fn a_row_that_somebody_edited_is_noticed() {
        for text in ["[]", "[1.0]"] {
            assert!(!serde_json::from_str::<Likelihood>(text).expect("a row of numbers").is_whole(), "{text}");
        }
        assert!(Likelihood::default().is_whole());
    }
}
