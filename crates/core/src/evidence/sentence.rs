//! Evidence in words, for a status and for people.

use std::fmt;

use super::forecast::Wait;
use super::question::Plan;
use super::verdict::{Answer, Assessment, Verdict};

impl Assessment {
    /// What was found in one line: the verdict with E and the line it is to reach, then every question with its odds ratio, its
    /// counts and, as long as nothing is decided, the time that is still needed.
    #[must_use]
    pub fn sentence(&self, plan: &Plan) -> String {
        let aborts_at = 1.0 / plan.false_abort_rate;
        let verdict = match self.verdict {
            Verdict::Regression => {
                format!(
                    "the canary is worse than stable: evidence {} is past {aborts_at:.0}",
                    evidence(-self.p_value.ln())
                )
            }
            Verdict::Healthy => "the canary is not worse than stable".to_owned(),
            Verdict::Insufficient => {
                format!("not enough to decide: evidence {}, an abort needs {aborts_at:.0}", evidence(self.log_evidence))
            }
        };
        let undecided = self.verdict == Verdict::Insufficient;
        let answers = self.answers.iter().map(|answer| match answer.forecast.filter(|_| undecided) {
            Some(forecast) => format!(
                "{answer}; at this traffic a regression shows in {}, health in {}",
                duration(forecast.abort),
                duration(forecast.promotion)
            ),
            None => answer.to_string(),
        });
        std::iter::once(verdict).chain(answers).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (canary, stable) = (self.canary, self.stable);
        let all = canary.plus(stable);
        match (self.odds_ratio, all.events) {
            (_, 0) if all.requests == 0 => return write!(f, "{}: no requests yet", self.name),
            (_, 0) => return write!(f, "{}: none in {} requests", self.name, all.requests),
            (Some(ratio), _) => write!(f, "{}: {} times stable's", self.name, figure(ratio))?,
            (None, _) => write!(f, "{}: not comparable yet", self.name)?,
        }
        match self.interval.upper {
            Some(upper) => write!(f, " (95 % {} to {})", figure(self.interval.lower), figure(upper))?,
            None => write!(f, " (95 % {} or more)", figure(self.interval.lower))?,
        }
        let share = 100.0 * canary.requests as f64 / all.requests.max(1) as f64;
        write!(f, ", {} of {} were the canary's with {} % of the requests", canary.events, all.events, figure(share))
    }
}

/// Two digits, or more if they stand before the point.
fn figure(number: f64) -> String {
    if number >= 10.0 { format!("{number:.0}") } else { format!("{number:.1}") }
}

/// `E` from its logarithm; what is beyond a billion is not told apart.
fn evidence(log: f64) -> String {
    if log > 1e9_f64.ln() { "over 1000000000".to_owned() } else { figure(log.exp()) }
}

/// From the typical to the cautious figure.
fn duration(wait: Wait) -> String {
    let text = |seconds: f64| match seconds {
        _ if seconds < 90.0 => format!("{seconds:.0} s"),
        _ if seconds < 5400.0 => format!("{:.0} min", seconds / 60.0),
        _ if seconds < 172_800.0 => format!("{:.0} h", seconds / 3600.0),
        _ => format!("{:.0} d", seconds / 86_400.0),
    };
    format!("{} to {}", text(wait.typical), text(wait.cautious))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::question::Question;
    use super::super::state::{Poll, State};
    use super::super::stratum::{Arm, Stratum};
    use super::super::verdict::assess;
    use super::*;

    #[track_caller]
    fn check(what: &str, counts: Option<((u64, u64), (u64, u64))>, expected: &str) {
        let plan = Plan { questions: vec![Question::new("errors")], false_abort_rate: 0.05, miss_rate: 0.05 };
        let arm = |(requests, events)| Arm::new(requests, events);
        let state = counts.map_or_else(State::default, |(canary, stable)| {
            let strata = vec![Stratum::new(arm(canary), arm(stable)).expect("possible counts")];
            let polls = BTreeMap::from([("errors".to_owned(), Poll { strata, stable_pods: Vec::new() })]);
            State::default().absorb(&plan, &polls)
        });
        assert_eq!(assess(&plan, &state, Some((100.0, 0.1))).sentence(&plan), expected, "{what}");
    }

    #[test]
    fn sentences() {
        check("nothing", None, "not enough to decide: evidence 1.0, an abort needs 20; errors: no requests yet");
        check(
            "no errors",
            Some(((100, 0), (900, 0))),
            "not enough to decide: evidence 1.0, an abort needs 20; errors: none in 1000 requests",
        );
        check(
            "some errors",
            Some(((1000, 5), (9000, 27))),
            "not enough to decide: evidence 1.0, an abort needs 20; errors: 1.7 times stable's (95 % 0.3 to 5.8), 5 of 32 were \
             the canary's with 10 % of the requests; at this traffic a regression shows in 5 min to 15 min, health in \
             8 min to 19 min",
        );
        check(
            "many errors",
            Some(((1000, 60), (9000, 90))),
            "the canary is worse than stable: evidence over 1000000000 is past 20; errors: 6.3 times stable's \
             (95 % 3.4 to 11), 60 of 150 were the canary's with 10 % of the requests",
        );
        check(
            "only on the canary",
            Some(((5000, 4), (5000, 0))),
            "not enough to decide: evidence 5.1, an abort needs 20; errors: not comparable yet (95 % 0.5 or more), \
             4 of 4 were the canary's with 50 % of the requests; at this traffic a regression shows in 31 min to 2 h, health in \
             73 min to 3 h",
        );
        check(
            "as good",
            Some(((50_000, 150), (50_000, 150))),
            "the canary is not worse than stable; errors: 1.0 times stable's (95 % 0.7 to 1.5), 150 of 300 were the canary's \
             with 50 % of the requests",
        );
    }
}
