//! The minutes that a query looks back over, in the words of SkyWalking's protocol.

use std::fmt;

use chrono::{DateTime, FixedOffset, Offset, TimeDelta, Utc};
use serde_json::{Value, json};

/// A range of minutes in the server's time zone. Both ends count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    start: DateTime<FixedOffset>,
    end: DateTime<FixedOffset>,
}

/// How long after its end a minute is trusted to be in the server's store: `persistentPeriod` is 25 s by default.
const FLUSH_SECONDS: i64 = 30;

/// The server refuses a difference of more than 500 minutes.
const MINUTES_MAX: i64 = 500;

impl Window {
    /// The last complete minutes, as many as `interval` has, rounded up; at least `fewest`, at most 500. The last of them
    /// ended at least 30 s ago, because the server writes a minute down some time after its end.
    pub(super) fn complete_minutes(now: DateTime<Utc>, interval: TimeDelta, zone: FixedOffset, fewest: i64) -> Self {
        let minutes = interval.num_minutes() + i64::from(interval.num_seconds() % 60 != 0);
        let minutes = minutes.clamp(fewest.clamp(1, MINUTES_MAX), MINUTES_MAX);
        let settled = now.timestamp().saturating_sub(FLUSH_SECONDS).div_euclid(60);
        let at = |minute: i64| minute_start(minute, now).with_timezone(&zone);
        Self { start: at(settled - minutes), end: at(settled - 1) }
    }

    /// From `interval` ago until now, in UTC.
    pub(super) fn up_to(now: DateTime<Utc>, interval: TimeDelta) -> Self {
        let start = now.checked_sub_signed(interval).unwrap_or(now);
        Self { start: start.with_timezone(&Utc.fix()), end: now.with_timezone(&Utc.fix()) }
    }

    /// The window as a `Duration` of the protocol.
    pub(super) fn duration(&self) -> Value {
        json!({ "start": minute_text(&self.start), "end": minute_text(&self.end), "step": "MINUTE" })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} ({})", minute_text(&self.start), minute_text(&self.end), self.end.format("%z"))
    }
}

fn minute_start(minute: i64, fallback: DateTime<Utc>) -> DateTime<Utc> {
    minute.checked_mul(60).and_then(|seconds| DateTime::from_timestamp(seconds, 0)).unwrap_or(fallback)
}

fn minute_text(time: &DateTime<FixedOffset>) -> String {
    time.format("%Y-%m-%d %H%M").to_string()
}

/// Reads a time zone as the server writes it: `+0530`, `-0800`, also `Z` or with a colon.
pub(super) fn parse_zone(text: &str) -> Option<FixedOffset> {
    let text = text.trim();
    if matches!(text, "Z" | "UTC" | "GMT") {
        return Some(Utc.fix());
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    if digits.len() != 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    FixedOffset::east_opt(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(what: &str, now: &str, (interval, zone): (i64, &str), expected: &str) {
        let now: DateTime<Utc> = now.parse().expect("a time");
        let zone = parse_zone(zone).expect("a zone");
        let window = Window::complete_minutes(now, TimeDelta::seconds(interval), zone, 1);
        assert_eq!(window.to_string(), expected, "{what}");
    }

    #[test]
    fn only_complete_and_flushed_minutes_are_asked_for() {
        let noon = "2026-11-21T12:00:00Z";
        check("the minute before is not flushed yet", noon, (180, "Z"), "2026-11-21 1156 to 2026-11-21 1158 (+0000)");
        check("30 s later it is", "2026-11-21T12:00:30Z", (180, "Z"), "2026-11-21 1157 to 2026-11-21 1159 (+0000)");
        check("one second less", "2026-11-21T12:00:29Z", (60, "Z"), "2026-11-21 1158 to 2026-11-21 1158 (+0000)");
        check("a part of a minute is one", noon, (1, "Z"), "2026-11-21 1158 to 2026-11-21 1158 (+0000)");
        check("90 s are two", noon, (90, "Z"), "2026-11-21 1157 to 2026-11-21 1158 (+0000)");
        check("no more than 500", noon, (86_400, "Z"), "2026-11-21 0339 to 2026-11-21 1158 (+0000)");
        check("half an hour east", noon, (60, "+0530"), "2026-11-21 1728 to 2026-11-21 1728 (+0530)");
        check("three quarters", noon, (60, "+05:45"), "2026-11-21 1743 to 2026-11-21 1743 (+0545)");
        check(
            "yesterday in the west",
            "2026-11-21T02:00:40Z",
            (120, "-0330"),
            "2026-11-20 2228 to 2026-11-20 2229 (-0330)",
        );
    }

    #[test]
    fn upstreams_window_ends_in_the_running_minute() {
        let now: DateTime<Utc> = "2026-11-21T12:00:59Z".parse().expect("a time");
        let window = Window::up_to(now, TimeDelta::minutes(3));
        let expected = json!({"start": "2026-11-21 1157", "end": "2026-11-21 1200", "step": "MINUTE"});
        assert_eq!(window.duration(), expected);
    }

    #[test]
    fn zones_that_are_none_are_refused() {
        for text in ["", "0530", "+530", "+05300", "+0x30", "Asia/Kolkata", "+9900", "é"] {
            assert_eq!(parse_zone(text), None, "{text}");
        }
    }
}
