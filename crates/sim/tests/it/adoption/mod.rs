//! Rollouts that Argo Rollouts began: what it leaves in the cluster, and that it goes on under Serin where it stood.
//!
//! Serin runs as an instance with a name here, and the Rollout has none until it is handed over, so that everything can be
//! laid out first as the other controller would have left it.

mod back;
mod experiments;
mod phases;

use std::collections::BTreeMap;

use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};
use serin_core::rollout::observed::Settings;
use serin_sim::cluster::{
    ANALYSIS_RUNS, DEPLOYMENTS, DESTINATION_RULES, PODS, REPLICA_SETS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES,
};
use serin_sim::manifests::Manifest;
use serin_sim::{WorldConfig, stage};

use crate::bench::{Bench, manifests, object_mut, weights};

const INSTANCE: &str = "argo-rollouts.argoproj.io/controller-instance-id";
const HASH: &str = "rollouts-pod-template-hash";

/// Hashes as versions before 1.9 gave them, which Serin cannot compute.
const OLD: &str = "5f6c8d9b7c";
const NEW: &str = "7b4d9f8c66";

/// The hash that all controllers give to the steps of [`steps`].
const STEP_HASH: &str = "84f8f86479";

fn steps() -> Value {
    json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": "10m"}}])
}

/// A revision as the other controller left it.
#[derive(Clone, Copy, Debug)]
struct Set {
    hash: &'static str,
    number: i64,
    version: &'static str,
    replicas: i64,
    /// The role whose metadata was injected, if any was.
    role: Option<&'static str>,
    /// When it is to be scaled to zero, from now, if it waits for that.
    deadline: Option<i64>,
}

const STABLE: Set = Set { hash: OLD, number: 1, version: "v1", replicas: 3, role: Some("stable"), deadline: None };
const CANARY: Set = Set { hash: NEW, number: 2, version: "v2", replicas: 1, role: Some("canary"), deadline: None };

/// The manifests of a canary with roles whose template is in a Deployment, with [`steps`].
fn canary() -> Vec<Manifest> {
    let mut all = manifests("short");
    let strategy = &mut object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"];
    strategy["steps"] = steps();
    strategy.as_object_mut().and_then(|canary| canary.remove("analysis"));
    all
}

/// A world with these manifests in which Serin waits for a Rollout of its own.
fn set(manifests: &[Manifest]) -> Bench {
    let settings = Settings { instance_id: Some("serin".to_owned()), ..Settings::default() };
    Bench::set(manifests, WorldConfig { settings, ..WorldConfig::default() })
}

/// Lays out the ReplicaSets and lets their pods become ready; requests come from then on.
async fn lay_out(bench: &mut Bench, sets: &[Set]) {
    for set in sets {
        let object = replica_set(bench, set);
        bench.cluster().create(&REPLICA_SETS, object).unwrap_or_else(|error| panic!("{error}"));
    }
    bench.pass(30).await;
}

/// A ReplicaSet as the API server stored it: with everything filled in that Kubernetes assumes.
fn replica_set(bench: &Bench, set: &Set) -> Value {
    let rollout = bench.rollout();
    let metadata = &rollout["metadata"];
    let mut template = template(bench);
    let image = format!("registry.example/{}:{}", bench.name, set.version);
    template["spec"]["containers"][0]["image"] = json!(image);
    let written = template["metadata"]["labels"].clone();
    complete(&mut template);
    let mut annotations = json!({
        "rollout.argoproj.io/revision": set.number.to_string(),
        "rollout.argoproj.io/desired-replicas": rollout["spec"]["replicas"].to_string(),
    });
    if let Some(role) = set.role {
        let injected = rollout["spec"]["strategy"]["canary"][format!("{role}Metadata")].clone();
        merge(&mut template["metadata"], &injected);
        annotations["rollout.argoproj.io/ephemeral-metadata"] = json!(injected.to_string());
    }
    if let Some(seconds) = set.deadline {
        annotations["scale-down-deadline"] = json!(after(bench, seconds));
    }
    template["metadata"]["labels"][HASH] = json!(set.hash);
    let mut labels = written;
    labels[HASH] = json!(set.hash);
    let mut selector = rollout["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = json!(set.hash);
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{}", bench.name, set.hash), "namespace": bench.namespace,
            "labels": labels, "annotations": annotations, "ownerReferences": [owner(metadata)],
        },
        "spec": {"replicas": set.replicas, "selector": selector, "template": template},
    })
}

