//! ReplicaSets as effects: created with the size they need, adopted, scaled, and cleared away when nobody needs them.

use std::collections::BTreeMap;

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use serin_api::labels;

use crate::plan::{Effect, Event, Planned};
use crate::rollout::observed::ReplicaSet;

use super::affinity;
use super::metadata::{inject, wanted};
use super::replicas::{Size, canary_wanted, sizes};
use super::restart;
use super::scene::Scene;
use super::state::{INCONCLUSIVE_EXPERIMENT, INCONCLUSIVE_PAUSE, State};

/// Annotations of the Rollout that are its own, and not copied to its ReplicaSets.
const NOT_COPIED: [&str; 8] = [
    labels::LAST_APPLIED,
    labels::REVISION,
    labels::REVISION_HISTORY,
    labels::DESIRED_REPLICAS,
    labels::NOTIFIED,
    labels::WORKLOAD_GENERATION,
    labels::EPHEMERAL_METADATA,
    labels::SCALE_DOWN_DEADLINE,
];
/// Prefix of annotations that speak to this controller about the Rollout alone.
const OWN_PREFIX: &str = "serin.dev/";

/// What brings the new revision's ReplicaSet into being, and the Rollout's own record of its number.
pub(crate) fn establish(scene: &Scene<'_>, state: &mut State) -> Vec<Planned> {
    let mut effects = Vec::new();
    let number = scene.revision.number.to_string();
    let rollout = &scene.observed.rollout;
    if !scene.spec.replicas_given {
        effects.push(quiet(Effect::SetRolloutReplicas { replicas: scene.spec.replicas }));
    }
    let recorded = rollout.metadata.annotations.as_ref().and_then(|annotations| annotations.get(labels::REVISION));
    let is_new = recorded != Some(&number);
    let mut annotations = note_workload(scene);
    if is_new {
        annotations.insert(labels::REVISION.to_owned(), number.clone());
    }
    if !annotations.is_empty() {
        let event = Event::normal("RolloutUpdated", format!("Rollout updated to revision {number}"));
        effects.push(Planned { effect: Effect::AnnotateRollout { annotations }, event: is_new.then_some(event) });
    }
    match scene.revision.replica_set {
        None => effects.push(create(scene, state)),
        Some(rs) if rs.owned && rs.revision() != scene.revision.number => effects.push(renumber(scene, rs)),
        Some(_) => {}
    }
    effects.extend(adopt(scene));
    effects
}

/// Clients hold the generation of the workload that the Rollout has in its annotation against the one in its status.
fn note_workload(scene: &Scene<'_>) -> BTreeMap<String, String> {
    let Some(workload) = scene.observed.workload.as_ref().and_then(|found| found.present()) else {
        return BTreeMap::new();
    };
    let annotations = scene.observed.rollout.metadata.annotations.as_ref();
    let recorded = annotations.and_then(|annotations| annotations.get(labels::WORKLOAD_GENERATION));
    let generation = workload.generation.to_string();
    if recorded == Some(&generation) {
        return BTreeMap::new();
    }
    BTreeMap::from([(labels::WORKLOAD_GENERATION.to_owned(), generation)])
}

/// What gives the ReplicaSets in use the `minReadySeconds` of the spec, which belongs to no revision, and that of the
/// newest revision the annotations that the Rollout was given since.
pub(crate) fn follow_spec(scene: &Scene<'_>, state: &State) -> Vec<Planned> {
    let newest = scene.new_replica_set().map(|rs| &rs.name);
    let in_use = scene.owned().filter(|rs| state.is_current_or_stable(rs));
    in_use
        .filter_map(|rs| {
            let mut patch = json!({});
            if rs.min_ready_seconds != scene.spec.min_ready_seconds {
                patch["spec"]["minReadySeconds"] = json!(scene.spec.min_ready_seconds);
            }
            let annotations = if newest == Some(&rs.name) { new_annotations(scene, rs) } else { BTreeMap::new() };
            if !annotations.is_empty() {
                patch["metadata"]["annotations"] = json!(annotations);
            }
            let (name, uid) = (rs.name.clone(), rs.uid.clone());
            (patch != json!({})).then(|| quiet(Effect::PatchReplicaSet { name, uid, patch }))
        })
        .collect()
}

/// Annotations of the Rollout that a ReplicaSet does not have yet. What is taken away from the Rollout stays: nobody can tell
/// whose it was.
fn new_annotations(scene: &Scene<'_>, rs: &ReplicaSet) -> BTreeMap<String, String> {
    let mut annotations = copied_annotations(scene);
    annotations.retain(|key, value| rs.annotations.get(key) != Some(value));
    annotations
}

