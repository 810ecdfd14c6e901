//! From cumulative counters, read at two moments, to what was counted between them.

use std::collections::{BTreeMap, BTreeSet};

use super::state::Poll;
use super::stratum::{Arm, Impossible, Stratum};

/// Whose requests a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The new version's.
    Canary,
    /// The old version's.
    Stable,
}

/// Which requests a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bad ones only, such as those with one status of 500 and above.
    Bad,
    /// Good ones only, such as those with another status, or those up to a boundary of a histogram.
    Good,
    /// Good and bad ones, such as the bucket `+Inf` of a histogram.
    All,
}

/// One cumulative counter at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Counter {
    /// Whose requests.
    pub side: Side,
    /// Which requests.
    pub part: Part,
    /// The pod, or whatever counts and forgets its counts as one.
    pub source: String,
    /// The value, at least 0.
    pub value: f64,
}

/// Counters at one moment, by a text that is the same at every moment, such as their labels.
pub type Reading = BTreeMap<String, Counter>;

/// What was counted between two readings.
///
/// Differences are taken series by series and summed afterwards. A series that fell has begun anew, and counts from 0. One
/// that is new at a source which is not, such as that of a first error, counts from 0 as well. A source that was not in the
/// reading before is left out this time: either it has just begun, or it was not heard, and then its counts are of
/// another time. Counts of a source that ended between the readings are lost.
///
/// # Errors
/// [`Impossible`] if the counters contradict each other, as when a histogram has more requests below a boundary than in all.
pub fn counted(before: &Reading, after: &Reading) -> Result<Poll, Impossible> {
    let known: BTreeSet<(Side, &str)> =
        before.values().map(|counter| (counter.side, counter.source.as_str())).collect();
    let mut sources: BTreeMap<(Side, &str), Increases> = BTreeMap::new();
    for (name, counter) in after {
        let source = (counter.side, counter.source.as_str());
        if !known.contains(&source) {
            continue;
        }
        let from = before.get(name).map_or(0.0, |before| before.value);
        let increase = if counter.value < from { counter.value } else { counter.value - from };
        sources.entry(source).or_default().add(counter.part, increase);
    }
    let mut arms: BTreeMap<Side, Vec<Arm>> = BTreeMap::new();
    for ((side, _), increases) in sources {
        arms.entry(side).or_default().push(increases.arm()?);
    }
    let sum = |side| arms.get(&side).into_iter().flatten().fold(Arm::default(), |sum, arm| sum.plus(*arm));
    let strata = vec![Stratum::new(sum(Side::Canary), sum(Side::Stable))?];
    Ok(Poll { strata, stable_pods: arms.remove(&Side::Stable).unwrap_or_default() })
}

/// What one source has counted in addition.
#[derive(Clone, Copy, Debug, Default)]
struct Increases {
    bad: f64,
    good: f64,
    all: Option<f64>,
}

impl Increases {
    fn add(&mut self, part: Part, increase: f64) {
        match part {
            Part::Bad => self.bad += increase,
            Part::Good => self.good += increase,
            Part::All => *self.all.get_or_insert(0.0) += increase,
        }
    }

    /// Where all are counted, bad ones are those that are not good; otherwise both are counted apart.
    fn arm(self) -> Result<Arm, Impossible> {
        // Counters are whole numbers below 2^53; anything else becomes the nearest that can be.
        let whole = |number: f64| number.round().max(0.0) as u64;
        let (bad, good) = (whole(self.bad), whole(self.good));
        match self.all.map(whole) {
            None => Ok(Arm::new(bad.saturating_add(good), bad)),
            Some(all) if good > all => Err(Impossible::MoreEventsThanRequests(Arm::new(all, good))),
            Some(all) => Ok(Arm::new(all, all - good)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counters written as `pod/series/part value`, where pods that begin with c are the canary's.
    fn reading(lines: &[(&str, f64)]) -> Reading {
        let of = |&(name, value): &(&str, f64)| {
            let side = if name.starts_with('c') { Side::Canary } else { Side::Stable };
            let part = match name.rsplit('/').next() {
                Some("bad") => Part::Bad,
                Some("all") => Part::All,
                _ => Part::Good,
            };
            let source = name.split('/').next().unwrap_or_default().to_owned();
            (name.to_owned(), Counter { side, part, source, value })
        };
        lines.iter().map(of).collect()
    }

    #[track_caller]
    fn check(what: &str, before: &[(&str, f64)], after: &[(&str, f64)], canary: (u64, u64), stable: (u64, u64)) {
        let poll = counted(&reading(before), &reading(after)).unwrap_or_else(|error| panic!("{what}: {error}"));
        let got = (poll.strata[0].canary(), poll.strata[0].stable());
        assert_eq!(got, (Arm::new(canary.0, canary.1), Arm::new(stable.0, stable.1)), "{what}");
        let pods = poll.stable_pods.iter().fold(Arm::default(), |sum, pod| sum.plus(*pod));
        assert_eq!(pods, got.1, "{what}: pods");
    }

    #[test]
    fn differences() {
        check("nothing", &[], &[], (0, 0), (0, 0));
        check(
            "both sides and two pods",
            &[("c1/200/good", 10.0), ("c1/500/bad", 1.0), ("s1/200/good", 100.0), ("s2/200/good", 50.0)],
            &[("c1/200/good", 19.0), ("c1/500/bad", 3.0), ("s1/200/good", 150.0), ("s2/200/good", 90.0)],
            (11, 2),
            (90, 0),
        );
        let hundred = [("s1/200/good", 100.0)];
        check("a first error", &hundred, &[("s1/200/good", 110.0), ("s1/503/bad", 2.0)], (0, 0), (12, 2));
        check("a counter that began anew", &hundred, &[("s1/200/good", 7.0)], (0, 0), (7, 0));
        check("a counter that stood still", &hundred, &hundred, (0, 0), (0, 0));
        check(
            "a pod that was not heard before",
            &hundred,
            &[("s1/200/good", 101.0), ("s2/200/good", 9e6)],
            (0, 0),
            (1, 0),
        );
        check(
            "a pod that ended",
            &[("s1/200/good", 1.0), ("s2/200/good", 5.0)],
            &[("s1/200/good", 4.0)],
            (0, 0),
            (3, 0),
        );
        check(
            "a histogram",
            &[("c1/le=100/good", 5.0), ("c1/le=inf/all", 6.0)],
            &[("c1/le=100/good", 25.0), ("c1/le=inf/all", 36.0)],
            (30, 10),
            (0, 0),
        );
    }

    #[test]
    fn pods_are_told_apart() {
        let before = reading(&[("s1/200/good", 0.0), ("s2/200/good", 0.0)]);
        let after = reading(&[("s1/200/good", 8.0), ("s1/500/bad", 2.0), ("s2/200/good", 9.0)]);
        let poll = counted(&before, &after).expect("possible counts");
        assert_eq!(poll.stable_pods, [Arm::new(10, 2), Arm::new(9, 0)]);
    }

    #[test]
    fn a_histogram_that_contradicts_itself_is_refused() {
        let before = reading(&[("c1/le=100/good", 0.0), ("c1/le=inf/all", 0.0)]);
        let after = reading(&[("c1/le=100/good", 9.0), ("c1/le=inf/all", 8.0)]);
        assert_eq!(counted(&before, &after), Err(Impossible::MoreEventsThanRequests(Arm::new(8, 9))));
    }
}
