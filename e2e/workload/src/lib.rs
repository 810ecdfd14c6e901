//! What the load generator answers on its control port: every answer by version and status, every failure by cause.
//!
//! # Causes
//! The keys of `failed`. The proxy's own answers, told by the missing header `x-version`, end with their status:
//!
//! | cause | meaning | Envoy's flag |
//! |---|---|---|
//! | `no-healthy-upstream (503)` | no endpoint in the cluster that was chosen | UH |
//! | `upstream-reset (503): REASON` | the connection to the endpoint failed or broke | UF, UC |
//! | `upstream-reset-retried (503): REASON` | and retries did not help | URX |
//! | `upstream-timeout (504)` | the endpoint did not answer in the proxy's time | UT |
//! | `no-route (404)` | no route matched | NR |
//! | `no-cluster (503)` | an empty answer: the route names a cluster that is not there | NC |
//! | `proxy (STATUS): TEXT` | anything else of 400 or above, with the start of its text | |
//!
//! The client's own failures: `dns`, `refused`, `unreachable`, `connect-timeout`, `connect-error (KIND)`,
//! `timeout` (no complete answer in time), `reset` and `closed` (before the answer), `cut-off` (within the answer),
//! `not-http`.
//!
//! `stale-connection` is no failure of routing: the server let go of a kept connection at the moment of its next
//! use, so that not one byte of an answer came. `other` stands for causes beyond the first hundred.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Number of answers by version and status. The version is the header `x-version`; `none` for an answer below 400
/// without it.
pub type Answered = BTreeMap<String, BTreeMap<u16, u64>>;

/// Number of failures by cause; see the table of this crate.
pub type Failed = BTreeMap<String, u64>;

/// The cause of a request that met a kept connection which the server was just closing.
pub const STALE_CONNECTION: &str = "stale-connection";

/// `GET /counts`: everything since the start; also the answer to each `POST`. It always adds up:
/// `sent = answered + failed + pending`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// When the generator started.
    pub since: DateTime<Utc>,
    /// Requests a second.
    pub per_second: f64,
    /// Whether no request is sent at present.
    pub paused: bool,
    /// Requests that were begun.
    pub sent: u64,
    /// Requests that have neither an answer nor a failure yet.
    pub pending: u64,
    /// Answers by version and status.
    pub answered: Answered,
    /// Failures by cause.
    pub failed: Failed,
    /// How long the answers took, by version, connecting included.
    pub latency_ms: BTreeMap<String, Latency>,
}

/// How long the answers of a version took, in milliseconds, to within 4 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the answers took no longer.
    pub p50: f64,
    /// Nine of ten answers took no longer.
    pub p90: f64,
    /// 99 of 100 answers took no longer.
    pub p99: f64,
    /// The slowest answer.
    pub max: f64,
}

/// One element of `GET /seconds`: what became of the requests that were begun in one second. It is final when `pending`
/// is 0 and the second is over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// The second, since 1970 in UTC.
    pub second: u64,
    /// Requests that were begun in it.
    pub sent: u64,
    /// Of these, the ones that have neither an answer nor a failure yet.
    pub pending: u64,
    /// Answers by version and status.
    pub answered: Answered,
    /// Failures by cause.
    pub failed: Failed,
}

impl Counts {
    /// Number of all answers.
    #[must_use]
    pub fn answered_total(&self) -> u64 {
        self.answered.values().flat_map(BTreeMap::values).sum()
    }

    /// Number of all failures, of whatever cause.
    #[must_use]
    pub fn failed_total(&self) -> u64 {
        self.failed.values().sum()
    }

    /// What came to pass between `earlier`, of the same generator, and this: `sent`, `answered` and `failed` are
    /// differences; the others cannot be subtracted and are as they are now.
    #[must_use]
    pub fn minus(&self, earlier: &Counts) -> Counts {
        let mut counts = self.clone();
        counts.sent = self.sent.saturating_sub(earlier.sent);
        for (version, statuses) in &mut counts.answered {
            if let Some(before) = earlier.answered.get(version) {
                subtract(statuses, before);
            }
        }
        counts.answered.retain(|_, statuses| !statuses.is_empty());
        subtract(&mut counts.failed, &earlier.failed);
        counts
    }
}

/// Leaves no zeros, so that an empty map means that nothing came.
fn subtract<K: Ord>(counts: &mut BTreeMap<K, u64>, before: &BTreeMap<K, u64>) {
    counts.retain(|key, count| {
        *count = count.saturating_sub(before.get(key).copied().unwrap_or(0));
        *count > 0
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(json: &str) -> Counts {
        let rest = r#""since":"2026-01-01T00:00:00Z","per_second":100.0,"paused":false,"pending":1,"latency_ms":{}"#;
        serde_json::from_str(&format!("{{{rest},{json}}}")).expect("the text is complete")
    }

    #[test]
    fn a_difference_has_only_what_came_since() {
        let earlier = counts(r#""sent":13,"answered":{"v1":{"200":10}},"failed":{"refused":2}"#);
        let later = counts(r#""sent":20,"answered":{"v1":{"200":10},"v2":{"200":4,"500":1}},"failed":{"refused":4}"#);
        let difference = later.minus(&earlier);
        assert_eq!(difference, counts(r#""sent":7,"answered":{"v2":{"200":4,"500":1}},"failed":{"refused":2}"#));
        assert_eq!((difference.answered_total(), difference.failed_total()), (5, 2));
        assert_eq!(later.minus(&later).failed, Failed::new());
    }
}
