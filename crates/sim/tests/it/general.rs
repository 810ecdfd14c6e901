//! Fields that are neither steps nor routes, in a whole cluster: scaleDown, ping-pong, names that are taken, rivals.

use serde_json::{Value, json};
use serin_sim::cluster::{DEPLOYMENTS, REPLICA_SETS, ROLLOUTS, SERVICES, VIRTUAL_SERVICES};
use serin_sim::manifests::Manifest;
use serin_sim::{WorldConfig, simulate::Conduct};

use crate::bench::{Bench, manifest, manifests, object_mut, tell};

#[test]
fn a_deployment_gives_its_pods_away() {
    for (scale_down, left) in [("never", 3), ("onsuccess", 0), ("progressively", 0)] {
        let mut all = manifests("short");
        object_mut(&mut all, "Deployment")["spec"]["replicas"] = json!(3);
        object_mut(&mut all, "Rollout")["spec"]["workloadRef"]["scaleDown"] = json!(scale_down);
        tell(async {
            let mut bench = Bench::up(&all, WorldConfig::default()).await;
            bench.pass(20).await;
            let size = |bench: &Bench| bench.get(&DEPLOYMENTS, &bench.name)["spec"]["replicas"].clone();
            assert_eq!((size(&bench), bench.phase().as_str()), (json!(left), "Healthy"), "{scale_down}");
            let writes = bench.cluster().writes().len();
            bench.pass(600).await;
            assert_eq!(bench.cluster().writes().len(), writes, "{scale_down}: nothing is left to do");
            bench.deploy("v2");
            bench.behave("v2", Conduct::Healthy);
            bench.healthy().await;
            assert_eq!(size(&bench), json!(left), "{scale_down}: an update changes nothing");
            bench.assert_all_routed(scale_down);
        });
    }
}

/// The manifests of `short` with the Deployment's template in an object of another kind.
fn template_in(kind: &str, version: &str) -> Vec<Manifest> {
    let mut all = manifests("short");
    let deployment = object_mut(&mut all, "Deployment");
    deployment["apiVersion"] = json!(version);
    deployment["kind"] = json!(kind);
    deployment["spec"]["replicas"] = json!(0);
    if kind == "PodTemplate" {
        let template = deployment["spec"]["template"].clone();
        deployment.as_object_mut().expect("an object").remove("spec");
        deployment["template"] = template;
    }
    let reference = json!({"apiVersion": version, "kind": kind, "name": "checkout"});
    object_mut(&mut all, "Rollout")["spec"]["workloadRef"] = reference;
    all
}

#[test]
fn a_pod_template_may_be_in_a_replica_set_or_an_object_of_its_own() {
    for (kind, version) in [("ReplicaSet", "apps/v1"), ("PodTemplate", "v1")] {
        tell(async {
            let mut bench = Bench::up(&template_in(kind, version), WorldConfig::default()).await;
            let sets = bench.cluster().list(&REPLICA_SETS, None).len();
            for new in ["v2", "v3"] {
                bench.deploy(new);
                bench.behave(new, Conduct::Healthy);
                bench.healthy().await;
            }
            assert_eq!(bench.status("/workloadObservedGeneration"), "3", "{kind}");
            assert_eq!(bench.cluster().list(&REPLICA_SETS, None).len(), sets + 2, "{kind}");
            bench.assert_all_routed(kind);
            bench.pass(120).await;
            let writes = bench.cluster().writes().len();
            bench.pass(600).await;
            assert_eq!(bench.cluster().writes().len(), writes, "{kind}: nothing is left to do");
        });
    }
}

#[test]
fn services_that_swap_roles_lose_no_request() {
    let mut all = manifests("services");
    let canary = &mut object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"];
    let name = |canary: &Value, side: &str| canary[side].as_str().unwrap_or_default().to_owned();
    let (ping, pong) = (name(canary, "stableService"), name(canary, "canaryService"));
    canary["canaryService"] = Value::Null;
    canary["stableService"] = Value::Null;
    canary["pingPong"] = json!({"pingService": ping, "pongService": pong});
    tell(async {
        let mut bench = Bench::up(&all, WorldConfig::default()).await;
        assert_eq!(bench.status("/canary/stablePingPong"), "ping");
        for (version, stable) in [("v2", "pong"), ("v3", "ping"), ("v4", "pong")] {
            bench.behave(version, Conduct::Healthy);
            bench.deploy(version);
            bench.settle().await;
            bench.annotate("serin.dev/promote-full", version);
            bench.healthy().await;
            assert_eq!(bench.status("/canary/stablePingPong"), stable, "{version}");
            bench.pass(60).await;
            for service in [&ping, &pong] {
                let hash = bench.get(&SERVICES, service)["spec"]["selector"]["rollouts-pod-template-hash"].clone();
                assert_eq!(hash, bench.status("/stableRS"), "{version}: {service}");
            }
        }
        bench.assert_all_routed("ping-pong");
    });
}

#[test]
fn a_name_that_somebody_else_has_is_passed_over() {
    tell(async {
        let mut bench = Bench::of("basic").await;
        let hash = {
            let mut other = Bench::of("basic").await;
            other.deploy("v2");
            other.settle().await;
            other.status("/currentPodHash").as_str().unwrap_or_default().to_owned()
        };
        let theirs = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": format!("cart-{hash}"), "namespace": bench.namespace},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "other"}}, "template": {
                "metadata": {"labels": {"app": "other"}}, "spec": {"containers": [{"name": "x", "image": "x"}]}}},
        });
        bench.cluster().create(&REPLICA_SETS, theirs).expect("a new name");
        bench.deploy("v2");
        bench.healthy().await;
        assert_eq!(bench.status("/collisionCount"), 1);
        assert_ne!(bench.status("/stableRS"), Value::from(hash));
        bench.pass(60).await;
        bench.assert_all_routed("another name");
    });
}

#[test]
fn rollouts_that_set_the_same_routes_say_so() {
    tell(async {
        let mut bench = Bench::of("services").await;
        let mut other = (*bench.rollout()).clone();
        other["metadata"] = json!({"name": "rival", "namespace": bench.namespace});
        other["status"] = Value::Null;
        other["spec"]["strategy"]["canary"]["steps"] = json!([]);
        bench.world.apply(manifest(other).object).expect("another Rollout");
        bench.settle().await;
        assert_eq!(bench.condition("RoutesContested"), "True SharedRoutes");
        assert_eq!(bench.events("SharedRoutes"), 1);
        let namespace = bench.namespace.clone();
        bench.cluster().delete(&ROLLOUTS, &namespace, "rival").expect("it is there");
        bench.settle().await;
        assert_eq!(bench.condition("RoutesContested"), "");
        assert!(bench.cluster().list(&VIRTUAL_SERVICES, Some(&namespace)).len() == 1);
    });
}
