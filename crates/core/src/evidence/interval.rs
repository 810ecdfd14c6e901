//! Between which odds ratios the truth lies, however often one looks.

use serde::{Deserialize, Serialize};

use super::likelihood::Likelihood;
use super::odds::{EVEN, LATTICE, lattice, log_sum_exp};

/// An interval of odds ratios which contains the true one at all polls together with the probability that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OddsInterval {
    /// Lower end; 0 if nothing is ruled out below.
    pub lower: f64,
    /// Upper end; `None` if nothing is ruled out above.
    pub upper: Option<f64>,
}

impl OddsInterval {
    /// Whether the interval has `odds_ratio`.
    #[must_use]
    pub fn contains(&self, odds_ratio: f64) -> bool {
        self.lower <= odds_ratio && self.upper.is_none_or(|upper| odds_ratio <= upper)
    }
}

/// The confidence sequence `{ω : Σ_i π_i L(ω_i) < L(ω) / α}` with `α = 1 − confidence`, as the smallest interval around it that
/// can be told from the lattice; `confidence` is between 0 and 1, such as 0.95.
///
/// While the odds ratio is `ω`, the left side over `L(ω)` is a martingale with mean 1, so by Ville's inequality the true `ω` is
/// ever left out with probability at most `α` (Robbins 1970; Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 2021).
/// The prior `π` is half on a quarter to four times, half on the whole lattice. Between points the log-likelihood is
/// bounded from above by its neighbours' chords, as it is concave; so an end is never too far in, and at most about two thirds of
/// a step of the lattice (12 %) too far out, which shows only where the whole interval is narrower than a step.
#[must_use]
pub fn odds_interval(likelihood: &Likelihood, confidence: f64) -> OddsInterval {
    let line = log_mixture(likelihood) + (1.0 - confidence).ln();
    let curve: Vec<(f64, f64)> = (0..LATTICE).map(|index| (lattice(index), likelihood.at(index))).collect();
    let top = (0..LATTICE).fold(EVEN, |best, index| if curve[index].1 > curve[best].1 { index } else { best });
    let right: Vec<(f64, f64)> = curve[top..].to_vec();
    let left: Vec<(f64, f64)> = curve[..=top].iter().rev().map(|(u, log)| (-u, *log)).collect();
    // What stands inwards of the top matters for its own interval only.
    let inward = |index: usize| curve.get(index).copied();
    let before_right = top.checked_sub(1).and_then(inward);
    let before_left = inward(top + 1).map(|(u, log)| (-u, log));
    OddsInterval {
        lower: leaves(before_left, &left, line).map_or(0.0, |end| (-end).exp()),
        upper: leaves(before_right, &right, line).map(f64::exp),
    }
}

/// How near to 1 the prior has its first half, in steps of the lattice: two doublings.
const NEAR: usize = 8;

fn log_mixture(likelihood: &Likelihood) -> f64 {
    let near = EVEN - NEAR..=EVEN + NEAR;
    log_sum_exp((0..LATTICE).map(|index| {
        let everywhere = 0.5 / LATTICE as f64;
        let nearby = if near.contains(&index) { 0.5 / (2 * NEAR + 1) as f64 } else { 0.0 };
        (everywhere + nearby).ln() + likelihood.at(index)
    }))
}

/// The furthest that a concave curve, of which the points from its top outwards are given, can stay above `line`; `None` if its
/// last point is above. `before` is the point on the other side of the top.
fn leaves(before: Option<(f64, f64)>, points: &[(f64, f64)], line: f64) -> Option<f64> {
    let outside = points.iter().position(|(_, log)| *log < line)?;
    let (at, inside) = (points[outside], points[outside.checked_sub(1)?]);
    let mut end = at.0;
    let inner = if outside >= 2 { Some(points[outside - 2]) } else { before };
    // Beyond the inside point the curve is below the chord that arrives there, and before the outside point it is below the
    // chord that begins there.
    for (from, chord) in
        [(inside, inner.map(|inner| slope(inner, inside))), (at, points.get(outside + 1).map(|next| slope(at, *next)))]
    {
        if let Some(slope) = chord.filter(|slope| *slope < 0.0) {
            end = end.min(from.0 + (line - from.1) / slope);
        }
    }
    Some(end.clamp(inside.0, at.0))
}

