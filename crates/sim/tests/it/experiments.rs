//! Experiments: as a step of an update with a share of the traffic, and by themselves.

use serde_json::{Value, json};
use serin_api::labels::{EXPERIMENT_TEMPLATE_NAME, POD_TEMPLATE_HASH};
use serin_sim::WorldConfig;
use serin_sim::cluster::{
    ANALYSIS_RUNS, DESTINATION_RULES, EXPERIMENTS, JOBS, REPLICA_SETS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES,
};
use serin_sim::manifests::Manifest;
use serin_sim::simulate::Conduct;

use crate::bench::{Bench, manifests, object_mut, tell, weights};

/// The step of the manifests that is an experiment.
fn experiment_of(manifests: &mut [Manifest]) -> &mut Value {
    &mut object_mut(manifests, "Rollout")["spec"]["strategy"]["canary"]["steps"][1]["experiment"]
}

async fn updating(manifests: &[Manifest]) -> Bench {
    let mut bench = Bench::up(manifests, WorldConfig::default()).await;
    bench.behave("v2", Conduct::Healthy);
    bench.deploy("v2");
    bench
}

impl Bench {
    /// The first Experiment that there is.
    pub(crate) fn experiment(&self) -> Value {
        self.cluster().list(&EXPERIMENTS, None).first().map(|one| (**one).clone()).unwrap_or_default()
    }

    /// The ReplicaSet of an Experiment's template.
    fn replica_set_of(&self, template: &str) -> Value {
        let all = self.cluster().list(&REPLICA_SETS, None);
        let is_it = |rs: &&std::sync::Arc<Value>| rs["metadata"]["annotations"][EXPERIMENT_TEMPLATE_NAME] == template;
        all.iter().find(is_it).map(|rs| (**rs).clone()).unwrap_or_default()
    }

    /// Weights of the destinations of each route.
    pub(crate) fn destinations(&self) -> Vec<Vec<i64>> {
        weights(&self.get(&VIRTUAL_SERVICES, "checkout"))
    }

