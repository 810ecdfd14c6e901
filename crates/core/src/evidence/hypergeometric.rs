//! How bad requests fall on two sides: the hypergeometric distribution, central and Fisher's noncentral one.

use super::log_factorial::log_factorial;
use super::stratum::Stratum;

/// `ln(L(ω) / L(1))` of a stratum: how much better the odds ratio `ω` explains that `x` of the `x + y` bad requests were
/// the canary's than "no difference" does. 0 where a poll says nothing: no bad requests, only bad ones, or one side empty.
///
/// With `c` and `s` requests, `n = x + y` bad ones, this is `x ln ω − ln M(ω)`, where
/// `M(ω) = Σ_j C(c,j) C(s,n−j) ω^j / C(c+s,n)` is the mean of `ω^X` under "no difference" (Fisher 1935; McCullagh and
/// Nelder, Generalized Linear Models, 7.3). It is concave in `ln ω`.
///
/// `log_odds_ratio` is `ln ω` and must be finite. The error is below 1e-6 for the largest strata and below 1e-10 for those with
/// up to 100 000 requests.
#[must_use]
pub fn log_likelihood_ratio(stratum: Stratum, log_odds_ratio: f64) -> f64 {
    let margins = Margins::of(stratum);
    if margins.is_fixed() {
        return 0.0;
    }
    let normaliser = margins.log_sum(log_odds_ratio) - margins.log_sum(0.0);
    log_odds_ratio * stratum.canary().events as f64 - normaliser
}

/// Probability that the canary has as many bad requests as it has in this stratum, given the requests of each side and the
/// bad ones of both, if the odds of a bad request on the canary are `ω` times stable's; `log_odds_ratio` is `ln ω`, finite.
///
/// With `ω = 1` it is the hypergeometric distribution, otherwise Fisher's noncentral one.
#[must_use]
pub fn probability(stratum: Stratum, log_odds_ratio: f64) -> f64 {
    let margins = Margins::of(stratum);
    let x = stratum.canary().events;
    (margins.log_term(x) + log_odds_ratio * x as f64 - margins.log_sum(log_odds_ratio)).exp()
}

/// What is given of a stratum: requests of the canary and of stable, and bad ones of both.
#[derive(Clone, Copy)]
struct Margins {
    canary: u64,
    stable: u64,
    events: u64,
}

impl Margins {
    fn of(stratum: Stratum) -> Self {
        Margins { canary: stratum.canary().requests, stable: stratum.stable().requests, events: stratum.events() }
    }

    fn fewest(self) -> u64 {
        self.events.saturating_sub(self.stable)
    }

    fn most(self) -> u64 {
        self.events.min(self.canary)
    }

    /// Whether the bad requests could fall in one way only.
    fn is_fixed(self) -> bool {
        self.fewest() == self.most()
    }

    /// `ln(C(c,j) C(s,n−j))` up to a constant of the margins; `j` between `fewest` and `most`.
    fn log_term(self, j: u64) -> f64 {
        let good_of_stable = self.stable - (self.events - j);
        -(log_factorial(j)
            + log_factorial(self.canary - j)
            + log_factorial(self.events - j)
            + log_factorial(good_of_stable))
    }

    /// `ln Σ_j C(c,j) C(s,n−j) ω^j` up to the same constant.
    ///
    /// Terms rise to the mode and fall after it, ever faster; summing from the mode outwards needs no more of them than
    /// matter, and their scale cannot overflow.
    fn log_sum(self, log_odds_ratio: f64) -> f64 {
        let odds_ratio = log_odds_ratio.exp();
        let mode = self.near_mode(odds_ratio);
        let mut sum = 1.0;
        let mut term = 1.0;
        for j in mode + 1..=self.most() {
            term *= self.ratio(j) * odds_ratio;
            sum += term;
            if term < NEGLIGIBLE * sum {
                break;
            }
        }
        term = 1.0;
        for j in (self.fewest() + 1..=mode).rev() {
            term /= self.ratio(j) * odds_ratio;
            sum += term;
            if term < NEGLIGIBLE * sum {
                break;
            }
        }
        self.log_term(mode) + log_odds_ratio * mode as f64 + sum.ln()
    }

    /// The term of `j` over that of `j − 1`, without `ω`.
    fn ratio(self, j: u64) -> f64 {
        let (j, canary, stable, events) = (j as f64, self.canary as f64, self.stable as f64, self.events as f64);
        ((canary - j + 1.0) * (events - j + 1.0)) / (j * (stable - events + j))
    }

    /// Where the terms are largest, give or take one: where the ratio of neighbours is 1, a quadratic equation whose smaller
    /// root is written so that nothing cancels (Liao and Rosen, The American Statistician 55, 2001).
    fn near_mode(self, odds_ratio: f64) -> u64 {
        let (canary, stable, events) = (self.canary as f64, self.stable as f64, self.events as f64);
        let a = odds_ratio - 1.0;
        let b = odds_ratio * (canary + events + 2.0) + stable - events;
        let c = odds_ratio * (canary + 1.0) * (events + 1.0);
        let root = 2.0 * c / (b + (b * b - 4.0 * a * c).max(0.0).sqrt());
        (root as u64).clamp(self.fewest(), self.most())
    }
}

