//! Services that a canary without traffic routing names.

use serde_json::json;

use super::world::World;

#[track_caller]
fn expect(world: &World, case: &str, canary: Option<&str>, stable: Option<&str>) {
    let hash = |image: Option<&str>| image.map(|image| world.rs(image).hash.clone());
    let found = (world.service("web-canary"), world.service("web-stable"));
    assert_eq!(found, (hash(canary).as_deref(), hash(stable).as_deref()), "{case}");
}

#[test]
fn each_stands_for_its_revision_through_an_update() {
    let mut world = World::named_services().deployed();
    expect(&world, "after the first deployment", Some("v1"), Some("v1"));
    world.set_image("v2");
    world.turn();
    expect(&world, "without a pod of the new revision", Some("v1"), Some("v1"));
    world.settle();
    expect(&world, "with some", Some("v2"), Some("v1"));
    world.set_status(&json!({"pauseConditions": null}));
    world.settle();
    world.expect("Healthy, step 2, 5 v2");
    expect(&world, "after the update", Some("v2"), Some("v2"));
}

#[test]
fn an_abort_is_told_once_the_canary_service_stands_for_stable() {
    let mut world = World::named_services().deployed();
    world.set_image("v2");
    world.settle();
    world.set_status(&json!({"abort": true}));
    world.turn();
    assert_eq!(world.status().message.as_deref(), Some("canary service cutover pending"));
    expect(&world, "meanwhile it is switched", Some("v1"), Some("v1"));
    world.settle();
    world.expect("Degraded (RolloutAborted: Rollout aborted update to revision 2), step 0, 5 v1");
    expect(&world, "and stays", Some("v1"), Some("v1"));
}

#[test]
fn an_abort_is_told_although_nobody_is_left_to_switch_to() {
    let mut world = World::named_services().deployed().ignoring_outages();
    world.set_image("v2");
    world.settle();
    world.break_image("v1", true);
    world.set_status(&json!({"abort": true}));
    world.turn();
    assert_eq!(world.status().phase.as_deref(), Some("Degraded"));
    expect(&world, "who has pods keeps the Service", Some("v2"), Some("v1"));
}

#[test]
fn a_service_that_others_use_is_taken_over_when_all_pods_are_there() {
    let mut world = World::named_services();
    world.keep_ready("v1", 3);
    world.settle();
    expect(&world, "three of five", None, None);
    world.keep_ready("v1", 5);
    world.settle();
    expect(&world, "all", Some("v1"), Some("v1"));
}
