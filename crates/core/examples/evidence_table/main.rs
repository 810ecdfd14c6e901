//! Simulates rollouts and prints how often evidence, and other ways to decide, abort good and bad ones.
//!
//! `cargo run --release -p serin-core --example evidence_table -- [RUNS [false-aborts|detection|misses|story]]` prints the tables
//! of docs/reference/evidence-guarantee.md; with `--picture` it prints the picture of docs/concepts/evidence.md.

mod draw;
mod picture;
mod race;
mod rivals;
mod traffic;

use race::{Lumps, Run, plan, run};
use traffic::{Scenario, Shares};

fn main() {
    let argument = std::env::args().nth(1);
    if argument.as_deref() == Some("--picture") {
        print!("{}", picture::picture());
        return;
    }
    let runs = argument.and_then(|runs| runs.parse().ok()).unwrap_or(2000);
    type Print = fn(u64);
    let tables: [(&str, Print); 4] =
        [("false-aborts", false_aborts), ("detection", detection), ("misses", misses), ("story", story)];
    let wanted = std::env::args().nth(2);
    for (_, print) in tables.iter().filter(|(name, _)| wanted.as_deref().is_none_or(|wanted| wanted == *name)) {
        print(runs);
    }
}

/// The bookinfo demo with evidence in place of its threshold.
fn story(number: u64) {
    println!(
        "\nBookinfo's steps at 100 requests a second, {number} releases each (after how many minutes in the mean):\n"
    );
    println!(
        "| Errors on stable | on the canary | evidence 5 % | evidence 1 % | 99 % gate every 5 min, 1 | 99 % gate every 5 min, 4 |\n|---|---|---|---|---|---|"
    );
    for ratio in [1.0, 2.0, 3.0] {
        let all = runs(&Scenario { ratio, ..Scenario::bookinfo() }, 1, Lumps::Declared, number);
        let cell = |decide: &dyn Fn(&Run) -> Option<usize>| match percent(all.iter().map(decide)) {
            (0.0, _) => "0 %".to_owned(),
            (share, polls) => format!("{share:.1} % ({:.1})", polls / 2.0),
        };
        println!(
            "| 0.3 % | {:.1} % | {} | {} | {} | {} |",
            0.3 * ratio,
            cell(&|run| run.crosses(20.0_f64.ln())),
            cell(&|run| run.crosses(100.0_f64.ln())),
            cell(&|run| rivals::gate(&run.polls, 10, 1)),
            cell(&|run| rivals::gate(&run.polls, 10, 4)),
        );
    }
}

fn runs(scenario: &Scenario, counts_per_request: u32, lumps: Lumps, runs: u64) -> Vec<Run> {
    let plan = plan(counts_per_request);
    (0..runs).map(|seed| run(scenario, &plan, lumps, seed)).collect()
}

/// How many in a hundred, and after how many polls in the mean.
fn percent(decisions: impl Iterator<Item = Option<usize>>) -> (f64, f64) {
    let decisions: Vec<Option<usize>> = decisions.collect();
    let made: Vec<f64> = decisions.iter().flatten().map(|poll| *poll as f64).collect();
    let mean = made.iter().sum::<f64>() / made.len().max(1) as f64;
    (100.0 * made.len() as f64 / decisions.len() as f64, mean)
}

/// Releases that are exactly as good as stable.
fn false_aborts(number: u64) {
    println!("False aborts of {number} good releases each, 60 polls of a minute, 0.3 % errors unless told:\n");
    println!(
        "| Traffic | Requests/s | evidence 5 % | evidence 1 % | z-test at every poll | 99 % gate, 1 | 99 % gate, 5 |"
    );
    println!("|---|---|---|---|---|---|---|");
    type Edit = fn(&mut Scenario);
    let rows: [(&str, Edit, u32, Lumps); 8] = [
        ("calm", |_| {}, 1, Lumps::Declared),
        ("shared bursts", |it| it.bursts = true, 1, Lumps::Declared),
        ("every error counted 3 times, declared", |it| it.counts_per_bad_request = 3, 3, Lumps::Declared),
        ("every error counted 3 times, learned from pods", |it| it.counts_per_bad_request = 3, 1, Lumps::Learned),
        ("every error counted 3 times, ignored (not valid)", |it| it.counts_per_bad_request = 3, 1, Lumps::Declared),
        ("jumping weights, bursts", |it| (it.shares, it.bursts) = (Shares::Jumps, true), 1, Lumps::Declared),
        (
            "weights that chase the evidence, bursts",
            |it| (it.shares, it.bursts) = (Shares::Chasing, true),
            1,
            Lumps::Declared,
        ),
        ("slower than the median: 50 % of requests", |it| it.error_rate = 0.5, 1, Lumps::Declared),
    ];
    for (name, edit, counts, lumps) in rows {
        for requests_per_second in [1.0, 5.0, 20.0, 100.0] {
            let mut scenario = Scenario::hour(requests_per_second);
            edit(&mut scenario);
            let all = runs(&scenario, counts, lumps, number);
            let evidence = |line: f64| percent(all.iter().map(|run| run.crosses(line.ln()))).0;
            let rival = |decide: &dyn Fn(&Run) -> Option<usize>| percent(all.iter().map(decide)).0;
            println!(
                "| {name} | {requests_per_second} | {:.1} % | {:.1} % | {:.1} % | {:.1} % | {:.1} % |",
                evidence(20.0),
                evidence(100.0),
                rival(&|run| rivals::peeking_z(&run.polls)),
                rival(&|run| rivals::gate(&run.polls, 1, 1)),
                rival(&|run| rivals::gate(&run.polls, 1, 5)),
            );
        }
    }
}

