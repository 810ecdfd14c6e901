//! Anti-affinity: which pods keep away from which, and that it makes no revision.

use serde_json::{Value, json};

use super::world::World;

fn rules(world: &World, version: &str) -> Value {
    world.rs(version).template.pointer("/spec/affinity/podAntiAffinity").cloned().unwrap_or_default()
}

fn away_from(hash: &str) -> Value {
    json!({
        "labelSelector": {"matchExpressions": [{"key": "rollouts-pod-template-hash", "operator": "In", "values": [hash]}]},
        "namespaces": ["shop"],
        "topologyKey": "kubernetes.io/hostname",
    })
}

/// Follows an update, with `wanted` made of the hash that the new pods keep away from.
#[track_caller]
fn check(case: &str, world: World, wanted: impl Fn(&str) -> Value) {
    let mut world = world.deployed();
    let v1 = world.rs("v1").hash.clone();
    assert_eq!(rules(&world, "v1"), Value::Null, "{case}: a first version keeps away from nobody");
    world.set_image("v2");
    world.settle();
    assert_eq!(rules(&world, "v2"), wanted(&v1), "{case}");
    assert_eq!(rules(&world, "v1"), Value::Null, "{case}: stable pods stay where they are");
    world.set_image("v3");
    world.settle();
    assert_eq!(rules(&world, "v3"), wanted(&v1), "{case}: superseded");
    let sets = world.observed.replica_sets.len();
    world.set_status(&json!({"promoteFull": true}));
    world.wait(120);
    assert_eq!(world.status().phase.as_deref(), Some("Healthy"), "{case}: {}", world.line());
    assert_eq!(rules(&world, "v3"), Value::Null, "{case}: a stable version keeps away from nobody");
    assert_eq!(world.observed.replica_sets.len(), sets, "{case}: nothing of this is a new revision");
    let v3 = world.rs("v3").hash.clone();
    world.set_image("v1");
    world.settle();
    assert_eq!(rules(&world, "v1"), wanted(&v3), "{case}: an old version that comes back keeps away too");
    assert_eq!(world.observed.replica_sets.len(), sets, "{case}: and is the same");
}

#[test]
fn new_pods_keep_away_from_stable_ones() {
    let required = json!({"antiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}});
    let preferred = json!({"antiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 7}}});
    let strictly = |hash: &str| json!({"requiredDuringSchedulingIgnoredDuringExecution": [away_from(hash)]});
    let loosely = |hash: &str| {
        let term = json!({"weight": 7, "podAffinityTerm": away_from(hash)});
        json!({"preferredDuringSchedulingIgnoredDuringExecution": [term]})
    };
    for world in [World::basic, World::roles] {
        check("a canary that must", world().canary(&required), strictly);
        check("a canary that should", world().canary(&preferred), loosely);
    }
    let paused = World::blue_green().with_blue_green(&json!({"autoPromotionEnabled": false}));
    check("blue-green", paused.with_blue_green(&required), strictly);
}

#[test]
fn rules_of_the_author_stay() {
    let own = json!({"labelSelector": {"matchLabels": {"app": "noisy"}}, "topologyKey": "zone"});
    let affinity = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [own]}});
    let required = json!({"antiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}});
    let with_own = json!({"template": {"spec": {"affinity": affinity}}});
    let mut world = World::basic().spec(&with_own).canary(&required).deployed();
    let v1 = world.rs("v1").hash.clone();
    world.set_image("v2");
    world.settle();
    let both = json!({"requiredDuringSchedulingIgnoredDuringExecution": [own, away_from(&v1)]});
    assert_eq!(rules(&world, "v2"), both);
    world.set_status(&json!({"promoteFull": true}));
    world.wait(60);
    assert_eq!(rules(&world, "v2"), affinity["podAntiAffinity"]);
}

#[test]
fn what_is_switched_off_goes() {
    let required = json!({"antiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {}}});
    let mut world = World::basic().canary(&required).deployed();
    world.set_image("v2");
    world.settle();
    let sets = world.observed.replica_sets.len();
    world.set_spec(&json!({"strategy": {"canary": {"antiAffinity": null}}}));
    world.settle();
    assert_eq!((rules(&world, "v2"), world.observed.replica_sets.len()), (Value::Null, sets));
}
