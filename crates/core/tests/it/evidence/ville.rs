//! How often simulated rollouts are aborted: a small version of the tables of the `evidence_table` example.

use super::race::{Lumps, Run, plan, run};
use super::rivals::{gate, mann_whitney, peeking_z};
use super::traffic::{Scenario, Shares};

/// Rollouts of each row. With a probability of α each, more than [`most`] of them are aborted less than once in a million.
const RUNS: u64 = 200;

/// The smallest count that a binomial variable with `RUNS` trials of chance `alpha` exceeds with a probability below 1e-6.
fn most(alpha: f64) -> usize {
    let mut term = (1.0 - alpha).powi(RUNS as i32);
    let mut below = 0.0;
    for count in 0..RUNS {
        below += term;
        if 1.0 - below < 1e-6 {
            return count as usize;
        }
        term *= alpha / (1.0 - alpha) * (RUNS - count) as f64 / (count + 1) as f64;
    }
    RUNS as usize
}

fn half_an_hour(requests_per_second: f64) -> Scenario {
    Scenario { polls: 30, ..Scenario::hour(requests_per_second) }
}

fn runs(scenario: &Scenario, counts_per_request: u32, lumps: Lumps) -> Vec<Run> {
    let plan = plan(counts_per_request);
    (0..RUNS).map(|seed| run(scenario, &plan, lumps, seed)).collect()
}

fn aborted(runs: &[Run], alpha: f64) -> usize {
    runs.iter().filter(|run| run.crosses((1.0 / alpha).ln()).is_some()).count()
}

#[track_caller]
fn check_good(what: &str, scenario: &Scenario, counts_per_request: u32, lumps: Lumps) {
    let runs = runs(scenario, counts_per_request, lumps);
    for alpha in [0.05, 0.01] {
        let (got, most) = (aborted(&runs, alpha), most(alpha));
        assert!(got <= most, "{what}: {got} of {RUNS} good releases are aborted at {alpha}, at most {most} may be");
    }
}

#[test]
fn the_margin_is_that_of_the_binomial_distribution() {
    // `scipy.stats.binom.sf`: 9.6e-7 beyond 27 and 3.0e-6 beyond 26 at 5 %; 1.6e-7 beyond 12 and 1.1e-6 beyond 11 at 1 %.
    assert_eq!((most(0.05), most(0.01)), (27, 12));
}

#[test]
fn good_releases_are_aborted_no_more_often_than_stated() {
    for requests_per_second in [1.0, 5.0, 20.0, 100.0] {
        let calm = half_an_hour(requests_per_second);
        check_good("calm", &calm, 1, Lumps::Declared);
        check_good("shared bursts", &Scenario { bursts: true, ..calm.clone() }, 1, Lumps::Declared);
    }
    let bursts = Scenario { bursts: true, ..half_an_hour(20.0) };
    check_good("jumping weights", &Scenario { shares: Shares::Jumps, ..bursts.clone() }, 1, Lumps::Declared);
    check_good("weights that chase the evidence", &Scenario { shares: Shares::Chasing, ..bursts }, 1, Lumps::Declared);
    check_good("half of all requests", &Scenario { error_rate: 0.5, ..half_an_hour(5.0) }, 1, Lumps::Declared);
}

#[test]
fn unacceptable_releases_are_called_healthy_and_intervals_are_wrong_no_more_often_than_stated() {
    let calm = half_an_hour(100.0);
    for (what, scenario) in [
        ("calm", calm.clone()),
        ("jumping weights, bursts", Scenario { shares: Shares::Jumps, bursts: true, ..calm.clone() }),
        ("half of all requests", Scenario { error_rate: 0.5, ..half_an_hour(1.0) }),
    ] {
        let doubled = runs(&Scenario { ratio: 2.0, ..scenario.clone() }, 1, Lumps::Declared);
        for beta in [0.05_f64, 0.01] {
            let promoted = doubled.iter().filter(|run| run.promotes((1.0 / beta).ln()).is_some()).count();
            assert!(promoted <= most(beta), "{what}: {promoted} of {RUNS} bad releases are promoted at {beta}");
        }
        let good = runs(&scenario, 1, Lumps::Declared);
        for (ratio, runs) in [(2.0, &doubled), (1.0, &good)] {
            let wrong = runs.iter().filter(|run| run.misleads().is_some()).count();
            assert!(wrong <= most(0.05), "{what}: {wrong} of {RUNS} intervals leave ×{ratio} out");
        }
        let promoted = good.iter().filter(|run| run.promotes(20.0_f64.ln()).is_some()).count();
        assert!(promoted * 2 > RUNS as usize, "{what}: only {promoted} of {RUNS} good releases are promoted");
    }
}

#[test]
fn errors_that_are_counted_again_and_again_are_no_evidence_if_that_is_known() {
    let retried = Scenario { counts_per_bad_request: 5, ..half_an_hour(20.0) };
    check_good("declared", &retried, 5, Lumps::Declared);
    check_good("learned from stable's pods", &retried, 1, Lumps::Learned);
    let ignored = aborted(&runs(&retried, 1, Lumps::Declared), 0.05);
    assert!(
        ignored > most(0.05),
        "ignored, they are aborts without cause, and this test shows it: {ignored} of {RUNS}"
    );
}

#[test]
fn a_test_that_is_not_made_for_it_cannot_be_looked_at_again_and_again() {
    let runs = runs(&half_an_hour(20.0), 1, Lumps::Declared);
    let aborted = runs.iter().filter(|run| peeking_z(&run.polls).is_some()).count();
    assert!(aborted > 2 * most(0.05), "{aborted} of {RUNS}");
}

#[test]
fn evidence_finds_what_a_gate_and_ranks_do_not() {
    let doubled = Scenario { ratio: 2.0, ..half_an_hour(100.0) };
    let doubled = runs(&doubled, 1, Lumps::Declared);
    let found = aborted(&doubled, 0.05);
    let by_gate = doubled.iter().filter(|run| gate(&run.polls, 1, 5).is_some()).count();
    assert!(found * 100 >= 98 * RUNS as usize, "{found} of {RUNS}");
    assert!(by_gate * 20 <= RUNS as usize, "{by_gate} of {RUNS}");

    let beside = Scenario { ratio: 5.0, shares: Shares::Fixed(0.5), ..half_an_hour(2.0) };
    let beside = runs(&beside, 1, Lumps::Declared);
    let by_ranks = beside.iter().filter(|run| mann_whitney(&run.polls).is_some()).count();
    assert!(aborted(&beside, 0.05) > 3 * by_ranks, "{} by evidence, {by_ranks} by ranks", aborted(&beside, 0.05));
}

#[test]
fn the_bookinfo_story_ends_as_it_should() {
    let runs = |ratio| runs(&Scenario { ratio, ..Scenario::bookinfo() }, 1, Lumps::Declared);
    let (good, doubled) = (aborted(&runs(1.0), 0.05), runs(2.0));
    assert!(good * 20 <= RUNS as usize, "{good} of {RUNS} good releases are aborted");
    let found = aborted(&doubled, 0.05);
    assert!(found * 100 >= 95 * RUNS as usize, "{found} of {RUNS} doubled errors are found");
    let by_gate = doubled.iter().filter(|run| gate(&run.polls, 10, 4).is_some()).count();
    assert!(by_gate * 20 <= RUNS as usize, "{by_gate} of {RUNS} are found by a 99 % gate");
}
