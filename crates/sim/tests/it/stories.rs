//! Whole updates in every world and with both metrics sources: how they end, when, why, and what clients saw of it.

use chrono::TimeDelta;
use serin_sim::image::SetImage;
use serin_sim::simulate::{Conduct, End, Options, Summary, simulate};
use serin_sim::timeline::{Entry, What};

use crate::bench::{manifests, tell, weights_wanted};

/// What is expected of an update.
#[derive(Clone, Copy)]
struct Expected {
    end: End,
    phase: &'static str,
    /// All of it, or what it contains where times are in it.
    message: &'static str,
    weights: &'static [i32],
    holds: &'static [&'static str],
    /// Minutes from the change to the abort; 0 if there is none.
    abort_after: i64,
}

const PROMOTED: Expected = Expected {
    end: End::Healthy,
    phase: "Healthy",
    message: "",
    weights: &[10, 20, 40, 60, 80, 100, 0],
    holds: &["CanaryNotAvailable", "WeightNotObserved", "Propagating", "PauseRunning", "SideNotSwitched"],
    abort_after: 0,
};

/// The background analysis begins with the third step, after 10 minutes, and fails for the fourth time 15 minutes
/// later, when the canary has 60 %.
const ABORTED: Expected = Expected {
    end: End::Aborted,
    phase: "Degraded",
    message: "RolloutAborted: Rollout aborted update to revision 2: Background analysis phase error/failed: ",
    weights: &[10, 20, 40, 60, 0],
    holds: &["CanaryNotAvailable", "WeightNotObserved", "Propagating", "PauseRunning"],
    abort_after: 25,
};

/// Without data the update goes no further than the step in which the analysis began.
const HELD: Expected = Expected {
    end: End::Waiting,
    phase: "Paused",
    message: "has no data",
    weights: &[10, 20],
    holds: &["CanaryNotAvailable", "WeightNotObserved", "Propagating", "PauseRunning", "NoData"],
    abort_after: 0,
};

fn run(source: &str, conduct: Conduct, seed: u64) -> (Summary, Vec<Entry>) {
    let set_image =
        SetImage { workload: "checkout".to_owned(), container: None, image: "registry.example/checkout:v2".to_owned() };
    let options = Options {
        manifests: manifests(source),
        namespace: None,
        set_image: Some(set_image),
        conduct,
        answers: Vec::new(),
        promote_after: None,
        seed,
        horizon: TimeDelta::minutes(50),
    };
    let mut entries = Vec::new();
    let summary = tell(simulate(options, &mut |entry| entries.push(entry.clone())));
    (summary.unwrap_or_else(|error| panic!("{error}")), entries)
}

fn holds(entries: &[Entry]) -> Vec<&str> {
    let mut all = Vec::new();
    for entry in entries {
        if let What::Hold { reason, .. } = &entry.what
            && !all.contains(&reason.as_str())
        {
            all.push(reason.as_str());
        }
    }
    all
}

/// Minutes from the change to the abort, rounded down.
fn abort_after(summary: &Summary, entries: &[Entry]) -> i64 {
    let is_abort =
        |entry: &&Entry| matches!(&entry.what, What::Phase { message, .. } if message.starts_with("RolloutAborted"));
    entries.iter().find(is_abort).map_or(0, |entry| (entry.at - summary.began).num_minutes())
}

fn check(source: &str, conduct: Conduct, expected: Expected) {
    let case = format!("{source}, {conduct:?}");
    let (summary, entries) = run(source, conduct, 0);
    let told: Vec<String> = entries.iter().map(|e| format!("{} {:?}", e.at.format("%H:%M:%S"), e.what)).collect();
    let told = told.join("\n");
    assert_eq!(summary.end, expected.end, "{case}: {summary:#?}\n{told}");
    assert_eq!(summary.phase, expected.phase, "{case}: {summary:#?}\n{told}");
    if expected.end == End::Waiting {
        assert!(summary.message.contains(expected.message), "{case}: {}", summary.message);
    } else {
        assert_eq!(summary.message, expected.message, "{case}: {summary:#?}\n{told}");
    }
    assert_eq!(weights_wanted(&entries), expected.weights, "{case}: wanted weights\n{told}");
    assert_eq!(holds(&entries), expected.holds, "{case}: holds\n{told}");
    assert_eq!(abort_after(&summary, &entries), expected.abort_after, "{case}: minutes until the abort\n{told}");
    assert_eq!(summary.requests.failed_by_routing, 0, "{case}: {:?}", summary.requests);
    assert_eq!(summary.requests.requests == 0, conduct == Conduct::NoTraffic, "{case}: {:?}", summary.requests);
}

#[test]
fn healthy_versions_are_promoted() {
    check("skywalking", Conduct::Healthy, PROMOTED);
    check("prometheus", Conduct::Healthy, PROMOTED);
}

#[test]
fn bad_versions_are_aborted_by_the_metric_that_sees_it() {
    let apdex = Expected {
        message: "RolloutAborted: Rollout aborted update to revision 2: Background analysis phase error/failed: \
                  Metric \"apdex\" assessed Failed due to failed (4) > failureLimit (3)",
        ..ABORTED
    };
    check("skywalking", Conduct::Errors, apdex);
    check("skywalking", Conduct::Slow, apdex);
    let errors = Expected {
        message: "RolloutAborted: Rollout aborted update to revision 2: Background analysis phase error/failed: \
                  Metric \"success-rate\" assessed Failed due to failed (4) > failureLimit (3)",
        ..ABORTED
    };
    check("prometheus", Conduct::Errors, errors);
    let slow = Expected {
        message: "RolloutAborted: Rollout aborted update to revision 2: Background analysis phase error/failed: \
                  Metric \"latency-p99\" assessed Failed due to failed (4) > failureLimit (3)",
        ..ABORTED
    };
    check("prometheus", Conduct::Slow, slow);
}

#[test]
fn silent_sources_hold_the_update_and_roll_nothing_back() {
    let down = Expected {
        message: "cannot be asked",
        holds: &["CanaryNotAvailable", "WeightNotObserved", "Propagating", "PauseRunning", "SourceDown"],
        ..HELD
    };
    for source in ["skywalking", "prometheus"] {
        check(source, Conduct::NoData, HELD);
        check(source, Conduct::NoTraffic, HELD);
        check(source, Conduct::BackendDown, down);
    }
}

#[test]
fn equal_seeds_give_equal_stories() {
    for (source, conduct) in [("skywalking", Conduct::Errors), ("prometheus", Conduct::Healthy)] {
        let (first, second) = (run(source, conduct, 7), run(source, conduct, 7));
        assert_eq!(first.0, second.0, "{source}, {conduct:?}");
        assert_eq!(first.1, second.1, "{source}, {conduct:?}");
        let other = run(source, conduct, 8);
        assert_eq!((first.0.end, &first.0.message), (other.0.end, &other.0.message), "{source}, {conduct:?}");
        assert_ne!(first.0.requests, other.0.requests, "{source}, {conduct:?}: the seed changes nothing");
    }
}
