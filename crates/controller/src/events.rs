//! Publishes Kubernetes Events under names that follow from what they say, so that a repeated one is counted.

use std::borrow::Cow;

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

/// The longest message of an event, in bytes: what newer versions of the API allow.
const MESSAGE_MAX: usize = 1024;

/// An event to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is told.
    pub event: Event,
    /// What it is known by: events of the same type, reason and topic are counted as one, which says what the last said.
    pub topic: String,
}

impl From<Event> for Note {
    /// An event that is known by what it says.
    fn from(event: Event) -> Self {
        Note { topic: event.message.clone(), event }
    }
}

/// Publishes an event about an object, or counts it once more if the API server still has one of the same topic.
///
/// # Errors
/// If the API server refuses it or cannot be reached.
pub async fn publish(cluster: &Cluster, subject: &Subject, note: &Note, now: DateTime<Utc>) -> Result<(), Error> {
    let resource = Resource { kind: "Event", root: "api/v1".to_owned(), plural: "events" };
    let name = ObjectName::new(&subject.key.object().namespace, name_of(subject, note));
    let message = clipped(&note.event.message, MESSAGE_MAX);
    match cluster.create(&resource, &name, &object(subject, (&note.event, &message), &name, now)).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(409) => {
            let old = cluster.get(&resource, &name).await?;
            let count = old.get("count").and_then(Value::as_i64).unwrap_or(1).saturating_add(1);
            let patch = json!({"count": count, "lastTimestamp": Time(now), "message": message});
            cluster.merge_patch(&resource, &name, "", &patch).await.map(drop)
        }
        Err(error) => Err(error),
    }
}

fn object(subject: &Subject, (event, message): (&Event, &str), name: &ObjectName, now: DateTime<Utc>) -> Value {
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
        "message": message,
        "count": 1,
        "firstTimestamp": Time(now),
        "lastTimestamp": Time(now),
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
    })
}

/// The object's name and a hash of object, type, reason and topic.
fn name_of(subject: &Subject, note: &Note) -> String {
    let kind = note.event.kind.to_string();
    let parts = [subject.uid.as_str(), kind.as_str(), note.event.reason.as_str(), note.topic.as_str()];
    let hash = parts.iter().fold(0xcbf2_9ce4_8422_2325, |hash, part| fnv1a(fnv1a(hash, part.as_bytes()), &[0]));
    let mut name = subject.key.object().name.clone();
    name.truncate(NAME_MAX - 17);
    format!("{name}.{hash:016x}")
}

/// A text of at most so many bytes; where something is left out, an ellipsis stands for it.
pub(crate) fn clipped(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return Cow::Borrowed(text);
    }
    let end = bytes_max.saturating_sub('…'.len_utf8());
    let end = (0..=end).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Cow::Owned(format!("{}…", &text[..end]))
}

fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
