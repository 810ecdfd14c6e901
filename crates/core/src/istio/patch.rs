//! The operations that our JSON Patches (RFC 6902) are made of.

use serde_json::{Value, json};

/// A `test` that the object still has the version that the patch was computed from.
pub(crate) fn test_version(version: &str) -> Value {
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
    annotate(object, serin_api::labels::MANAGED_BY_ROLLOUTS, Some(rollout))
}

/// The operations that set an annotation, or with `None` remove it; none if that is so already.
pub(super) fn annotate(object: &Value, key: &str, value: Option<&str>) -> Vec<Value> {
    let place = format!("/metadata/annotations/{}", escape(key));
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    match (annotations, annotations.and_then(|all| all.get(key)), value) {
        (_, None, None) => Vec::new(),
        (_, Some(_), None) => vec![remove(&place)],
        (_, Some(present), Some(value)) if present.as_str() == Some(value) => Vec::new(),
        (Some(_), _, Some(value)) => vec![add(&place, &json!(value))],
        (None, _, Some(value)) => vec![add("/metadata/annotations", &json!({key: value}))],
    }
}

/// An object after a patch.
///
/// # Errors
/// Why the patch is none, or does not apply.
pub(crate) fn patched(object: &Value, patch: &[Value]) -> Result<Value, String> {
    let operations: json_patch::Patch =
        serde_json::from_value(Value::Array(patch.to_vec())).map_err(|error| error.to_string())?;
    let mut after = object.clone();
    json_patch::patch(&mut after, &operations).map_err(|error| error.to_string())?;
    Ok(after)
}

#[cfg(test)]
pub(super) fn apply(object: &Value, patch: &[Value]) -> Value {
    patched(object, patch).expect("the patch applies to the object it was made from")
}
