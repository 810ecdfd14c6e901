//! What an Experiment creates: a ReplicaSet for each template, and Services.

use serde_json::{Map, Value, json};
use serin_api::labels::{EXPERIMENT_NAME, EXPERIMENT_TEMPLATE_NAME, POD_TEMPLATE_HASH};

use crate::rollout::observed::ReplicaSet;
use crate::rollout::template::pod_hash;

use super::Observed;
use super::parse::Pods;

/// The longest name of a Service (RFC 1035).
const SERVICE_NAME_MAX: usize = 63;

/// Name of the Service of a template that does not name it itself: that of its ReplicaSet, or where that is longer than
/// a Service's name may be, its beginning and a hash of the whole.
#[must_use]
pub fn service_name(experiment: &str, template: &str) -> String {
    let name = format!("{experiment}-{template}");
    if name.len() <= SERVICE_NAME_MAX {
        return name;
    }
    let hash = pod_hash(&Value::from(name.as_str()), None);
    let mut end = SERVICE_NAME_MAX - hash.len() - 1;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}-{hash}", name[..end].trim_end_matches(['-', '.']))
}

/// The name that a template's ReplicaSet gets, and how many others have it already.
pub(super) fn free_name(observed: &Observed, pods: &Pods) -> (String, i32) {
    let base = format!("{}-{}", observed.name(), pods.name);
    let going = |name: &str| observed.replica_sets.iter().any(|rs| rs.deleting && rs.name == name);
    let (mut name, mut collisions) = (base.clone(), 0);
    while observed.taken.contains(&name) || going(&name) {
        collisions += 1;
        name = format!("{base}-{collisions}");
    }
    (name, collisions)
}

/// The ReplicaSet of a template.
///
/// Its hash is of the template and of the names of Experiment and template: two templates that make the same pods, and
/// the revision that a template was taken from, must not select each other's pods.
pub(super) fn replica_set(observed: &Observed, pods: &Pods, name: &str) -> Value {
    let mut template = pods.template.clone();
    let annotations = json!({EXPERIMENT_NAME: observed.name(), EXPERIMENT_TEMPLATE_NAME: pods.name});
    let mut unique = template.clone();
    for key in [EXPERIMENT_NAME, EXPERIMENT_TEMPLATE_NAME] {
        unique["metadata"]["annotations"][key] = annotations[key].clone();
    }
    let hash = pod_hash(&unique, None);
    let mut labels = template.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    labels.insert(POD_TEMPLATE_HASH.to_owned(), json!(hash));
    template["metadata"]["labels"] = Value::Object(labels.clone());
    let mut selector = pods.selector.clone();
    selector["matchLabels"][POD_TEMPLATE_HASH] = json!(hash);
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": observed.namespace(),
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [observed.owner_reference()],
        },
        "spec": {
            "replicas": pods.replicas,
            "minReadySeconds": pods.min_ready_seconds,
            "selector": selector,
            "template": template,
        },
    })
}

/// Name of the Service of a template; `None` if it asks for none, or has no port that one could have.
pub(super) fn wanted_service(observed: &Observed, pods: &Pods) -> Option<String> {
    let name = pods.service.as_ref()?;
    if ports(&pods.template).is_empty() {
        return None;
    }
    Some(name.clone().unwrap_or_else(|| service_name(observed.name(), &pods.name)))
}

/// The Service of a template.
pub(super) fn service(observed: &Observed, pods: &Pods, name: &str, rs: &ReplicaSet) -> Value {
    let mut selector: Map<String, Value> =
        pods.template.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    selector.insert(POD_TEMPLATE_HASH.to_owned(), json!(rs.hash));
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": observed.namespace(),
            "annotations": {EXPERIMENT_NAME: observed.name(), EXPERIMENT_TEMPLATE_NAME: pods.name},
            "ownerReferences": [observed.owner_reference()],
        },
        "spec": {"selector": selector, "ports": ports(&pods.template)},
    })
}

/// The ports of all containers; where there are several, each has a name, as Kubernetes demands.
fn ports(template: &Value) -> Vec<Value> {
    let containers = template.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let given = containers.filter_map(|container| container.get("ports")?.as_array()).flatten();
    let mut ports: Vec<Value> = Vec::new();
    for port in given {
        let Some(number) = port.get("containerPort").and_then(Value::as_i64) else { continue };
        let protocol = port.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
        if ports.iter().any(|other| other["port"] == number && other["protocol"] == protocol) {
            continue;
        }
        let mut entry = json!({"port": number, "targetPort": number, "protocol": protocol});
        if let Some(name) = port.get("name").and_then(Value::as_str).filter(|name| !name.is_empty()) {
            entry["name"] = json!(name);
        }
        ports.push(entry);
    }
    if ports.len() > 1 {
        for port in &mut ports {
            if port.get("name").is_none() {
                port["name"] = json!(format!("port-{}", port["port"]));
            }
        }
    }
    ports
}
