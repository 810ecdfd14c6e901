//! `metadata.managedFields` of Istio's objects: who wrote which field of the spec last.
//!
//! Their schemas say nothing of keys, so each list below `spec` is one field, owned as a whole. Other kinds have no
//! managedFields here, and fields of the metadata are left out.

use serde_json::{Value, json};

use super::meta;
use super::registry::Kind;
use super::write::Write;

/// Enters the fields of the spec that a write changes under the name of the writer, and takes them from all others.
pub(crate) fn note(kind: &Kind, next: &mut Value, old: Option<&Value>, write: &Write<'_>) {
    if kind.resource.group != "networking.istio.io" {
        return;
    }
    let before = old.and_then(|old| old["spec"].as_object());
    let fields = next["spec"].as_object().into_iter().flatten();
    let changed = fields.filter(|(field, value)| before.and_then(|before| before.get(*field)) != Some(*value));
    let changed: Vec<String> = changed.map(|(field, _)| format!("f:{field}")).collect();
    if changed.is_empty() {
        return;
    }
    let mut entries = next["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let is_own = |entry: &Value| entry["manager"] == write.writer && entry["operation"] == write.operation;
    for entry in &mut entries {
        let owned = entry["fieldsV1"]["f:spec"].as_object_mut();
        owned.into_iter().for_each(|owned| owned.retain(|field, _| !changed.contains(field)));
    }
    if !entries.iter().any(is_own) {
        entries.push(json!({
            "manager": write.writer,
            "operation": write.operation,
            "apiVersion": next["apiVersion"],
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {}},
        }));
    }
    for entry in entries.iter_mut().filter(|entry| is_own(entry)) {
        entry["time"] = json!(meta::stamp(write.now));
        for field in &changed {
            entry["fieldsV1"]["f:spec"][field] = json!({});
        }
    }
    entries.retain(|entry| entry["fieldsV1"]["f:spec"].as_object().is_some_and(|owned| !owned.is_empty()));
    meta::assign(next, "managedFields", Some(Value::Array(entries)));
}
