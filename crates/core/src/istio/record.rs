//! What a VirtualService says Rollouts have put into it: an annotation with a JSON object from Rollout to names, so that
//! it can be taken away after the Rollout is gone.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::patch;

/// The Rollouts, as `namespace/name`, with what each has put there.
pub(super) fn recorded(vs: &Value, annotation: &str) -> Vec<(String, Vec<String>)> {
    let text = vs.pointer("/metadata/annotations").and_then(|all| all.get(annotation)).and_then(Value::as_str);
    let record: Map<String, Value> = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let names = |value: &Value| serde_json::from_value(value.clone()).unwrap_or_default();
    record.iter().map(|(owner, value)| (owner.clone(), names(value))).collect()
}

/// What one Rollout has put there.
pub(super) fn of_owner(vs: &Value, annotation: &str, owner: &str) -> Vec<String> {
    let all = recorded(vs, annotation).into_iter().filter(|(other, _)| other == owner);
    all.flat_map(|(_, names)| names).collect()
}

/// The operations that make the annotation say what a Rollout has put there; none if it says so.
pub(super) fn record(vs: &Value, annotation: &str, owner: &str, names: &[&str]) -> Vec<Value> {
    let before = recorded(vs, annotation);
    let mut after = before.clone();
    after.retain(|(other, _)| other != owner);
    if !names.is_empty() {
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort();
        names.dedup();
        after.push((owner.to_owned(), names));
        after.sort();
    }
    if after == before {
        return Vec::new();
    }
    let text = (!after.is_empty()).then(|| json!(after.into_iter().collect::<BTreeMap<_, _>>()));
    patch::annotate(vs, annotation, text.map(|text| text.to_string()).as_deref())
}

/// Takes the annotation away. Whether there are no annotations or an empty map of them says the same.
pub(super) fn forget(vs: &mut Value, annotation: &str) {
    if let Some(metadata) = vs.get_mut("metadata").and_then(Value::as_object_mut)
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(annotation);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}
