//! Agreement with confseq, the Python package of Howard, Waudby-Smith and Ramdas.
//!
//! Its values were computed with `confseq.boundaries`, built from its source at commit 70b1ef3 with Boost.Math and Python 3.11:
//! `beta_binomial_log_mixture(x - n * share, n * share * (1 - share), v_opt=10, g=share, h=1 - share, alpha_opt=0.05,
//! is_one_sided=…)` and `bernoulli_confidence_interval(x, n, 0.05, t_opt=n)`. Both are about `n` coins with a known chance,
//! `share`, of which `x` fell on the canary's side: what our strata are when each has one bad request.

use serin_core::evidence::{Arm, Likelihood, Question, Stratum, log_likelihood_ratio, odds_interval};

/// A stratum with one bad request, on the canary's side or on the other.
fn coin(share: f64, canary: u64) -> Stratum {
    let requests = 1_000_000.0;
    let of_canary = (share * requests).round() as u64;
    Stratum::new(Arm::new(of_canary, canary), Arm::new(1_000_000 - of_canary, 1 - canary)).expect("possible counts")
}

/// Which odds ratios an average is over.
#[derive(Clone, Copy, PartialEq)]
enum Sides {
    Both,
    Worse,
}

/// `ln` of the average of our likelihood ratios under confseq's prior: with `p` for the canary's share of bad requests, a beta
/// density with parameters `r / (1 − share)` and `r / share`, cut off below `share` if only worse canaries are looked for.
fn log_mixture(share: f64, n: u32, x: u32, sides: Sides) -> f64 {
    let (v_opt, alpha) = (10.0_f64, if sides == Sides::Worse { 0.1_f64 } else { 0.05 });
    let twice = 2.0 * (1.0 / alpha).ln();
    let variance = share * (1.0 - share);
    let r = (v_opt / (twice + twice.ln_1p()) - variance).max(1e-3 * variance);
    let (a, b) = (r / (1.0 - share), r / share);
    let (on_canary, on_stable) = (coin(share, 1), coin(share, 0));
    let (mut sum, mut prior) = (0.0, 0.0);
    let steps: i32 = 40_000;
    let middle = (share / (1.0 - share)).ln();
    let (low, high) = if sides == Sides::Worse { (middle, middle + 40.0) } else { (middle - 40.0, middle + 40.0) };
    // Simpson's rule in ln(p / (1 − p)), in which the density is p^a (1 − p)^b.
    for step in 0..=steps {
        let logit = low + (high - low) * f64::from(step) / f64::from(steps);
        let weight = if step == 0 || step == steps { 1.0 } else { f64::from(2 + 2 * (step % 2)) };
        let density = weight * (-a * (-logit).exp().ln_1p() - b * logit.exp().ln_1p()).exp();
        let log_odds = logit - middle;
        let of = |stratum| log_likelihood_ratio(stratum, log_odds);
        let log = f64::from(x) * of(on_canary) + f64::from(n - x) * of(on_stable);
        prior += density;
        sum += density * log.exp();
    }
    (sum / prior).ln()
}

#[test]
fn averages_of_likelihood_ratios_are_confseq_s_mixtures() {
    for (share, n, x, sides, expected) in [
        (0.5, 40, 29, Sides::Both, 2.631_293_806_638_628_7),
        (0.5, 40, 29, Sides::Worse, 3.339_965_740_756_657),
        (0.2, 60, 25, Sides::Both, 5.238_514_533_830_702),
        (0.2, 60, 25, Sides::Worse, 6.037_180_286_760_25),
        (0.05, 30, 6, Sides::Both, 1.829_987_469_135_542),
        (0.05, 30, 6, Sides::Worse, 2.598_612_199_598_016_5),
        (0.25, 200, 52, Sides::Both, -1.812_945_818_809_338_1),
        (0.25, 200, 52, Sides::Worse, -1.343_654_502_355_945_2),
        (0.5, 400, 190, Sides::Both, -1.866_842_923_032_371),
        (0.5, 400, 190, Sides::Worse, -2.857_538_876_323_968),
    ] {
        let got = log_mixture(share, n, x, sides);
        assert!((got - expected).abs() < 1e-6, "{share} {n} {x}: {got}, confseq has {expected}");
    }
}

/// Both intervals hold with the same confidence at any time; they differ by their priors, so their ends are near each other.
#[test]
fn intervals_of_the_odds_ratio_are_near_confseq_s() {
    let question = Question::new("errors");
    for (share, n, x, lower, upper) in [
        (0.5, 40, 29, 0.957_011, 9.358_55),
        (0.2, 60, 25, 1.234_268, 6.311_286),
        (0.25, 200, 52, 0.627_666, 1.687_114),
        (0.5, 400, 190, 0.666_328, 1.226_194),
        (0.1, 300, 70, 1.770_468, 4.080_212),
    ] {
        let events = (0..n).map(|event| coin(share, u64::from(event < x)));
        let likelihood = events.fold(Likelihood::default(), |sum, stratum| sum.plus(&question, stratum, 1.0));
        let got = odds_interval(&likelihood, 0.95);
        let got_upper = got.upper.expect("an upper end");
        let near = |got: f64, other: f64| (got / other).ln().abs() < 0.15;
        assert!(
            near(got.lower, lower) && near(got_upper, upper),
            "{share} {n} {x}: {got:?}, confseq has {lower} to {upper}"
        );
    }
}
