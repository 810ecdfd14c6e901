//! The schemas of pod templates and Jobs: those of Kubernetes, without descriptions, and open to fields yet unknown.

use k8s_openapi::api::batch::v1::JobSpec;
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};

use super::schema;

/// The keys by which the items of a list are told apart when several clients apply parts of it.
///
/// Without them a client that applies one container would replace the whole list. A key must be required or have a
/// default, or the API server refuses the definition.
const LIST_KEYS: [(&str, &[&str]); 13] = [
    ("claims", &["name"]),
    ("containers", &["name"]),
    ("env", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("hostAliases", &["ip"]),
    ("imagePullSecrets", &["name"]),
    ("initContainers", &["name"]),
    ("ports", &["containerPort", "protocol"]),
    ("resourceClaims", &["name"]),
    ("schedulingGates", &["name"]),
    ("topologySpreadConstraints", &["topologyKey", "whenUnsatisfiable"]),
    ("volumeDevices", &["devicePath"]),
    ("volumeMounts", &["mountPath"]),
];

/// Objects that only one client at a time can own as a whole.
const ATOMIC_OBJECTS: [&str; 10] = [
    "configMapKeyRef",
    "configMapRef",
    "fieldRef",
    "imagePullSecrets",
    "nodeSelector",
    "nodeSelectorTerms",
    "preference",
    "resourceFieldRef",
    "secretKeyRef",
    "secretRef",
];

/// References to objects whose name may be empty.
const REFERENCES: [&str; 5] = ["configMapKeyRef", "configMapRef", "imagePullSecrets", "secretKeyRef", "secretRef"];

/// The schema of a pod template.
pub(super) fn pod_template() -> Value {
    let mut spec = schema::of::<PodSpec>();
    open_up(&mut spec);
    json!({
        "type": "object",
        "properties": { "metadata": metadata(), "spec": spec },
    })
}

/// The schema of a Job's spec.
pub(super) fn job_spec() -> Value {
    let mut spec = schema::of::<JobSpec>();
    open_up(&mut spec);
    spec["properties"]["template"] = pod_template();
    spec
}

/// The schema of the metadata of something that has no name of its own. Anything but labels and annotations is removed
/// by the API server, such as the `creationTimestamp: null` that many tools write.
pub(super) fn metadata() -> Value {
    let texts = json!({ "type": "object", "additionalProperties": { "type": "string" } });
    json!({ "type": "object", "properties": { "annotations": texts, "labels": texts } })
}

/// Keeps unknown fields, accepts malformed resources and volumes, and gives lists their keys.
fn open_up(spec: &mut Value) {
    schema::strip_descriptions(spec);
    schema::each(spec, &mut |node| {
        if node.contains_key("properties") {
            node.insert("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true));
        }
        if let Some(Value::Object(properties)) = node.get_mut("properties") {
            for (name, property) in properties {
                finish_property(name, property);
            }
        }
    });
}

fn finish_property(name: &str, property: &mut Value) {
    match name {
        // Quantities that cannot be read must be storable, so that they can be reported.
        "limits" | "requests" | "volumes" => {
            *property = json!({ "x-kubernetes-preserve-unknown-fields": true });
        }
        "labelSelector" | "namespaceSelector" => *property = schema::selector(),
        "grpc" => property["properties"]["service"]["default"] = json!(""),
        "ports" => property["items"]["properties"]["protocol"]["default"] = json!("TCP"),
        _ => {}
    }
    if let Some((_, keys)) = LIST_KEYS.iter().find(|(list, _)| *list == name) {
        property["x-kubernetes-list-type"] = json!("map");
        property["x-kubernetes-list-map-keys"] = json!(keys);
    }
    let node = if property.get("items").is_some() { &mut property["items"] } else { property };
    if ATOMIC_OBJECTS.contains(&name) {
        node["x-kubernetes-map-type"] = json!("atomic");
    }
    if REFERENCES.contains(&name) {
        node["properties"]["name"]["default"] = json!("");
        if let Some(Value::Array(required)) = node.get_mut("required") {
            required.retain(|field| field != "name");
        }
    }
}
