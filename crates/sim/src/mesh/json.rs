//! Reading Kubernetes objects as plain JSON: whatever is missing or of another type reads as absent.

use std::collections::BTreeMap;

use serde_json::Value;

static NONE: Vec<Value> = Vec::new();

/// The string at `path`, or "".
pub(crate) fn text<'a>(object: &'a Value, path: &[&str]) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

/// The list at `path`, or an empty one.
pub(crate) fn list<'a>(object: &'a Value, path: &[&str]) -> &'a [Value] {
    at(object, path).and_then(Value::as_array).unwrap_or(&NONE)
}

/// The value at `path`.
pub(crate) fn at<'a>(object: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, key| value.get(key))
}

/// The strings of the map at `path`; values of another type are left out.
pub(crate) fn strings(object: &Value, path: &[&str]) -> BTreeMap<String, String> {
    at(object, path)
        .and_then(Value::as_object)
        .map(|map| map.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect())
        .unwrap_or_default()
}

/// `metadata.namespace`, or "default" as kubectl would say.
pub(crate) fn namespace(object: &Value) -> &str {
    match text(object, &["metadata", "namespace"]) {
        "" => "default",
        namespace => namespace,
    }
}

/// Whether the object has all of `labels`.
pub(crate) fn has_labels(object: &Value, labels: &BTreeMap<String, String>) -> bool {
    labels.iter().all(|(key, value)| at(object, &["metadata", "labels", key]).and_then(Value::as_str) == Some(value))
}

/// Orders objects as Istio does where several want the same host: the oldest first, then by name.
pub(crate) fn age(object: &Value) -> (&str, &str, &str) {
    (text(object, &["metadata", "creationTimestamp"]), text(object, &["metadata", "name"]), namespace(object))
}
