//! What one poll counted on both sides.

use serde::{Deserialize, Serialize};

/// What was counted on one side between two polls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Requests that ended.
    pub requests: u64,
    /// Those of them which were bad: errors, or slower than a boundary. At most `requests`.
    pub events: u64,
}

impl Arm {
    /// Counts of one side.
    #[must_use]
    pub fn new(requests: u64, events: u64) -> Self {
        Arm { requests, events }
    }

    /// Both together; at the end of the range it stays there.
    #[must_use]
    pub fn plus(self, other: Arm) -> Self {
        Arm { requests: self.requests.saturating_add(other.requests), events: self.events.saturating_add(other.events) }
    }
}

/// Counts of both sides while the weights stood still: one poll, in one zone if zones are counted apart.
///
/// A poll that straddles a change of weights is no stratum, since its requests were not all split by the same coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stratum {
    canary: Arm,
    stable: Arm,
}

/// Why counts cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impossible {
    /// More bad requests than requests on one side.
    MoreEventsThanRequests(Arm),
    /// More than [`Stratum::REQUESTS_MAX`] requests in one poll.
    TooMany(u64),
}

impl std::fmt::Display for Impossible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Impossible::MoreEventsThanRequests(arm) => {
                write!(f, "{} of {} requests are said to be bad", arm.events, arm.requests)
            }
            Impossible::TooMany(requests) => {
                write!(f, "{requests} requests in one poll, at most {} are possible", Stratum::REQUESTS_MAX)
            }
        }
    }
}

impl Stratum {
    /// Most requests in one poll. Beyond it, logarithms of factorials lose more than six digits after the point.
    pub const REQUESTS_MAX: u64 = 1_000_000_000;

    /// Counts of both sides.
    ///
    /// # Errors
    /// [`Impossible`] if a side has more events than requests, or the poll too many requests.
    pub fn new(canary: Arm, stable: Arm) -> Result<Self, Impossible> {
        for arm in [canary, stable] {
            if arm.events > arm.requests {
                return Err(Impossible::MoreEventsThanRequests(arm));
            }
        }
        match canary.requests.saturating_add(stable.requests) {
            requests if requests > Self::REQUESTS_MAX => Err(Impossible::TooMany(requests)),
            _ => Ok(Stratum { canary, stable }),
        }
    }

    /// The canary's counts.
    #[must_use]
    pub fn canary(self) -> Arm {
        self.canary
    }

    /// Stable's counts.
    #[must_use]
    pub fn stable(self) -> Arm {
        self.stable
    }

    /// Bad requests of both sides.
    #[must_use]
    pub fn events(self) -> u64 {
        self.canary.events + self.stable.events
    }

    /// Requests of both sides.
    #[must_use]
    pub fn requests(self) -> u64 {
        self.canary.requests + self.stable.requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_cannot_be_are_refused() {
        for (what, canary, stable, told) in [
            ("possible", (2, 1), (3, 3), None),
            ("nothing at all", (0, 0), (0, 0), None),
            ("canary", (2, 3), (3, 3), Some("3 of 2 requests are said to be bad")),
            ("stable", (2, 1), (0, 1), Some("1 of 0 requests are said to be bad")),
            ("overflow", (u64::MAX, 0), (u64::MAX, 0), Some("requests in one poll, at most 1000000000 are possible")),
        ] {
            let arm = |(requests, events)| Arm::new(requests, events);
            let got = Stratum::new(arm(canary), arm(stable)).map_err(|error| error.to_string());
            match told {
                None => assert!(got.is_ok(), "{what}: {got:?}"),
                Some(told) => assert!(got.as_ref().is_err_and(|error| error.contains(told)), "{what}: {got:?}"),
            }
        }
    }
}
