//! Experiments follow their Rollout from one controller to another, with their pods, their share and their analyses.

use serde_json::{Value, json};
use serin_sim::cluster::{ANALYSIS_RUNS, EXPERIMENTS, PODS, Resource};

use super::back::ours;
use super::{INSTANCE, hand_over, set};
use crate::bench::{Bench, manifests, object_mut, tell};

/// Names and instances of all objects of a kind.
fn instances(bench: &Bench, kind: &Resource) -> Vec<(String, Value)> {
    let all = bench.cluster().list(kind, Some(&bench.namespace));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    all.iter().map(|one| (text(&one["metadata"]["name"]), one["metadata"]["labels"][INSTANCE].clone())).collect()
}

/// Takes the label off everything, as somebody does who goes back to the other controller.
async fn give_back(bench: &mut Bench) {
    let label = json!({"metadata": {"labels": {INSTANCE: null}}});
    bench.patch(&label);
    for kind in [&EXPERIMENTS, &ANALYSIS_RUNS] {
        for (name, _) in instances(bench, kind) {
            bench.cluster().patch_merge(kind, &bench.namespace, &name, &label).expect("it is there");
        }
    }
    bench.settle().await;
}

/// Version v2 stands in an experiment that has its share; `duration` is how long it takes.
async fn in_experiment(duration: Option<&str>) -> Bench {
    let mut all = manifests("experiment");
    object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"]["steps"][1]["experiment"]["duration"] =
        json!(duration);
    let mut bench = set(&all);
    ours(&mut bench).await;
    bench.deploy("v2");
    bench.wait("its share", |bench| bench.destinations() == [[55, 20, 10, 15]]).await;
    bench.wait("an analysis", |bench| !instances(bench, &ANALYSIS_RUNS).is_empty()).await;
    bench
}

#[test]
fn an_experiment_under_way_is_taken_along_with_its_analyses() {
    tell(async {
        let mut bench = in_experiment(Some("40s")).await;
        give_back(&mut bench).await;
        let (writes, pods) = (bench.cluster().writes().len(), instances(&bench, &PODS));
        bench.pass(300).await;
        assert_eq!(bench.cluster().writes().len(), writes, "it is nobody's: {}", bench.told());
        assert_eq!(bench.experiment()["status"]["phase"], "Running");
        hand_over(&mut bench).await;
        for kind in [&EXPERIMENTS, &ANALYSIS_RUNS] {
            let all = instances(&bench, kind);
            assert!(all.len() == 1 && all.iter().all(|(_, instance)| instance == "serin"), "{all:?}");
        }
        let now = instances(&bench, &PODS);
        assert!(pods.iter().all(|pod| now.contains(pod)), "no pod is made anew: {pods:?}, {now:?}");
        bench.healthy().await;
        assert_eq!(bench.experiment()["status"]["phase"], "Successful", "{:#}", bench.experiment()["status"]);
        bench.pass(60).await;
        assert!(bench.is_clean());
        bench.assert_all_routed("an experiment that changes hands");
    });
}

#[test]
fn an_experiment_handed_back_stays_as_it_is_for_the_other_controller() {
    tell(async {
        let mut bench = in_experiment(None).await;
        let (before, destinations) = (bench.experiment(), bench.destinations());
        give_back(&mut bench).await;
        let name = bench.status("/canary/currentExperiment");
        assert_eq!(before["metadata"]["name"], name, "whoever comes finds it by the status");
        assert_eq!(before["metadata"]["ownerReferences"][0]["uid"], bench.rollout()["metadata"]["uid"]);
        bench.pass(300).await;
        let after = bench.experiment();
        assert_eq!((&after["spec"], &after["status"]), (&before["spec"], &before["status"]));
        assert_eq!(bench.destinations(), destinations);
        hand_over(&mut bench).await;
        bench.annotate("serin.dev/promote", "now");
        bench.healthy().await;
        assert_eq!(bench.experiment()["spec"]["terminate"], true, "whoever leaves the step ends it");
        bench.pass(60).await;
        assert!(bench.is_clean());
        bench.assert_all_routed("an experiment there and back");
    });
}

#[test]
fn an_experiment_that_is_over_loses_its_pods_under_its_new_master() {
    tell(async {
        let mut bench = in_experiment(Some("40s")).await;
        bench.wait("its end", |bench| bench.experiment()["status"]["phase"] == "Successful").await;
        let name = bench.experiment()["metadata"]["name"].as_str().expect("a name").to_owned();
        give_back(&mut bench).await;
        bench.pass(300).await;
        let has_pods = |bench: &Bench| instances(bench, &PODS).iter().any(|(pod, _)| pod.starts_with(&name));
        assert!(has_pods(&bench), "nobody has removed them");
        hand_over(&mut bench).await;
        bench.healthy().await;
        bench.pass(60).await;
        assert!(!has_pods(&bench), "{:?}", instances(&bench, &PODS));
        assert!(bench.is_clean());
        bench.assert_all_routed("an experiment that is over");
    });
}

#[test]
fn an_experiment_by_itself_is_served_by_the_instance_of_its_label() {
    tell(async {
        let mut bench = set(&manifests("experiment"));
        ours(&mut bench).await;
        let experiment = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment",
            "metadata": {"name": "by-hand", "namespace": "shop", "labels": {INSTANCE: "another"}},
            "spec": {"templates": [{
                "name": "a", "selector": {"matchLabels": {"app": "a"}},
                "template": {
                    "metadata": {"labels": {"app": "a"}},
                    "spec": {"containers": [{"name": "web", "image": "registry.example/checkout:v1"}]},
                },
            }]},
        });
        bench.cluster().create(&EXPERIMENTS, experiment).expect("it is accepted");
        let writes = bench.cluster().writes().len();
        bench.pass(60).await;
        assert_eq!(bench.cluster().writes().len(), writes, "{}", bench.told());
        let label = json!({"metadata": {"labels": {INSTANCE: "serin"}}});
        bench.cluster().patch_merge(&EXPERIMENTS, "shop", "by-hand", &label).expect("it is there");
        bench.wait("Running", |bench| bench.experiment()["status"]["phase"] == "Running").await;
    });
}