fn owner(metadata: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": metadata["name"], "uid": metadata["uid"],
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The pod template that the Rollout has or refers to.
fn template(bench: &Bench) -> Value {
    let rollout = bench.rollout();
    if rollout["spec"]["template"].is_object() {
        return rollout["spec"]["template"].clone();
    }
    bench.get(&DEPLOYMENTS, &bench.name)["spec"]["template"].clone()
}

/// Fills in what Kubernetes assumes, as the API server does in a ReplicaSet.
fn complete(template: &mut Value) {
    template["metadata"]["creationTimestamp"] = Value::Null;
    let spec = &mut template["spec"];
    let assumed = json!({
        "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler",
        "terminationGracePeriodSeconds": 30, "securityContext": {},
    });
    merge(spec, &assumed);
    let container = &mut spec["containers"][0];
    merge(
        container,
        &json!({
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent", "resources": {},
        }),
    );
    container["ports"][0]["protocol"] = json!("TCP");
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        if value.is_object() && into[key].is_object() {
            merge(&mut into[key], value);
        } else {
            into[key] = value.clone();
        }
    }
}

/// A moment some seconds from now, as it stands in objects.
fn after(bench: &Bench, seconds: i64) -> String {
    (bench.world.now() + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Splits the traffic as the other controller did, and restricts the subsets to their revisions.
fn split(bench: &Bench, weight: i64, canary: &str, stable: &str) {
    let edit = |vs: &mut Value| {
        vs["spec"]["http"][0]["route"][0]["weight"] = json!(100 - weight);
        vs["spec"]["http"][0]["route"][1]["weight"] = json!(weight);
    };
    bench.cluster().modify(&VIRTUAL_SERVICES, &bench.namespace, &bench.name, edit).expect("a VirtualService");
    let edit = |rule: &mut Value| {
        rule["metadata"]["annotations"]["argo-rollouts.argoproj.io/managed-by-rollouts"] = json!(bench.name);
        rule["spec"]["subsets"][0]["labels"][HASH] = json!(stable);
        rule["spec"]["subsets"][1]["labels"][HASH] = json!(canary);
    };
    bench.cluster().modify(&DESTINATION_RULES, &bench.namespace, &bench.name, edit).expect("a DestinationRule");
}

/// Points a Service at a revision.
fn point(bench: &Bench, service: &str, hash: &str) {
    let edit = |service: &mut Value| {
        service["metadata"]["annotations"] = json!({"argo-rollouts.argoproj.io/managed-by-rollouts": bench.name});
        service["spec"]["selector"][HASH] = json!(hash);
    };
    bench.cluster().modify(&SERVICES, &bench.namespace, service, edit).expect("a Service");
}

/// Writes the status, and the annotations, that the other controller left.
fn leave(bench: &Bench, number: i64, status: &Value) {
    let workload = bench.cluster().get(&DEPLOYMENTS, &bench.namespace, &bench.name).ok();
    let workload = workload.map(|workload| workload["metadata"]["generation"].to_string());
    let edit = |rollout: &mut Value| {
        rollout["metadata"]["annotations"]["rollout.argoproj.io/revision"] = json!(number.to_string());
        let mut all = json!({
            "blueGreen": {}, "canary": {}, "selector": format!("app={}", bench.name),
            "observedGeneration": rollout["metadata"]["generation"].to_string(),
        });
        if let Some(generation) = &workload {
            rollout["metadata"]["annotations"]["rollout.argoproj.io/workload-generation"] = json!(generation);
            all["workloadObservedGeneration"] = json!(generation);
        }
        merge(&mut all, status);
        rollout["status"] = all;
    };
    bench.cluster().modify(&ROLLOUTS, &bench.namespace, &bench.name, edit).expect("a Rollout");
}

/// A condition as the other controller writes it, some seconds old.
fn condition(bench: &Bench, kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let at = after(bench, -60);
    json!({
        "type": kind, "status": status, "reason": reason, "message": message, "lastUpdateTime": at, "lastTransitionTime": at,
    })
}

fn weights_left(weight: i64, canary: &str, stable: &str) -> Value {
    json!({
        "canary": {"weight": weight, "podTemplateHash": canary}, "stable": {"weight": 100 - weight, "podTemplateHash": stable},
    })
}

/// Gives the Rollout the label of Serin's instance: from this moment it is Serin's.
async fn hand_over(bench: &mut Bench) {
    bench.patch(&json!({"metadata": {"labels": {INSTANCE: "serin"}}}));
    bench.settle().await;
}

/// What must not change when a Rollout changes hands.
#[derive(Clone, Debug, PartialEq)]
struct Stand {
    /// Name and wanted pods of every ReplicaSet of the Rollout.
    sets: BTreeMap<String, i64>,
    /// Name and UID of every pod.
    pods: BTreeMap<String, String>,
    weights: Vec<Vec<i64>>,
    /// Name and selector of every Service, and the subsets of every DestinationRule that have weight.
    sides: Vec<(String, Value)>,
    /// Name and message of every AnalysisRun that ended.
    runs: BTreeMap<String, String>,
    status: BTreeMap<&'static str, Value>,
}

/// The fields of a status that a change of hands keeps.
const KEPT: [&str; 14] = [
    "/phase",
    "/message",
    "/abort",
    "/abortedAt",
    "/pauseConditions",
    "/controllerPause",
    "/currentPodHash",
    "/currentStepIndex",
    "/currentStepHash",
    "/stableRS",
    "/promoteFull",
    "/canary/weights/canary/weight",
    "/canary/currentBackgroundAnalysisRunStatus/name",
    "/blueGreen",
];

impl Stand {
    fn of(bench: &Bench) -> Self {
        let all = |kind| bench.cluster().list(kind, Some(&bench.namespace));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let has_hash = |object: &&std::sync::Arc<Value>| object["metadata"]["labels"][HASH].is_string();
        let sets = all(&REPLICA_SETS);
        let sets = sets.iter().filter(has_hash);
        let pods = all(&PODS);
        let pods = pods.iter().filter(has_hash);
        let vs = all(&VIRTUAL_SERVICES);
        let services = all(&SERVICES);
        let rules = all(&DESTINATION_RULES);
        let sides =
            services.iter().map(|service| (text(&service["metadata"]["name"]), service["spec"]["selector"].clone()));
        let weights: Vec<Vec<i64>> = vs.iter().flat_map(|vs| weights(vs)).collect();
        let weighty = if weights.first().is_some_and(|split| split[1] == 0) { 1 } else { 2 };
        let subsets = rules.iter().map(|rule| {
            let all = rule["spec"]["subsets"].as_array().cloned().unwrap_or_default();
            (text(&rule["metadata"]["name"]), all.into_iter().take(weighty).collect::<Value>())
        });
        let runs = all(&ANALYSIS_RUNS);
        let ended = runs.iter().filter(|run| run["spec"]["terminate"] == true);
        Stand {
            sets: sets
                .map(|set| (text(&set["metadata"]["name"]), set["spec"]["replicas"].as_i64().unwrap_or(-1)))
                .collect(),
            pods: pods.map(|pod| (text(&pod["metadata"]["name"]), text(&pod["metadata"]["uid"]))).collect(),
            sides: sides.chain(subsets).collect(),
            weights,
            runs: ended.map(|run| (text(&run["metadata"]["name"]), text(&run["status"]["message"]))).collect(),
            status: KEPT.into_iter().map(|field| (field, bench.status(field))).collect(),
        }
    }
}

/// Hands a Rollout over, and holds the cluster to what it was for some time.
async fn changes_nothing(bench: &mut Bench, seconds: i64, case: &str) {
    bench.pass(5).await;
    stage::open_streams(&mut bench.world);
    bench.pass(5).await;
    let before = Stand::of(bench);
    hand_over(bench).await;
    for _ in 0..seconds {
        let now = Stand::of(bench);
        assert_eq!(now, before, "{case}\n{}", bench.told());
        bench.pass(1).await;
    }
    assert_eq!(
        bench.status("/observedGeneration"),
        bench.rollout()["metadata"]["generation"].to_string(),
        "{case}: it is Serin's"
    );
    assert!(bench.status("/serin").is_object(), "{case}: it is Serin's");
}
