//! `kubectl argo rollouts undo`: the pod template of an earlier ReplicaSet, as that carries it, put back where it belongs.

use serde_json::{Value, json};
use serin_sim::WorldConfig;
use serin_sim::cluster::{DEPLOYMENTS, REPLICA_SETS, ROLLOUTS, Resource};
use serin_sim::manifests::Manifest;

use super::{own_template, path, send, two_pauses};
use crate::bench::{Bench, manifests, tell};

/// Number of a ReplicaSet's revision.
fn revision(set: &Value) -> i64 {
    let text = set["metadata"]["annotations"]["rollout.argoproj.io/revision"].as_str().unwrap_or_default();
    text.parse().unwrap_or(0)
}

/// Puts back the template of the last revision but one, or of the one named, without the label of its hash.
async fn undo(bench: &Bench, target: &Resource, to_revision: Option<i64>) {
    let mut sets = bench.cluster().list(&REPLICA_SETS, Some(&bench.namespace));
    let uid = bench.rollout()["metadata"]["uid"].clone();
    sets.retain(|set| set["metadata"]["ownerReferences"][0]["uid"] == uid);
    sets.sort_by_key(|set| std::cmp::Reverse(revision(set)));
    let wanted = match to_revision {
        Some(number) => sets.iter().find(|set| revision(set) == number),
        None => sets.get(1),
    };
    let mut template = wanted.expect("a revision")["spec"]["template"].clone();
    template["metadata"]["labels"].as_object_mut().and_then(|labels| labels.remove("rollouts-pod-template-hash"));
    // Clients with older libraries write the time of creation as null.
    template["metadata"]["creationTimestamp"] = Value::Null;
    let body = json!([{"op": "replace", "path": "/spec/template", "value": template}]).to_string();
    let place = path(bench, target, &bench.name);
    send(bench, "PATCH", &place, "application/json-patch+json", &body).await.expect("it is patched");
}

fn hashes(bench: &Bench) -> Vec<String> {
    let sets = bench.cluster().list(&REPLICA_SETS, Some(&bench.namespace));
    sets.iter()
        .filter_map(|set| Some(set["metadata"]["labels"]["rollouts-pod-template-hash"].as_str()?.to_owned()))
        .collect()
}

/// The manifests, and the object that holds the pod template.
fn shapes() -> Vec<(&'static str, Vec<Manifest>, &'static Resource)> {
    vec![
        ("roles, the template in the Rollout", own_template(), &ROLLOUTS),
        ("roles, a Deployment", two_pauses(), &DEPLOYMENTS),
        ("services", manifests("services"), &ROLLOUTS),
        ("basic", manifests("basic"), &ROLLOUTS),
        ("blue-green", manifests("blue_green"), &ROLLOUTS),
    ]
}

#[test]
fn undo_finds_the_revision_before_again() {
    for (case, all, target) in shapes() {
        tell(async {
            let mut bench = Bench::up(&all, WorldConfig::default()).await;
            let first = bench.status("/stableRS");
            bench.deploy("v2");
            bench.settle().await;
            bench.patch(&json!({"status": {"promoteFull": true}}));
            bench.healthy().await;
            bench.pass(300).await;
            let before = hashes(&bench);
            undo(&bench, target, None).await;
            bench.settle().await;
            assert_eq!(bench.status("/currentPodHash"), first, "{case}: v1 is under its old name");
            bench.patch(&json!({"status": {"promoteFull": true}}));
            bench.healthy().await;
            bench.pass(300).await;
            assert_eq!(hashes(&bench), before, "{case}: no ReplicaSet is new");
            assert_eq!(bench.status("/stableRS"), first, "{case}");
            bench.assert_all_routed(case);
        });
    }
}

#[test]
fn undo_in_mid_update_goes_back_to_stable_at_once() {
    for (case, all, target) in shapes() {
        tell(async {
            let mut bench = Bench::up(&all, WorldConfig::default()).await;
            let first = bench.status("/stableRS");
            bench.deploy("v2");
            bench.phase_is("Paused").await;
            undo(&bench, target, Some(1)).await;
            bench.healthy().await;
            bench.pass(300).await;
            assert_eq!((bench.status("/stableRS"), hashes(&bench).len()), (first, 2), "{case}");
            bench.assert_all_routed(case);
        });
    }
}
