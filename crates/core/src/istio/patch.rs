//! The operations that our JSON Patches (RFC 6902) are made of.

use serde_json::{Value, json};

/// A `test` that the object still has the version that the patch was computed from.
pub(super) fn test_version(version: &str) -> Value {
    test("/metadata/resourceVersion", &json!(version))
}

/// A `test` that a place still holds a value.
pub(super) fn test(path: &str, value: &Value) -> Value {
    json!({"op": "test", "path": path, "value": value})
}

/// An `add`, which sets the member of an object whether or not it is there.
pub(super) fn add(path: &str, value: &Value) -> Value {
    json!({"op": "add", "path": path, "value": value})
}

/// A `replace` of something that is there.
pub(super) fn replace(path: &str, value: &Value) -> Value {
    json!({"op": "replace", "path": path, "value": value})
}

/// A `remove` of something that is there.
pub(super) fn remove(path: &str) -> Value {
    json!({"op": "remove", "path": path})
}

/// A key as one segment of a JSON pointer (RFC 6901).
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The operations that give an object the annotation that says which Rollout sets it; none if it says so already.
pub(super) fn annotate_owner(object: &Value, rollout: &str) -> Vec<Value> {
    let key = serin_api::labels::MANAGED_BY_ROLLOUTS;
    match object.pointer("/metadata/annotations") {
        Some(Value::Object(annotations)) if annotations.get(key).and_then(Value::as_str) == Some(rollout) => Vec::new(),
        Some(Value::Object(_)) => {
            vec![add(&format!("/metadata/annotations/{}", escape(key)), &json!(rollout))]
        }
        Some(_) | None => vec![add("/metadata/annotations", &json!({key: rollout}))],
    }
}

#[cfg(test)]
pub(super) fn apply(object: &Value, patch: &[Value]) -> Value {
    let patch: json_patch::Patch = serde_json::from_value(Value::Array(patch.to_vec())).expect("a JSON Patch");
    let mut edited = object.clone();
    json_patch::patch(&mut edited, &patch).expect("the patch applies to the object it was made from");
    edited
}
