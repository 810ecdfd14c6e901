//! From raw objects to the views that decisions need: once per change, and never failing for the other objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use serin_api::{AnalysisRun, AnalysisTemplateSpec, Rollout, labels};
use serin_core::analysis::sample::Semantics;
use serin_core::rollout::observed::{Found, Pod, Raw, ReplicaSet, Template, Workload};

use super::writer;
use crate::change::{Kind, ObjectName};

/// What every object says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) name: ObjectName,
    pub(super) uid: String,
    pub(super) version: String,
}

/// The controller of an object: the owner reference with `controller: true`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// Namespace, name, UID and version; `None` for something that has no name.
pub(super) fn identity(kind: Kind, object: &Value) -> Option<Identity> {
    let metadata = object.get("metadata")?;
    let name = text(metadata, "name");
    if name.is_empty() {
        return None;
    }
    let namespace = if kind.is_namespaced() { text(metadata, "namespace") } else { String::new() };
    Some(Identity {
        name: ObjectName { namespace, name },
        uid: text(metadata, "uid"),
        version: text(metadata, "resourceVersion"),
    })
}

/// The controlling owner, if there is one.
pub(super) fn owner(object: &Value) -> Option<Owner> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?;
    Some(Owner { kind: text(owner, "kind"), name: text(owner, "name"), uid: text(owner, "uid") })
}

/// `metadata.labels`.
pub(super) fn labels_of(object: &Value) -> BTreeMap<String, String> {
    object.pointer("/metadata/labels").map(strings).unwrap_or_default()
}

/// A Rollout, and a line for the log for each field that could not be read.
pub(super) fn rollout(object: &Value) -> Result<(Rollout, Vec<String>), String> {
    let decoded = serin_api::decode::decode::<Rollout>(trimmed(object)).map_err(|error| error.to_string())?;
    Ok((decoded.object, decoded.dropped.iter().map(ToString::to_string).collect()))
}

/// An AnalysisRun, and a line for the log for each field that could not be read.
pub(super) fn analysis_run(object: &Value) -> Result<(AnalysisRun, Vec<String>), String> {
    let decoded = serin_api::decode::decode::<AnalysisRun>(trimmed(object)).map_err(|error| error.to_string())?;
    Ok((decoded.object, decoded.dropped.iter().map(ToString::to_string).collect()))
}

/// An AnalysisTemplate or ClusterAnalysisTemplate. A malformed field makes the template unusable, since a metric without
/// the limit or condition that its author wrote would be another metric.
pub(super) fn template(object: &Value) -> Found<Template> {
    let decoded = match serin_api::decode::decode::<serin_api::AnalysisTemplate>(trimmed(object)) {
        Ok(decoded) => decoded,
        Err(error) => return Found::Malformed(error.to_string()),
    };
    if let Some(first) = decoded.dropped.first() {
        return Found::Malformed(first.to_string());
    }
    let semantics = object
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(labels::ANALYSIS_SEMANTICS))
        .and_then(Value::as_str)
        .and_then(semantics);
    let spec: AnalysisTemplateSpec = decoded.object.spec;
    Found::Present(Template { spec: Arc::new(spec), semantics })
}

fn semantics(annotation: &str) -> Option<Semantics> {
    match annotation {
        labels::ANALYSIS_SEMANTICS_ARGO => Some(Semantics::Argo),
        "serin" => Some(Semantics::Serin),
        _ => None,
    }
}

/// A ReplicaSet; whether it is owned is decided by the reader.
pub(super) fn replica_set(object: &Value) -> ReplicaSet {
    let null = Value::Null;
    let metadata = object.get("metadata").unwrap_or(&null);
    let spec = object.get("spec").unwrap_or(&null);
    let status = object.get("status").unwrap_or(&null);
    let labels = labels_of(object);
    ReplicaSet {
        name: text(metadata, "name"),
        uid: text(metadata, "uid"),
        owned: false,
        hash: labels.get(labels::POD_TEMPLATE_HASH).cloned().unwrap_or_default(),
        created: time(metadata, "creationTimestamp").unwrap_or(DateTime::UNIX_EPOCH),
        deleting: metadata.get("deletionTimestamp").is_some_and(|t| !t.is_null()),
        settled: integer(status, "observedGeneration") >= integer(metadata, "generation"),
        min_ready_seconds: to_i32(integer(spec, "minReadySeconds")),
        replicas: spec.get("replicas").and_then(Value::as_i64).map_or(1, to_i32),
        replicas_actual: to_i32(integer(status, "replicas")),
        replicas_ready: to_i32(integer(status, "readyReplicas")),
        replicas_available: to_i32(integer(status, "availableReplicas")),
        failure: true_condition(status, "ReplicaFailure").map(|condition| text(condition, "message")),
        labels,
        annotations: annotations_of(metadata),
        template: Arc::new(spec.get("template").cloned().unwrap_or(Value::Null)),
    }
}

