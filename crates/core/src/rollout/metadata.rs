//! Ephemeral metadata: labels and annotations that say which role a revision plays, on ReplicaSets and live pods.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use serin_api::labels;

use crate::plan::Effect;
use crate::rollout::observed::{Pod, ReplicaSet};
use crate::rollout::parse::Metadata;

use super::scene::Scene;
use super::state::State;

/// What was injected into the pod template of a ReplicaSet, and what stood there before.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Injected {
    now: Metadata,
    before: Metadata,
    is_ours: bool,
}

impl Injected {
    /// Reads the record that the ReplicaSet carries in its annotations; an unreadable one counts as empty.
    pub(crate) fn of(rs: &ReplicaSet) -> Self {
        let read = |key: &str| rs.annotations.get(key).and_then(|text| metadata_from(text)).unwrap_or_default();
        Injected {
            now: read(labels::EPHEMERAL_METADATA),
            before: read(labels::OVERRIDDEN_METADATA),
            is_ours: rs.annotations.contains_key(labels::OVERRIDDEN_METADATA),
        }
    }

    /// As [`Injected::of`]; but of the ReplicaSet that carries the spec's template it is known what stood there, whether
    /// another controller recorded it or not.
    fn known(scene: &Scene<'_>, rs: &ReplicaSet) -> Self {
        let mut injected = Self::of(rs);
        let is_of_spec = scene.revision.replica_set.is_some_and(|new| new.name == rs.name);
        if is_of_spec && injected.unrestorable().is_some() {
            injected.before = overridden(&scene.spec.template, &injected.now);
            injected.is_ours = true;
        }
        injected
    }

    /// Whether another controller injected it, and nobody knows what stood there: to remove it might remove more.
    fn must_stay(&self, wanted: &Metadata) -> bool {
        wanted.is_empty() && self.unrestorable().is_some()
    }

    /// Metadata that was injected without a record of what it replaced.
    pub(crate) fn unrestorable(&self) -> Option<&Metadata> {
        (!self.now.is_empty() && !self.is_ours).then_some(&self.now)
    }

    /// The pod template as its author wrote it.
    pub(crate) fn restored_template(&self, rs: &ReplicaSet) -> Value {
        let mut template = (*rs.template).clone();
        for (kind, now, before) in [
            ("labels", &self.now.labels, &self.before.labels),
            ("annotations", &self.now.annotations, &self.before.annotations),
        ] {
            let Some(map) = template.pointer_mut(&format!("/metadata/{kind}")).and_then(Value::as_object_mut) else {
                continue;
            };
            for key in now.keys() {
                match before.get(key) {
                    Some(value) => map.insert(key.clone(), json!(value)),
                    None => map.remove(key),
                };
            }
        }
        template
    }
}

/// The metadata that a revision's pods should carry now.
pub(crate) fn wanted<'s>(scene: &'s Scene<'_>, state: &State, rs: &ReplicaSet) -> Option<&'s Metadata> {
    let canary = &scene.spec.canary;
    if state.stable_hash.as_deref() == Some(rs.hash.as_str()) || state.is_initial() {
        Some(&canary.stable_metadata)
    } else if rs.hash == state.current_hash {
        Some(&canary.canary_metadata)
    } else {
        None
    }
}

/// A new pod template with metadata injected, and the annotations that record it.
pub(crate) fn inject(template: &Value, wanted: &Metadata) -> (Value, BTreeMap<String, String>) {
    let mut template = template.clone();
    let before = overridden(&template, wanted);
    write_into(&mut template, wanted);
    let mut record = BTreeMap::new();
    if !wanted.is_empty() {
        record.insert(labels::EPHEMERAL_METADATA.to_owned(), metadata_to(wanted));
        // Written even if nothing was replaced: it says that the record is complete.
        record.insert(labels::OVERRIDDEN_METADATA.to_owned(), metadata_to(&before));
    }
    (template, record)
}

/// The change of a ReplicaSet's template that gives its next pods the wanted metadata, if it differs.
pub(crate) fn relabel_replica_set(scene: &Scene<'_>, rs: &ReplicaSet, wanted: Option<&Metadata>) -> Option<Effect> {
    let injected = Injected::known(scene, rs);
    let nothing = Metadata::default();
    let wanted = wanted.unwrap_or(&nothing);
    if injected.now == *wanted {
        return complete_record(rs, &injected);
    }
    if injected.must_stay(wanted) {
        return None;
    }
    let original = injected.restored_template(rs);
    let (template, record) = inject(&original, wanted);
    let mut annotations: BTreeMap<&str, Option<&String>> = BTreeMap::new();
    for key in [labels::EPHEMERAL_METADATA, labels::OVERRIDDEN_METADATA] {
        annotations.insert(key, record.get(key));
    }
    let patch = json!({
        "metadata": {"annotations": annotations},
        "spec": {"template": {"metadata": {
            "labels": difference(&map_at(&rs.template, "labels"), &map_at(&template, "labels")),
            "annotations": difference(&map_at(&rs.template, "annotations"), &map_at(&template, "annotations")),
        }}},
    });
    Some(Effect::PatchReplicaSet { name: rs.name.clone(), uid: rs.uid.clone(), patch })
}

