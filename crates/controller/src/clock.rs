//! Where the controller takes the time from.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// The controller's time: the machine's own, or that of a simulation.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> DateTime<Utc>;

    /// How long to wait, in real time, until this clock shows `at`; zero if it already does.
    ///
    /// A clock that runs faster than real time answers less than the difference.
    fn real_time_until(&self, at: DateTime<Utc>) -> Duration {
        (at - self.now()).to_std().unwrap_or_default()
    }
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