    /// Services that belong to an Experiment.
    fn services(&self) -> Vec<String> {
        let all = self.cluster().list(&SERVICES, None);
        let owned = all.iter().filter(|service| service["metadata"]["ownerReferences"][0]["kind"] == "Experiment");
        owned.map(|service| service["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Whether nothing tells of an experiment but the Experiment itself.
    pub(crate) fn is_clean(&self) -> bool {
        let vs = self.get(&VIRTUAL_SERVICES, "checkout").to_string();
        let rule = self.get(&DESTINATION_RULES, "checkout");
        self.services().is_empty()
            && !vs.contains("experiment")
            && rule["spec"]["subsets"].as_array().map(Vec::len) == Some(2)
    }
}

#[test]
fn an_experiment_gets_its_share_and_gives_it_back_without_a_lost_request() {
    tell(async {
        let mut bench = updating(&manifests("experiment")).await;
        bench.wait("its share", |bench| bench.destinations() == [[55, 20, 10, 15]]).await;
        let experiment = bench.experiment();
        let name = experiment["metadata"]["name"].as_str().expect("a name").to_owned();
        assert_eq!(bench.status("/canary/currentExperiment"), name);
        assert_eq!(bench.services(), [format!("{name}-baseline"), format!("{name}-canary")]);
        let additional = bench.status("/canary/weights/additional");
        assert_eq!(additional[1]["serviceName"], format!("{name}-canary"), "{additional:#}");
        let subsets = bench.get(&DESTINATION_RULES, "checkout")["spec"]["subsets"].clone();
        assert_eq!(subsets[2]["labels"][POD_TEMPLATE_HASH], additional[0]["podTemplateHash"]);
        bench.pass(20).await;
        for template in ["baseline", "canary"] {
            let hash = bench.replica_set_of(template)["metadata"]["labels"][POD_TEMPLATE_HASH].clone();
            let answered = bench.world.served().by_pod_hash.get(hash.as_str().unwrap_or_default()).copied();
            assert!(answered.unwrap_or(0) > 0, "nobody called the pods of {template}: {:?}", bench.world.served());
        }
        let job = bench.cluster().list(&JOBS, None).first().cloned().expect("a Job");
        let env = &job["spec"]["template"]["spec"]["containers"][0]["env"];
        assert_eq!(env[0]["value"], bench.status("/stableRS"));
        assert_eq!(env[1]["value"], bench.replica_set_of("baseline")["metadata"]["labels"][POD_TEMPLATE_HASH]);
        bench.healthy().await;
        assert_eq!(bench.experiment()["status"]["phase"], "Successful", "{:#}", bench.experiment()["status"]);
        bench.pass(60).await;
        assert!(bench.is_clean(), "{:?} {:#}", bench.services(), bench.get(&VIRTUAL_SERVICES, "checkout"));
        assert_eq!(bench.replica_set_of("canary")["spec"]["replicas"], 0);
        bench.assert_all_routed("an experiment that succeeds");
    });
}

#[test]
fn an_experiment_that_fails_aborts_the_update() {
    tell(async {
        let mut manifests = manifests("experiment");
        let args = &mut experiment_of(&mut manifests)["analyses"][0]["args"];
        args.as_array_mut().expect("a list").push(json!({"name": "code", "value": "1"}));
        let mut bench = updating(&manifests).await;
        bench.phase_is("Degraded").await;
        let message = bench.message();
        let cause = "Experiment analysis phase is error/failed: Metric \"smoke\" assessed Failed";
        assert!(message.contains(cause), "{message}");
        bench.pass(60).await;
        assert_eq!(bench.destinations(), [[100, 0]]);
        assert!(bench.is_clean(), "{:?}", bench.services());
        assert_eq!(bench.events("ExperimentFailed"), 1, "{}", bench.told());
        bench.assert_all_routed("an experiment that fails");
    });
}

/// An update that stands in an experiment without end, which somebody leaves.
fn check_left(case: &'static str, act: fn(&mut Bench), phase: &'static str) {
    tell(async move {
        let mut manifests = manifests("experiment");
        let step = experiment_of(&mut manifests);
        step["duration"] = Value::Null;
        step["analyses"] = json!([]);
        let mut bench = updating(&manifests).await;
        bench.wait("its share", |bench| bench.destinations() == [[55, 20, 10, 15]]).await;
        bench.pass(3600).await;
        assert_eq!(bench.experiment()["status"]["phase"], "Running", "{case}: it has no end of its own");
        act(&mut bench);
        bench.phase_is(phase).await;
        bench.pass(60).await;
        let experiment = bench.experiment();
        assert_eq!(experiment["status"]["phase"], "Successful", "{case}");
        assert_eq!(experiment["spec"]["terminate"], true, "{case}");
        assert!(bench.is_clean(), "{case}: {:?}", bench.services());
        bench.assert_all_routed(case);
    });
}

#[test]
fn whoever_leaves_the_step_ends_the_experiment() {
    check_left("an abort", |bench| bench.annotate("serin.dev/abort", "now"), "Degraded");
    check_left("a promotion", |bench| bench.annotate("serin.dev/promote", "now"), "Healthy");
    check_left("a promotion in full", |bench| bench.annotate("serin.dev/promote-full", "now"), "Healthy");
    check_left("a rollback", |bench| bench.deploy("v1"), "Healthy");
}

#[test]
fn a_rollout_that_is_deleted_leaves_nothing_to_experiments() {
    tell(async {
        let mut bench = updating(&manifests("experiment")).await;
        bench.wait("its share", |bench| bench.destinations() == [[55, 20, 10, 15]]).await;
        bench.cluster().delete(&ROLLOUTS, "shop", "checkout").expect("it is there");
        bench.settle().await;
        bench.pass(10).await;
        assert_eq!(bench.destinations(), [[80, 20]], "stable has what it had lent");
        assert!(bench.services().is_empty());
    });
}

#[test]
fn an_experiment_by_itself_runs_for_its_time() {
    tell(async {
        let mut bench = Bench::of("experiment").await;
        let pods = |name: &str, version: &str| {
            json!({
                "name": name, "service": {"name": format!("{name}-by-hand")},
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {"containers": [{"name": "web", "image": format!("registry.example/checkout:{version}"),
                        "ports": [{"containerPort": 8080}, {"containerPort": 9090, "name": "metrics"}]}]},
                },
            })
        };
        let experiment = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment",
            "metadata": {"name": "by-hand", "namespace": "shop"},
            "spec": {"duration": "20s", "scaleDownDelaySeconds": 5, "templates": [pods("a", "v1"), pods("b", "v2")]},
        });
        bench.cluster().create(&EXPERIMENTS, experiment).expect("it is accepted");
        let phase = |bench: &Bench| bench.experiment()["status"]["phase"].clone();
        bench.wait("Running", |bench| phase(bench) == "Running").await;
        assert_eq!(bench.services(), ["a-by-hand", "b-by-hand"]);
        let service = bench.get(&SERVICES, "a-by-hand");
        assert_eq!(service["spec"]["ports"][0]["name"], "port-8080", "{service:#}");
        bench.wait("its end", |bench| phase(bench) == "Successful").await;
        assert_eq!(bench.services().len(), 2, "they stay for the delay");
        bench.wait("no pods", |bench| bench.replica_set_of("b")["status"]["replicas"] == 0).await;
        assert!(bench.services().is_empty(), "they are gone before the pods are");
        bench.cluster().delete(&EXPERIMENTS, "shop", "by-hand").expect("it is there");
        bench.pass(5).await;
        assert_eq!(bench.replica_set_of("a"), Value::Null, "everything goes with it");
        assert!(bench.cluster().list(&ANALYSIS_RUNS, None).is_empty());
    });
}
