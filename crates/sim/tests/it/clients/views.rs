//! What clients show: the phase that `kubectl argo rollouts status` waits for, the tree of `get rollout`, and the conditions
//! and fields that `kubectl wait` waits for.

use serde_json::{Value, json};
use serin_sim::WorldConfig;
use serin_sim::cluster::{ANALYSIS_RUNS, PODS, REPLICA_SETS};

use super::{Part, patch, paused, two_pauses};
use crate::bench::{Bench, manifests, tell};

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Phase and message as the plugin shows them: the status has no say before the controller has seen the spec, nor while it
/// has not seen that a pause was ended.
pub(super) fn shown(rollout: &Value) -> (String, String) {
    let status = &rollout["status"];
    let observed = text(&status["observedGeneration"]).parse::<i64>().ok();
    let generation = rollout["metadata"]["generation"].as_i64();
    let paused = status["pauseConditions"].as_array().is_some_and(|pauses| !pauses.is_empty());
    let (phase, message) = if observed.is_some_and(|observed| Some(observed) < generation) {
        ("Progressing", "waiting for rollout spec update to be observed")
    } else if status["controllerPause"] == true && !paused {
        ("Progressing", "waiting for rollout to unpause")
    } else {
        (text(&status["phase"]), text(&status["message"]))
    };
    (phase.to_owned(), message.to_owned())
}

