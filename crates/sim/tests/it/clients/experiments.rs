//! Experiments and AnalysisRuns as clients end them, and Experiments as they try them again.

use serde_json::{Value, json};
use serin_sim::cluster::{ANALYSIS_RUNS, EXPERIMENTS};

use super::{MERGE, path, send};
use crate::bench::{Bench, tell};

/// What `kubectl argo rollouts terminate` sends.
const TERMINATE: &str = r#"{"spec":{"terminate":true}}"#;

/// One set of pods, for a time or, with a version that never becomes ready, in vain.
fn experiment(version: &str, duration: Option<&str>) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment",
        "metadata": {"name": "by-hand", "namespace": "shop"},
        "spec": {
            "duration": duration, "scaleDownDelaySeconds": 5, "progressDeadlineSeconds": 30,
            "templates": [{
                "name": "a", "selector": {"matchLabels": {"app": "a"}},
                "template": {
                    "metadata": {"labels": {"app": "a"}},
                    "spec": {"containers": [{"name": "web", "image": format!("registry.example/checkout:{version}")}]},
                },
            }],
        },
    })
}

fn phase(bench: &Bench) -> Value {
    bench.get(&EXPERIMENTS, "by-hand")["status"]["phase"].clone()
}

#[test]
fn terminate_experiment_ends_it() {
    tell(async {
        let mut bench = Bench::of("experiment").await;
        bench.cluster().create(&EXPERIMENTS, experiment("v1", None)).expect("it is accepted");
        bench.wait("Running", |bench| phase(bench) == "Running").await;
        bench.pass(600).await;
        assert_eq!(phase(&bench), "Running", "it has no end of its own");
        let place = path(&bench, &EXPERIMENTS, "by-hand");
        send(&bench, "PATCH", &place, MERGE, TERMINATE).await.expect("it is patched");
        bench.wait("its end", |bench| phase(bench) == "Successful").await;
    });
}

/// Experiments have no status subresource, so that this patch of the whole object takes the status away.
#[test]
fn retry_experiment_begins_anew() {
    tell(async {
        let mut bench = Bench::of("experiment").await;
        bench.cluster().create(&EXPERIMENTS, experiment("error", Some("20s"))).expect("it is accepted");
        bench.wait("its end", |bench| phase(bench) == "Failed").await;
        bench.pass(60).await;
        let place = path(&bench, &EXPERIMENTS, "by-hand");
        send(&bench, "PATCH", &place, MERGE, r#"{"status":null}"#).await.expect("it is patched");
        assert!(phase(&bench).is_null(), "nothing is left of the first time");
        bench.settle().await;
        assert!(["Pending", "Running"].contains(&phase(&bench).as_str().unwrap_or_default()), "{}", phase(&bench));
        bench.wait("its end", |bench| phase(bench) == "Failed").await;
    });
}

#[test]
fn terminate_analysisrun_ends_it_and_with_it_what_waits_for_it() {
    tell(async {
        let mut bench = Bench::of("experiment").await;
        let mut object = experiment("v1", None);
        object["spec"]["analyses"] = json!([{"name": "smoke", "templateName": "smoke", "requiredForCompletion": true, "args": [
            {"name": "seconds", "value": "100000"}, {"name": "stable-hash", "value": "x"}, {"name": "baseline-hash", "value": "x"},
        ]}]);
        bench.cluster().create(&EXPERIMENTS, object).expect("it is accepted");
        let run = |bench: &Bench| bench.get(&ANALYSIS_RUNS, "by-hand-smoke")["status"]["phase"].clone();
        bench.wait("Running", |bench| phase(bench) == "Running").await;
        bench.pass(600).await;
        assert_eq!(run(&bench), "Running");
        let place = path(&bench, &ANALYSIS_RUNS, "by-hand-smoke");
        send(&bench, "PATCH", &place, MERGE, TERMINATE).await.expect("it is patched");
        bench.wait("its end", |bench| phase(bench) != "Running").await;
        assert_eq!(
            (run(&bench), phase(&bench)),
            (json!("Inconclusive"), json!("Inconclusive")),
            "{:#}",
            bench.get(&EXPERIMENTS, "by-hand")
        );
    });
}
