//! The safety guard against plans that nobody should make.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use serin_api::labels::POD_TEMPLATE_HASH;

use super::world::World;
use crate::plan::{Effect, Planned};
use crate::rollout::Plan;
use crate::rollout::mesh::Mesh;
use crate::rollout::parse::parse;
use crate::rollout::safety::violation;

/// An update in which both sides carry traffic.
fn split(world: World) -> World {
    let mut world = world.deployed();
    world.set_image("v2");
    world.settle();
    assert_eq!(world.weight(), 20);
    world
}

/// Why the guard refuses some effects; nothing if it lets them pass.
fn refusal(world: &World, effects: Vec<Effect>) -> Option<String> {
    let spec = parse(&world.observed).expect("a valid spec");
    let mesh = Mesh::read(&world.observed, &spec).expect("a mesh");
    let effects = effects.into_iter().map(|effect| Planned { effect, event: None }).collect();
    violation(&world.observed, &spec, &mesh, &Plan { effects, ..Plan::default() })
}

#[track_caller]
fn check(case: &str, world: &World, effect: Effect, refused: Option<&str>) {
    assert_eq!(refusal(world, vec![effect]).as_deref(), refused, "{case}");
}

fn routes(patch: &Value) -> Effect {
    let patch = patch.as_array().expect("a list").clone();
    Effect::ApplyRoutes { namespace: "shop".to_owned(), name: "web".to_owned(), patch }
}

fn subsets(patch: &Value) -> Effect {
    Effect::ApplySubsets { name: "web".to_owned(), patch: patch.as_array().expect("a list").clone() }
}

fn weight(index: usize, weight: i32) -> Value {
    json!({"op": "replace", "path": format!("/spec/http/0/route/{index}/weight"), "value": weight})
}

#[test]
fn routes_are_guarded() {
    let world = split(World::hashes());
    check("weights that move", &world, routes(&json!([weight(0, 60), weight(1, 40)])), None);
    let not_whole = Some("weights of spec.http[0] would not sum to 100");
    check("weights that do not sum up", &world, routes(&json!([weight(0, 60)])), not_whole);
    let more = Some("a route patch would change more than our weights");
    let host = json!({"op": "replace", "path": "/spec/hosts/0", "value": "elsewhere"});
    check("another field", &world, routes(&json!([weight(0, 60), weight(1, 40), host])), more);
    let removed = json!({"op": "remove", "path": "/spec/http/0/route/1"});
    assert!(refusal(&world, vec![routes(&json!([removed]))]).is_some(), "a destination that goes");
    let stale = json!({"op": "test", "path": "/metadata/resourceVersion", "value": "0"});
    assert!(refusal(&world, vec![routes(&json!([stale]))]).is_some(), "a patch of another version");
}

#[test]
fn header_routes_are_guarded() {
    let managed = json!({"trafficRouting": {"managedRoutes": [{"name": "header"}]}});
    let mut world = split(World::hashes().canary(&managed)).ignoring_outages();
    let header = |name: &str| {
        let route = json!({"name": name, "route": [{"destination": {"host": "web", "subset": "canary"}}]});
        routes(&json!([{"op": "add", "path": "/spec/http/0", "value": route}]))
    };
    check("a route of a managed name", &world, header("header"), None);
    let foreign = Some("the patched routes cannot be read");
    check("a route of another name", &world, header("other"), foreign);
    world.break_image("v2", true);
    let unserved = Some("a header route would send requests to a canary without ready pods");
    check("a canary that is broken", &world, header("header"), unserved);
}

#[test]
fn nobody_gets_weight_without_ready_pods() {
    let mut world = split(World::hashes()).ignoring_outages();
    world.break_image("v2", true);
    let unserved = Some("the canary side would get weight without ready pods behind it");
    check("a broken canary gets more", &world, routes(&json!([weight(0, 60), weight(1, 40)])), unserved);
    check("a broken canary gets less", &world, routes(&json!([weight(0, 90), weight(1, 10)])), None);
    world.break_image("v1", true);
    let unserved = Some("the stable side would get weight without ready pods behind it");
    check("a broken stable gets more", &world, routes(&json!([weight(0, 90), weight(1, 10)])), unserved);
}

#[test]
fn subsets_are_guarded() {
    let world = split(World::hashes());
    let label = |subset: usize| format!("/spec/subsets/{subset}/labels/{POD_TEMPLATE_HASH}");
    let set = |subset: usize, hash: &str| subsets(&json!([{"op": "replace", "path": label(subset), "value": hash}]));
    let unserved = Some("the stable side carries traffic and would select no ready pod");
    check("stable at nobody", &world, set(0, "nobody"), unserved);
    check("canary at stable's pods", &world, set(1, &world.rs("v1").hash), None);
    let unserved = Some("the canary side carries traffic and would select no ready pod");
    check("canary at nobody", &world, set(1, "nobody"), unserved);
    let foreign = subsets(&json!([{"op": "remove", "path": "/spec/subsets/2"}]));
    check("a foreign subset that goes", &world, foreign, Some("a subset patch would change more than our label"));
}

#[test]
fn services_are_guarded() {
    let world = split(World::services());
    let switch = |name: &str, hash: &str| Effect::SwitchService {
        name: name.to_owned(),
        patch: json!({"spec": {"selector": {POD_TEMPLATE_HASH: hash}}}),
    };
    let unserved = Some("Service web-stable carries traffic and would select no ready pod");
    check("stable at nobody", &world, switch("web-stable", "nobody"), unserved);
    check("canary at stable's pods", &world, switch("web-canary", &world.rs("v1").hash), None);
}

#[test]
fn pods_are_guarded() {
    let world = split(World::roles());
    let scale = |replicas: i32| Effect::ScaleReplicaSet {
        name: world.rs("v2").name.clone(),
        uid: world.rs("v2").uid.clone(),
        replicas,
        annotations: BTreeMap::new(),
    };
    let refused = format!("ReplicaSet {} carries traffic and would be scaled to zero", world.rs("v2").name);
    check("a canary without pods", &world, scale(0), Some(&refused));
    check("a canary with pods", &world, scale(1), None);
    let relabel = |name: &str| Effect::RelabelPod {
        name: name.to_owned(),
        uid: String::new(),
        labels: BTreeMap::from([("role".to_owned(), Some("nobody".to_owned()))]),
        annotations: BTreeMap::new(),
    };
    let of = |tag: &str| {
        let rs = world.rs(tag).name.clone();
        let pods = world.observed.pods.iter().filter(move |pod| pod.replica_set == rs);
        pods.map(|pod| relabel(&pod.name)).collect::<Vec<_>>()
    };
    let unserved = "relabelling or evicting pods would leave the stable side with traffic and without ready pods";
    assert_eq!(refusal(&world, of("v1")).as_deref(), Some(unserved), "all of stable's pods");
    assert_eq!(refusal(&world, of("v1")[1..].to_vec()), None, "all but one");
}

#[test]
fn whoever_asks_for_no_pods_gets_none() {
    let mut world = split(World::hashes());
    world.set_spec(&json!({"replicas": 0}));
    let rs = world.rs("v1");
    let (name, uid) = (rs.name.clone(), rs.uid.clone());
    check("none", &world, Effect::ScaleReplicaSet { name, uid, replicas: 0, annotations: BTreeMap::new() }, None);
}
