//! When a metric is measured next: at fixed ticks counted from the start of its run, so that slow queries do not shift it.

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// The ticks of one metric.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    /// The first: start of the run plus `initialDelay`.
    pub first: DateTime<Utc>,
    /// The distance between two; `None` for a metric that is measured once.
    pub interval: Option<TimeDelta>,
}

/// The last measurement of a metric, as far as the next one depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Last {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// How soon it asks to be repeated.
    pub repeat: Repeat,
}

/// How soon a measurement asks to be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// At the next tick: it gave a verdict.
    AtNextTick,
    /// At the next tick or, for a metric without interval, after [`RETRY`]: the source had no data.
    UntilData,
    /// After [`RETRY`] or the interval, whichever is shorter: the source could not be asked.
    UntilReachable,
    /// After [`RETRY`], whatever the interval: it was an error.
    Soon,
}

/// The pause after a measurement that gave no verdict.
pub const RETRY: TimeDelta = TimeDelta::seconds(10);

/// Status keeps whole seconds, so two measurements of a metric are at least this far apart.
const GRAIN: TimeDelta = TimeDelta::seconds(1);

/// When the metric is due next; `None` if it needs no further measurement.
///
/// A tick that was missed is made up for once, at once; after that the metric is back on its ticks.
#[must_use]
pub fn due(ticks: Ticks, last: Option<Last>) -> Option<DateTime<Utc>> {
    let Some(last) = last else { return Some(ticks.first) };
    let soon = later(last.finished_at, RETRY);
    match (last.repeat, ticks.interval) {
        (Repeat::Soon, _) | (Repeat::UntilReachable | Repeat::UntilData, None) => Some(soon),
        (Repeat::UntilReachable, Some(interval)) => Some(later(last.finished_at, interval.max(GRAIN).min(RETRY))),
        (Repeat::AtNextTick | Repeat::UntilData, Some(interval)) => {
            Some(tick_after(ticks.first, interval.max(GRAIN), last.started_at))
        }
        (Repeat::AtNextTick, None) => None,
    }
}

/// The first tick of a later second than `moment`.
fn tick_after(first: DateTime<Utc>, interval: TimeDelta, moment: DateTime<Utc>) -> DateTime<Utc> {
    let earliest = later(moment.trunc_subsecs(0), GRAIN);
    if earliest <= first {
        return first;
    }
    let (gap, step) = (micros(earliest - first), micros(interval));
    let ticks = gap / step + i64::from(gap % step != 0);
    later(first, TimeDelta::microseconds(ticks.saturating_mul(step)))
}

fn micros(duration: TimeDelta) -> i64 {
    duration.num_microseconds().unwrap_or(i64::MAX).max(1)
}

/// `moment` plus `duration`, at most the last moment that can be written.
pub(super) fn later(moment: DateTime<Utc>, duration: TimeDelta) -> DateTime<Utc> {
    moment.checked_add_signed(duration).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + milliseconds).expect("in range")
    }

    /// All times in milliseconds since the run began; the last measurement as start, end, repeat.
    #[track_caller]
    fn check(what: &str, interval: Option<i64>, last: Option<(i64, i64, Repeat)>, expected: Option<i64>) {
        let ticks = Ticks { first: at(5_000), interval: interval.map(TimeDelta::milliseconds) };
        let last = last.map(|(start, end, repeat)| Last { started_at: at(start), finished_at: at(end), repeat });
        assert_eq!(due(ticks, last), expected.map(at), "{what}");
    }

    #[test]
    fn a_metric_stays_on_its_ticks() {
        use Repeat::{AtNextTick, Soon, UntilData, UntilReachable};
        check("the first waits for the initial delay", Some(60_000), None, Some(5_000));
        check(
            "the second is an interval after the first",
            Some(60_000),
            Some((5_000, 6_000, AtNextTick)),
            Some(65_000),
        );
        check("a slow query does not shift it", Some(60_000), Some((65_000, 94_000, AtNextTick)), Some(125_000));
        check("a late one does not shift it", Some(60_000), Some((100_000, 101_000, AtNextTick)), Some(125_000));
        check("a missed tick is made up for", Some(10_000), Some((5_000, 48_000, AtNextTick)), Some(15_000));
        check("and then it is back on them", Some(10_000), Some((48_000, 49_000, AtNextTick)), Some(55_000));
        check(
            "a start that lost its fraction is not taken again",
            Some(1_500),
            Some((6_000, 6_700, AtNextTick)),
            Some(8_000),
        );
        check("twice a second is once a second", Some(500), Some((5_000, 5_001, AtNextTick)), Some(6_000));
        check("no pause is a second's pause", Some(0), Some((5_000, 5_001, AtNextTick)), Some(6_000));
        check("a metric without interval is measured once", None, Some((5_000, 6_000, AtNextTick)), None);
        check("an error is repeated after ten seconds", Some(300_000), Some((5_000, 6_000, Soon)), Some(16_000));
        check("also with a short interval", Some(3_000), Some((5_000, 6_000, Soon)), Some(16_000));
        check("also without interval", None, Some((5_000, 6_000, Soon)), Some(16_000));
        check(
            "a dead source is asked every ten seconds",
            Some(300_000),
            Some((5_000, 35_000, UntilReachable)),
            Some(45_000),
        );
        check("or more often", Some(3_000), Some((5_000, 6_000, UntilReachable)), Some(9_000));
        check("no data waits for the tick", Some(300_000), Some((5_000, 6_000, UntilData)), Some(305_000));
        check("or ten seconds without interval", None, Some((5_000, 6_000, UntilData)), Some(16_000));
        check(
            "a clock that went back changes nothing",
            Some(60_000),
            Some((-90_000, -89_000, AtNextTick)),
            Some(5_000),
        );
    }

    proptest::proptest! {
        #[test]
        fn the_next_tick_is_the_first_of_a_later_second(
            first in 0..100_000_i64, interval in 1_000..500_000_i64, start in 0..10_000_000_i64,
        ) {
            let ticks = Ticks { first: at(first), interval: Some(TimeDelta::milliseconds(interval)) };
            let last = Last { started_at: at(start), finished_at: at(start), repeat: Repeat::AtNextTick };
            let next = (due(ticks, Some(last)).expect("it goes on") - at(0)).num_milliseconds();
            let earliest = start / 1000 * 1000 + 1000;
            proptest::prop_assert!(next >= earliest && (next - first) % interval == 0);
            proptest::prop_assert!(next == first || next - interval < earliest);
        }
    }

    #[test]
    fn no_interval_is_too_long() {
        let ticks = Ticks { first: DateTime::<Utc>::MAX_UTC, interval: Some(TimeDelta::MAX) };
        let last = Last { started_at: at(0), finished_at: DateTime::<Utc>::MAX_UTC, repeat: Repeat::Soon };
        assert_eq!(due(ticks, Some(last)), Some(DateTime::<Utc>::MAX_UTC));
        let ticks = Ticks { first: at(0), interval: Some(TimeDelta::MAX) };
        let last = Last { started_at: at(5_000), finished_at: at(5_000), repeat: Repeat::AtNextTick };
        assert!(due(ticks, Some(last)) > Some(at(5_000)));
    }
}