/// Orphans that match the selector are taken over, as what a Rollout of the same name left behind.
fn adopt<'s>(scene: &'s Scene<'_>) -> impl Iterator<Item = Planned> + use<'s> {
    scene.observed.replica_sets.iter().filter(|rs| !rs.owned && !rs.deleting).map(|rs| {
        quiet(Effect::AdoptReplicaSet { name: rs.name.clone(), uid: rs.uid.clone(), owner: owner_reference(scene) })
    })
}

/// What gives every ReplicaSet the size it should have: first those that grow, then those that shrink.
pub(crate) fn resize(scene: &Scene<'_>, state: &State) -> (Vec<Planned>, Vec<Planned>) {
    let mut growing = Vec::new();
    let mut shrinking = Vec::new();
    for size in sizes(scene, state) {
        let Some(rs) = scene.owned().find(|rs| rs.name == size.name) else { continue };
        if !may_resize(scene, state, rs) && !is_surge(scene, state, rs, &size) {
            continue;
        }
        let Some(planned) = resize_one(scene, state, rs, &size) else { continue };
        if size.replicas > rs.replicas { growing.push(planned) } else { shrinking.push(planned) }
    }
    (growing, shrinking)
}

/// A paused Rollout keeps its sizes, unless its own number of replicas was changed meanwhile.
fn may_resize(scene: &Scene<'_>, state: &State, rs: &ReplicaSet) -> bool {
    let inconclusive = [INCONCLUSIVE_PAUSE, INCONCLUSIVE_EXPERIMENT].into_iter().any(|p| state.pause(p).is_some());
    let halted = scene.spec.paused || inconclusive;
    let desired = rs.annotations.get(labels::DESIRED_REPLICAS).filter(|_| state.is_current_or_stable(rs));
    !halted || desired.is_some_and(|desired| *desired != scene.spec.replicas.to_string())
}

/// Whether a lone pod gets another beside it so that it can be restarted, which pauses do not put off.
fn is_surge(scene: &Scene<'_>, state: &State, rs: &ReplicaSet, size: &Size) -> bool {
    rs.replicas == 1 && size.replicas == 2 && restart::surge(scene, state, rs) == 1
}

fn resize_one(scene: &Scene<'_>, state: &State, rs: &ReplicaSet, size: &Size) -> Option<Planned> {
    let mut annotations = BTreeMap::new();
    let deadline = size.deadline.map(|deadline| deadline.to_rfc3339_opts(SecondsFormat::Secs, true));
    if rs.deadline().map(|old| old.to_rfc3339_opts(SecondsFormat::Secs, true)) != deadline {
        annotations.insert(labels::SCALE_DOWN_DEADLINE.to_owned(), deadline);
    }
    let desired = scene.spec.replicas.to_string();
    if state.is_current_or_stable(rs) && rs.annotations.get(labels::DESIRED_REPLICAS) != Some(&desired) {
        annotations.insert(labels::DESIRED_REPLICAS.to_owned(), Some(desired));
    }
    if rs.replicas == size.replicas && annotations.is_empty() {
        return None;
    }
    let event = (rs.replicas != size.replicas).then(|| scaled(rs, size.replicas));
    let effect =
        Effect::ScaleReplicaSet { name: rs.name.clone(), uid: rs.uid.clone(), replicas: size.replicas, annotations };
    Some(Planned { effect, event })
}

fn scaled(rs: &ReplicaSet, to: i32) -> Event {
    let (verb, from, number) = (if to > rs.replicas { "up" } else { "down" }, rs.replicas, rs.revision());
    let message = format!("Scaled {verb} ReplicaSet {} (revision {number}) from {from} to {to}", rs.name);
    Event::normal("ScalingReplicaSet", message)
}

/// ReplicaSets beyond `revisionHistoryLimit`: without pods, oldest first.
pub(crate) fn forget(scene: &Scene<'_>, state: &State) -> Vec<Planned> {
    let old: Vec<&ReplicaSet> = scene.owned().filter(|rs| !state.is_current_or_stable(rs)).collect();
    let limit = usize::try_from(scene.spec.revision_history_limit).unwrap_or(0);
    let surplus = old.len().saturating_sub(limit);
    old.into_iter()
        .filter(|rs| rs.replicas == 0 && rs.replicas_actual == 0 && scene.is_released(rs))
        .take(surplus)
        .map(|rs| quiet(Effect::DeleteReplicaSet { name: rs.name.clone(), uid: rs.uid.clone() }))
        .collect()
}

