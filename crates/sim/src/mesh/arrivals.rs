//! When requests arrive: evenly spaced, however time is cut into intervals.

use chrono::{DateTime, Utc};

use super::REQUESTS_PER_SECOND_MAX;

/// One request is due whenever this much of rate × time has passed: a millionth of a request a second, times a nanosecond.
const ONE_REQUEST: u128 = 1_000_000 * 1_000_000_000;

const NANOS_PER_MS: u128 = 1_000_000;

/// A rate and what of the next request is already due. Whole numbers, so that the cuts leave no rounding behind.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrivals {
    rate_micro: u64,
    due: u128,
}

impl Arrivals {
    pub(super) fn set_rate(&mut self, requests_per_second: f64) {
        // A NaN becomes 0 by the conversion, a negative number by the clamp.
        self.rate_micro = (requests_per_second.clamp(0.0, REQUESTS_PER_SECOND_MAX) * 1e6).round() as u64;
    }

    /// The arrivals in [from, to), in order, in milliseconds since 1970.
    pub(super) fn within(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<i64> {
        let span = u128::from((to - from).num_nanoseconds().unwrap_or(0).max(0).unsigned_abs());
        let rate = u128::from(self.rate_micro);
        // What is below a millisecond matters for the spacing only within one interval.
        let begin_ms = from.timestamp_millis();
        let mut times = Vec::new();
        if rate == 0 {
            return times;
        }
        let mut number: u128 = 1;
        loop {
            // The first moment at which the number-th request is fully due.
            let after = (number * ONE_REQUEST).saturating_sub(self.due).div_ceil(rate);
            if after >= span {
                break;
            }
            times.push(begin_ms + i64::try_from(after / NANOS_PER_MS).unwrap_or(i64::MAX));
            number += 1;
        }
        self.due = self.due + rate * span - (number - 1) * ONE_REQUEST;
        times
    }
}