/// Releases that are called healthy, with and without cause, and intervals that leave the truth out.
fn misses(number: u64) {
    println!(
        "\nReleases called healthy, of {number} each (after how many minutes in the mean), and wrong intervals, 60 polls of a minute:\n"
    );
    println!(
        "| Traffic | Requests/s | odds ×2 called healthy, β 5 % | the same, β 1 % | as good as stable called healthy, β 5 % | \
         ×2 ever out of the 95 % interval | ×1 ever out of it |"
    );
    println!("|---|---|---|---|---|---|---|");
    type Edit = fn(&mut Scenario);
    let rows: [(&str, Edit); 3] = [
        ("calm", |_| {}),
        ("shared bursts", |it| it.bursts = true),
        ("jumping weights, bursts", |it| (it.shares, it.bursts) = (Shares::Jumps, true)),
    ];
    for (name, edit) in rows {
        for requests_per_second in [5.0, 20.0, 100.0] {
            let mut good = Scenario::hour(requests_per_second);
            edit(&mut good);
            let bad = runs(&Scenario { ratio: 2.0, ..good.clone() }, 1, Lumps::Declared, number);
            let good = runs(&good, 1, Lumps::Declared, number);
            let wrong = |runs: &[Run]| percent(runs.iter().map(Run::misleads)).0;
            let promoted = |line: f64| percent(bad.iter().map(|run| run.promotes(line.ln()))).0;
            let (rightly, minutes) = percent(good.iter().map(|run| run.promotes(20.0_f64.ln())));
            println!(
                "| {name} | {requests_per_second} | {:.1} % | {:.1} % | {rightly:.1} % ({minutes:.1}) | {:.1} % | {:.1} % |",
                promoted(20.0),
                promoted(100.0),
                wrong(&bad),
                wrong(&good),
            );
        }
    }
}

/// Releases that are worse.
fn detection(number: u64) {
    println!(
        "\nBad releases that are aborted, of {number} each (after how many minutes in the mean), 0.3 % errors on stable:\n"
    );
    println!(
        "| Requests/s | Errors | evidence 5 %, 60 min | evidence 1 %, 60 min | evidence 5 %, 10 min | 99 % gate, 5, 60 min | \
         99 % gate, 5, 10 min | Mann–Whitney every 5 min, 5 % beside 5 % |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for requests_per_second in [5.0, 20.0, 100.0] {
        for ratio in [2.0, 5.0] {
            let hour = Scenario { ratio, ..Scenario::hour(requests_per_second) };
            let short = Scenario { polls: 10, ..hour.clone() };
            let (long_runs, short_runs) =
                (runs(&hour, 1, Lumps::Declared, number), runs(&short, 1, Lumps::Declared, number));
            // A baseline of equal size beside the canary gets half of a tenth of the traffic.
            let beside = Scenario {
                requests_per_second: requests_per_second / 10.0,
                shares: Shares::Fixed(0.5),
                ..hour.clone()
            };
            let beside = runs(&beside, 1, Lumps::Declared, number);
            let cell = |(share, polls): (f64, f64)| match share {
                0.0 => "0 %".to_owned(),
                _ => format!("{share:.1} % ({polls:.1})"),
            };
            let crosses = |all: &[Run], line: f64| cell(percent(all.iter().map(|run| run.crosses(line.ln()))));
            let gate = |all: &[Run]| cell(percent(all.iter().map(|run| rivals::gate(&run.polls, 1, 5))));
            println!(
                "| {requests_per_second} | ×{ratio} | {} | {} | {} | {} | {} | {} |",
                crosses(&long_runs, 20.0),
                crosses(&long_runs, 100.0),
                crosses(&short_runs, 20.0),
                gate(&long_runs),
                gate(&short_runs),
                cell(percent(beside.iter().map(|run| rivals::mann_whitney(&run.polls)))),
            );
        }
    }
}