/// Whether `kubectl wait --for=condition=KIND` would end.
fn condition_is_met(rollout: &Value, kind: &str) -> bool {
    let conditions = rollout["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// The rows of the tree for a Rollout's own ReplicaSets: revision, tags and pods, newest first.
fn tree(bench: &Bench) -> Vec<String> {
    let rollout = bench.rollout();
    let is_own = |object: &Value, owner: &Value| {
        object["metadata"]["ownerReferences"]
            .as_array()
            .is_some_and(|owners| owners.iter().any(|reference| reference["uid"] == owner["metadata"]["uid"]))
    };
    let mut rows: Vec<(i64, String)> = Vec::new();
    for set in bench.cluster().list(&REPLICA_SETS, Some(&bench.namespace)) {
        if !is_own(&set, &rollout) {
            continue;
        }
        let revision = text(&set["metadata"]["annotations"]["rollout.argoproj.io/revision"]).parse().unwrap_or(0);
        let pods = bench.cluster().list(&PODS, Some(&bench.namespace)).iter().filter(|pod| is_own(pod, &set)).count();
        let deadline = set["metadata"]["annotations"]["scale-down-deadline"].is_string();
        let delay = if deadline { " delay" } else { "" };
        rows.push((revision, format!("{revision}{} {pods}{delay}", tags(&rollout, &set))));
    }
    rows.sort_by_key(|(revision, _)| std::cmp::Reverse(*revision));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Which roles the tree gives to a ReplicaSet, by the hashes in the status alone.
fn tags(rollout: &Value, set: &Value) -> String {
    let hash = &set["metadata"]["labels"]["rollouts-pod-template-hash"];
    let status = &rollout["status"];
    let mut tags = String::new();
    let is_canary = rollout["spec"]["strategy"]["canary"].is_object();
    if status["stableRS"] == *hash {
        tags += " stable";
    } else if is_canary && status["currentPodHash"] == *hash {
        tags += " canary";
    }
    if status["blueGreen"]["activeSelector"] == *hash {
        tags += " active";
    } else if status["blueGreen"]["previewSelector"] == *hash {
        tags += " preview";
    }
    tags
}

/// The head of the tree: step, weight that was set, weight that is.
fn head(rollout: &Value) -> (String, i64) {
    let steps = rollout["spec"]["strategy"]["canary"]["steps"].as_array().cloned().unwrap_or_default();
    let index = rollout["status"]["currentStepIndex"].as_i64().unwrap_or(-1);
    let weight = &rollout["status"]["canary"]["weights"]["canary"]["weight"];
    let actual = if index == steps.len() as i64 { Some(100) } else { weight.as_i64() };
    (format!("{index}/{}", steps.len()), actual.unwrap_or(-1))
}

#[test]
fn the_tree_shows_a_canary() {
    tell(async {
        let mut bench = paused(&two_pauses()).await;
        assert_eq!(head(&bench.rollout()), ("1/4".to_owned(), 20));
        assert_eq!(tree(&bench), ["2 canary 1", "1 stable 3"]);
        let status = bench.status("");
        let counts = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"].map(|field| &status[field]);
        assert_eq!(counts, [&json!(4), &json!(1), &json!(4), &json!(4)]);
        patch(&bench, Part::Status, r#"{"status":{"promoteFull":true}}"#).await;
        bench.healthy().await;
        assert_eq!(
            (head(&bench.rollout()), tree(&bench)),
            (("4/4".to_owned(), 100), vec!["2 stable 3".into(), "1 3 delay".into()])
        );
        bench.pass(60).await;
        assert_eq!(tree(&bench), ["2 stable 3", "1 0"]);
        bench.deploy("v3");
        bench.phase_is("Paused").await;
        patch(&bench, Part::Status, r#"{"status":{"abort":true}}"#).await;
        bench.phase_is("Degraded").await;
        bench.pass(60).await;
        assert_eq!(
            (head(&bench.rollout()).1, tree(&bench)),
            (0, vec!["3 canary 0".into(), "2 stable 3".into(), "1 0".into()])
        );
    });
}

#[test]
fn the_tree_shows_blue_green() {
    tell(async {
        let mut bench = Bench::of("blue_green").await;
        assert_eq!(tree(&bench), ["1 stable active 3"]);
        bench.deploy("v2");
        bench.phase_is("Paused").await;
        assert_eq!(tree(&bench), ["2 preview 1", "1 stable active 3"]);
        bench.wait("the switch", |bench| bench.status("/blueGreen/activeSelector") != bench.status("/stableRS")).await;
        assert_eq!(tree(&bench), ["2 active 3", "1 stable 3"]);
        bench.healthy().await;
        assert_eq!(tree(&bench), ["2 stable active 3", "1 3 delay"]);
    });
}

#[test]
fn the_tree_shows_analysis_runs_under_their_revision() {
    tell(async {
        let mut bench = Bench::of("short").await;
        bench.deploy("v2");
        bench.step_is(3).await;
        let uid = bench.rollout()["metadata"]["uid"].clone();
        let runs = bench.cluster().list(&ANALYSIS_RUNS, Some(&bench.namespace));
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0]["metadata"]["ownerReferences"][0]["uid"], uid);
        assert_eq!(runs[0]["metadata"]["annotations"]["rollout.argoproj.io/revision"], "2");
        let result = &runs[0]["status"]["metricResults"][0];
        assert!(result["successful"].as_i64() > Some(0), "{result:#}");
        assert!(result["measurements"][0]["value"].is_string(), "{result:#}");
    });
}

/// Everything that a client sees of an update, once each, from before the change until after the end.
async fn seen(file: &str, mut look: impl FnMut(&Value) -> String) -> Vec<String> {
    let mut bench = Bench::up(&manifests(file), WorldConfig::default()).await;
    let mut seen = vec![look(&bench.rollout())];
    bench.deploy("v2");
    let end = bench.world.now() + chrono::TimeDelta::seconds(400);
    let horizon = end;
    let cluster = bench.cluster().clone();
    let (namespace, name) = (bench.namespace.clone(), bench.name.clone());
    let mut note = |seen: &mut Vec<String>| {
        let rollout = cluster.get(&serin_sim::cluster::ROLLOUTS, &namespace, &name).expect("it is there");
        let line = look(&rollout);
        if seen.last() != Some(&line) {
            seen.push(line);
        }
    };
    note(&mut seen);
    let ended = bench.world.run_until(horizon, |_| {
        note(&mut seen);
        false
    });
    ended.await.unwrap_or_else(|error| panic!("{error}"));
    seen
}

#[test]
fn status_waits_from_the_change_to_the_end() {
    for file in ["basic", "services", "blue_green"] {
        tell(async {
            let phases = seen(file, |rollout| shown(rollout).0).await;
            assert_eq!(phases.first().map(String::as_str), Some("Healthy"), "{file}: {phases:?}");
            assert_eq!(phases.last().map(String::as_str), Some("Healthy"), "{file}: {phases:?}");
            assert!(!phases[1..phases.len() - 1].contains(&"Healthy".to_owned()), "{file}: {phases:?}");
            assert!(phases.contains(&"Paused".to_owned()), "{file}: {phases:?}");
        });
    }
}

#[test]
fn status_says_that_a_pause_is_being_ended() {
    tell(async {
        let mut bench = paused(&two_pauses()).await;
        patch(&bench, Part::Status, r#"{"status":{"pauseConditions":null}}"#).await;
        assert_eq!(shown(&bench.rollout()).1, "waiting for rollout to unpause");
        bench.settle().await;
        assert_ne!(shown(&bench.rollout()).1, "waiting for rollout to unpause", "the controller has seen it");
    });
}

#[test]
fn kubectl_wait_ends_when_it_should() {
    let all = ["Available", "Completed", "Healthy", "Paused", "Progressing"];
    let met = |bench: &Bench| {
        let rollout = bench.rollout();
        all.into_iter().filter(|kind| condition_is_met(&rollout, kind)).collect::<Vec<_>>()
    };
    tell(async {
        let mut bench = Bench::up(&two_pauses(), WorldConfig::default()).await;
        assert_eq!(met(&bench), ["Available", "Completed", "Healthy", "Progressing"]);
        bench.deploy("v2");
        bench.settle().await;
        assert_eq!(met(&bench), ["Available", "Progressing"], "an update has begun");
        bench.phase_is("Paused").await;
        assert_eq!(met(&bench), ["Available", "Paused"]);
        patch(&bench, Part::Status, r#"{"status":{"abort":true}}"#).await;
        bench.phase_is("Degraded").await;
        assert_eq!(met(&bench), ["Available"]);
        bench.deploy("v1");
        bench.healthy().await;
        assert_eq!(met(&bench), ["Available", "Completed", "Healthy", "Progressing"]);
        let fields = ["/phase", "/observedGeneration", "/currentStepIndex"].map(|field| bench.status(field));
        let generation = bench.rollout()["metadata"]["generation"].to_string();
        assert_eq!(fields, [json!("Healthy"), json!(generation), json!(4)], "what --for=jsonpath reads");
    });
}
