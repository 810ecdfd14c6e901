//! How others decide on the same polls.

use serin_core::evidence::{Arm, Poll};

fn arms(poll: &Poll) -> (Arm, Arm) {
    let sum =
        |side: fn(&serin_core::evidence::Stratum) -> Arm| poll.strata.iter().map(side).fold(Arm::default(), Arm::plus);
    (sum(|stratum| stratum.canary()), sum(|stratum| stratum.stable()))
}

/// The poll, counted from 1, at which the canary's success rate has been below 99 % for the `threshold`-th time, looking at
/// `every` so many polls together.
pub(super) fn gate(polls: &[Poll], every: usize, threshold: usize) -> Option<usize> {
    let fails = |polls: &[Poll]| {
        let canary = polls.iter().map(|poll| arms(poll).0).fold(Arm::default(), Arm::plus);
        canary.requests > 0 && canary.events as f64 > 0.01 * canary.requests as f64
    };
    let looks = polls.chunks(every).enumerate().filter(|(_, polls)| fails(polls));
    looks.map(|(look, _)| (look + 1) * every).nth(threshold - 1)
}

/// The poll, counted from 1, at which a one-sided two-proportion z-test of everything so far is first significant at 5 %.
pub(super) fn peeking_z(polls: &[Poll]) -> Option<usize> {
    let (mut canary, mut stable) = (Arm::default(), Arm::default());
    for (number, poll) in polls.iter().enumerate() {
        let (more_canary, more_stable) = arms(poll);
        (canary, stable) = (canary.plus(more_canary), stable.plus(more_stable));
        let rate = |arm: Arm| arm.events as f64 / arm.requests as f64;
        let pooled = rate(canary.plus(stable));
        let variance = pooled * (1.0 - pooled) * (1.0 / canary.requests as f64 + 1.0 / stable.requests as f64);
        if (rate(canary) - rate(stable)) / variance.sqrt() > 1.644_853_6 {
            return Some(number + 1);
        }
    }
    None
}

/// The poll, counted from 1, at which a judge in the manner of Kayenta calls the canary high: every fifth poll, on the error
/// rates of all polls so far, the Mann–Whitney test's 98 % interval of the Hodges–Lehmann shift is above a quarter of it,
/// and the canary's mean is above stable's.
pub(super) fn mann_whitney(polls: &[Poll]) -> Option<usize> {
    let rates: Vec<(f64, f64)> = polls
        .iter()
        .map(|poll| {
            let (canary, stable) = arms(poll);
            let rate = |arm: Arm| arm.events as f64 / arm.requests.max(1) as f64;
            (rate(canary), rate(stable))
        })
        .collect();
    (5..=rates.len()).step_by(5).find(|&so_far| is_high(&rates[..so_far]))
}

fn is_high(rates: &[(f64, f64)]) -> bool {
    let mut shifts: Vec<f64> =
        rates.iter().flat_map(|(canary, _)| rates.iter().map(move |(_, stable)| canary - stable)).collect();
    shifts.sort_by(f64::total_cmp);
    let points = rates.len() as f64;
    // Normal approximation of the rank of the interval's lower end among all pairwise shifts, with continuity correction.
    let spread = 2.326_347_9 * (points * points * (2.0 * points + 1.0) / 12.0).sqrt();
    let rank = points * points / 2.0 - spread - 0.5;
    if rank < 0.0 {
        return false;
    }
    let (lower, estimate) = (shifts[rank as usize], shifts[shifts.len() / 2]);
    let mean = |of: fn(&(f64, f64)) -> f64| rates.iter().map(of).sum::<f64>();
    lower > 0.25 * estimate.abs() && mean(|rate| rate.0) > mean(|rate| rate.1)
}
