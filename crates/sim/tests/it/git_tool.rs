//! A tool that applies the manifests of git over and over in mid-canary: it is named, and changes nothing for long.

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};
use serin_sim::WorldConfig;
use serin_sim::cluster::{EVENTS, VIRTUAL_SERVICES};
use serin_sim::manifests::Manifest;

use crate::bench::{Bench, manifests, object_mut, tell};

/// The field manager of Flux.
const FLUX: &str = "kustomize-controller";

/// The manifests with pauses that only a promotion ends.
fn in_git() -> Vec<Manifest> {
    let mut all = manifests("short");
    let steps = &mut object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"]["steps"];
    *steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]);
    all
}

/// Applies one object of git by server-side apply with force.
async fn apply(bench: &Bench, all: &[Manifest], kind: &str) {
    let object = object_mut(&mut all.to_vec(), kind).clone();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("networking.istio.io", "v1", kind));
    let api: Api<DynamicObject> = Api::namespaced_with(bench.cluster().client(), &bench.namespace, &resource);
    let applied = api.patch(&bench.name, &PatchParams::apply(FLUX).force(), &Patch::Apply(&object)).await;
    applied.unwrap_or_else(|error| panic!("{kind}: {error}"));
}

/// The events of a reason, as pairs of message and count.
fn events(bench: &Bench, reason: &str) -> Vec<(String, i64)> {
    let all = bench.cluster().list(&EVENTS, Some(&bench.namespace));
    let of_reason = all.iter().filter(|event| event["reason"] == reason);
    let told = |event: &Value| (event["message"].as_str().unwrap_or_default().to_owned(), event["count"].as_i64());
    of_reason.map(|event| told(event)).map(|(message, count)| (message, count.unwrap_or(1))).collect()
}

/// The last writers of the routes, as managedFields has them.
fn writers(bench: &Bench) -> Vec<String> {
    let vs = bench.get(&VIRTUAL_SERVICES, &bench.name);
    let entries = vs["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let owners = entries.iter().filter(|entry| entry["fieldsV1"]["f:spec"]["f:http"].is_object());
    owners.map(|entry| entry["manager"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_tool_that_overwrites_weights_is_named_in_one_event_and_in_the_metric() {
    tell(async {
        let git = in_git();
        let mut bench = Bench::up(&git, WorldConfig::default()).await;
        bench.deploy("v2");
        bench.step_is(1).await;
        for _ in 0..3 {
            apply(&bench, &git, "VirtualService").await;
            assert_eq!((bench.weight(), writers(&bench)), (0, vec![FLUX.to_owned()]));
            bench.settle().await;
            assert_eq!((bench.weight(), writers(&bench)), (20, vec!["serin".to_owned()]));
            bench.pass(3).await;
        }
        let message = "kustomize-controller (Apply) set the canary's weight in VirtualService checkout from 20 to 0; 20 is wanted";
        assert_eq!(events(&bench, "TrafficOverwritten"), [(message.to_owned(), 3)]);
        let series = |manager: &str| {
            format!("serin_routes_overwritten_total{{namespace=\"shop\",name=\"checkout\",manager=\"{manager}\"}} 3")
        };
        let page = bench.world.engine().metrics().render();
        assert!(page.lines().any(|line| line == series(FLUX)), "{page}");
        bench.annotate("serin.dev/promote-full", "enough");
        bench.healthy().await;
        bench.assert_all_routed("a tool that applies the routes");
        assert_eq!(events(&bench, "TrafficOverwritten").len(), 1, "nobody else wrote");
    });
}

#[test]
fn a_tool_that_applies_routes_and_subsets_takes_no_weight_away() {
    tell(async {
        let git = in_git();
        for kinds in [["VirtualService", "DestinationRule"], ["DestinationRule", "VirtualService"]] {
            let mut bench = Bench::up(&git, WorldConfig::default()).await;
            bench.deploy("v2");
            bench.step_is(1).await;
            for _ in 0..3 {
                for kind in kinds {
                    apply(&bench, &git, kind).await;
                    bench.settle().await;
                    assert_eq!(bench.weight(), 20, "{kinds:?}: after {kind}\n{}", bench.told());
                    assert_eq!(json!(bench.subset_hash("canary")), bench.status("/currentPodHash"), "{kinds:?}");
                }
                bench.pass(3).await;
            }
            assert_eq!(events(&bench, "TrafficOverwritten").iter().map(|(_, count)| count).sum::<i64>(), 3);
            bench.annotate("serin.dev/promote-full", "enough");
            bench.healthy().await;
            bench.assert_all_routed(&format!("{kinds:?}"));
        }
    });
}
