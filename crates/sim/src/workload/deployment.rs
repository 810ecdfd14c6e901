//! Deployments: one ReplicaSet a template, the newest takes over as its pods become available.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use serin_core::rollout::template::pod_hash;

use crate::cluster::{Cluster, DEPLOYMENTS, REPLICA_SETS};

use super::{is_controlled_by, is_deleting, number, owner_reference, seconds, text};

/// Label by which Deployments tell their ReplicaSets apart.
const HASH_LABEL: &str = "pod-template-hash";
/// Kubernetes hashes a template in a way of its own, so that a Rollout may bear the name of its Deployment.
const HASH_SALT: Option<i32> = Some(-1);

/// Makes the ReplicaSet of the present template, moves pods over to it, and counts them into the status.
pub(super) fn reconcile(cluster: &Cluster, deployment: &Value, now: DateTime<Utc>) {
    if is_deleting(deployment) {
        return;
    }
    let namespace = text(deployment, "/metadata/namespace");
    let uid = text(deployment, "/metadata/uid");
    let sets: Vec<Arc<Value>> =
        cluster.list(&REPLICA_SETS, Some(namespace)).into_iter().filter(|set| is_controlled_by(set, uid)).collect();
    let name =
        format!("{}-{}", text(deployment, "/metadata/name"), pod_hash(&deployment["spec"]["template"], HASH_SALT));
    let wanted = number(deployment, "/spec/replicas").unwrap_or(1);
    let newest = sets.iter().find(|set| text(set, "/metadata/name") == name);
    match newest {
        None => create(cluster, deployment, &name, wanted),
        Some(newest) => {
            scale(cluster, newest, wanted);
            let available = number(newest, "/status/availableReplicas").unwrap_or(0);
            let old = sets.iter().filter(|set| text(set, "/metadata/name") != name);
            for set in old.filter(|_| available >= wanted) {
                scale(cluster, set, 0);
            }
        }
    }
    report(cluster, deployment, (&sets, &name), now);
}

fn create(cluster: &Cluster, deployment: &Value, name: &str, replicas: i64) {
    let hash = name.rsplit('-').next().unwrap_or_default();
    let mut template = deployment["spec"]["template"].clone();
    template["metadata"]["labels"][HASH_LABEL] = json!(hash);
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH_LABEL] = json!(hash);
    let set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name, "namespace": deployment["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner_reference(deployment, "apps/v1", "Deployment")],
        },
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    });
    if let Err(error) = cluster.create(&REPLICA_SETS, set) {
        tracing::debug!(%error, name, "the ReplicaSet was not created");
    }
}

fn scale(cluster: &Cluster, set: &Value, replicas: i64) {
    let (namespace, name) = (text(set, "/metadata/namespace"), text(set, "/metadata/name"));
    if let Err(error) = cluster.modify(&REPLICA_SETS, namespace, name, |set| set["spec"]["replicas"] = json!(replicas))
    {
        tracing::debug!(%error, name, "the ReplicaSet was not scaled");
    }
}

fn report(cluster: &Cluster, deployment: &Value, (sets, newest): (&[Arc<Value>], &str), now: DateTime<Utc>) {
    let sum = |pointer: &str| -> i64 { sets.iter().filter_map(|set| number(set, pointer)).sum() };
    let updated = sets.iter().find(|set| text(set, "/metadata/name") == newest);
    let wanted = number(deployment, "/spec/replicas").unwrap_or(1);
    let available = sum("/status/availableReplicas");
    let status_word = if available >= wanted { "True" } else { "False" };
    let before = deployment.pointer("/status/conditions/0");
    let since = before
        .filter(|condition| condition["status"] == status_word)
        .map_or_else(|| json!(seconds(now)), |condition| condition["lastTransitionTime"].clone());
    let status = json!({
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": sum("/status/replicas"),
        "updatedReplicas": updated.and_then(|set| number(set, "/status/replicas")).unwrap_or(0),
        "readyReplicas": sum("/status/readyReplicas"),
        "availableReplicas": available,
        "conditions": [{"type": "Available", "status": status_word, "lastTransitionTime": since,
            "lastUpdateTime": since, "reason": "MinimumReplicasAvailable", "message": ""}],
    });
    let (namespace, name) = (text(deployment, "/metadata/namespace"), text(deployment, "/metadata/name"));
    if let Err(error) = cluster.modify(&DEPLOYMENTS, namespace, name, |deployment| deployment["status"] = status) {
        tracing::debug!(%error, name, "the status was not written");
    }
}
