//! The table cells of the built-in kinds that take more than one field to compute.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::meta;
use super::table::age;

/// `1/2`: ready and all containers of a Pod.
pub(crate) fn pod_ready(pod: &Value, _: DateTime<Utc>) -> Value {
    let all = items(&pod["spec"]["containers"]).len();
    let statuses = items(&pod["status"]["containerStatuses"]);
    let ready = statuses.iter().filter(|c| c["ready"] == true).count();
    json!(format!("{ready}/{all}"))
}

/// The phase of a Pod, or what explains it better.
pub(crate) fn pod_status(pod: &Value, _: DateTime<Utc>) -> Value {
    if meta::deleting(pod) {
        return json!("Terminating");
    }
    let statuses = items(&pod["status"]["containerStatuses"]);
    let why = statuses.iter().find_map(|container| {
        let state = &container["state"];
        state["waiting"]["reason"].as_str().or(state["terminated"]["reason"].as_str())
    });
    let said = why.or(pod["status"]["reason"].as_str()).or(pod["status"]["phase"].as_str());
    json!(said.unwrap_or("Unknown"))
}

/// How often the containers of a Pod were restarted.
pub(crate) fn restarts(pod: &Value, _: DateTime<Utc>) -> Value {
    let statuses = items(&pod["status"]["containerStatuses"]).iter();
    let restarts: i64 = statuses.filter_map(|container| container["restartCount"].as_i64()).sum();
    json!(restarts)
}

/// `1/2`: ready and desired Pods of a Deployment.
pub(crate) fn deployment_ready(deployment: &Value, _: DateTime<Utc>) -> Value {
    let ready = deployment["status"]["readyReplicas"].as_i64().unwrap_or(0);
    let desired = deployment["spec"]["replicas"].as_i64().unwrap_or(1);
    json!(format!("{ready}/{desired}"))
}

/// The names of the containers of a pod template.
pub(crate) fn containers(object: &Value, _: DateTime<Utc>) -> Value {
    json!(template_fields(object, "name"))
}

/// The images of the containers of a pod template.
pub(crate) fn images(object: &Value, _: DateTime<Utc>) -> Value {
    json!(template_fields(object, "image"))
}

/// The labels that a workload or Service selects by.
pub(crate) fn selector(object: &Value, _: DateTime<Utc>) -> Value {
    let selector = &object["spec"]["selector"];
    let labels = selector.get("matchLabels").unwrap_or(selector);
    let labels = labels.as_object().into_iter().flatten();
    let parts: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    json!(if parts.is_empty() { "<none>".to_owned() } else { parts.join(",") })
}

/// `80/TCP,443/TCP`: the ports of a Service.
pub(crate) fn ports(service: &Value, _: DateTime<Utc>) -> Value {
    let ports: Vec<String> = items(&service["spec"]["ports"])
        .iter()
        .map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            format!("{}/{protocol}", port["port"])
        })
        .collect();
    json!(if ports.is_empty() { "<none>".to_owned() } else { ports.join(",") })
}

/// How many entries a Secret or ConfigMap has.
pub(crate) fn data(object: &Value, _: DateTime<Utc>) -> Value {
    let count = |field: &str| object[field].as_object().map_or(0, serde_json::Map::len);
    json!(count("data") + count("binaryData") + count("stringData"))
}

/// Whether a Job runs, is complete or has failed.
pub(crate) fn job_status(job: &Value, _: DateTime<Utc>) -> Value {
    let done = items(&job["status"]["conditions"]).iter().filter(|condition| condition["status"] == "True").find_map(
        |condition| match condition["type"].as_str() {
            Some(kind @ ("Complete" | "Failed" | "Suspended")) => Some(kind),
            _ => None,
        },
    );
    json!(done.unwrap_or("Running"))
}

/// `0/1`: the finished and the wanted Pods of a Job.
pub(crate) fn completions(job: &Value, _: DateTime<Utc>) -> Value {
    let done = job["status"]["succeeded"].as_i64().unwrap_or(0);
    let wanted = job["spec"]["completions"].as_i64().unwrap_or(1);
    json!(format!("{done}/{wanted}"))
}

/// The time since an Event was last seen.
pub(crate) fn last_seen(event: &Value, now: DateTime<Utc>) -> Value {
    let moments = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["deprecatedLastTimestamp"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    let latest = moments.into_iter().find(|moment| moment.is_string());
    age(latest.unwrap_or(&Value::Null), now)
}

/// `rollout/reviews`: the object that an Event is about.
pub(crate) fn involved(event: &Value, _: DateTime<Utc>) -> Value {
    let object = event.get("regarding").unwrap_or(&event["involvedObject"]);
    let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
    json!(format!("{kind}/{}", object["name"].as_str().unwrap_or_default()))
}

/// The sentence of an Event.
pub(crate) fn message(event: &Value, _: DateTime<Utc>) -> Value {
    event.get("note").unwrap_or(&event["message"]).clone()
}

fn template_fields(object: &Value, field: &str) -> String {
    let containers = items(&object["spec"]["template"]["spec"]["containers"]);
    let fields: Vec<&str> = containers.iter().filter_map(|container| container[field].as_str()).collect();
    fields.join(",")
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
