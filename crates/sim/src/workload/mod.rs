//! Workload controllers and kubelet in miniature: Deployments, ReplicaSets, Jobs and pods come to life.
//!
//! Level-triggered like the real ones: each [`Workloads::step`] compares what is wanted with what is there, changes
//! what differs, and says when time alone will change something.

mod deployment;
mod job;
mod pod;
mod replica_set;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::cluster::{Cluster, DEPLOYMENTS, JOBS, PODS, REPLICA_SETS};

/// How fast pods come and what keeps them from it.
#[derive(Clone, Debug)]
pub struct PodConfig {
    /// Time from the creation of a pod until its containers run; the probe's initial delay comes on top.
    pub start: TimeDelta,
    /// Images whose pods never become ready.
    pub broken_images: Vec<String>,
}

impl Default for PodConfig {
    fn default() -> Self {
        PodConfig { start: TimeDelta::milliseconds(1_500), broken_images: Vec::new() }
    }
}

/// The actors that give life to workloads of a cluster.
#[derive(Clone, Debug)]
pub struct Workloads {
    cluster: Cluster,
    config: PodConfig,
}

impl Workloads {
    /// Actors for a cluster.
    #[must_use]
    pub fn new(cluster: Cluster, config: PodConfig) -> Self {
        Workloads { cluster, config }
    }

    /// Makes pods that run one of these images never ready, besides those known already.
    pub fn break_image(&mut self, image: &str) {
        self.config.broken_images.push(image.to_owned());
    }

    /// Brings everything as far as it can be at this moment; yields when time alone will bring the next change.
    pub fn step(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut due = None;
        // Each pass may feed the next (a Deployment scales a ReplicaSet, that makes pods, those become ready), so
        // passes go on until one changes nothing; the bound only guards against a flapping actor.
        for _ in 0..PASSES_MAX {
            let version = self.cluster.version();
            for deployment in self.cluster.list(&DEPLOYMENTS, None) {
                deployment::reconcile(&self.cluster, &deployment, now);
            }
            due = self.pods_and_sets(now);
            if self.cluster.version() == version {
                break;
            }
        }
        due
    }

    fn pods_and_sets(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut due = Vec::new();
        for set in self.cluster.list(&REPLICA_SETS, None) {
            replica_set::fill(&self.cluster, &set);
        }
        for pod in self.cluster.list(&PODS, None) {
            due.extend(pod::reconcile(&self.cluster, &self.config, &pod, now));
        }
        for set in self.cluster.list(&REPLICA_SETS, None) {
            due.extend(replica_set::report(&self.cluster, &set, now));
        }
        for job in self.cluster.list(&JOBS, None) {
            due.extend(job::reconcile(&self.cluster, &self.config, &job, now));
        }
        due.into_iter().min()
    }
}

/// More passes than any chain of workloads is long.
const PASSES_MAX: usize = 16;

/// Text at a JSON pointer; empty if there is none.
fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Number at a JSON pointer.
fn number(object: &Value, pointer: &str) -> Option<i64> {
    object.pointer(pointer).and_then(Value::as_i64)
}

/// Time at a JSON pointer.
fn time(object: &Value, pointer: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text(object, pointer)).ok().map(|time| time.with_timezone(&Utc))
}

/// A time as Kubernetes writes it, in whole seconds.
fn seconds(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Whether an object is controlled by the one with this UID.
fn is_controlled_by(object: &Value, uid: &str) -> bool {
    object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .any(|owner| owner["controller"] == true && owner["uid"] == uid)
}

/// Whether an object is being deleted.
fn is_deleting(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|stamp| !stamp.is_null())
}

/// A controller owner reference to an object.
fn owner_reference(owner: &Value, api_version: &str, kind: &str) -> Value {
    serde_json::json!({
        "apiVersion": api_version, "kind": kind, "controller": true, "blockOwnerDeletion": true,
        "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"],
    })
}

/// Pods that a ReplicaSet controls and that are not on their way out.
fn pods_of(cluster: &Cluster, set: &Value) -> Vec<Arc<Value>> {
    let uid = text(set, "/metadata/uid");
    cluster
        .list(&PODS, Some(text(set, "/metadata/namespace")))
        .into_iter()
        .filter(|pod| is_controlled_by(pod, uid) && !is_deleting(pod))
        .collect()
}

#[cfg(test)]
mod tests;
