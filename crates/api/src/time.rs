//! Instants on the wire, and the only conversions between chrono, our time type, and that of the Kubernetes types.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An instant in UTC, written as RFC 3339 in whole seconds with `Z`, as the Kubernetes API does.
///
/// Fractions of a second are accepted when read, and are cut off when written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub DateTime<Utc>);

impl Time {
    /// The same instant in the type of `metadata` and of the built-in kinds. Instants outside its range, which ends
    /// late in the year 9999, become its end.
    pub fn to_kubernetes(self) -> meta::Time {
        meta::Time(to_timestamp(self.0))
    }

    /// The same instant with microseconds, as leases use it. Instants outside its range, which ends late in the year
    /// 9999, become its end.
    pub fn to_kubernetes_micro(self) -> meta::MicroTime {
        meta::MicroTime(to_timestamp(self.0))
    }
}

impl From<DateTime<Utc>> for Time {
    fn from(instant: DateTime<Utc>) -> Self {
        Self(instant)
    }
}

impl From<&meta::Time> for Time {
    fn from(time: &meta::Time) -> Self {
        Self(from_timestamp(time.0))
    }
}

impl From<&meta::MicroTime> for Time {
    fn from(time: &meta::MicroTime) -> Self {
        Self(from_timestamp(time.0))
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let instant = DateTime::parse_from_rfc3339(&text)
            .map_err(|_| de::Error::custom(format_args!("`{text}` is not a time such as 2026-01-31T12:00:00Z")))?;
        Ok(Self(instant.to_utc()))
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

fn to_timestamp(instant: DateTime<Utc>) -> Timestamp {
    // Chrono counts a leap second as up to two thousand milliseconds of the second before it; jiff has no leap seconds.
    let nanoseconds = instant.timestamp_subsec_nanos().min(999_999_999).cast_signed();
    let end = if instant < DateTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::new(instant.timestamp(), nanoseconds).unwrap_or(end)
}

fn from_timestamp(timestamp: Timestamp) -> DateTime<Utc> {
    // Jiff's range lies inside chrono's, so the fallback is never taken.
    DateTime::from_timestamp(timestamp.as_second(), 0).map_or(DateTime::UNIX_EPOCH, |second| {
        second + chrono::TimeDelta::nanoseconds(i64::from(timestamp.subsec_nanosecond()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `text`, and expects it to be written as `written`, also after a trip through the Kubernetes type.
    fn check(case: &str, text: &str, written: &str) {
        let time: Time = serde_json::from_value(text.into()).unwrap();
        assert_eq!(serde_json::to_value(time).unwrap(), written, "{case}");
        let there_and_back = Time::from(&time.to_kubernetes_micro());
        assert_eq!(there_and_back, time, "{case}: through MicroTime");
        let kubernetes = time.to_kubernetes();
        assert_eq!(Time::from(&kubernetes), time, "{case}: through Time");
        assert_eq!(serde_json::to_value(kubernetes).unwrap(), written, "{case}: by Kubernetes");
    }

    #[test]
    fn times_are_written_in_whole_seconds_of_utc() {
        check("whole seconds stay", "2026-01-31T12:00:59Z", "2026-01-31T12:00:59Z");
        check("fractions are cut off", "2026-01-31T12:00:59.999999999Z", "2026-01-31T12:00:59Z");
        check("other zones become UTC", "2026-01-31T12:00:59+02:00", "2026-01-31T10:00:59Z");
        check("times before 1970 keep their fraction", "1969-12-31T23:59:58.25Z", "1969-12-31T23:59:58Z");
        check("the first year", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z");
        check("the last whole day", "9999-12-29T23:59:59Z", "9999-12-29T23:59:59Z");
    }

    #[test]
    fn a_malformed_time_is_named() {
        let error = serde_json::from_value::<Time>("yesterday".into()).unwrap_err();
        assert_eq!(error.to_string(), "`yesterday` is not a time such as 2026-01-31T12:00:00Z");
    }

    #[test]
    fn instants_out_of_range_become_the_end_of_the_range() {
        let last = Time(DateTime::<Utc>::MAX_UTC).to_kubernetes();
        assert_eq!(last.0, Timestamp::MAX);
        let first = Time(DateTime::<Utc>::MIN_UTC).to_kubernetes();
        assert_eq!(first.0, Timestamp::MIN);
    }

    #[test]
    fn a_leap_second_becomes_the_end_of_the_second_before() {
        let time: Time = serde_json::from_value("2016-12-31T23:59:60Z".into()).unwrap();
        let kubernetes = time.to_kubernetes();
        assert_eq!(serde_json::to_value(kubernetes).unwrap(), "2016-12-31T23:59:59Z");
    }
}
