//! Tells SkyWalking what the canary served, as the generator of the load counted it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Error, Result};
use chrono::{DateTime, Utc};
use kube::Client;
use serin_workload::Second;

use crate::kit::skywalking::{Answered, SkyWalking, complete_minutes};
use crate::kit::{Load, Place, text};

/// The versions of every case.
pub(super) const STABLE: &str = "v1";
pub(super) const CANARY: &str = "v2";

/// Serin's window has three minutes, and one more is enough at any second.
const MINUTES: u32 = 4;

/// Past minutes are told of only when so many requests have been counted.
const ENOUGH: u32 = 100;

/// So often the canary has to have been looked at before.
const LOOKS: usize = 3;

/// What takes longer than these seconds is slow to the server.
const THRESHOLD: f64 = 0.5;

/// The port of the workload.
const PORT: u16 = 9080;

/// How often it is looked whether a minute is over.
const EVERY: Duration = Duration::from_secs(1);

/// What tells the server.
///
/// A minute in which the canary served is told as it was counted, once it is over. The minutes before its first one
/// are told as if it had served in them what it has served so far, all together.
///
/// How long the canary needs is measured where an agent of SkyWalking does it, in its pods, by Little's law: the requests
/// that are in it at a time, divided by the requests a second. What the generator sees is on a machine with too much to do
/// mostly the way there and back.
pub(super) struct Feed {
    place: Place,
    oap: SkyWalking<Client>,
    load: Load,
    service: String,
    since: DateTime<Utc>,
    in_flight: Mutex<Vec<u64>>,
}

impl Feed {
    /// Tells of requests from now on, under the name of this service.
    pub(super) fn new(place: &Place, oap: &SkyWalking<Client>, load: &Load, service: &str) -> Self {
        Feed {
            place: place.clone(),
            oap: oap.clone(),
            load: load.clone(),
            service: service.to_owned(),
            since: Utc::now(),
            in_flight: Mutex::default(),
        }
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
        let mut served = served(&self.load.seconds(self.since.timestamp()).await?);
        let Some((first, begun)) = served.first_key_value().map(|(minute, counted)| (*minute, counted.begun)) else {
            return Ok(());
        };
        let looks = self.look().await?;
        let whole = served.values().fold(Answered::default(), |sum, minute| plus(sum, minute.answered));
        if whole.total() < ENOUGH || looks.len() < LOOKS {
            return Ok(());
        }
        let each = seconds_each(&looks, whole.total(), Utc::now().timestamp() - begun);
        served.values_mut().for_each(|minute| minute.answered = timed(minute.answered, each));
        let whole = timed(whole, each);
        let over = complete_minutes(Utc::now(), MINUTES);
        let (before, own): (Vec<_>, Vec<_>) =
            over.into_iter().partition(|minute| minute_of(minute.timestamp()) < first);
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

    /// How many requests were in the canary each time that it was looked at, this one included.
    async fn look(&self) -> Result<Vec<u64>> {
        let mut sum = 0;
        for pod in self.place.list("v1", "Pod", "version=canary").await? {
            let pod = (self.place.namespace.as_str(), text(&pod, "/metadata/name"));
            // One that is starting or leaving has none.
            let page = self.place.cluster.ask_pod("GET", pod, PORT, "/metrics").await.unwrap_or_default();
            sum += page.lines().find_map(in_flight).unwrap_or_default();
        }
        let mut looks = self.in_flight.lock().expect("nobody panics with it");
        looks.push(sum);
        Ok(looks.clone())
    }
}

/// The number in the line of the workload's metrics that tells of requests not answered yet.
fn in_flight(line: &str) -> Option<u64> {
    line.strip_prefix("workload_requests_in_flight{")?.rsplit(' ').next()?.parse().ok()
}

/// How long each request took on average, by Little's law.
fn seconds_each(in_flight: &[u64], requests: u32, seconds: i64) -> f64 {
    let mean = in_flight.iter().sum::<u64>() as f64 / in_flight.len().max(1) as f64;
    mean * seconds.max(1) as f64 / f64::from(requests.max(1))
}

/// What the canary served in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Minute {
    /// The first second in which it did.
    begun: i64,
    answered: Answered,
    /// Requests to whichever side that are still under way.
    pending: u64,
}

/// The minutes, counted since 1970, in which the canary served anything.
fn served(seconds: &[Second]) -> BTreeMap<i64, Minute> {
    let mut minutes: BTreeMap<i64, Minute> = BTreeMap::new();
    for second in seconds {
        let at = i64::try_from(second.second).unwrap_or_default();
        let minute = minutes.entry(minute_of(at)).or_default();
        minute.pending += second.pending;
        for (status, count) in second.answered.get(CANARY).into_iter().flatten() {
            if minute.answered.total() == 0 {
                minute.begun = at;
            }
            let count = u32::try_from(*count).unwrap_or(u32::MAX);
            if *status >= 500 { minute.answered.failed += count } else { minute.answered.good += count }
        }
    }
    minutes.retain(|_, minute| minute.answered.total() > 0);
    minutes
}

/// Requests that were counted as good are slow instead if they took so long on average.
fn timed(answered: Answered, seconds_each: f64) -> Answered {
    if seconds_each > THRESHOLD { Answered { slow: answered.good, good: 0, ..answered } } else { answered }
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
    fn check(what: &str, seconds: &[(u64, &str, u16, u64)], expected: &[(i64, i64, u32, u32)]) {
        let seconds: Vec<Second> = seconds
            .iter()
            .map(|(second, version, status, count)| Second {
                second: *second,
                answered: BTreeMap::from([((*version).to_owned(), BTreeMap::from([(*status, *count)]))]),
                ..Second::default()
            })
            .collect();
        let got: Vec<_> = served(&seconds)
            .into_iter()
            .map(|(minute, Minute { answered, begun, .. })| (minute, begun, answered.good, answered.failed))
            .collect();
        assert_eq!(got, expected, "{what}");
    }

    #[test]
    fn only_the_canarys_answers_are_told_by_their_minute() {
        check("nothing", &[], &[]);
        check("stable alone", &[(60, "v1", 200, 9)], &[]);
        check("two minutes", &[(119, "v2", 200, 3), (120, "v2", 200, 4)], &[(1, 119, 3, 0), (2, 120, 4, 0)]);
        check("errors", &[(60, "v1", 200, 3), (61, "v2", 503, 2), (62, "v2", 404, 1)], &[(1, 61, 1, 2)]);
    }

    #[test]
    fn requests_that_stay_in_the_canary_are_slow() {
        let metrics = "# TYPE workload_requests_in_flight gauge\nworkload_requests_in_flight{version=\"v2\"} 18\n";
        assert_eq!(metrics.lines().find_map(in_flight), Some(18));
        let answered = Answered { good: 150, slow: 0, failed: 50 };
        let slow = Answered { good: 0, slow: 150, failed: 50 };
        for (in_flight, seconds, expected) in
            [(&[18, 17, 19][..], 10, slow), (&[0, 0, 1], 10, answered), (&[10], 10, answered), (&[11], 10, slow)]
        {
            let each = seconds_each(in_flight, answered.total(), seconds);
            assert_eq!(timed(answered, each), expected, "{in_flight:?}: {each} s");
        }
    }
}
