//! What workloads become, step by step.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{PodConfig, Workloads};
use crate::clock::SimClock;
use crate::cluster::{Cluster, DEPLOYMENTS, JOBS, PODS, REPLICA_SETS};

fn world() -> (SimClock, Cluster, Workloads) {
    let clock = SimClock::new(DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_000));
    let cluster = Cluster::new(Arc::new(clock.clone()));
    let workloads = Workloads::new(cluster.clone(), PodConfig::default());
    (clock, cluster, workloads)
}

fn settle(clock: &SimClock, workloads: &Workloads) {
    while let Some(due) = workloads.step(clock.now()) {
        clock.set(due);
    }
}

fn deployment(image: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}},
    })
}

#[test]
fn a_deployment_gets_ready_pods_and_follows_its_template() {
    let (clock, cluster, workloads) = world();
    cluster.create(&DEPLOYMENTS, deployment("web:1", 3)).expect("a new name");
    settle(&clock, &workloads);
    let status = cluster.get(&DEPLOYMENTS, "default", "web").expect("it is there")["status"].clone();
    assert_eq!(status["availableReplicas"], 3);
    cluster
        .modify(&DEPLOYMENTS, "default", "web", |d| *d = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": d["metadata"], "spec": deployment("web:2", 2)["spec"], "status": d["status"]}))
        .expect("it is there");
    settle(&clock, &workloads);
    let images: Vec<Value> =
        cluster.list(&PODS, None).iter().map(|pod| pod["spec"]["containers"][0]["image"].clone()).collect();
    assert_eq!(images, [json!("web:2"), json!("web:2")]);
    assert_eq!(cluster.list(&REPLICA_SETS, None).len(), 2, "the old ReplicaSet is kept for a rollback");
}

#[test]
fn a_broken_image_runs_and_is_never_ready() {
    let (clock, cluster, workloads) = world();
    cluster.create(&DEPLOYMENTS, deployment("web:error", 1)).expect("a new name");
    settle(&clock, &workloads);
    let pods = cluster.list(&PODS, None);
    assert_eq!(pods[0]["status"]["phase"], "Running");
    let status = cluster.get(&DEPLOYMENTS, "default", "web").expect("it is there")["status"].clone();
    assert_eq!(status["availableReplicas"], 0);
}

#[test]
fn a_job_ends_as_its_script_says() {
    let (clock, cluster, workloads) = world();
    for (name, script) in [("good", "sleep 5"), ("bad", "sleep 5; exit 1")] {
        let job = json!({
            "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": "default"},
            "spec": {"template": {"spec": {"containers": [{"name": "c", "command": ["sh", "-c"], "args": [script]}]}}},
        });
        cluster.create(&JOBS, job).expect("a new name");
    }
    settle(&clock, &workloads);
    let end = |name: &str| {
        cluster.get(&JOBS, "default", name).expect("it is there")["status"]["conditions"][0]["type"].clone()
    };
    assert_eq!((end("good"), end("bad")), (json!("Complete"), json!("Failed")));
}
