//! A Duration of SkyWalking: a list of buckets, both ends included, read in the server's time zone.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use serde_json::Value;

use super::super::timeline::{Cell, Seconds};

/// The width of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Day,
    Hour,
    Minute,
    /// Accepted, but service metrics do not exist by second: always empty.
    Second,
}

/// One bucket: its local time and its first second since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    local: NaiveDateTime,
    pub(super) begin: i64,
    pub(super) step: Step,
}

/// The widest duration: this many steps from start to end.
const STEPS_MAX: i64 = 500;

/// Reads the `duration` argument. An error is the message of the exception that the server would throw.
pub(super) fn buckets(duration: &Value, zone: FixedOffset) -> Result<Vec<Bucket>, String> {
    let text = |key: &str| duration.get(key).and_then(Value::as_str).unwrap_or_default();
    let step = match text("step") {
        "DAY" => Step::Day,
        "HOUR" => Step::Hour,
        "SECOND" => Step::Second,
        _minute_checked_by_the_schema => Step::Minute,
    };
    let start = step.parse(text("start"))?;
    let end = step.parse(text("end"))?;
    let steps = (end - start).num_seconds() / step.seconds();
    // The server counts up from the start until it meets the end, so an end before the start looks endless to it.
    if !(0..=STEPS_MAX).contains(&steps) {
        return Err(
            "java.lang.IllegalArgumentException: Duration between start and end can't exceed 500 minutes".to_owned()
        );
    }
    Ok((0..=steps)
        .map(|index| start + TimeDelta::seconds(index * step.seconds()))
        .map(|local| Bucket { local, begin: local.and_utc().timestamp() - i64::from(zone.local_minus_utc()), step })
        .collect())
}

impl Step {
    pub(super) fn seconds(self) -> i64 {
        match self {
            Self::Day => 86_400,
            Self::Hour => 3_600,
            Self::Minute => 60,
            Self::Second => 1,
        }
    }

    fn parse(self, text: &str) -> Result<NaiveDateTime, String> {
        let at = |date: NaiveDate, hour, minute, second| {
            NaiveTime::from_hms_opt(hour, minute, second).map(|time| date.and_time(time))
        };
        let (day, clock) = text.split_once(' ').unwrap_or((text, ""));
        let parsed = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok().filter(|_| day.len() == 10).and_then(|date| {
            let digits = |range: std::ops::Range<usize>| clock.get(range).and_then(|part| part.parse::<u32>().ok());
            match (self, clock.len()) {
                (Self::Day, 0) => at(date, 0, 0, 0),
                (Self::Hour, 2) => at(date, digits(0..2)?, 0, 0),
                (Self::Minute, 4) => at(date, digits(0..2)?, digits(2..4)?, 0),
                (Self::Second, 6) => at(date, digits(0..2)?, digits(2..4)?, digits(4..6)?),
                (Self::Day | Self::Hour | Self::Minute | Self::Second, _) => None,
            }
        });
        parsed.ok_or_else(|| format!("java.lang.IllegalArgumentException: Invalid format: {text:?}"))
    }
}

impl Bucket {
    /// The bucket's name in ids, in local time.
    pub(super) fn name(&self) -> String {
        let format = match self.step {
            Step::Day => "%Y%m%d",
            Step::Hour => "%Y%m%d%H",
            Step::Minute => "%Y%m%d%H%M",
            Step::Second => "%Y%m%d%H%M%S",
        };
        self.local.format(format).to_string()
    }

    /// What a service did in this bucket, as far as it is visible before `visible_until`; `None` if nothing.
    pub(super) fn cell(&self, service: &Seconds, visible_until: DateTime<Utc>) -> Option<Cell> {
        let end = (self.begin + self.step.seconds()).min(visible_until.timestamp());
        let sum = service.sum(self.begin, end);
        (self.step != Step::Second && sum.calls > 0).then_some(sum)
    }
}
