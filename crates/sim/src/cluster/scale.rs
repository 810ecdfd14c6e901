//! The scale subresource: the number of replicas without the rest of the object.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::answer::{Call, Reply};
use super::error::{ApiError, Cause};
use super::meta;
use super::patch::{self, PatchKind};
use super::registry::Scale;
use super::store::Store;
use super::write::Part;

/// Reads or writes the scale of the object that the path names.
pub(crate) fn answer(store: &mut Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    let (Some(paths), Some(place)) = (call.kind.scale.clone(), call.place()) else {
        return Err(ApiError::unknown_path());
    };
    let object = Arc::clone(store.get(call.id, &place)?);
    let current = scale(&paths, &object);
    let wanted = match call.request.method {
        Method::GET => return Ok(Reply::Object(200, current)),
        Method::PUT => call.request.object()?,
        Method::PATCH => {
            let how = PatchKind::of(&call.request.content_type).ok_or_else(patch::unsupported)?;
            let how = if how == PatchKind::Strategic { PatchKind::Merge } else { how };
            patch::apply(how, &call.kind, &current, &call.request.value()?)?
        }
        _ => return Err(ApiError::method_not_allowed()),
    };
    let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let cause = Cause {
            field: "spec.replicas".to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {replicas}: must be greater than or equal to 0"),
        };
        return Err(ApiError::invalid(&call.kind, &place.1, &[cause]));
    }
    let mut next = (*object).clone();
    set(&mut next, &paths.spec, json!(replicas));
    let version = wanted["metadata"]["resourceVersion"].as_str();
    meta::assign(&mut next, "resourceVersion", version.map(|version| json!(version)));
    let stored = store.replace(call.id, &place, next, &call.write(Part::Main))?;
    Ok(Reply::Object(200, scale(&paths, &stored)))
}

fn scale(paths: &Scale, object: &Value) -> Value {
    let number = |path: &str| object.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let metadata = &object["metadata"];
    let mut shown = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = metadata.get(field) {
            shown[field] = value.clone();
        }
    }
    let mut status = json!({"replicas": number(&paths.status)});
    if let Some(selector) = paths.selector.as_ref().and_then(|path| object.pointer(path)) {
        status["selector"] = json!(selector_text(selector));
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": shown,
        "spec": {"replicas": number(&paths.spec)}, "status": status,
    })
}

/// A selector as text: it is that already, or a LabelSelector.
pub(super) fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let labels = selector["matchLabels"].as_object().into_iter().flatten();
    let mut parts: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = expression["values"].as_array().into_iter().flatten();
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        parts.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values.join(",")),
            Some("NotIn") => format!("{key} notin ({})", values.join(",")),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut place = object;
    for part in pointer.split('/').filter(|part| !part.is_empty()) {
        place = meta::map(place).entry(part).or_insert(Value::Null);
    }
    *place = value;
}
