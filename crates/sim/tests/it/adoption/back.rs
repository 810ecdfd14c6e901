//! The way back: what Serin leaves is what the other controller would have left, so that it goes on as well.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use serin_sim::cluster::{ANALYSIS_RUNS, REPLICA_SETS};

use super::{HASH, INSTANCE, STEP_HASH, Stand, canary, set};
use crate::bench::{Bench, manifests, object_mut, tell};

/// Serin serves the Rollout from the beginning.
pub(super) async fn ours(bench: &mut Bench) {
    bench.patch(&json!({"metadata": {"labels": {INSTANCE: "serin"}}}));
    bench.healthy().await;
    bench.open_streams().await;
}

/// Everything that the other controller reads to know where it is, as it would have written it.
#[track_caller]
fn is_readable(bench: &Bench, case: &str) {
    let rollout = bench.rollout();
    let status = &rollout["status"];
    let sets = bench.cluster().list(&REPLICA_SETS, Some(&bench.namespace));
    let sets: Vec<_> = sets.iter().filter(|set| set["metadata"]["labels"][HASH].is_string()).collect();
    let hashes: BTreeSet<&str> = sets.iter().filter_map(|set| set["metadata"]["labels"][HASH].as_str()).collect();
    for field in ["currentPodHash", "stableRS"] {
        let hash = status[field].as_str().unwrap_or_default();
        assert!(hashes.contains(hash), "{case}: {field} {hash} is that of a ReplicaSet");
    }
    for set in &sets {
        let (metadata, spec) = (&set["metadata"], &set["spec"]);
        let hash = metadata["labels"][HASH].as_str().unwrap_or_default();
        let name = metadata["name"].as_str().unwrap_or_default();
        assert_eq!(name, format!("{}-{hash}", bench.name), "{case}");
        assert_eq!(spec["selector"]["matchLabels"][HASH], hash, "{case}");
        assert_eq!(spec["template"]["metadata"]["labels"][HASH], hash, "{case}");
        assert_eq!(metadata["ownerReferences"][0]["uid"], rollout["metadata"]["uid"], "{case}");
        assert_eq!(metadata["ownerReferences"][0]["controller"], true, "{case}");
        let number = metadata["annotations"]["rollout.argoproj.io/revision"].as_str().unwrap_or_default();
        assert!(number.parse::<i64>().is_ok_and(|number| number > 0), "{case}: {name} has revision {number}");
        if [&status["currentPodHash"], &status["stableRS"]].contains(&&json!(hash)) {
            let desired = &metadata["annotations"]["rollout.argoproj.io/desired-replicas"];
            assert_eq!(
                *desired,
                rollout["spec"]["replicas"].to_string(),
                "{case}: {name} is not taken for one to be scaled"
            );
        }
        if let Some(text) = metadata["annotations"]["rollout.argoproj.io/ephemeral-metadata"].as_str() {
            let injected: Value = serde_json::from_str(text).unwrap_or_default();
            for (key, value) in injected["labels"].as_object().into_iter().flatten() {
                assert_eq!(
                    spec["template"]["metadata"]["labels"][key], *value,
                    "{case}: {name} carries what its record says"
                );
            }
        }
        if let Some(deadline) = metadata["annotations"]["scale-down-deadline"].as_str() {
            assert!(
                chrono::DateTime::parse_from_rfc3339(deadline).is_ok() && deadline.ends_with('Z'),
                "{case}: {deadline}"
            );
        }
    }
    assert_eq!(status["observedGeneration"], rollout["metadata"]["generation"].to_string(), "{case}");
    let workload = &rollout["metadata"]["annotations"]["rollout.argoproj.io/workload-generation"];
    assert_eq!(*workload, status["workloadObservedGeneration"], "{case}");
    if rollout["spec"]["strategy"]["canary"]["steps"].is_array() {
        assert_eq!(status["currentStepHash"], STEP_HASH, "{case}: the steps are those that were begun");
    }
    let is_paused = status["pauseConditions"].as_array().is_some_and(|pauses| !pauses.is_empty());
    assert_eq!(status["controllerPause"] == true, is_paused, "{case}: nobody has ended the pause");
    assert_eq!(
        status["abort"] == true,
        status["abortedAt"].is_string(),
        "{case}: an abort has a time, and no other has"
    );
    for run in bench.cluster().list(&ANALYSIS_RUNS, Some(&bench.namespace)) {
        let labels = &run["metadata"]["labels"];
        assert!(hashes.contains(labels[HASH].as_str().unwrap_or_default()), "{case}: {labels}");
        assert_eq!(labels["rollout-type"], "Background", "{case}");
        assert_eq!(run["metadata"]["ownerReferences"][0]["uid"], rollout["metadata"]["uid"], "{case}");
    }
}

#[test]
fn every_phase_can_be_handed_back() {
    tell(async {
        let mut all = canary();
        let analysis = manifests("short").iter_mut().find(|m| m.object["kind"] == "Rollout").expect("one").object
            ["spec"]["strategy"]["canary"]["analysis"]
            .clone();
        object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"]["analysis"] = analysis;
        let mut bench = set(&all);
        ours(&mut bench).await;
        is_readable(&bench, "at rest");
        assert_eq!(bench.status("/stableRS"), "9dcbc9ff", "the hash that Argo Rollouts 1.9 gives to this template");
        bench.deploy("v2");
        bench.step_is(1).await;
        bench.pass(120).await;
        is_readable(&bench, "in a pause, analysed");
        assert_eq!(bench.status("/currentPodHash"), "8bb7cff86", "the hash that Argo Rollouts 1.9 gives to this one");
        bench.patch(&json!({"status": {"pauseConditions": null}}));
        bench.step_is(3).await;
        bench.pass(60).await;
        is_readable(&bench, "in a pause of some time");
        bench.patch(&json!({"status": {"abort": true}}));
        bench.phase_is("Degraded").await;
        bench.pass(5).await;
        is_readable(&bench, "aborted, with pods");
        bench.pass(60).await;
        is_readable(&bench, "aborted");
        bench.patch(&json!({"status": {"abort": false}}));
        bench.step_is(1).await;
        bench.pass(5).await;
        is_readable(&bench, "retried");
        bench.patch(&json!({"status": {"promoteFull": true}}));
        bench.healthy().await;
        is_readable(&bench, "promoted, with old pods");
        bench.pass(60).await;
        is_readable(&bench, "promoted");
        bench.assert_all_routed("all phases");
    });
}

#[test]
fn whoever_gave_it_back_touches_it_no_more_and_may_have_it_again() {
    tell(async {
        let mut bench = set(&canary());
        ours(&mut bench).await;
        bench.deploy("v2");
        bench.step_is(1).await;
        bench.pass(30).await;
        let before = Stand::of(&bench);
        bench.patch(&json!({"metadata": {"labels": {INSTANCE: null}}}));
        bench.settle().await;
        let writes = bench.cluster().writes().len();
        bench.pass(300).await;
        assert_eq!(bench.cluster().writes().len(), writes, "nobody writes");
        assert_eq!(Stand::of(&bench), before);
        bench.patch(&json!({"metadata": {"labels": {INSTANCE: "serin"}}}));
        bench.pass(60).await;
        assert_eq!(Stand::of(&bench), before);
        bench.patch(&json!({"status": {"pauseConditions": null}}));
        bench.step_is(3).await;
        bench.assert_all_routed("there and back");
    });
}
