//! Pods: pending, then running, then ready, unless something keeps them from it.

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::cluster::{Cluster, PODS};

use super::{PodConfig, is_deleting, number, seconds, text, time};

/// Images and commands whose pods never become ready, whoever configured what.
const BROKEN_SUFFIXES: [&str; 2] = [":error", ":does-not-exist"];

/// Starts a pod when its time has come; yields when that will be.
pub(super) fn reconcile(
    cluster: &Cluster,
    config: &PodConfig,
    pod: &Value,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    if is_of_job(pod) || is_deleting(pod) || text(pod, "/status/phase") != "Pending" && is_ready(pod) {
        return None;
    }
    let running_at = time(pod, "/metadata/creationTimestamp")? + config.start + spread(pod);
    let ready_at = running_at + TimeDelta::seconds(probe_delay(pod));
    if now < running_at {
        return Some(running_at);
    }
    let ready = now >= ready_at && !is_broken(config, pod) && gates_are_open(pod);
    if text(pod, "/status/phase") == "Running" && !ready {
        return (now < ready_at).then_some(ready_at);
    }
    write_status(cluster, pod, now, if ready { "True" } else { "False" });
    (now < ready_at).then_some(ready_at)
}

fn write_status(cluster: &Cluster, pod: &Value, now: DateTime<Utc>, ready: &str) {
    let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
    let condition =
        |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": seconds(now)});
    let edit = |pod: &mut Value| {
        let mut conditions: Vec<Value> = pod
            .pointer("/status/conditions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|c| !["PodScheduled", "Initialized", "ContainersReady", "Ready"].contains(&text(c, "/type")))
            .cloned()
            .collect();
        conditions.push(condition("PodScheduled", "True"));
        conditions.push(condition("Initialized", "True"));
        conditions.push(condition("ContainersReady", ready));
        conditions.push(condition("Ready", ready));
        let containers = pod.pointer("/spec/containers").and_then(Value::as_array).cloned().unwrap_or_default();
        let statuses: Vec<Value> = containers
            .iter()
            .map(|container| {
                json!({
                    "name": container["name"], "image": container["image"], "ready": ready == "True", "started": true,
                    "restartCount": 0, "state": {"running": {"startedAt": seconds(now)}},
                })
            })
            .collect();
        pod["status"] = json!({
            "phase": "Running", "conditions": conditions, "containerStatuses": statuses, "startTime": seconds(now),
            "podIP": address(pod), "podIPs": [{"ip": address(pod)}],
        });
    };
    if let Err(error) = cluster.modify(&PODS, namespace, name, edit) {
        tracing::debug!(%error, name, "the status was not written");
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// Whether a pod belongs to a Job, which brings it to life itself.
fn is_of_job(pod: &Value) -> bool {
    let owners = pod.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| owner["kind"] == "Job" && owner["controller"] == true)
}

/// Whether the containers of a pod cannot work.
pub(super) fn is_broken(config: &PodConfig, pod: &Value) -> bool {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    containers.into_iter().flatten().any(|container| {
        let image = text(container, "/image");
        config.broken_images.iter().any(|broken| broken == image)
            || BROKEN_SUFFIXES.iter().any(|suffix| image.ends_with(suffix))
            || text(container, "/command/0") == "/bad-command"
    })
}

/// Readiness gates are opened by whoever defined them, never here.
fn gates_are_open(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let gates = pod.pointer("/spec/readinessGates").and_then(Value::as_array);
    gates
        .into_iter()
        .flatten()
        .all(|gate| conditions.iter().any(|c| c["type"] == gate["conditionType"] && c["status"] == "True"))
}

fn probe_delay(pod: &Value) -> i64 {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array);
    let delays = containers.into_iter().flatten();
    delays.filter_map(|c| number(c, "/readinessProbe/initialDelaySeconds")).max().unwrap_or(0)
}

/// Pods do not start all at once: up to half a second more, fixed for each name.
fn spread(pod: &Value) -> TimeDelta {
    TimeDelta::milliseconds(i64::try_from(hash(pod) % 500).unwrap_or(0))
}

fn address(pod: &Value) -> String {
    let hash = hash(pod);
    format!("10.244.{}.{}", hash % 250, hash / 250 % 250 + 2)
}

/// The standard hasher with its default keys: the same in every run.
fn hash(pod: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    text(pod, "/metadata/name").hash(&mut hasher);
    hasher.finish()
}
