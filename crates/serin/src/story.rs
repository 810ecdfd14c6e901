//! Entries of a timeline as lines for people.

use chrono::{DateTime, TimeDelta, Utc};
use serin_core::plan::EventKind;
use serin_sim::timeline::{Entry, What};

use crate::bar::{bar, fit, short_value};
use crate::console::Paint;

/// Number of cells of a weight's bar.
const BAR_CELLS: usize = 20;

/// One line, with the time since `began`.
pub(crate) fn line(entry: &Entry, began: DateTime<Utc>, paint: Paint) -> String {
    let time = paint.faint(&clock(entry.at - began));
    let (kind, text) = match &entry.what {
        What::Phase { phase, message } => ("phase", with(&paint.phase(phase), message)),
        What::Weight { desired, observed } => ("weight", weight(*desired, *observed, paint)),
        What::Step { step, steps, words } if step > steps => ("step", paint.strong(words)),
        What::Step { step, steps, words } => ("step", paint.strong(&format!("{step}/{steps} {words}"))),
        What::Measurement { metric, phase, value, message } => {
            let value = short_value(value, 60);
            ("measure", with(&format!("{metric} {} {value}", paint.phase(phase)), message))
        }
        What::Hold { reason, message } => ("hold", with(&paint.warn(reason), message)),
        What::Person { words } => ("person", paint.strong(words)),
        What::Event { kind, reason, message } => {
            let reason = match kind {
                EventKind::Normal => paint.faint(reason),
                EventKind::Warning => paint.bad(reason),
            };
            ("event", with(&reason, message))
        }
    };
    format!("{time}  {kind:<8}{}", text.trim_end())
}

/// A time since the beginning as `+00:10:05`.
pub(crate) fn clock(since: TimeDelta) -> String {
    let (sign, seconds) =
        if since < TimeDelta::zero() { ('-', -since.num_seconds()) } else { ('+', since.num_seconds()) };
    format!("{sign}{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// A number with its thousands apart.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

fn weight(desired: i32, observed: Option<i32>, paint: Paint) -> String {
    let bar = bar(desired, BAR_CELLS, paint);
    match observed {
        Some(observed) if observed != desired => format!("{bar} {desired:>3} % canary (routes still at {observed} %)"),
        Some(_) | None => format!("{bar} {desired:>3} % canary"),
    }
}

fn with(head: &str, message: &str) -> String {
    if message.is_empty() { head.to_owned() } else { format!("{head}: {}", fit(message, 300)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(what: What, wanted: &str) {
        let began = DateTime::UNIX_EPOCH;
        let entry = Entry { at: began + TimeDelta::seconds(605), object: "aviary/reviews".to_owned(), what };
        assert_eq!(line(&entry, began, Paint::PLAIN), format!("+00:10:05  {wanted}"));
    }

    #[test]
    fn every_kind_of_entry_has_its_line() {
        let text = |text: &str| text.to_owned();
        check(What::Phase { phase: text("Healthy"), message: String::new() }, "phase   Healthy");
        check(
            What::Weight { desired: 50, observed: Some(20) },
            "weight  ██████████░░░░░░░░░░  50 % canary (routes still at 20 %)",
        );
        check(What::Weight { desired: 0, observed: None }, "weight  ░░░░░░░░░░░░░░░░░░░░   0 % canary");
        check(What::Step { step: 1, steps: 2, words: text("pause: 5m") }, "step    1/2 pause: 5m");
        check(What::Step { step: 3, steps: 2, words: text("all steps done") }, "step    all steps done");
        check(What::Hold { reason: text("NoData"), message: text("nothing there") }, "hold    NoData: nothing there");
        check(
            What::Event { kind: EventKind::Normal, reason: text("RolloutUpdated"), message: text("to revision 2") },
            "event   RolloutUpdated: to revision 2",
        );
        check(What::Person { words: text("promotes") }, "person  promotes");
        let (metric, phase) = (text("apdex"), text("Successful"));
        let value = text(r#"[{"value": 9900}]"#);
        check(What::Measurement { metric, phase, value, message: String::new() }, "measure apdex Successful 9900");
    }

    #[test]
    fn numbers_can_be_read() {
        for (number, wanted) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), wanted);
        }
        assert_eq!(clock(TimeDelta::hours(26)), "+26:00:00");
        assert_eq!(clock(TimeDelta::seconds(-61)), "-00:01:01");
    }
}