/// Writes down what injected metadata replaced, for as long as that is known: the next template does not tell.
fn complete_record(rs: &ReplicaSet, injected: &Injected) -> Option<Effect> {
    if injected.now.is_empty() || !injected.is_ours || rs.annotations.contains_key(labels::OVERRIDDEN_METADATA) {
        return None;
    }
    let patch = json!({"metadata": {"annotations": {labels::OVERRIDDEN_METADATA: metadata_to(&injected.before)}}});
    Some(Effect::PatchReplicaSet { name: rs.name.clone(), uid: rs.uid.clone(), patch })
}

/// The change that gives a live pod the metadata of its ReplicaSet's template, if it differs in the keys that roles use.
pub(crate) fn relabel_pod(scene: &Scene<'_>, rs: &ReplicaSet, wanted: Option<&Metadata>, pod: &Pod) -> Option<Effect> {
    let injected = Injected::known(scene, rs);
    let original = injected.restored_template(rs);
    let nothing = Metadata::default();
    let wanted = wanted.unwrap_or(&nothing);
    if injected.must_stay(wanted) {
        return None;
    }
    let canary = &scene.spec.canary;
    let goal = |have: &BTreeMap<String, String>, kind: &str, pick: fn(&Metadata) -> &BTreeMap<String, String>| {
        let written = map_at(&original, kind);
        let mut changes = BTreeMap::new();
        for metadata in [&canary.canary_metadata, &canary.stable_metadata, &injected.now] {
            for key in pick(metadata).keys() {
                let value = pick(wanted).get(key).or_else(|| written.get(key));
                if have.get(key) != value {
                    changes.insert(key.clone(), value.cloned());
                }
            }
        }
        changes
    };
    let labels = goal(&pod.labels, "labels", |metadata| &metadata.labels);
    let annotations = goal(&pod.annotations, "annotations", |metadata| &metadata.annotations);
    if labels.is_empty() && annotations.is_empty() {
        return None;
    }
    Some(Effect::RelabelPod { name: pod.name.clone(), uid: pod.uid.clone(), labels, annotations })
}

fn overridden(template: &Value, wanted: &Metadata) -> Metadata {
    let kept = |kind: &str, keys: &BTreeMap<String, String>| {
        let mut map = map_at(template, kind);
        map.retain(|key, _| keys.contains_key(key));
        map
    };
    Metadata { labels: kept("labels", &wanted.labels), annotations: kept("annotations", &wanted.annotations) }
}

fn write_into(template: &mut Value, wanted: &Metadata) {
    for (kind, values) in [("labels", &wanted.labels), ("annotations", &wanted.annotations)] {
        if values.is_empty() {
            continue;
        }
        let mut map = map_at(template, kind);
        map.extend(values.clone());
        if template.is_object() {
            template["metadata"][kind] = json!(map);
        }
    }
}

fn map_at(template: &Value, kind: &str) -> BTreeMap<String, String> {
    template
        .pointer(&format!("/metadata/{kind}"))
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn difference(from: &BTreeMap<String, String>, to: &BTreeMap<String, String>) -> BTreeMap<String, Option<String>> {
    let mut changes: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (key, value) in to {
        if from.get(key) != Some(value) {
            changes.insert(key.clone(), Some(value.clone()));
        }
    }
    for key in from.keys() {
        if !to.contains_key(key) {
            changes.insert(key.clone(), None);
        }
    }
    changes
}

fn metadata_from(text: &str) -> Option<Metadata> {
    let value: Value = serde_json::from_str(text).ok()?;
    let wrapped = json!({"metadata": value});
    Some(Metadata { labels: map_at(&wrapped, "labels"), annotations: map_at(&wrapped, "annotations") })
}

fn metadata_to(metadata: &Metadata) -> String {
    let mut object = serde_json::Map::new();
    for (kind, values) in [("labels", &metadata.labels), ("annotations", &metadata.annotations)] {
        if !values.is_empty() {
            object.insert(kind.to_owned(), json!(values));
        }
    }
    Value::Object(object).to_string()
}
