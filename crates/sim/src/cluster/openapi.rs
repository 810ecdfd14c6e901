//! As much OpenAPI as kubectl needs before it applies: which kinds there are, and that the server validates fields.

use serde_json::{Map, Value, json};

use super::convert;
use super::error::ApiError;
use super::registry::{Kind, Registry};

/// The index of the documents, one for each group and version.
pub(crate) fn index(groups: &[(String, String)]) -> Value {
    let mut paths = Map::new();
    for (group, version) in groups {
        let root = root(group, version);
        let url = format!("/openapi/v3/{root}?hash=1");
        paths.insert(root, json!({"serverRelativeURL": url}));
    }
    json!({ "paths": paths })
}

/// The document of one group and version.
pub(crate) fn document(registry: &Registry, group: &str, version: &str) -> Result<Value, ApiError> {
    let shared = group == "events.k8s.io";
    let stored = if shared { "" } else { group };
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for (_, kind) in registry.iter() {
        let listed = !shared || kind.resource.plural == "events";
        if kind.resource.group == stored && kind.serves(version) && listed {
            describe(kind, (group, version), &mut paths, &mut schemas);
        }
    }
    if paths.is_empty() {
        return Err(ApiError::unknown_path());
    }
    Ok(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.33.0-serin-sim"},
        "paths": paths, "components": {"schemas": schemas},
    }))
}

fn describe(
    kind: &Kind,
    (group, version): (&str, &str),
    paths: &mut Map<String, Value>,
    schemas: &mut Map<String, Value>,
) {
    let resource = &kind.resource;
    let this = json!({"group": group, "version": version, "kind": resource.kind});
    let scope = if resource.namespaced { "namespaces/{namespace}/" } else { "" };
    let path = format!("/{}/{scope}{}/{{name}}", root(group, version), resource.plural);
    let operation = |action: &str| {
        json!({
            "x-kubernetes-action": action, "x-kubernetes-group-version-kind": this,
            "parameters": [
                query("dryRun"), query("fieldManager"), query("fieldValidation"), query("force"),
            ],
            "responses": {"200": {"description": "OK"}},
        })
    };
    let mut patch = operation("patch");
    patch["requestBody"] = json!({"content": contents(kind)});
    paths.insert(path, json!({"put": operation("put"), "patch": patch}));
    let schema = kind.schema.clone();
    let mut schema = schema.unwrap_or_else(|| json!({"type": "object"}));
    schema["x-kubernetes-group-version-kind"] = json!([this]);
    let name = format!("{}.{}", convert::api_version(group, version).replace('/', "."), resource.kind);
    schemas.insert(name, schema);
}

fn contents(kind: &Kind) -> Value {
    let mut contents = json!({
        "application/json-patch+json": {}, "application/merge-patch+json": {}, "application/apply-patch+yaml": {},
    });
    // The strategic kind is left out on purpose: kubectl then merges by its own types instead of by our schemas,
    // which do not name the merge keys.
    if kind.custom {
        contents["application/apply-patch+cbor"] = json!({});
    }
    contents
}

fn query(name: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
}

fn root(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}
