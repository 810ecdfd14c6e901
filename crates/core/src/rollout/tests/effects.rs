//! How effects come true in a [`World`]: objects take their patches, pods follow their ReplicaSets.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use serin_api::{AnalysisRun, labels};

use super::world::{World, image, key};
use crate::plan::Effect;
use crate::rollout::observed::{Found, Pod, Raw, ReplicaSet, Writer};

impl World {
    /// Applies one effect.
    pub(super) fn bring_about(&mut self, effect: &Effect) {
        match effect {
            Effect::SetRolloutReplicas { replicas } => self.patch(&json!({"spec": {"replicas": replicas}})),
            Effect::AnnotateRollout { annotations } => self.patch(&json!({"metadata": {"annotations": annotations}})),
            Effect::CreateReplicaSet { object } => self.create(object),
            Effect::AdoptReplicaSet { name, .. } => self.named(name).owned = true,
            Effect::ScaleReplicaSet { name, replicas, annotations, .. } => {
                let patch = json!({"metadata": {"annotations": annotations}});
                let rs = self.named(name);
                rs.replicas = *replicas;
                merge_replica_set(rs, &patch);
            }
            Effect::PatchReplicaSet { name, patch, .. } => merge_replica_set(self.named(name), patch),
            Effect::DeleteReplicaSet { name, .. } => self.observed.replica_sets.retain(|rs| rs.name != *name),
            Effect::RelabelPod { name, labels, annotations, .. } => {
                let now = self.observed.now;
                let pod = self.observed.pods.iter_mut().find(|pod| pod.name == *name).expect("a pod");
                merge_map(&mut pod.labels, &json!(labels));
                merge_map(&mut pod.annotations, &json!(annotations));
                pod.seen_at = now;
            }
            Effect::EvictPod { name, .. } => {
                if !self.protected {
                    self.observed.pods.retain(|pod| pod.name != *name);
                }
            }
            Effect::ScaleDeployment { .. } if self.protected => {}
            Effect::ScaleDeployment { replicas, .. } => {
                let Some(Found::Present(workload)) = &mut self.observed.workload else { panic!("there is none") };
                workload.replicas = Some(*replicas);
                workload.generation += 1;
            }
            Effect::ApplyRoutes { name, patch, .. } => {
                let found = self.observed.virtual_services.get_mut(&key(name)).expect("a VirtualService");
                change(found, &mut self.versions, self.observed.now, |object| json_patched(object, patch));
            }
            Effect::ApplySubsets { patch, .. } => {
                let found = self.observed.destination_rule.as_mut().expect("a DestinationRule");
                change(found, &mut self.versions, self.observed.now, |object| json_patched(object, patch));
            }
            Effect::SwitchService { name, patch } => {
                let found = self.observed.services.get_mut(name).expect("a Service");
                change(found, &mut self.versions, self.observed.now, |object| json_patch::merge(object, patch));
            }
            Effect::CreateAnalysisRun { object } => self.create_run(object),
            Effect::ClaimAnalysisRun { name, instance, .. } => {
                let found = self.observed.analysis_runs.iter_mut().find(|r| r.metadata.name.as_deref() == Some(name));
                hand_over(&mut Arc::make_mut(found.expect("a run")).metadata.labels, instance.as_ref());
            }
            Effect::TerminateAnalysisRun { name } => {
                self.report(name, "Successful", "terminated");
                let found = self.observed.analysis_runs.iter_mut().find(|r| r.metadata.name.as_deref() == Some(name));
                Arc::make_mut(found.expect("a run")).spec.terminate = true;
            }
            Effect::DeleteAnalysisRun { name, .. } => {
                self.observed.analysis_runs.retain(|run| run.metadata.name.as_deref() != Some(name));
            }
            Effect::CreateExperiment { object } => self.create_experiment(object),
            Effect::ClaimExperiment { name, instance, .. } => self.hand_over_experiment(name, instance.as_ref()),
            Effect::TerminateExperiment { name } => self.terminate_experiment(name),
            Effect::DeleteExperiment { name, .. } => self.delete_experiment(name),
            Effect::CreateService { .. } | Effect::DeleteService { .. } => panic!("a Rollout makes no Services"),
            Effect::DeleteJob { name, .. } => panic!("a Rollout has no Jobs, and none of the name {name}"),
        }
        self.let_live();
    }

    /// Somebody else restricts a Service to a hash, or lifts that.
    pub(super) fn point(&mut self, service: &str, hash: Option<&str>) {
        let found = self.observed.services.get_mut(service).expect("a Service");
        let patch = json!({"spec": {"selector": {labels::POD_TEMPLATE_HASH: hash}}});
        change(found, &mut self.versions, self.observed.now, |object| json_patch::merge(object, &patch));
    }

    fn named(&mut self, name: &str) -> &mut ReplicaSet {
        self.observed.replica_sets.iter_mut().find(|rs| rs.name == name).expect("a ReplicaSet")
    }

    fn create(&mut self, object: &Value) {
        let name = text(object, "/metadata/name");
        if self.observed.replica_sets.iter().any(|rs| rs.name == name) {
            return;
        }
        self.observed.replica_sets.push(replica_set(object, self.observed.now));
    }

