//! The small value types that many wire structs share, and how absent fields are written and read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Declares wire structs: camelCase names, every field may be missing or `null` when read, and absent fields
/// (see [`is_absent`]) are left out when written.
///
/// No field is required when read, because one malformed or missing field must never hide an object; the rules about
/// what must be present belong to validation, where they can be reported.
macro_rules! wire {
    ($($(#[$outer:meta])* pub struct $name:ident { $($(#[$inner:meta])* pub $field:ident: $kind:ty,)* })*) => {$(
        $(#[$outer])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {$(
            $(#[$inner])*
            #[serde(
                skip_serializing_if = "crate::value::is_absent",
                deserialize_with = "crate::value::null_as_default"
            )]
            pub $field: $kind,
        )*}
    )*};
}
pub(crate) use wire;

/// A number or a string on the wire: replica counts that may be a percentage, limits that may be a template such as
/// `{{args.limit}}`, and pause durations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A plain number.
    Int(i64),
    /// Anything else: `25%`, `10m`, `{{args.count}}`, or a number in quotes.
    String(String),
}

impl IntOrString {
    /// The number, also when it was written in quotes; `None` for any other text.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::String(text) => text.trim().parse().ok(),
        }
    }

    /// The text, if it was written as a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Int(_) => None,
            Self::String(text) => Some(text),
        }
    }

    /// The number before a trailing `%`; `None` if this is not a percentage.
    pub fn as_percent(&self) -> Option<i64> {
        self.as_str()?.trim().strip_suffix('%')?.trim().parse().ok()
    }
}

impl Default for IntOrString {
    fn default() -> Self {
        Self::Int(0)
    }
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => number.fmt(f),
            Self::String(text) => text.fmt(f),
        }
    }
}

impl From<i64> for IntOrString {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for IntOrString {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for IntOrString {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl JsonSchema for IntOrString {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "IntOrString".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-kubernetes-int-or-string": true })
    }
}

/// A length of time on the wire, in the notation of Go's `time.ParseDuration`, such as `30s`, `5m` or `1h30m`.
///
/// It stays text here, so that a malformed one can be reported with the name of its field instead of being lost.
pub type DurationString = String;

/// What a field must be able to say about itself so that it can be left out when written.
pub(crate) trait Absent {
    /// Whether the field is left out.
    fn absent(&self) -> bool;
}

impl<T> Absent for Option<T> {
    fn absent(&self) -> bool {
        self.is_none()
    }
}

impl<T> Absent for Vec<T> {
    fn absent(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Absent for BTreeMap<K, V> {
    fn absent(&self) -> bool {
        self.is_empty()
    }
}

/// `false` and a missing flag mean the same wherever a plain `bool` is used; where they differ the field is optional.
impl Absent for bool {
    fn absent(&self) -> bool {
        !self
    }
}

/// Types whose fields are always written, even if they are zero or empty.
macro_rules! always_written {
    ($($kind:ty),* $(,)?) => {$(
        impl $crate::value::Absent for $kind {
            fn absent(&self) -> bool {
                false
            }
        }
    )*};
}
pub(crate) use always_written;

always_written!(String, i32, i64, Value);

/// Whether a field is left out when its struct is written.
pub(crate) fn is_absent(field: &impl Absent) -> bool {
    field.absent()
}

/// Reads `null` as the default of the type, as Go's decoder does.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The schema of an object of which the API server keeps every field without looking at it.
pub(crate) fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Reads `wire` and expects its views as a number and as a percentage, and the same to be written.
    fn check(case: &str, wire: &Value, as_int: Option<i64>, as_percent: Option<i64>) {
        let value: IntOrString = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(value.as_int(), as_int, "{case}");
        assert_eq!(value.as_percent(), as_percent, "{case}");
        assert_eq!(&serde_json::to_value(&value).unwrap(), wire, "{case}");
    }

    #[test]
    fn numbers_and_texts_are_told_apart() {
        check("a number", &json!(3), Some(3), None);
        check("a negative number", &json!(-1), Some(-1), None);
        check("a number in quotes", &json!("25"), Some(25), None);
        check("a percentage", &json!("25%"), None, Some(25));
        check("a duration", &json!("10m"), None, None);
        check("a placeholder", &json!("{{args.limit}}"), None, None);
        check("an empty text", &json!(""), None, None);
        check("more than a number can hold", &json!("99999999999999999999"), None, None);
    }

    #[test]
    fn fractions_and_lists_are_neither() {
        for wire in [json!(1.5), json!([1]), json!({}), json!(true)] {
            assert!(serde_json::from_value::<IntOrString>(wire.clone()).is_err(), "{wire}");
        }
    }
}