/// A pod, first seen in this shape at `now`.
pub(super) fn pod(object: &Value, replica_set: String, now: DateTime<Utc>) -> Pod {
    let null = Value::Null;
    let metadata = object.get("metadata").unwrap_or(&null);
    let status = object.get("status").unwrap_or(&null);
    Pod {
        name: text(metadata, "name"),
        uid: text(metadata, "uid"),
        replica_set,
        created: time(metadata, "creationTimestamp").unwrap_or(DateTime::UNIX_EPOCH),
        labels: labels_of(object),
        annotations: annotations_of(metadata),
        ready: true_condition(status, "Ready").is_some(),
        terminating: metadata.get("deletionTimestamp").is_some_and(|t| !t.is_null()),
        seen_at: now,
    }
}

/// The pod template of a Deployment, a ReplicaSet or a PodTemplate.
pub(super) fn workload(kind: Kind, object: &Value) -> Found<Workload> {
    let (template, selector) = if kind == Kind::PodTemplate {
        (object.get("template"), None)
    } else {
        (object.pointer("/spec/template"), object.pointer("/spec/selector"))
    };
    let Some(template) = template.filter(|template| template.is_object()) else {
        return Found::Malformed("it has no pod template".to_owned());
    };
    Found::Present(Workload {
        template: template.clone(),
        selector: selector.cloned().unwrap_or(Value::Null),
        generation: object.get("metadata").map_or(0, |metadata| integer(metadata, "generation")),
        replicas: (kind == Kind::Deployment)
            .then(|| object.pointer("/spec/replicas").and_then(Value::as_i64).map_or(1, to_i32)),
    })
}

/// A raw object without what nobody reads, in a version first seen at `now`.
pub(super) fn raw(object: Arc<Value>, version: &str, now: DateTime<Utc>) -> Raw {
    let writer = writer::of(&object);
    let object = if is_trimmed(&object) { object } else { Arc::new(trimmed(&object)) };
    Raw { object, version: version.to_owned(), seen_at: now, writer }
}

fn is_trimmed(object: &Value) -> bool {
    let metadata = object.get("metadata");
    metadata.and_then(|m| m.get("managedFields")).is_none()
        && metadata.and_then(|m| m.get("annotations")).and_then(|a| a.get(labels::LAST_APPLIED)).is_none()
}

/// The object without `managedFields` and without the copy of itself that `kubectl apply` keeps in it.
fn trimmed(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(labels::LAST_APPLIED);
        }
    }
    object
}

fn annotations_of(metadata: &Value) -> BTreeMap<String, String> {
    let mut annotations = metadata.get("annotations").map(strings).unwrap_or_default();
    annotations.remove(labels::LAST_APPLIED);
    annotations
}

fn true_condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = status.get("conditions")?.as_array()?;
    conditions.iter().find(|c| {
        c.get("type").and_then(Value::as_str) == Some(kind) && c.get("status").and_then(Value::as_str) == Some("True")
    })
}

fn strings(map: &Value) -> BTreeMap<String, String> {
    let members = map.as_object().into_iter().flatten();
    members.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn text(object: &Value, key: &str) -> String {
    object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn integer(object: &Value, key: &str) -> i64 {
    object.get(key).and_then(Value::as_i64).unwrap_or(0)
}

fn to_i32(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(if number < 0 { i32::MIN } else { i32::MAX })
}

fn time(object: &Value, key: &str) -> Option<DateTime<Utc>> {
    let text = object.get(key)?.as_str()?;
    Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
}