    fn create_run(&mut self, object: &Value) {
        let mut run: AnalysisRun = serde_json::from_value(object.clone()).expect("a run");
        let name = run.metadata.name.clone().expect("a name");
        if self.runs().contains(&name.as_str()) {
            return;
        }
        run.metadata.uid = Some(format!("uid-{name}"));
        self.observed.analysis_runs.push(Arc::new(run));
    }

    /// Pods follow their ReplicaSets, and are ready unless their image is broken.
    pub(super) fn let_live(&mut self) {
        let now = self.observed.now;
        for rs in &mut self.observed.replica_sets {
            let is_ready = !self.broken.contains(image(&rs.template));
            let ready_max = self.ready_max.get(image(&rs.template)).copied().unwrap_or(usize::MAX);
            follow(rs, &mut self.observed.pods, if is_ready { ready_max } else { 0 }, now);
        }
        self.observed.pods.retain(|pod| self.observed.replica_sets.iter().any(|rs| rs.name == pod.replica_set));
        self.let_experiments_live();
    }
}

/// Gives an object the label of an instance, or takes it away.
pub(super) fn hand_over(all: &mut Option<BTreeMap<String, String>>, instance: Option<&String>) {
    let all = all.get_or_insert_default();
    match instance {
        Some(instance) => all.insert(labels::INSTANCE_ID.to_owned(), instance.clone()),
        None => all.remove(labels::INSTANCE_ID),
    };
}

/// What decisions see of a ReplicaSet that was just created.
pub(super) fn replica_set(object: &Value, now: DateTime<Utc>) -> ReplicaSet {
    let name = text(object, "/metadata/name");
    ReplicaSet {
        uid: format!("uid-{name}"),
        name,
        owned: true,
        hash: text(object, &format!("/metadata/labels/{}", labels::POD_TEMPLATE_HASH)),
        created: now,
        deleting: false,
        settled: true,
        min_ready_seconds: i32::try_from(object["spec"]["minReadySeconds"].as_i64().unwrap_or(0)).expect("few"),
        replicas: i32::try_from(object["spec"]["replicas"].as_i64().expect("replicas")).expect("few"),
        replicas_actual: 0,
        replicas_ready: 0,
        replicas_available: 0,
        failure: None,
        labels: map(&object["metadata"]["labels"]),
        annotations: map(&object["metadata"]["annotations"]),
        template: Arc::new(object["spec"]["template"].clone()),
    }
}

/// Pods follow their ReplicaSet; no more than some of them are ready.
pub(super) fn follow(rs: &mut ReplicaSet, pods: &mut Vec<Pod>, ready_max: usize, now: DateTime<Utc>) {
    let mut own: Vec<Pod> = Vec::new();
    pods.retain(|pod| {
        let is_own = pod.replica_set == rs.name;
        if is_own {
            own.push(pod.clone());
        }
        !is_own
    });
    own.truncate(usize::try_from(rs.replicas).expect("not negative"));
    for number in own.len()..usize::try_from(rs.replicas).expect("not negative") {
        own.push(Pod {
            name: format!("{}-{number}-{}", rs.name, now.timestamp()),
            uid: format!("uid-{}-{number}-{}", rs.name, now.timestamp()),
            replica_set: rs.name.clone(),
            created: now,
            labels: map(&rs.template["metadata"]["labels"]),
            annotations: map(&rs.template["metadata"]["annotations"]),
            ready: number < ready_max,
            terminating: false,
            seen_at: now,
        });
    }
    for (number, pod) in own.iter_mut().enumerate() {
        let is_ready = number < ready_max;
        if pod.ready != is_ready {
            (pod.ready, pod.seen_at) = (is_ready, now);
        }
    }
    let ready = i32::try_from(own.iter().filter(|pod| pod.ready).count()).expect("few");
    rs.replicas_actual = rs.replicas;
    (rs.replicas_ready, rs.replicas_available) = (ready, ready);
    pods.append(&mut own);
}

fn text(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn map(value: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(value.clone()).unwrap_or_default()
}

fn merge_map(map: &mut BTreeMap<String, String>, patch: &Value) {
    let mut value = json!(map);
    json_patch::merge(&mut value, patch);
    *map = serde_json::from_value(value).expect("a map");
}

pub(super) fn merge_replica_set(rs: &mut ReplicaSet, patch: &Value) {
    merge_map(&mut rs.annotations, &patch["metadata"]["annotations"].as_object().map_or(json!({}), |m| json!(m)));
    if let Some(seconds) = patch.pointer("/spec/minReadySeconds").and_then(Value::as_i64) {
        rs.min_ready_seconds = i32::try_from(seconds).expect("few");
    }
    let mut template = (*rs.template).clone();
    if let Some(change) = patch.pointer("/spec/template") {
        json_patch::merge(&mut template, change);
    }
    rs.template = Arc::new(template);
}

fn json_patched(object: &mut Value, patch: &[Value]) {
    let patch: json_patch::Patch = serde_json::from_value(json!(patch)).expect("a patch");
    json_patch::patch(object, &patch).expect("the patch applies");
}

fn change(found: &mut Found<Raw>, versions: &mut u64, now: DateTime<Utc>, edit: impl FnOnce(&mut Value)) {
    let Found::Present(raw) = found else { panic!("the object is not there") };
    let mut object = (*raw.object).clone();
    edit(&mut object);
    *versions += 1;
    let version = versions.to_string();
    object["metadata"]["resourceVersion"] = json!(version);
    *raw = Raw { object: Arc::new(object), version, seen_at: now, writer: Writer::Own };
}
