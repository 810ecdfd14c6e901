//! How a duration is spread: quantiles from counts in buckets that grow with what they count.

use std::collections::BTreeMap;
use std::time::Duration;

use serin_workload::Latency;

/// Each power of two has `1 << FINE` buckets, so that a bucket is at most 1/32 of its value wide.
const FINE: u32 = 5;

/// Durations, counted by microsecond where they are short and ever more coarsely where they are long.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    /// By the lowest microsecond of each bucket.
    buckets: BTreeMap<u64, u64>,
    count: u64,
    longest: Duration,
}

impl Spread {
    pub(super) fn add(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        *self.buckets.entry(floor(micros)).or_default() += 1;
        self.count += 1;
        self.longest = self.longest.max(time);
    }

    /// The quantiles in milliseconds; each is at most the longest duration.
    pub(super) fn latency(&self) -> Latency {
        let max = self.longest.as_secs_f64() * 1000.0;
        let quantile = |percent| rounded(self.quantile(percent).min(max));
        Latency { p50: quantile(50), p90: quantile(90), p99: quantile(99), max: rounded(max) }
    }

    /// The middle of the bucket that holds it.
    fn quantile(&self, percent: u64) -> f64 {
        let rank = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        bucket.map_or(0.0, |(low, _)| (*low as f64 + width(*low) as f64 / 2.0) / 1000.0)
    }
}

fn floor(micros: u64) -> u64 {
    micros - micros % width(micros)
}

fn width(micros: u64) -> u64 {
    1 << micros.max(1).ilog2().saturating_sub(FINE)
}

/// Microseconds are more than anyone reads.
fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_the_truth() {
        let mut spread = Spread::default();
        for milliseconds in 1..=1000 {
            spread.add(Duration::from_millis(milliseconds));
        }
        let latency = spread.latency();
        for (found, truth) in [(latency.p50, 500.0), (latency.p90, 900.0), (latency.p99, 990.0)] {
            assert!((found - truth).abs() / truth < 0.04, "{found} is not near {truth}");
        }
        assert!((latency.max - 1000.0).abs() < f64::EPSILON);
    }

    #[test]
    fn extremes_are_counted() {
        let mut spread = Spread::default();
        assert!(spread.latency().p99.abs() < f64::EPSILON);
        spread.add(Duration::ZERO);
        spread.add(Duration::MAX);
        assert!(spread.latency().p50 <= spread.latency().max);
    }
}
