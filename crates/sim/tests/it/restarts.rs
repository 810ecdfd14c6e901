//! Restarts and rollbacks in a whole cluster: every pod is replaced, budgets are kept, and no request is lost.

use serde_json::{Value, json};
use serin_sim::WorldConfig;
use serin_sim::cluster::{POD_DISRUPTION_BUDGETS, PODS};

use crate::bench::{Bench, manifest, manifests, object_mut, tell};

/// Names of the Rollout's pods.
fn pods(bench: &Bench) -> Vec<String> {
    let mut all = bench.cluster().list(&PODS, Some(&bench.namespace));
    all.retain(|pod| !pod["metadata"]["labels"]["rollouts-pod-template-hash"].is_null());
    all.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

fn restart(bench: &mut Bench) {
    let now = bench.world.now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    bench.patch(&json!({"spec": {"restartAt": now}}));
}

async fn restarted(bench: &mut Bench) {
    bench.wait("the end of the restart", |b| b.status("/restartedAt") == b.rollout()["spec"]["restartAt"]).await;
}

#[test]
fn a_restart_replaces_every_pod_and_loses_no_request() {
    for (file, replicas) in [("short", 3), ("short", 1), ("services", 2), ("blue_green", 3), ("blue_green", 1)] {
        let mut all = manifests(file);
        object_mut(&mut all, "Rollout")["spec"]["replicas"] = json!(replicas);
        tell(async {
            let mut bench = Bench::up(&all, WorldConfig::default()).await;
            bench.pass(5).await;
            let before = pods(&bench);
            restart(&mut bench);
            restarted(&mut bench).await;
            bench.healthy().await;
            bench.pass(10).await;
            let after = pods(&bench);
            assert_eq!(after.len(), before.len(), "{file}, {replicas}");
            assert!(after.iter().all(|pod| !before.contains(pod)), "{file}, {replicas}: {before:?} {after:?}");
            bench.assert_all_routed(file);
        });
    }
}

#[test]
fn a_disruption_budget_has_the_last_word() {
    let mut all = manifests("basic");
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "cart"},
        "spec": {"minAvailable": 5, "selector": {"matchLabels": {"app": "cart"}}},
    });
    all.push(manifest(budget));
    object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"]["maxUnavailable"] = json!("100%");
    tell(async {
        let mut bench = Bench::up(&all, WorldConfig::default()).await;
        bench.pass(5).await;
        let before = pods(&bench);
        restart(&mut bench);
        bench.pass(60).await;
        assert_eq!((pods(&bench), bench.message()), (before.clone(), "rollout is restarting".to_owned()));
        bench.cluster().delete(&POD_DISRUPTION_BUDGETS, &bench.namespace, "cart").expect("it is there");
        bench.wait("nobody", |bench| bench.status("/availableReplicas") != 5).await;
        restarted(&mut bench).await;
        bench.healthy().await;
        assert!(pods(&bench).iter().all(|pod| !before.contains(pod)));
    });
}

#[test]
fn a_rollback_within_the_window_loses_no_request() {
    for file in ["short", "services", "basic"] {
        tell(async {
            let mut bench = Bench::of(file).await;
            bench.patch(&json!({"spec": {"rollbackWindow": {"revisions": 1}}}));
            let first = bench.status("/stableRS");
            bench.deploy("v2");
            bench.settle().await;
            bench.annotate("serin.dev/promote-full", "now");
            bench.healthy().await;
            bench.pass(60).await;
            bench.entries.clear();
            bench.deploy("v1");
            bench.healthy().await;
            assert_eq!(bench.status("/stableRS"), first, "{file}");
            assert_eq!(bench.status("/duration/completionStatus"), Value::from("Promoted"), "{file}");
            assert_eq!((bench.events("SkipSteps"), bench.events("RolloutPaused")), (1, 0), "{file}: {}", bench.told());
            bench.pass(60).await;
            bench.assert_all_routed(file);
        });
    }
}
