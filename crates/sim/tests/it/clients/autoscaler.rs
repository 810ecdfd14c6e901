//! An autoscaler: what it reads and writes by the scale subresource, before, during and after an update.

use serde_json::{Value, json};
use serin_sim::WorldConfig;
use serin_sim::cluster::{PODS, REPLICA_SETS, ROLLOUTS};

use super::{Part, patch, path, paused, read, send, two_pauses};
use crate::bench::{Bench, manifests, object_mut, tell};

async fn scale(bench: &Bench) -> Value {
    let place = path(bench, &ROLLOUTS, &bench.name) + "/scale";
    send(bench, "GET", &place, "application/json", "").await.expect("there is a scale")
}

/// Writes the scale as an autoscaler does: all of it, as it was read.
async fn scale_to(bench: &Bench, replicas: i64) {
    let mut scale = scale(bench).await;
    scale["spec"]["replicas"] = json!(replicas);
    let place = path(bench, &ROLLOUTS, &bench.name) + "/scale";
    send(bench, "PUT", &place, "application/json", &scale.to_string()).await.expect("the scale is written");
}

/// Pods that a selector of the form `a=b,c=d` selects, those of a Deployment aside.
fn selected(bench: &Bench, selector: &str) -> i64 {
    let wanted: Vec<(&str, &str)> = selector.split(',').filter_map(|part| part.split_once('=')).collect();
    let pods = bench.cluster().list(&PODS, Some(&bench.namespace));
    let is_selected = |pod: &&std::sync::Arc<Value>| {
        let labels = &pod["metadata"]["labels"];
        labels["rollouts-pod-template-hash"].is_string() && wanted.iter().all(|(key, value)| labels[*key] == *value)
    };
    pods.iter().filter(is_selected).count() as i64
}

/// Wanted pods by revision, newest first.
fn sizes(bench: &Bench) -> Vec<i64> {
    let mut sets = bench.cluster().list(&REPLICA_SETS, Some(&bench.namespace));
    sets.retain(|set| set["metadata"]["annotations"]["rollout.argoproj.io/revision"].is_string());
    sets.sort_by_key(|set| set["metadata"]["annotations"]["rollout.argoproj.io/revision"].as_str().map(str::to_owned));
    sets.iter().rev().map(|set| set["spec"]["replicas"].as_i64().unwrap_or(-1)).collect()
}

/// The scale speaks of the pods that its selector selects.
async fn check(bench: &Bench, replicas: i64, pods: i64, case: &str) {
    let scale = scale(bench).await;
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]["replicas"]), (&json!(replicas), &json!(pods)), "{case}");
    let selector = scale["status"]["selector"].as_str().expect("a selector as text");
    assert_eq!(selected(bench, selector), pods, "{case}: {selector}");
}

#[test]
fn a_canary_is_scaled_at_any_time() {
    tell(async {
        let mut bench = Bench::up(&two_pauses(), WorldConfig::default()).await;
        check(&bench, 3, 3, "at rest").await;
        scale_to(&bench, 5).await;
        bench.healthy().await;
        bench.pass(30).await;
        check(&bench, 5, 5, "scaled at rest").await;
        bench.deploy("v2");
        bench.phase_is("Paused").await;
        check(&bench, 5, 6, "in the update").await;
        scale_to(&bench, 10).await;
        bench.pass(30).await;
        assert_eq!((sizes(&bench), bench.weight()), (vec![2, 10], 20));
        check(&bench, 10, 12, "scaled in the update").await;
        scale_to(&bench, 3).await;
        bench.pass(60).await;
        assert_eq!((sizes(&bench), bench.weight()), (vec![1, 3], 20));
        patch(&bench, Part::Status, r#"{"status":{"abort":true}}"#).await;
        bench.phase_is("Degraded").await;
        scale_to(&bench, 6).await;
        bench.pass(120).await;
        assert_eq!(sizes(&bench), [0, 6], "what is aborted is scaled too");
        check(&bench, 6, 6, "after the abort").await;
        bench.assert_all_routed("an autoscaler");
    });
}

#[test]
fn a_paused_rollout_is_scaled() {
    tell(async {
        let mut bench = paused(&two_pauses()).await;
        patch(&bench, Part::Main, r#"{"spec":{"paused":true}}"#).await;
        bench.settle().await;
        scale_to(&bench, 6).await;
        bench.pass(60).await;
        assert_eq!((sizes(&bench), bench.weight()), (vec![2, 6], 20));
    });
}

#[test]
fn blue_green_reports_the_active_revision() {
    tell(async {
        let mut bench = Bench::up(&manifests("blue_green"), WorldConfig::default()).await;
        check(&bench, 3, 3, "at rest").await;
        bench.deploy("v2");
        bench.phase_is("Paused").await;
        check(&bench, 3, 3, "the preview does not count").await;
        scale_to(&bench, 4).await;
        bench.healthy().await;
        check(&bench, 4, 4, "after the switch").await;
        bench.assert_all_routed("an autoscaler");
    });
}

#[test]
fn replicas_that_nobody_sets_are_written_for_the_autoscaler() {
    tell(async {
        let mut all = two_pauses();
        let spec = object_mut(&mut all, "Rollout")["spec"].as_object_mut().expect("a spec");
        spec.remove("replicas");
        let bench = Bench::up(&all, WorldConfig::default()).await;
        assert_eq!(read(&bench, &ROLLOUTS, &bench.name).await["spec"]["replicas"], 1);
        check(&bench, 1, 1, "one by default").await;
    });
}
