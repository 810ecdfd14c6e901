//! Somebody else writes the routes and subsets of an update: who it was is told once, and traffic stays where it is.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::{World, key};
use crate::rollout::observed::{Found, Raw, Writer};

const GIT: &str = "kustomize-controller";

/// The VirtualService or DestinationRule as git has it, written by a tool at this moment.
fn written(found: &mut Found<Raw>, world: &mut (u64, chrono::DateTime<chrono::Utc>), edit: impl FnOnce(&mut Value)) {
    let Found::Present(raw) = found else { panic!("the object is not there") };
    let mut object = (*raw.object).clone();
    edit(&mut object);
    world.0 += 1;
    let version = world.0.to_string();
    object["metadata"]["resourceVersion"] = json!(version);
    let writer = Writer::Other { manager: GIT.to_owned(), operation: "Apply".to_owned() };
    *raw = Raw { object: Arc::new(object), version, seen_at: world.1, writer };
}

fn git_sets_weight(world: &mut World, canary: i32) {
    let mut at = (world.versions, world.observed.now);
    let found = world.observed.virtual_services.get_mut(&key("web")).expect("a VirtualService");
    written(found, &mut at, |object| {
        object["spec"]["http"][0]["route"][0]["weight"] = json!(100 - canary);
        object["spec"]["http"][0]["route"][1]["weight"] = json!(canary);
    });
    world.versions = at.0;
}

fn git_sets_subsets(world: &mut World) {
    let mut at = (world.versions, world.observed.now);
    let found = world.observed.destination_rule.as_mut().expect("a DestinationRule");
    written(found, &mut at, |object| {
        for subset in object["spec"]["subsets"].as_array_mut().into_iter().flatten() {
            subset["labels"].as_object_mut().and_then(|labels| labels.remove("rollouts-pod-template-hash"));
        }
    });
    world.versions = at.0;
}

fn at_first_pause(world: World) -> World {
    let mut world = world.deployed();
    world.set_image("v2");
    world.settle();
    assert_eq!(world.weight(), 20, "{}", world.line());
    world.told.clear();
    world
}

fn told_of_git(world: &World) -> Vec<&str> {
    world.told.iter().filter_map(|line| line.strip_prefix("TrafficOverwritten: ")).collect()
}

#[test]
fn who_wrote_is_told_once_and_the_weight_is_back_at_once() {
    for make in [World::hashes, World::roles] {
        let mut world = at_first_pause(make());
        git_sets_weight(&mut world, 0);
        let plan = world.turn();
        assert_eq!(plan.facts.overwritten.len(), 1);
        assert_eq!(world.weight(), 20, "in the same decision");
        world.settle();
        assert_eq!(
            told_of_git(&world),
            ["kustomize-controller (Apply) set the canary's weight in VirtualService web from 20 to 0; 20 is wanted"]
        );
    }
}

#[test]
fn a_write_that_changes_no_weight_is_nobodys_fault() {
    let mut world = World::hashes().deployed();
    git_sets_weight(&mut world, 0);
    world.settle();
    world.set_image("v2");
    world.settle();
    assert_eq!(world.weight(), 20);
    assert_eq!(told_of_git(&world), Vec::<&str>::new(), "it was git's weight until now, and we moved it");
}

#[test]
fn between_updates_a_weight_for_the_canary_is_taken_back() {
    let mut world = World::hashes().deployed();
    git_sets_weight(&mut world, 30);
    world.settle();
    assert_eq!(world.weight(), 0);
    assert_eq!(
        told_of_git(&world),
        ["kustomize-controller (Apply) set the canary's weight in VirtualService web from 0 to 30; 0 is wanted"]
    );
}

#[test]
fn a_tool_that_also_takes_away_our_labels_moves_no_weight() {
    type Write = fn(&mut World);
    let (weight, subsets): (Write, Write) = (|world| git_sets_weight(world, 0), git_sets_subsets);
    for (case, make) in [("hashes", World::hashes as fn() -> World), ("roles", World::roles), ("both", World::both)] {
        for (order, writes) in [("weight first", [weight, subsets]), ("subsets first", [subsets, weight])] {
            for decided_between in [true, false] {
                let mut world = at_first_pause(make());
                let (current, stable) = (world.rs("v2").hash.clone(), world.rs("v1").hash.clone());
                writes[0](&mut world);
                if decided_between {
                    world.turn();
                }
                writes[1](&mut world);
                world.turn();
                world.turn();
                let case = format!("{case}, {order}, a decision between them: {decided_between}");
                assert_eq!(world.weight(), 20, "{case}: {:?}", world.told);
                assert_eq!(
                    (world.subset("canary"), world.subset("stable")),
                    (Some(&*current), Some(&*stable)),
                    "{case}"
                );
                assert_eq!(told_of_git(&world).len(), 1, "{case}: {:?}", world.told);
            }
        }
    }
}

#[test]
fn at_any_moment_of_a_hand_over_the_stable_side_could_take_all_traffic() {
    could_take_all_traffic(World::roles());
}

#[test]
fn the_old_version_stays_as_long_as_the_stable_side_points_at_it_however_short_the_delay() {
    could_take_all_traffic(World::roles().canary(&json!({"scaleDownDelaySeconds": 1})));
}

fn could_take_all_traffic(world: World) {
    let mut world = world.deployed();
    world.set_image("v2");
    world.settle();
    world.set_status(&json!({"promoteFull": true}));
    let mut turns = 0;
    while world.line() != "Healthy, step 2, 0 %, 5 v1, 5 v2" && world.status().phase.as_deref() != Some("Healthy") {
        world.turn();
        turns += 1;
        assert!(turns < 100, "{}", world.line());
        // Beside the story: what if a tool applied git's weights now?
        let mut other = world.clone();
        git_sets_weight(&mut other, 0);
        other.turn();
        other.settle();
        assert_eq!(other.weight(), 0);
    }
    assert!(turns > 10, "there was a hand-over: {}", world.line());
}
