//! Pod templates: the hash that names a revision, and whether two of them make the same pods.

pub(crate) mod affinity;
mod defaults;
mod go_json;
mod quantity;
mod tolerated;

use serde_json::Value;
use serin_api::labels::POD_TEMPLATE_HASH;

use crate::rollout::parse::Metadata;
use crate::rollout::step::Steps;

use go_json::GO_ESCAPES;
pub use tolerated::tolerated;

/// The hash of a pod template, 10 characters at most that are fit for names and labels; `collision_count` makes another of
/// the same.
///
/// It is Argo Rollouts' since 1.9, which depends on how the template is written: the same pods may have several hashes, and
/// their ReplicaSets are found by comparing templates (see [`same_template`]). A template with fields that those versions do not
/// know has a hash of its own.
#[must_use]
pub fn pod_hash(template: &Value, collision_count: Option<i32>) -> String {
    let mut template = template.clone();
    remove(&mut template, "labels", POD_TEMPLATE_HASH);
    let text = go_json::text(&template).unwrap_or_else(|| canonical(&essence(&template)));
    let mut bytes = text.into_bytes();
    if let Some(count) = collision_count {
        bytes.extend(i64::from(count).to_le_bytes());
    }
    encode(fnv1a(&bytes))
}

/// The hash of the steps, the same as upstream's, so that taking over an update in progress does not start it anew.
#[must_use]
pub fn step_hash(steps: &Steps) -> String {
    let mut text = steps.text().to_owned();
    for (from, to) in GO_ESCAPES {
        text = text.replace(from, to);
    }
    encode(fnv1a(text.as_bytes()))
}

/// Whether two pod templates make the same pods: equal but for fields that say what Kubernetes assumes anyway, for other
/// ways of writing the same quantity, and for the label `rollouts-pod-template-hash`.
#[must_use]
pub fn same_template(a: &Value, b: &Value) -> bool {
    same_template_but(a, b, &Metadata::default())
}

/// The same as [`same_template`], but for labels and annotations of these keys, whatever their values: those of which
/// somebody injected values without a record of what was there before.
#[must_use]
pub fn same_template_but(a: &Value, b: &Value, ignore: &Metadata) -> bool {
    let without = |template: &Value| {
        let mut template = essence(template);
        for (kind, keys) in [("labels", &ignore.labels), ("annotations", &ignore.annotations)] {
            for key in keys.keys() {
                remove(&mut template, kind, key);
            }
        }
        defaults::prune(&mut template);
        canonical(&template)
    };
    without(a) == without(b)
}

/// Whether a template says nothing.
pub(crate) fn is_blank(template: &Value) -> bool {
    match essence(template) {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}

/// What is left of a template without defaults, empty fields and our own label.
fn essence(template: &Value) -> Value {
    let mut template = template.clone();
    remove(&mut template, "labels", POD_TEMPLATE_HASH);
    affinity::remove_injected(&mut template);
    defaults::remove(&mut template);
    template
}

fn remove(template: &mut Value, kind: &str, key: &str) {
    if let Some(map) = template.pointer_mut("/metadata").and_then(|metadata| metadata.get_mut(kind)?.as_object_mut()) {
        map.remove(key);
    }
}

/// JSON text with sorted keys, whatever order the map has.
fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write_canonical(value, &mut out);
    out
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (key, value) in members {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
    }
}

/// The 32-bit FNV-1a hash.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The decimal digits in an alphabet without vowels, as Kubernetes has it in names.
fn encode(hash: u32) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    hash.to_string().bytes().map(|digit| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests;