/// Terms below this share of the sum no longer change it.
const NEGLIGIBLE: f64 = 1e-18;

#[cfg(test)]
mod tests {
    use super::super::stratum::Arm;
    use super::*;

    fn choose(n: u64, k: u64) -> f64 {
        (0..k).fold(1.0, |product, i| product * (n - i) as f64 / (i + 1) as f64)
    }

    /// Every stratum with these margins.
    fn strata(canary: u64, stable: u64, events: u64) -> impl Iterator<Item = Stratum> {
        (events.saturating_sub(stable)..=events.min(canary))
            .map(move |x| Stratum::new(Arm::new(canary, x), Arm::new(stable, events - x)).expect("possible counts"))
    }

    #[test]
    fn the_mean_of_a_likelihood_ratio_is_one_for_all_small_margins() {
        let mut counted = 0;
        for (canary, stable) in (0..=9).flat_map(|canary| (0..=9).map(move |stable| (canary, stable))) {
            for events in 0..=canary + stable {
                let ways = choose(canary + stable, events);
                for odds_ratio in [0.1_f64, 0.7, 1.0, 1.5, 2.0, 5.0, 32.0] {
                    let mean: f64 = strata(canary, stable, events)
                        .map(|stratum| {
                            let (x, y) = (stratum.canary().events, stratum.stable().events);
                            let chance = choose(canary, x) * choose(stable, y) / ways;
                            chance * log_likelihood_ratio(stratum, odds_ratio.ln()).exp()
                        })
                        .sum();
                    assert!((mean - 1.0).abs() < 1e-12, "{canary} {stable} {events} ×{odds_ratio}: {mean}");
                    counted += 1;
                }
            }
        }
        assert_eq!(counted, 7 * 1000, "margins");
    }

    #[test]
    fn probabilities_are_those_of_counting_and_sum_to_one() {
        for (canary, stable, events) in [(5, 7, 3), (1, 1, 1), (50, 950, 20), (4000, 6000, 5000)] {
            let ways = choose(canary + stable, events);
            for odds_ratio in [0.2_f64, 1.0, 3.0] {
                let sum: f64 = strata(canary, stable, events).map(|it| probability(it, odds_ratio.ln())).sum();
                assert!((sum - 1.0).abs() < 1e-9, "{canary} {stable} {events} ×{odds_ratio}: {sum}");
            }
            for stratum in strata(canary, stable, events).filter(|_| ways.is_finite()) {
                let (x, y) = (stratum.canary().events, stratum.stable().events);
                let chance = choose(canary, x) * choose(stable, y) / ways;
                assert!((probability(stratum, 0.0) - chance).abs() < 1e-12, "{stratum:?}");
            }
        }
    }

    #[test]
    fn a_poll_in_which_nothing_could_differ_says_nothing() {
        for (canary, stable) in
            [((0, 0), (9, 4)), ((9, 4), (0, 0)), ((9, 0), (9, 0)), ((9, 9), (9, 9)), ((0, 0), (0, 0))]
        {
            let arm = |(requests, events)| Arm::new(requests, events);
            let stratum = Stratum::new(arm(canary), arm(stable)).expect("possible counts");
            assert_eq!(log_likelihood_ratio(stratum, 2.0_f64.ln()), 0.0, "{stratum:?}");
        }
    }

    #[test]
    fn one_bad_request_is_a_coin_with_the_canary_s_share() {
        let share = 0.25_f64;
        for (x, expected) in [(1, 2.0 / (1.0 + share)), (0, 1.0 / (1.0 + share))] {
            let stratum = Stratum::new(Arm::new(250, x), Arm::new(750, 1 - x)).expect("possible counts");
            let got = log_likelihood_ratio(stratum, 2.0_f64.ln()).exp();
            assert!((got - expected).abs() < 1e-10, "{x}: {got} {expected}");
        }
    }

    #[test]
    fn many_requests_neither_overflow_nor_lose_their_digits() {
        for (canary, stable) in [(50_000_000_u64, 450_000_000_u64), (500_000_000, 500_000_000)] {
            let bad = |requests: u64| Arm::new(requests, requests / 2);
            let stratum = Stratum::new(bad(canary), bad(stable)).expect("possible counts");
            for odds_ratio in [1.0 / 8.0, 0.999, 1.001, 32.0_f64] {
                let got = log_likelihood_ratio(stratum, odds_ratio.ln());
                assert!(got.is_finite() && got < 0.0, "{canary} {stable} ×{odds_ratio}: {got}");
            }
            // Near its top the log-likelihood is a parabola with the variance of the hypergeometric distribution.
            let all = (canary + stable) as f64;
            let variance = canary as f64 * stable as f64 / all * 0.25;
            let step = 1e-5;
            let (got, parabola) = (log_likelihood_ratio(stratum, step), -0.5 * variance * step * step);
            assert!((got - parabola).abs() < 1e-5, "{canary} {stable}: {got} {parabola}");
        }
    }
}
