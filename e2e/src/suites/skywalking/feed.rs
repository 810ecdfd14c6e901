//! Tells SkyWalking what the canary served, as the generator of the load counted it.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use anyhow::{Error, Result};
use chrono::{DateTime, Utc};
use kube::Client;
use serin_workload::{Latency, Second};

use crate::kit::Load;
use crate::kit::skywalking::{Answered, SkyWalking, complete_minutes};

/// The version of the canary in every case.
pub(super) const CANARY: &str = "v2";

/// Serin's window has three minutes, and one more is enough at any second.
const MINUTES: u32 = 4;

/// Past minutes are told of only when so many requests have been counted.
const ENOUGH: u32 = 100;

/// The server's threshold in milliseconds: what takes longer is slow.
const THRESHOLD: f64 = 500.0;

/// How often it is looked whether a minute is over.
const EVERY: Duration = Duration::from_secs(1);

/// What tells the server.
///
/// A minute in which the canary served is told as it was counted, once it is over. The minutes before its first one
/// are told as if it had served in them what it has served so far, all together.
pub(super) struct Feed {
    oap: SkyWalking<Client>,
    load: Load,
    service: String,
    since: DateTime<Utc>,
}

impl Feed {
    /// Tells of requests from now on, under the name of this service.
    pub(super) fn new(oap: &SkyWalking<Client>, load: &Load, service: &str) -> Self {
        Feed { oap: oap.clone(), load: load.clone(), service: service.to_owned(), since: Utc::now() }
    }

    /// Keeps the server informed until `what` is over.
    ///
    /// # Errors
    /// Those of `what`, or that the server cannot be told.
    pub(super) async fn during<T>(&self, what: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            outcome = what => outcome,
            error = self.trouble() => Err(error.context("SkyWalking cannot be told what the canary served")),
        }
    }

    /// Goes on until something fails.
    async fn trouble(&self) -> Error {
        loop {
            if let Err(error) = self.tell().await {
                return error;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Tells of all minutes that are over.
    async fn tell(&self) -> Result<()> {
        let seconds = self.load.seconds(self.since.timestamp()).await?;
        let latency = self.load.counts().await?.latency_ms.get(CANARY).copied();
        let served = served(&seconds, latency.map_or(0, slow_percent));
        let Some(first) = served.keys().next() else { return Ok(()) };
        let whole = served.values().fold(Answered::default(), |sum, minute| plus(sum, minute.answered));
        if whole.total() < ENOUGH {
            return Ok(());
        }
        let over = complete_minutes(Utc::now(), MINUTES);
        let (before, own): (Vec<_>, Vec<_>) =
            over.into_iter().partition(|minute| minute_of(minute.timestamp()) < *first);
        self.oap.book(&self.service, &before, whole).await?;
        for minute in own {
            match served.get(&minute_of(minute.timestamp())) {
                Some(counted) if counted.pending == 0 => {
                    self.oap.book(&self.service, &[minute], counted.answered).await?;
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

/// What the canary served in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Minute {
    answered: Answered,
    /// Requests to whichever side that are still under way.
    pending: u64,
}

/// The minutes, counted since 1970, in which the canary served anything. Of those without an error `slow` percent count as
/// slow.
fn served(seconds: &[Second], slow: u32) -> BTreeMap<i64, Minute> {
    let mut minutes: BTreeMap<i64, Minute> = BTreeMap::new();
    for second in seconds {
        let minute = minutes.entry(minute_of(i64::try_from(second.second).unwrap_or_default())).or_default();
        minute.pending += second.pending;
        for (status, count) in second.answered.get(CANARY).into_iter().flatten() {
            let count = u32::try_from(*count).unwrap_or(u32::MAX);
            if *status >= 500 { minute.answered.failed += count } else { minute.answered.good += count }
        }
    }
    minutes.retain(|_, minute| minute.answered.total() > 0);
    for minute in minutes.values_mut() {
        minute.answered.slow = minute.answered.good * slow / 100;
        minute.answered.good -= minute.answered.slow;
    }
    minutes
}

/// How many of a hundred requests were slow, at least, by what is known of how long they took.
fn slow_percent(latency: Latency) -> u32 {
    let slower = [(latency.p50, 50), (latency.p90, 10), (latency.p99, 1)];
    slower.into_iter().find(|(millis, _)| *millis > THRESHOLD).map_or(0, |(_, percent)| percent)
}

fn plus(one: Answered, other: Answered) -> Answered {
    Answered { good: one.good + other.good, slow: one.slow + other.slow, failed: one.failed + other.failed }
}

fn minute_of(second: i64) -> i64 {
    second.div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(what: &str, (seconds, slow): (&[(u64, &str, u16, u64)], u32), expected: &[(i64, u32, u32, u32)]) {
        let seconds: Vec<Second> = seconds
            .iter()
            .map(|(second, version, status, count)| Second {
                second: *second,
                answered: BTreeMap::from([((*version).to_owned(), BTreeMap::from([(*status, *count)]))]),
                ..Second::default()
            })
            .collect();
        let got: Vec<_> = served(&seconds, slow)
            .into_iter()
            .map(|(minute, Minute { answered, .. })| (minute, answered.good, answered.slow, answered.failed))
            .collect();
        assert_eq!(got, expected, "{what}");
    }

    #[test]
    fn only_the_canarys_answers_are_told_by_their_minute() {
        check("nothing", (&[], 0), &[]);
        check("stable alone", (&[(60, "v1", 200, 9)], 0), &[]);
        check("two minutes", (&[(119, "v2", 200, 3), (120, "v2", 200, 4)], 0), &[(1, 3, 0, 0), (2, 4, 0, 0)]);
        check("errors", (&[(60, "v2", 200, 3), (61, "v2", 503, 2), (62, "v2", 404, 1)], 0), &[(1, 4, 0, 2)]);
        check("slow ones", (&[(60, "v2", 200, 200), (61, "v2", 500, 7)], 10), &[(1, 180, 20, 7)]);
    }

    #[test]
    fn requests_are_slow_by_the_quantiles_above_the_threshold() {
        for (p50, p90, p99, expected) in
            [(1.0, 2.0, 500.0, 0), (1.0, 2.0, 501.0, 1), (1.0, 900.0, 901.0, 10), (900.0, 901.0, 902.0, 50)]
        {
            assert_eq!(slow_percent(Latency { p50, p90, p99, max: 5000.0 }), expected, "{p50} {p90} {p99}");
        }
    }
}