fn slope(from: (f64, f64), to: (f64, f64)) -> f64 {
    (to.1 - from.1) / (to.0 - from.0)
}

#[cfg(test)]
mod tests {
    use super::super::hypergeometric::log_likelihood_ratio;
    use super::super::question::Question;
    use super::super::stratum::{Arm, Stratum};
    use super::*;

    fn stratum(canary: (u64, u64), stable: (u64, u64)) -> Stratum {
        let arm = |(requests, events)| Arm::new(requests, events);
        Stratum::new(arm(canary), arm(stable)).expect("possible counts")
    }

    /// The ends by bisection on the likelihood itself, which the lattice only samples.
    fn exact(strata: &[Stratum], confidence: f64) -> (f64, f64) {
        let log = |u: f64| strata.iter().map(|stratum| log_likelihood_ratio(*stratum, u)).sum::<f64>();
        let likelihood = all(strata);
        let line = log_mixture(&likelihood) + (1.0 - confidence).ln();
        let top =
            (-2000..3400).map(|i| f64::from(i) / 1000.0).max_by(|a, b| log(*a).total_cmp(&log(*b))).expect("a top");
        let end = |mut outside: f64| {
            let mut inside = top;
            for _ in 0..60 {
                let middle = f64::midpoint(inside, outside);
                if log(middle) < line { outside = middle } else { inside = middle }
            }
            inside.exp()
        };
        (end(-9.0), end(9.0))
    }

    fn all(strata: &[Stratum]) -> Likelihood {
        let question = Question::new("errors");
        strata.iter().fold(Likelihood::default(), |sum, stratum| sum.plus(&question, *stratum, 1.0))
    }

    #[test]
    fn the_interval_is_hardly_wider_than_the_likelihood_allows() {
        for (what, excess, strata) in [
            ("few errors", 0.03, vec![stratum((100, 6), (900, 20))]),
            ("many polls", 0.03, (0..40).map(|poll| stratum((300, 1 + poll % 3), (700, 2))).collect()),
            ("many errors", 0.03, vec![stratum((50_000, 500), (50_000, 520))]),
            ("half of all, less than a step", 0.12, vec![stratum((10_000, 5_100), (30_000, 14_800))]),
        ] {
            let got = odds_interval(&all(&strata), 0.95);
            let (lower, upper) = exact(&strata, 0.95);
            let got_upper = got.upper.expect("an upper end");
            assert!(got.lower <= lower + 1e-9 && got_upper >= upper - 1e-9, "{what}: {got:?} {lower} {upper}");
            assert!(
                got.lower > (1.0 - excess) * lower && got_upper < (1.0 + excess) * upper,
                "{what}: {got:?} {lower} {upper}"
            );
        }
    }

    #[test]
    fn what_is_not_ruled_out_is_in() {
        let unknown = odds_interval(&Likelihood::default(), 0.95);
        assert_eq!(unknown, OddsInterval { lower: 0.0, upper: None });
        let only_canary = odds_interval(&all(&[stratum((1000, 40), (1000, 0))]), 0.95);
        assert!(only_canary.lower > 4.0 && only_canary.upper.is_none(), "{only_canary:?}");
        assert!(only_canary.contains(1e9) && !only_canary.contains(1.0));
        let only_stable = odds_interval(&all(&[stratum((1000, 0), (1000, 40))]), 0.95);
        assert!(only_stable.lower == 0.0 && only_stable.upper.is_some_and(|upper| upper < 0.4), "{only_stable:?}");
    }

    #[test]
    fn more_confidence_is_wider() {
        let likelihood = all(&[stratum((500, 12), (4500, 40))]);
        let (narrow, wide) = (odds_interval(&likelihood, 0.9), odds_interval(&likelihood, 0.99));
        assert!(wide.lower < narrow.lower && wide.upper > narrow.upper, "{narrow:?} {wide:?}");
    }
}
