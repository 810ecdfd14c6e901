//! The simulator's time: a clock that only moves when it is told to.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// Where the simulated cluster takes the time from.
pub trait Clock: Send + Sync {
    /// The present moment; never goes backwards between two calls in a well-behaved run.
    fn now(&self) -> DateTime<Utc>;
}

/// A clock that stands still until it is set or advanced; clones share the same time.
#[derive(Clone)]
pub struct SimClock {
    now: Arc<Mutex<DateTime<Utc>>>,
}

impl SimClock {
    /// A clock that shows `start`.
    #[must_use]
    pub fn new(start: DateTime<Utc>) -> Self {
        Self { now: Arc::new(Mutex::new(start)) }
    }

    /// The time that the clock shows.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        *self.lock()
    }

    /// Makes the clock show `now`, also if that is earlier than before.
    pub fn set(&self, now: DateTime<Utc>) {
        *self.lock() = now;
    }

    /// Moves the clock by `step` and returns the new time; a step beyond the calendar leaves it where it is.
    pub fn advance(&self, step: TimeDelta) -> DateTime<Utc> {
        let mut now = self.lock();
        if let Some(later) = now.checked_add_signed(step) {
            *now = later;
        }
        *now
    }

    fn lock(&self) -> MutexGuard<'_, DateTime<Utc>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SimClock {
    fn now(&self) -> DateTime<Utc> {
        SimClock::now(self)
    }
}

impl fmt::Debug for SimClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimClock").field(&self.now()).finish()
    }
}

/// The machine's own clock, for a cluster that lives in real time.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_one_time() {
        let start = DateTime::UNIX_EPOCH;
        let clock = SimClock::new(start);
        let other = clock.clone();
        clock.advance(TimeDelta::seconds(90));
        assert_eq!(other.now(), start + TimeDelta::seconds(90));
        other.set(start);
        assert_eq!(clock.now(), start);
    }

    #[test]
    fn an_impossible_step_is_ignored() {
        let clock = SimClock::new(DateTime::<Utc>::MAX_UTC);
        assert_eq!(clock.advance(TimeDelta::days(1)), DateTime::<Utc>::MAX_UTC);
    }
}
