//! Jobs: they run for as long as their `sleep N` says, and end as their `exit M` says.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::cluster::{Cluster, JOBS, PODS};

use super::{PodConfig, is_deleting, number, owner_reference, pod, pods_of, seconds, text, time};

/// Time from the creation of a Job until its pod runs.
const START: TimeDelta = TimeDelta::seconds(1);
/// How often Kubernetes tries unless the Job says otherwise.
const BACKOFF_LIMIT_DEFAULT: i64 = 6;
/// The pause before the first retry, doubled before each further one.
const BACKOFF_SECONDS: i64 = 10;
/// The longest pause before a retry.
const BACKOFF_SECONDS_MAX: i64 = 360;

/// How a Job ends if nothing hinders it.
struct Course {
    ends_at: Option<DateTime<Utc>>,
    /// The exit code of the pod that is left.
    code: i64,
    attempts: i64,
}

/// Makes the pod of a Job and ends both when their time has come; yields when time alone brings the next change.
pub(super) fn reconcile(
    cluster: &Cluster,
    config: &PodConfig,
    job: &Value,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let ended = job.pointer("/status/conditions").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    if ended || is_deleting(job) {
        return None;
    }
    let created = time(job, "/metadata/creationTimestamp")?;
    let pods = pods_of(cluster, job);
    let Some(pod) = pods.first() else {
        create_pod(cluster, job);
        return Some(created + START);
    };
    let deadline = number(job, "/spec/activeDeadlineSeconds").map(|after| created + TimeDelta::seconds(after));
    let is_broken = pod::is_broken(config, pod);
    let course = course(job, created, is_broken);
    let next = match (course.ends_at, deadline) {
        (_, Some(deadline)) if now >= deadline && course.ends_at.is_none_or(|end| deadline < end) => {
            delete(cluster, pod);
            end(cluster, job, now, Some(("DeadlineExceeded", "Job was active longer than specified deadline")));
            return None;
        }
        (Some(end_at), _) if now >= end_at => {
            show_ended(cluster, pod, now, course.code);
            let limit = ("BackoffLimitExceeded", "Job has reached the specified backoff limit");
            end(cluster, job, now, (course.code != 0).then_some(limit));
            return None;
        }
        (end_at, deadline) => end_at.into_iter().chain(deadline).min(),
    };
    if now < created + START {
        return Some(created + START);
    }
    if text(pod, "/status/phase") == "Pending" && pod.pointer("/status/containerStatuses").is_none() {
        if is_broken { show_stuck(cluster, pod) } else { show_running(cluster, pod, now) }
    }
    next
}

fn course(job: &Value, created: DateTime<Utc>, is_broken: bool) -> Course {
    let script = script_of(job);
    let run_time = TimeDelta::seconds(number_after(&script, "sleep").unwrap_or(0));
    let code = number_after(&script, "exit").unwrap_or(0);
    let retries = if code == 0 { 0 } else { number(job, "/spec/backoffLimit").unwrap_or(BACKOFF_LIMIT_DEFAULT) };
    let (mut ends_at, mut pause) = (created + START + run_time, BACKOFF_SECONDS);
    for _ in 0..retries {
        ends_at = ends_at + TimeDelta::seconds(pause) + START + run_time;
        pause = (pause * 2).min(BACKOFF_SECONDS_MAX);
    }
    Course { ends_at: (!is_broken).then_some(ends_at), code, attempts: retries + 1 }
}

fn create_pod(cluster: &Cluster, job: &Value) {
    let template = &job["spec"]["template"];
    let mut labels = template["metadata"]["labels"].clone();
    let name = text(job, "/metadata/name");
    for key in ["job-name", "batch.kubernetes.io/job-name"] {
        labels[key] = json!(name);
    }
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("{name}-pod"), "namespace": job["metadata"]["namespace"], "labels": labels,
            "ownerReferences": [owner_reference(job, "batch/v1", "Job")],
        },
        "spec": template["spec"], "status": {"phase": "Pending"},
    });
    if let Err(error) = cluster.create(&PODS, pod) {
        tracing::debug!(%error, name, "the pod was not created");
    }
}

fn show_running(cluster: &Cluster, pod: &Arc<Value>, now: DateTime<Utc>) {
    show(cluster, pod, "Running", &json!({"running": {"startedAt": seconds(now)}}));
}

fn show_stuck(cluster: &Cluster, pod: &Arc<Value>) {
    let waiting =
        json!({"waiting": {"reason": "ErrImagePull", "message": "failed to pull and unpack image: not found"}});
    show(cluster, pod, "Pending", &waiting);
}

fn show_ended(cluster: &Cluster, pod: &Arc<Value>, now: DateTime<Utc>, code: i64) {
    let (phase, reason) = if code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
    let state = json!({"terminated": {"exitCode": code, "reason": reason, "finishedAt": seconds(now)}});
    show(cluster, pod, phase, &state);
}

fn show(cluster: &Cluster, pod: &Arc<Value>, phase: &str, state: &Value) {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array).cloned().unwrap_or_default();
    let statuses: Vec<Value> = containers
        .iter()
        .map(|container| json!({"name": container["name"], "image": container["image"], "state": state}))
        .collect();
    let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
    let status = json!({"phase": phase, "containerStatuses": statuses});
    if let Err(error) = cluster.modify(&PODS, namespace, name, |pod| pod["status"] = status) {
        tracing::debug!(%error, name, "the status was not written");
    }
}

fn delete(cluster: &Cluster, pod: &Arc<Value>) {
    let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
    if let Err(error) = cluster.delete(&PODS, namespace, name) {
        tracing::debug!(%error, name, "the pod was not deleted");
    }
}

/// Writes the condition that a Job ends with; `failure` are its reason and message.
fn end(cluster: &Cluster, job: &Value, now: DateTime<Utc>, failure: Option<(&str, &str)>) {
    let mut condition = json!({"type": "Complete", "status": "True", "lastTransitionTime": seconds(now)});
    let mut status = json!({"startTime": job["metadata"]["creationTimestamp"]});
    if let Some((reason, message)) = failure {
        condition["type"] = json!("Failed");
        condition["reason"] = json!(reason);
        condition["message"] = json!(message);
        let created = time(job, "/metadata/creationTimestamp").unwrap_or(now);
        status["failed"] = json!(course(job, created, false).attempts);
    } else {
        status["succeeded"] = json!(1);
        status["completionTime"] = json!(seconds(now));
    }
    status["conditions"] = json!([condition]);
    let (namespace, name) = (text(job, "/metadata/namespace"), text(job, "/metadata/name"));
    if let Err(error) = cluster.modify(&JOBS, namespace, name, |job| job["status"] = status) {
        tracing::debug!(%error, name, "the status was not written");
    }
}

/// Command and arguments of all containers, as one text.
fn script_of(job: &Value) -> String {
    let containers = job.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let mut words = Vec::new();
    for container in containers.into_iter().flatten() {
        for field in ["command", "args"] {
            words.extend(container[field].as_array().into_iter().flatten().filter_map(Value::as_str));
        }
    }
    words.join(" ")
}

fn number_after(script: &str, word: &str) -> Option<i64> {
    let (_, rest) = script.split_once(word)?;
    rest.split_whitespace().next()?.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}
