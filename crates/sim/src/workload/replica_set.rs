//! ReplicaSets: as many pods as wanted, and a status that counts them.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::cluster::{Cluster, PODS, REPLICA_SETS};

use super::{is_deleting, number, owner_reference, pods_of, text};

/// Letters of the suffix of a pod's name, as Kubernetes uses them.
const SUFFIX_LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Creates the pods that are missing, and deletes those that are too many: unready ones first, then the youngest.
pub(super) fn fill(cluster: &Cluster, set: &Value) {
    if is_deleting(set) {
        return;
    }
    let wanted = usize::try_from(number(set, "/spec/replicas").unwrap_or(1)).unwrap_or(0);
    let mut pods = pods_of(cluster, set);
    let names: Vec<String> = pods.iter().map(|pod| text(pod, "/metadata/name").to_owned()).collect();
    let mut serial = 0_u64;
    for _ in pods.len()..wanted {
        let name = free_name(cluster, set, &names, &mut serial);
        if let Err(error) = cluster.create(&PODS, new_pod(set, &name)) {
            tracing::debug!(%error, name, "the pod was not created");
        }
    }
    pods.sort_by_key(|pod| std::cmp::Reverse(deletion_rank(pod)));
    for pod in pods.iter().take(pods.len().saturating_sub(wanted)) {
        let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
        if let Err(error) = cluster.delete(&PODS, namespace, name) {
            tracing::debug!(%error, name, "the pod was not deleted");
        }
    }
}

/// Counts the pods into the status; yields when the next of them becomes available.
pub(super) fn report(cluster: &Cluster, set: &Value, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let pods = pods_of(cluster, set);
    let min_ready = TimeDelta::seconds(number(set, "/spec/minReadySeconds").unwrap_or(0));
    let ready_at: Vec<DateTime<Utc>> = pods.iter().filter_map(ready_since).map(|at| at + min_ready).collect();
    let available = ready_at.iter().filter(|at| **at <= now).count();
    let mut status = json!({
        "replicas": pods.len(),
        "fullyLabeledReplicas": pods.len(),
        "observedGeneration": set["metadata"]["generation"],
    });
    for (field, count) in [("readyReplicas", ready_at.len()), ("availableReplicas", available)] {
        if count > 0 {
            status[field] = json!(count);
        }
    }
    let (namespace, name) = (text(set, "/metadata/namespace"), text(set, "/metadata/name"));
    if let Err(error) = cluster.modify(&REPLICA_SETS, namespace, name, |set| set["status"] = status) {
        tracing::debug!(%error, name, "the status was not written");
    }
    ready_at.into_iter().filter(|at| *at > now).min()
}

/// Since when a pod is ready; `None` if it is not.
pub(super) fn ready_since(pod: &Arc<Value>) -> Option<DateTime<Utc>> {
    let conditions = pod.pointer("/status/conditions")?.as_array()?;
    let ready = conditions.iter().find(|condition| condition["type"] == "Ready" && condition["status"] == "True")?;
    super::time(ready, "/lastTransitionTime")
}

/// Greater means deleted earlier.
fn deletion_rank(pod: &Arc<Value>) -> (bool, String, String) {
    let created = text(pod, "/metadata/creationTimestamp").to_owned();
    (ready_since(pod).is_none(), created, text(pod, "/metadata/name").to_owned())
}

/// A name with a suffix as Kubernetes gives it, but drawn from the name and a counter instead of chance.
fn free_name(cluster: &Cluster, set: &Value, taken: &[String], serial: &mut u64) -> String {
    let (namespace, base) = (text(set, "/metadata/namespace"), text(set, "/metadata/name"));
    loop {
        *serial += 1;
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in base.bytes().chain(serial.to_le_bytes()).chain(cluster.version().to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let suffix: String = (0..5)
            .map(|place| {
                let index = usize::try_from((hash >> (place * 6)) % 27).unwrap_or(0);
                char::from(SUFFIX_LETTERS[index])
            })
            .collect();
        let name = format!("{base}-{suffix}");
        if !taken.contains(&name) && cluster.get(&PODS, namespace, &name).is_err() {
            return name;
        }
    }
}

fn new_pod(set: &Value, name: &str) -> Value {
    let template = &set["spec"]["template"];
    let mut metadata = template["metadata"].clone();
    if !metadata.is_object() {
        metadata = json!({});
    }
    metadata["name"] = json!(name);
    metadata["namespace"] = set["metadata"]["namespace"].clone();
    metadata["ownerReferences"] = json!([owner_reference(set, "apps/v1", "ReplicaSet")]);
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"],
        "status": {"phase": "Pending"},
    })
}