/// A controller owner reference to the Rollout.
pub(crate) fn owner_reference(scene: &Scene<'_>) -> Value {
    let metadata = &scene.observed.rollout.metadata;
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "name": metadata.name,
        "uid": metadata.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

fn create(scene: &Scene<'_>, state: &mut State) -> Planned {
    let (name, number) = (scene.new_name(), scene.revision.number);
    let replicas = initial_size(scene, state);
    if replicas > 0 {
        let message = format!("Scaled up ReplicaSet {name} (revision {number}) from 0 to {replicas}");
        state.events.push(Event::normal("ScalingReplicaSet", message));
    }
    Planned {
        effect: Effect::CreateReplicaSet { object: object(scene, state, replicas) },
        event: Some(Event::normal("NewReplicaSetCreated", format!("Created ReplicaSet {name} (revision {number})"))),
    }
}

/// With traffic routing or blue-green, or without anything to replace, a revision starts with the pods that its step wants; the
/// basic canary must find room first.
fn initial_size(scene: &Scene<'_>, state: &State) -> i32 {
    let halted = scene.spec.paused || state.aborted.is_some();
    let has_room = scene.spec.canary.routing.is_some() || scene.blue_green.is_some();
    let unhindered = has_room || scene.owned().all(|rs| rs.replicas_actual == 0);
    if halted || !unhindered { 0 } else { canary_wanted(scene, state) }
}

fn object(scene: &Scene<'_>, state: &State, replicas: i32) -> Value {
    let hash = &scene.revision.hash;
    let canary = &scene.spec.canary;
    let is_canary = !state.is_initial() && !state.is_promoted();
    let metadata = if is_canary { &canary.canary_metadata } else { &canary.stable_metadata };
    let (template, mut annotations) = inject(&scene.spec.template, metadata);
    let mut template = affinity::inject(scene, state, &template);
    let mut pod_labels = template.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    pod_labels.insert(labels::POD_TEMPLATE_HASH.to_owned(), json!(hash));
    if template.is_object() {
        template["metadata"]["labels"] = Value::Object(pod_labels.clone());
    }
    annotations.extend(copied_annotations(scene));
    annotations.insert(labels::REVISION.to_owned(), scene.revision.number.to_string());
    annotations.insert(labels::DESIRED_REPLICAS.to_owned(), scene.spec.replicas.to_string());
    json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": scene.new_name(),
            "namespace": scene.observed.rollout.metadata.namespace,
            "labels": written_labels(scene, hash),
            "annotations": annotations,
            "ownerReferences": [owner_reference(scene)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": scene.spec.min_ready_seconds,
            "selector": selector(scene, hash),
            "template": template,
        },
    })
}

/// Labels of the ReplicaSet itself: those of the template as its author wrote it, and the hash.
fn written_labels(scene: &Scene<'_>, hash: &str) -> Map<String, Value> {
    let written = scene.spec.template.pointer("/metadata/labels").and_then(Value::as_object);
    let mut all = written.cloned().unwrap_or_default();
    all.insert(labels::POD_TEMPLATE_HASH.to_owned(), json!(hash));
    all
}

fn selector(scene: &Scene<'_>, hash: &str) -> Value {
    let mut selector = scene.spec.selector.clone();
    if !selector.is_object() {
        selector = json!({});
    }
    selector["matchLabels"][labels::POD_TEMPLATE_HASH] = json!(hash);
    selector
}

fn copied_annotations(scene: &Scene<'_>) -> BTreeMap<String, String> {
    let mut annotations = scene.observed.rollout.metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|key, _| !NOT_COPIED.contains(&key.as_str()) && !key.starts_with(OWN_PREFIX));
    annotations
}

/// A ReplicaSet that carries the newest revision again gets its number, and remembers the old one.
fn renumber(scene: &Scene<'_>, rs: &ReplicaSet) -> Planned {
    let mut history: Vec<String> = rs
        .annotations
        .get(labels::REVISION_HISTORY)
        .map(|text| text.split(',').map(str::to_owned).collect())
        .unwrap_or_default();
    if rs.revision() > 0 {
        history.push(rs.revision().to_string());
    }
    let annotations = json!({
        labels::REVISION: scene.revision.number.to_string(),
        labels::REVISION_HISTORY: Some(history.join(",")).filter(|text| !text.is_empty()),
    });
    quiet(Effect::PatchReplicaSet {
        name: rs.name.clone(),
        uid: rs.uid.clone(),
        patch: json!({"metadata": {"annotations": annotations}}),
    })
}

fn quiet(effect: Effect) -> Planned {
    Planned { effect, event: None }
}

/// The change of every ReplicaSet's template metadata that its role asks for; those without pods are left alone.
pub(crate) fn relabel(scene: &Scene<'_>, state: &State) -> Vec<Planned> {
    scene
        .owned()
        .filter(|rs| rs.replicas > 0 || state.is_current_or_stable(rs))
        .filter(|rs| state.is_current_or_stable(rs) || scene.is_released(rs))
        .filter_map(|rs| super::metadata::relabel_replica_set(scene, rs, wanted(scene, state, rs)))
        .map(quiet)
        .collect()
}
