//! Conversion between the served versions of a kind: Istio's differ in name only, Events in some fields.

use serde_json::Value;

use super::meta;
use super::registry::Kind;

/// The fields of an Event: in the core group, and in `events.k8s.io`.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("source", "deprecatedSource"),
    ("reportingComponent", "reportingController"),
];

/// The `apiVersion` that a request through this group and version speaks.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// Brings an object that came in some version into the one that is stored.
pub(crate) fn incoming(kind: &Kind, object: &mut Value) {
    if kind.resource.plural == "events" && kind.resource.group.is_empty() {
        rename(object, |(core, new)| (new, core));
    }
    object["apiVersion"] = Value::String(kind.resource.api_version());
    object["kind"] = Value::String(kind.resource.kind.to_string());
}

/// The stored object as a reader of another version sees it; nothing if it is the same.
pub(crate) fn outgoing(api_version: &str, object: &Value) -> Option<Value> {
    if object["apiVersion"] == api_version {
        return None;
    }
    let mut converted = object.clone();
    if api_version.starts_with("events.k8s.io/") {
        rename(&mut converted, |pair| pair);
    }
    converted["apiVersion"] = Value::String(api_version.to_owned());
    Some(converted)
}

fn rename<'a>(object: &mut Value, direction: impl Fn((&'a str, &'a str)) -> (&'a str, &'a str)) {
    let map = meta::map(object);
    for pair in EVENT_FIELDS {
        let (from, to) = direction(pair);
        if let Some(value) = map.remove(from) {
            map.insert(to.to_owned(), value);
        }
    }
}
