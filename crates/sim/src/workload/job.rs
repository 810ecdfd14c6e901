//! Jobs: they run for as long as their `sleep N` says, and end as their `exit M` says.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::cluster::{Cluster, JOBS};

use super::{is_deleting, seconds, text, time};

/// Ends a Job when its time has come; yields when that will be.
pub(super) fn reconcile(cluster: &Cluster, job: &Value, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let ended = job.pointer("/status/conditions").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    if ended || is_deleting(job) {
        return None;
    }
    let script = script_of(job);
    let run_time = TimeDelta::seconds(1 + number_after(&script, "sleep").unwrap_or(0));
    let start = time(job, "/metadata/creationTimestamp")?;
    let deadline = job.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64).map(TimeDelta::seconds);
    let end = start + deadline.map_or(run_time, |deadline| deadline.min(run_time));
    if now < end {
        return Some(end);
    }
    let failed =
        number_after(&script, "exit").unwrap_or(0) != 0 || deadline.is_some_and(|deadline| deadline < run_time);
    let (kind, count) = if failed { ("Failed", "failed") } else { ("Complete", "succeeded") };
    let (namespace, name) = (text(job, "/metadata/namespace"), text(job, "/metadata/name"));
    let written = cluster.modify(&JOBS, namespace, name, |job| {
        job["status"] = json!({
            "startTime": seconds(start), count: 1,
            "conditions": [{"type": kind, "status": "True", "lastTransitionTime": seconds(now)}],
        });
    });
    if let Err(error) = written {
        tracing::debug!(%error, name, "the status was not written");
    }
    None
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
