//! What was sent and what became of it, in all and by the second; and the pace, as whether a request begins is decided
//! under the same lock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use serin_workload::{Answered, Counts, Failed, Second};
use tokio::sync::watch;

use super::client::Outcome;
use super::schedule::Pace;
use super::spread::Spread;

/// Seconds that are kept.
const HISTORY: u64 = 3600;

/// Causes that are told apart; a proxy may put something of its own into each text.
const CAUSES_MAX: usize = 100;

/// Counts for a request's whole way.
pub(super) struct Tally {
    since: DateTime<Utc>,
    pace: watch::Sender<Pace>,
    pending: watch::Sender<u64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sent: u64,
    answered: Answered,
    failed: Failed,
    spreads: BTreeMap<String, Spread>,
    seconds: BTreeMap<u64, Second>,
}

/// A request that was begun, in this second; each is ended once.
pub(super) struct Begun(u64);

impl Tally {
    /// `pace` is how to begin.
    pub(super) fn new(pace: Pace) -> Self {
        Tally {
            since: Utc::now(),
            pace: watch::Sender::new(pace),
            pending: watch::Sender::new(0),
            state: Mutex::default(),
        }
    }

    /// The pace with all its changes.
    pub(super) fn pace(&self) -> watch::Receiver<Pace> {
        self.pace.subscribe()
    }

    /// Changes the pace. When it returns with a pause, no further request begins.
    pub(super) fn set_pace(&self, change: impl FnOnce(&mut Pace)) {
        let _state = self.lock();
        self.pace.send_modify(change);
    }

    /// Counts a request that is about to be sent; `None` if none is to be.
    pub(super) fn begin(&self) -> Option<Begun> {
        let mut state = self.lock();
        if self.pace.borrow().paused {
            return None;
        }
        let second = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        state.sent += 1;
        let bucket = state.seconds.entry(second).or_insert_with(|| Second { second, ..Second::default() });
        bucket.sent += 1;
        bucket.pending += 1;
        while state.seconds.first_key_value().is_some_and(|(first, _)| first + HISTORY <= second) {
            state.seconds.pop_first();
        }
        self.pending.send_modify(|pending| *pending += 1);
        Some(Begun(second))
    }

    /// Counts what became of it.
    pub(super) fn end(&self, Begun(second): Begun, outcome: Outcome) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let mut bucket = state.seconds.get_mut(&second);
        if let Some(bucket) = &mut bucket {
            bucket.pending -= 1;
        }
        match outcome {
            Outcome::Answered { version, status, took } => {
                state.spreads.entry(version.clone()).or_default().add(took);
                for answered in [Some(&mut state.answered), bucket.map(|bucket| &mut bucket.answered)] {
                    let Some(answered) = answered else { continue };
                    *answered.entry(version.clone()).or_default().entry(status).or_default() += 1;
                }
            }
            Outcome::Failed(cause) => {
                let mut cause = cause.to_string();
                if state.failed.len() >= CAUSES_MAX && !state.failed.contains_key(&cause) {
                    "other".clone_into(&mut cause);
                }
                for failed in [Some(&mut state.failed), bucket.map(|bucket| &mut bucket.failed)] {
                    let Some(failed) = failed else { continue };
                    *failed.entry(cause.clone()).or_default() += 1;
                }
            }
        }
        self.pending.send_modify(|pending| *pending -= 1);
    }

    /// Everything since the start.
    pub(super) fn counts(&self) -> Counts {
        let state = self.lock();
        let pace = *self.pace.borrow();
        Counts {
            since: self.since,
            per_second: pace.per_second,
            paused: pace.paused,
            sent: state.sent,
            pending: *self.pending.borrow(),
            answered: state.answered.clone(),
            failed: state.failed.clone(),
            latency_ms: state.spreads.iter().map(|(version, spread)| (version.clone(), spread.latency())).collect(),
        }
    }

    /// The seconds from this one on in which a request began, the oldest first.
    pub(super) fn seconds(&self, from: u64) -> Vec<Second> {
        self.lock().seconds.range(from..).map(|(_, second)| second.clone()).collect()
    }

    /// Waits until no request is pending.
    pub(super) async fn settled(&self) {
        // It cannot fail: the sender is our own.
        let _ = self.pending.subscribe().wait_for(|pending| *pending == 0).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::cause::Cause;
    use http::StatusCode;

    #[test]
    fn causes_are_bounded_and_none_is_lost() {
        let tally = Tally::new(Pace { per_second: 1.0, paused: false });
        for number in 0..250 {
            let begun = tally.begin().expect("not paused");
            tally.end(begun, Outcome::Failed(Cause::Proxy(StatusCode::BAD_GATEWAY, format!("request {number}"))));
        }
        let counts = tally.counts();
        assert_eq!((counts.sent, counts.failed_total(), counts.pending), (250, 250, 0));
        assert_eq!(counts.failed.len(), CAUSES_MAX + 1);
        assert_eq!(tally.seconds(0).iter().map(|second| second.failed.values().sum::<u64>()).sum::<u64>(), 250);
        assert_eq!(tally.seconds(u64::MAX), Vec::new());
    }

    #[test]
    fn nothing_begins_in_a_pause() {
        let tally = Tally::new(Pace { per_second: 1.0, paused: true });
        assert!(tally.begin().is_none());
        tally.set_pace(|pace| pace.paused = false);
        assert!(tally.begin().is_some());
        assert_eq!(tally.counts().pending, 1);
    }
}
