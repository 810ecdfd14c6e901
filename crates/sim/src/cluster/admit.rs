//! What the API server checks and fills in before it stores an object.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::error::{ApiError, Cause};
use super::meta;
use super::registry::Kind;
use super::schema;

const NAME_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";

/// Refuses objects without a name, or with one that cannot stand in a path.
pub(crate) fn name(kind: &Kind, object: &Value) -> Result<(), ApiError> {
    let name = meta::name(object);
    let cause = if name.is_empty() {
        Cause {
            field: "metadata.name".to_owned(),
            reason: "FieldValueRequired",
            message: "Required value: name or generateName is required".to_owned(),
        }
    } else if is_subdomain(name) {
        return Ok(());
    } else {
        Cause {
            field: "metadata.name".to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: \"{name}\": {NAME_RULE}"),
        }
    };
    Err(ApiError::invalid(kind, name, &[cause]))
}

/// Fills in what the kind's schema gives a default, and what the built-in kinds are given.
pub(crate) fn defaults(kind: &Kind, object: &mut Value) {
    if let Some(schema) = &kind.schema {
        schema::fill(schema, object);
    }
    if !object.is_object() {
        return;
    }
    let name = json!(meta::name(object));
    let spec = object.get_mut("spec");
    match (kind.resource.group.as_ref(), kind.resource.plural.as_ref()) {
        ("apps", "deployments" | "replicasets") => give(spec, "replicas", json!(1)),
        ("", "namespaces") => {
            give(Some(object), "status", json!({"phase": "Active"}));
            let labels = meta::metadata(object).entry("labels").or_insert(json!({}));
            give(Some(labels), "kubernetes.io/metadata.name", name);
        }
        ("", "pods") => give(Some(object), "status", json!({"phase": "Pending"})),
        ("", "services") => {
            let headless = spec.as_ref().is_some_and(|spec| spec["clusterIP"] == "None");
            give(spec, "type", json!("ClusterIP"));
            let ports = object.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
            for port in ports.into_iter().flatten().filter(|_| !headless) {
                let same = port["port"].clone();
                give(Some(&mut *port), "protocol", json!("TCP"));
                give(Some(port), "targetPort", same);
            }
        }
        ("", "secrets") => encode_strings(object),
        _ => {}
    }
}

/// Refuses values of the wrong type and changes of what must stay.
pub(crate) fn check(kind: &Kind, new: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let mut causes = match &kind.schema {
        Some(schema) => schema::faults(schema, new, old),
        None => Vec::new(),
    };
    let fixed_selector =
        kind.resource.group == "apps" && old.is_some_and(|old| old["spec"]["selector"] != new["spec"]["selector"]);
    if fixed_selector {
        causes.push(Cause {
            field: "spec.selector".to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {}: field is immutable", new["spec"]["selector"]),
        });
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(kind, meta::name(new), &causes))
}

/// Sets a field of a map unless it is there; other values are left for the check of types.
fn give(target: Option<&mut Value>, field: &str, value: Value) {
    if let Some(map) = target.and_then(Value::as_object_mut) {
        map.entry(field).or_insert(value);
    }
}

/// Moves the plain texts of a Secret to its encoded data.
fn encode_strings(secret: &mut Value) {
    let Some(Value::Object(plain)) = meta::map(secret).remove("stringData") else {
        return;
    };
    let data = meta::map(meta::map(secret).entry("data").or_insert(Value::Null));
    for (key, value) in plain {
        let text = value.as_str().unwrap_or_default();
        data.insert(key, json!(BASE64_STANDARD.encode(text)));
    }
}

fn is_subdomain(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 253 && name.starts_with(edge) && name.ends_with(edge) && name.chars().all(inner)
}
