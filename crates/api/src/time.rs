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
    /// The same instant in the type of `metadata` and of the built-in kinds; `None` outside the years −9999 to 9999.
    pub fn to_kubernetes(self) -> Option<meta::Time> {
        Some(meta::Time(to_timestamp(self.0)?))
    }

    /// The same instant with microseconds, as leases use it; `None` outside the years −9999 to 9999.
    pub fn to_kubernetes_micro(self) -> Option<meta::MicroTime> {
        Some(meta::MicroTime(to_timestamp(self.0)?))
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
        let instant = DateTime::parse_from_rfc3339(&text).map_err(|_| {
            de::Error::custom(format_args!(
                "`{text}` is not a time such as 2026-01-31T12:00:00Z"
            ))
        })?;
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

fn to_timestamp(instant: DateTime<Utc>) -> Option<Timestamp> {
    // Chrono counts a leap second as up to two thousand milliseconds of the second before it; jiff has no leap seconds.
    let nanoseconds = instant.timestamp_subsec_nanos().min(999_999_999);
    Timestamp::new(instant.timestamp(), i32::try_from(nanoseconds).ok()?).ok()
}

fn from_timestamp(timestamp: Timestamp) -> DateTime<Utc> {
    // Jiff's range lies inside chrono's, so the fallback is never taken.
    DateTime::from_timestamp(timestamp.as_second(), 0).map_or(DateTime::UNIX_EPOCH, |second| {
        second + chrono::TimeDelta::nanoseconds(i64::from(timestamp.subsec_nanosecond()))
    })
}
