//! A cluster's state without what differs from run to run: times, UIDs, versions, and the suffixes of pods.

use chrono::DateTime;
use serde_json::{Value, json};
use serin_sim::cluster::{
    ANALYSIS_RUNS, Cluster, DESTINATION_RULES, EXPERIMENTS, JOBS, PODS, REPLICA_SETS, ROLLOUTS, Resource, SERVICES,
    VIRTUAL_SERVICES,
};

/// Fields that depend on when something happened, or how many times.
const PASSING: [&str; 7] =
    ["uid", "resourceVersion", "managedFields", "clusterIP", "clusterIPs", "generation", "progressAvailableMax"];

/// Everything that the controller has a say in, in an order of its own.
pub(crate) fn snapshot(cluster: &Cluster) -> Value {
    let all = |resource: &Resource| -> Vec<Value> {
        cluster.list(resource, None).iter().map(|object| normal(object.as_ref().clone())).collect()
    };
    let runs: Vec<Value> = all(&ANALYSIS_RUNS)
        .into_iter()
        .map(|run| {
            json!({
                "name": run["metadata"]["name"], "labels": run["metadata"]["labels"], "spec": run["spec"],
                "phase": run["status"]["phase"], "message": run["status"]["message"],
                "jobs": run["status"]["metricResults"][0]["measurements"].as_array().map(|all| {
                    all.iter().filter(|measurement| measurement.pointer("/metadata/job-name").is_some()).count()
                }),
            })
        })
        .collect();
    let jobs: Vec<Value> = all(&JOBS)
        .into_iter()
        .map(|job| {
            let name = job["metadata"]["name"].as_str().unwrap_or_default();
            json!({
                "measurement": name.split_once('.').map(|(_, measurement)| measurement),
                "annotations": job["metadata"]["annotations"], "status": job["status"],
            })
        })
        .collect();
    let mut pods: Vec<Value> = all(&PODS)
        .into_iter()
        .filter(|pod| pod["metadata"]["ownerReferences"][0]["kind"] != "Job")
        .map(|pod| {
            json!({
                "set": pod["metadata"]["ownerReferences"][0]["name"], "labels": pod["metadata"]["labels"],
                "annotations": pod["metadata"]["annotations"], "spec": pod["spec"],
            })
        })
        .collect();
    pods.sort_by_key(Value::to_string);
    json!({
        "rollouts": all(&ROLLOUTS), "replicaSets": all(&REPLICA_SETS), "pods": pods, "analysisRuns": runs, "jobs": jobs,
        "virtualServices": all(&VIRTUAL_SERVICES), "destinationRules": all(&DESTINATION_RULES), "services": all(&SERVICES),
        "experiments": all(&EXPERIMENTS),
    })
}

/// Fails with the places in which two snapshots differ.
#[track_caller]
pub(crate) fn assert_same(case: &str, expected: &Value, got: &Value) {
    let mut differences = Vec::new();
    compare("", expected, got, &mut differences);
    assert!(differences.is_empty(), "{case}:\n{}", differences.join("\n"));
}

fn normal(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            for field in PASSING {
                fields.remove(field);
            }
            // A ReplicaSet's; a Rollout's is kept, because its spec is not ours to change.
            if fields.get("observedGeneration").is_some_and(Value::is_number) {
                fields.remove("observedGeneration");
            }
            for inner in fields.values_mut() {
                *inner = normal(inner.take());
            }
        }
        Value::Array(items) => {
            for inner in items.iter_mut() {
                *inner = normal(inner.take());
            }
        }
        Value::String(text) if DateTime::parse_from_rfc3339(text).is_ok() => *text = "a time".to_owned(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    value
}

fn compare(path: &str, expected: &Value, got: &Value, differences: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(left), Value::Object(right)) => {
            let fields: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for field in fields {
                let part = |side: &serde_json::Map<String, Value>| side.get(field).cloned().unwrap_or_default();
                compare(&format!("{path}/{field}"), &part(left), &part(right), differences);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path}/{index}"), left, right, differences);
            }
        }
        (left, right) if left == right => {}
        (left, right) => differences.push(format!("  {path}: expected {left}, got {right}")),
    }
}
