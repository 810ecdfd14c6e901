//! Publishes Kubernetes Events under names that follow from what they say, so that a repeated one is counted.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use serin_api::Time;
use serin_core::plan::Event;

use crate::change::ObjectName;
use crate::cluster::{Cluster, Resource};
use crate::decision::Subject;
use crate::error::Error;

/// The component that events come from, upstream's own, since tools filter by it.
pub const COMPONENT: &str = "rollouts-controller";

/// The longest name of an object.
const NAME_MAX: usize = 253;

/// Publishes an event about an object, or counts it once more if the API server still has one that says the same.
///
/// # Errors
/// If the API server refuses it or cannot be reached.
pub async fn publish(cluster: &Cluster, subject: &Subject, event: &Event, now: DateTime<Utc>) -> Result<(), Error> {
    let resource = Resource { kind: "Event", root: "api/v1".to_owned(), plural: "events" };
    let name = ObjectName::new(&subject.key.object().namespace, name_of(subject, event));
    match cluster.create(&resource, &name, &object(subject, event, &name, now)).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(409) => {
            let old = cluster.get(&resource, &name).await?;
            let count = old.get("count").and_then(Value::as_i64).unwrap_or(1).saturating_add(1);
            let patch = json!({"count": count, "lastTimestamp": Time(now)});
            cluster.merge_patch(&resource, &name, "", &patch).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

fn object(subject: &Subject, event: &Event, name: &ObjectName, now: DateTime<Utc>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name.name, "namespace": name.namespace},
        "involvedObject": {
            "apiVersion": serin_api::labels::API_VERSION,
            "kind": subject.key.kind().name(),
            "namespace": subject.key.object().namespace,
            "name": subject.key.object().name,
            "uid": subject.uid,
            "resourceVersion": subject.version,
        },
        "type": event.kind.to_string(),
        "reason": event.reason,
        "message": event.message,
        "count": 1,
        "firstTimestamp": Time(now),
        "lastTimestamp": Time(now),
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
    })
}

/// The object's name and a hash of object, type, reason and message.
fn name_of(subject: &Subject, event: &Event) -> String {
    let kind = event.kind.to_string();
    let parts = [subject.uid.as_str(), kind.as_str(), event.reason.as_str(), event.message.as_str()];
    let hash = parts.iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| fnv1a(fnv1a(hash, part.as_bytes()), &[0]));
    let mut name = subject.key.object().name.clone();
    name.truncate(NAME_MAX - 17);
    format!("{name}.{hash:016x}")
}

fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
