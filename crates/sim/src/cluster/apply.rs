//! Server-side apply: each applier owns the fields that it names, and takes away those that it drops.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::answer::Call;
use super::convert;
use super::error::{ApiError, Cause};
use super::meta;
use super::owned::{Owners, Path, Step, is_item};
use super::store::{Place, Store};
use super::strategic::merge_key;
use super::write::Part;

/// Carries out an apply; the object is created where it is missing.
pub(crate) fn answer(
    store: &mut Store,
    call: &Call<'_>,
    place: &Place,
    part: Part,
) -> Result<(u16, Arc<Value>), ApiError> {
    let applier = call.request.option("fieldManager");
    if applier.is_empty() {
        return Err(ApiError::bad_request(
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ));
    }
    let intent = intent(call, place)?;
    let claimed = paths(&intent);
    let Some(stored) = store.stored(call.id, place).cloned() else {
        let created = store.create(call.id, intent, &call.write(part))?;
        if !call.request.dry_run() {
            let mut owners = Owners::default();
            owners.by_applier.insert(applier.to_owned(), claimed);
            store.set_owners(call.id, place, owners);
        }
        return Ok((201, created));
    };
    let mut owners = stored.owners;
    let conflicts = owners.conflicts(applier, &claimed, (&intent, &stored.object));
    if !conflicts.is_empty() && !call.request.flag("force") {
        return Err(conflict(&conflicts));
    }
    let mut next = (*stored.object).clone();
    meta::assign(&mut next, "resourceVersion", intent["metadata"].get("resourceVersion").cloned());
    for path in owners.abandoned(applier, &claimed) {
        remove(&mut next, &path);
    }
    lay(&mut next, &intent, "", "");
    owners.claim(applier, claimed, (&intent, &stored.object));
    let result = store.replace_with(call.id, place, (next, owners.clone()), &call.write(part))?;
    if !call.request.dry_run() {
        store.set_owners(call.id, place, owners);
    }
    Ok((200, result))
}

/// The body as an object in the storage version, without what only the server writes.
fn intent(call: &Call<'_>, place: &Place) -> Result<Value, ApiError> {
    let mut intent = call.request.object()?;
    for field in ["apiVersion", "kind"] {
        if !intent[field].is_string() {
            return Err(ApiError::bad_request(format!(
                "{field}: Required value: an apply patch must name its {field}"
            )));
        }
    }
    if !meta::name(&intent).is_empty() && meta::name(&intent) != place.1 {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            meta::name(&intent),
            place.1
        )));
    }
    if intent["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    convert::incoming(&call.kind, &mut intent);
    meta::assign(&mut intent, "name", Some(Value::String(place.1.clone())));
    if call.kind.resource.namespaced {
        meta::assign(&mut intent, "namespace", Some(Value::String(place.0.clone())));
    }
    for field in ["creationTimestamp", "managedFields"] {
        meta::assign(&mut intent, field, None);
    }
    Ok(intent)
}

/// The paths of everything that an applier names, without what identifies the object.
fn paths(intent: &Value) -> BTreeSet<Path> {
    let mut found = BTreeSet::new();
    for (field, value) in intent.as_object().into_iter().flatten() {
        match field.as_str() {
            "apiVersion" | "kind" => {}
            "metadata" => {
                for (field, value) in value.as_object().into_iter().flatten() {
                    if matches!(field.as_str(), "labels" | "annotations" | "finalizers" | "ownerReferences") {
                        let path = vec![Step::Field("metadata".to_owned()), Step::Field(field.clone())];
                        walk(value, path, (field, "metadata"), &mut found);
                    }
                }
            }
            _ => walk(value, vec![Step::Field(field.clone())], (field, ""), &mut found),
        }
    }
    found
}

/// Collects the leaves below a value; `name` and `parent` are the last two fields, which tell keyed lists.
fn walk(value: &Value, path: Path, (name, parent): (&str, &str), found: &mut BTreeSet<Path>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (field, value) in map {
                let mut path = path.clone();
                path.push(Step::Field(field.clone()));
                walk(value, path, (field, name), found);
            }
        }
        Value::Array(items) => match keys(name, parent, items) {
            Some(keys) => {
                for (item, keys) in items.iter().zip(keys) {
                    let mut path = path.clone();
                    path.push(Step::Item(keys));
                    found.insert(path.clone());
                    walk(item, path, ("", name), found);
                }
            }
            None => {
                found.insert(path);
            }
        },
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.insert(path);
        }
    }
}

/// What tells the items of a list apart; nothing if the list is one value.
fn keys(name: &str, parent: &str, items: &[Value]) -> Option<Vec<Vec<(String, String)>>> {
    let key = merge_key(name, parent)?;
    items
        .iter()
        .map(|item| {
            let value = item.get(key)?;
            Some(vec![(key.to_owned(), value.to_string())])
        })
        .collect()
}

/// Lays the intent over the live object; `name` and `parent` are the last two fields of the way here.
fn lay(live: &mut Value, intent: &Value, name: &str, parent: &str) {
    match intent {
        Value::Object(fields) => {
            let map = meta::map(live);
            for (field, value) in fields {
                if value.is_null() {
                    map.remove(field);
                } else {
                    let target = map.entry(field).or_insert(Value::Null);
                    lay(target, value, field, name);
                }
            }
        }
        Value::Array(items) => match (keys(name, parent, items), live.as_array_mut()) {
            (Some(keys), Some(present)) => {
                for (item, keys) in items.iter().zip(keys) {
                    match present.iter_mut().find(|there| is_item(there, &keys)) {
                        Some(there) => lay(there, item, "", name),
                        None => present.push(item.clone()),
                    }
                }
            }
            (Some(_) | None, _) => *live = intent.clone(),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            *live = intent.clone();
        }
    }
}

/// Removes what is at the path, and the maps that are empty without it.
fn remove(value: &mut Value, path: &[Step]) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    match step {
        Step::Field(name) => {
            let Some(map) = value.as_object_mut() else {
                return;
            };
            let emptied = map.get_mut(name).is_some_and(|inner| {
                remove(inner, rest);
                inner.as_object().is_some_and(serde_json::Map::is_empty)
            });
            if rest.is_empty() || emptied {
                map.remove(name);
            }
        }
        Step::Item(keys) => {
            let Some(items) = value.as_array_mut() else {
                return;
            };
            if rest.is_empty() {
                items.retain(|item| !is_item(item, keys));
            } else if let Some(item) = items.iter_mut().find(|item| is_item(item, keys)) {
                remove(item, rest);
            }
        }
    }
}

/// The refusal that names every foreign owner and field.
fn conflict(conflicts: &[(String, Path)]) -> ApiError {
    let field = |path: &Path| path.iter().map(Step::text).collect::<String>();
    let causes: Vec<Cause> = conflicts
        .iter()
        .map(|(owner, path)| Cause {
            field: field(path),
            reason: "FieldManagerConflict",
            message: format!("conflict with \"{owner}\""),
        })
        .collect();
    let listed: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.message, cause.field)).collect();
    let count = match causes.len() {
        1 => "1 conflict".to_owned(),
        many => format!("{many} conflicts"),
    };
    let message = format!("Apply failed with {count}: {}", listed.join("\n"));
    let mut error = ApiError::new(409, "Conflict", message);
    error.details = serde_json::json!({"causes": causes
        .iter()
        .map(|cause| serde_json::json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
        .collect::<Vec<_>>()});
    error
}
