//! Small readings and edits of an object's metadata.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// The object's `metadata.name`, empty if it has none.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "name")
}

/// The object's namespace, empty if it has none.
pub(crate) fn namespace(object: &Value) -> &str {
    text(object, "namespace")
}

/// The object's uid, empty if it has none.
pub(crate) fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// A text field of the metadata, empty if it is absent.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The object's generation; 0 if it has none.
pub(crate) fn generation(object: &Value) -> i64 {
    object["metadata"]["generation"].as_i64().unwrap_or(0)
}

/// Whether deletion was asked for and finalizers hold it up.
pub(crate) fn deleting(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

/// The names of the finalizers.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    list(object, "finalizers").iter().filter_map(Value::as_str).collect()
}

/// The uids of the owners.
pub(crate) fn owners(object: &Value) -> Vec<&str> {
    list(object, "ownerReferences").iter().filter_map(|owner| owner["uid"].as_str()).collect()
}

/// The metadata as a map; makes one where there is none.
pub(crate) fn metadata(object: &mut Value) -> &mut Map<String, Value> {
    map(map(object).entry("metadata").or_insert(Value::Null))
}

/// The value as a map; whatever else it was is replaced by an empty one.
pub(crate) fn map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("the value was made a map above")
}

/// Sets or removes one field of the metadata.
pub(crate) fn assign(object: &mut Value, field: &str, value: Option<Value>) {
    let metadata = metadata(object);
    match value {
        Some(value) => metadata.insert(field.to_owned(), value),
        None => metadata.remove(field),
    };
}

/// A moment as the API writes it: whole seconds, UTC.
pub(crate) fn stamp(now: DateTime<Utc>) -> String {
    now.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object["metadata"][field].as_array().map_or(&[], Vec::as_slice)
}
