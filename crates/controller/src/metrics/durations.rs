//! How long updates took, by the clocks in their statuses: each counts once, with the status that ends it.

use chrono::{DateTime, TimeDelta, Utc};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serin_api::RolloutDurationStatus;

use super::{Labels, seconds};

/// What upstream calls the end of an update in whose place another begins.
const SUPERSEDED: &str = "Superseded";

type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// The histograms, by how updates ended.
pub(super) struct Durations {
    total: Histograms,
    progression: Histograms,
    manual_pause: Histograms,
}

/// An update that is over.
#[derive(Debug, PartialEq)]
struct Ended {
    status: String,
    total: TimeDelta,
    manual_pause: TimeDelta,
}

impl Durations {
    /// Makes them, and enters them in the registry.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let durations = Durations {
            total: Family::new_with_constructor(total_histogram),
            progression: Family::new_with_constructor(progression_histogram),
            manual_pause: Family::new_with_constructor(manual_pause_histogram),
        };
        registry.register(
            "rollout_duration_seconds",
            "Seconds that an update took, by how it ended",
            durations.total.clone(),
        );
        registry.register(
            "rollout_progression_duration_seconds",
            "The same without the time for which it waited for a person",
            durations.progression.clone(),
        );
        registry.register(
            "rollout_manual_pause_duration_seconds",
            "Seconds for which an update waited for a person",
            durations.manual_pause.clone(),
        );
        durations
    }

    /// Counts what ends where one clock takes the place of another.
    pub(super) fn count(
        &self,
        before: Option<&RolloutDurationStatus>,
        after: Option<&RolloutDurationStatus>,
        now: DateTime<Utc>,
    ) {
        for ended in superseded(before, after, now).into_iter().chain(finished(before, after)) {
            let labels = vec![("status", ended.status)];
            self.total.get_or_create(&labels).observe(seconds(ended.total));
            self.progression.get_or_create(&labels).observe(seconds(ended.total - ended.manual_pause));
            self.manual_pause.get_or_create(&labels).observe(seconds(ended.manual_pause));
        }
    }
}

/// The update whose clock ran until another's began.
fn superseded(
    before: Option<&RolloutDurationStatus>,
    after: Option<&RolloutDurationStatus>,
    now: DateTime<Utc>,
) -> Option<Ended> {
    let before = before.filter(|clock| clock.finished_at.is_none())?;
    let started = before.rollout_started_at?;
    let is_another = after?.rollout_started_at.is_some_and(|other| other != started);
    let waiting = before.manual_pause_started_at.map_or(TimeDelta::zero(), |since| now - since.0);
    is_another.then(|| Ended {
        status: SUPERSEDED.to_owned(),
        total: now - started.0,
        manual_pause: waited(before) + waiting,
    })
}

/// The update whose clock has stopped.
fn finished(before: Option<&RolloutDurationStatus>, after: Option<&RolloutDurationStatus>) -> Option<Ended> {
    let after = after?;
    let (started, finished) = (after.rollout_started_at?, after.finished_at?);
    let is_news = before.and_then(|before| before.finished_at) != Some(finished);
    let status = after.completion_status.clone().filter(|status| !status.is_empty() && is_news)?;
    Some(Ended { status, total: finished.0 - started.0, manual_pause: waited(after) })
}

fn waited(clock: &RolloutDurationStatus) -> TimeDelta {
    clock.total_manual_pause_duration_seconds.and_then(TimeDelta::try_seconds).unwrap_or_default()
}

fn total_histogram() -> Histogram {
    Histogram::new([30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0])
}

fn progression_histogram() -> Histogram {
    Histogram::new([30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0])
}

fn manual_pause_histogram() -> Histogram {
    Histogram::new([0.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0])
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn clock(object: &Value) -> Option<RolloutDurationStatus> {
        serde_json::from_value(object.clone()).expect("a clock or nothing")
    }

    /// What is counted at 00:10:00 as status, seconds and seconds of waiting.
    #[track_caller]
    fn check(case: &str, before: &Value, after: &Value, expected: &[(&str, i64, i64)]) {
        let (before, after) = (clock(before), clock(after));
        let now = "2026-01-01T00:10:00Z".parse().expect("a time");
        let all = superseded(before.as_ref(), after.as_ref(), now).into_iter();
        let all: Vec<Ended> = all.chain(finished(before.as_ref(), after.as_ref())).collect();
        let got: Vec<(&str, i64, i64)> =
            all.iter().map(|e| (e.status.as_str(), e.total.num_seconds(), e.manual_pause.num_seconds())).collect();
        assert_eq!(got, expected, "{case}");
    }

    #[test]
    fn each_update_counts_once_when_it_ends() {
        let running = json!({"rolloutStartedAt": "2026-01-01T00:00:00Z"});
        let waiting = json!({
            "rolloutStartedAt": "2026-01-01T00:00:00Z", "manualPauseStartedAt": "2026-01-01T00:08:00Z",
            "totalManualPauseDurationSeconds": 60,
        });
        let promoted = json!({
            "rolloutStartedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:10:00Z",
            "completionStatus": "Promoted", "totalManualPauseDurationSeconds": 180,
        });
        let next = json!({"rolloutStartedAt": "2026-01-01T00:10:00Z"});
        check("an update begins", &Value::Null, &running, &[]);
        check("it goes on", &running, &waiting, &[]);
        check("it ends", &waiting, &promoted, &[("Promoted", 600, 180)]);
        check("it has ended", &promoted, &promoted, &[]);
        check("the next begins after its end", &promoted, &next, &[]);
        check("the next begins in its place", &running, &next, &[("Superseded", 600, 0)]);
        check("and while it waits", &waiting, &next, &[("Superseded", 600, 180)]);
        check("nobody keeps a clock any more", &running, &Value::Null, &[]);
        let mut at_once = promoted.clone();
        at_once["rolloutStartedAt"] = json!("2026-01-01T00:10:00Z");
        at_once["totalManualPauseDurationSeconds"] = Value::Null;
        let both = [("Superseded", 600, 0), ("Promoted", 0, 0)];
        check("the next has nothing to do", &running, &at_once, &both);
    }
}
