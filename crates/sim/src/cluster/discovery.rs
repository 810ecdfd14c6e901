//! What the server says about itself: its version and the kinds that it serves.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Cluster;
use super::answer::Reply;
use super::error::ApiError;
use super::openapi;
use super::registry::{Kind, Registry};

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Answers the paths that name no resource.
pub(crate) fn answer(cluster: &Cluster, request: &http::Request<Bytes>) -> Result<Reply, ApiError> {
    let store = cluster.lock();
    let registry = &store.registry;
    let parts: Vec<&str> = request.uri().path().split('/').filter(|part| !part.is_empty()).collect();
    let value = match parts.as_slice() {
        ["healthz" | "readyz" | "livez", ..] => Value::String("ok".to_owned()),
        ["version"] => version(),
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        }),
        ["apis"] => json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": groups(registry).iter().map(|(group, versions)| described(group, versions)).collect::<Vec<_>>(),
        }),
        ["apis", group] => {
            let all = groups(registry);
            let versions = all.get(*group).ok_or_else(ApiError::unknown_path)?;
            let mut found = described(group, versions);
            found["kind"] = json!("APIGroup");
            found["apiVersion"] = json!("v1");
            found
        }
        // kubectl falls back to this for kinds that it does not find in v3; no bytes are an empty document in protobuf.
        ["openapi", "v2"] => Value::String(String::new()),
        ["openapi", "v3"] => openapi::index(&group_versions(registry)),
        ["openapi", "v3", "api", version] => openapi::document(registry, "", version)?,
        ["openapi", "v3", "apis", group, version] => openapi::document(registry, group, version)?,
        ["api", version] => resources(registry, "", version)?,
        ["apis", group, version] => resources(registry, group, version)?,
        _ => return Err(ApiError::unknown_path()),
    };
    Ok(Reply::Object(200, value))
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.0-serin-sim", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc", "platform": "linux/amd64",
    })
}

/// The named groups and their versions, the preferred one first.
fn groups(registry: &Registry) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    groups.insert("events.k8s.io".to_owned(), vec!["v1".to_owned()]);
    for (_, kind) in registry.iter().filter(|(_, kind)| kind.served) {
        if kind.resource.group.is_empty() {
            continue;
        }
        let versions = groups.entry(kind.resource.group.to_string()).or_default();
        for version in &kind.versions {
            if !versions.contains(version) {
                versions.push(version.clone());
            }
        }
    }
    groups
}

fn group_versions(registry: &Registry) -> Vec<(String, String)> {
    let named = groups(registry)
        .into_iter()
        .flat_map(|(group, versions)| versions.into_iter().map(move |v| (group.clone(), v)));
    std::iter::once((String::new(), "v1".to_owned())).chain(named).collect()
}

fn described(group: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{group}/{version}"), "version": version}))
        .collect();
    json!({"name": group, "versions": versions, "preferredVersion": versions.first()})
}

fn resources(registry: &Registry, group: &str, version: &str) -> Result<Value, ApiError> {
    let shared = group == "events.k8s.io";
    let stored = if shared { "" } else { group };
    let mut listed = Vec::new();
    for (_, kind) in registry.iter() {
        let resource = &kind.resource;
        if resource.group == stored && kind.serves(version) && (!shared || resource.plural == "events") {
            describe(kind, &mut listed);
        }
    }
    if listed.is_empty() {
        return Err(ApiError::unknown_path());
    }
    let group_version = super::convert::api_version(group, version);
    Ok(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed,
    }))
}

fn describe(kind: &Kind, listed: &mut Vec<Value>) {
    let resource = &kind.resource;
    let sub = |name: &str, kind: Value| {
        let mut described = json!({
            "name": format!("{}/{name}", resource.plural), "singularName": "",
            "namespaced": resource.namespaced, "verbs": ["get", "patch", "update"],
        });
        for (field, value) in kind.as_object().into_iter().flatten() {
            described[field] = value.clone();
        }
        described
    };
    listed.push(json!({
        "name": resource.plural, "singularName": kind.singular, "namespaced": resource.namespaced,
        "kind": resource.kind, "verbs": VERBS, "shortNames": kind.short_names, "categories": kind.categories,
    }));
    if kind.status {
        listed.push(sub("status", json!({"kind": resource.kind})));
    }
    if kind.scale.is_some() {
        let scale = json!({"kind": "Scale", "group": "autoscaling", "version": "v1"});
        listed.push(sub("scale", scale));
    }
}
