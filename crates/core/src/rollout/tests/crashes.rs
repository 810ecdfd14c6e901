//! Accidents: a controller that stops between two writes, pods that die, objects that cannot be made.

use serde_json::json;

use super::world::World;

/// The same update, but every turn comes true only in part; the next ones have to make up for it.
#[track_caller]
fn check_crashes(case: &str, world: World, effects_max: usize) {
    let mut world = world.deployed();
    world.set_image("v2");
    for turn in 0..60 {
        world.turn_with(if turn % 3 == 2 { usize::MAX } else { effects_max });
    }
    world.settle();
    assert_eq!(world.line(), "Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2", "{case}, {effects_max} effects");
    world.set_status(&json!({"pauseConditions": null}));
    for turn in 0..60 {
        world.turn_with(if turn % 3 == 2 { usize::MAX } else { effects_max });
    }
    world.wait(60);
    assert_eq!(world.line(), "Healthy, step 2, 0 %, 5 v2", "{case}, {effects_max} effects");
}

#[test]
fn a_crash_between_any_two_writes_harms_nobody() {
    for effects_max in 0..3 {
        check_crashes("roles", World::roles(), effects_max);
        check_crashes("hashes", World::hashes(), effects_max);
        check_crashes("Services", World::services(), effects_max);
        check_crashes("both", World::both(), effects_max);
    }
}

#[test]
fn a_canary_that_dies_gives_its_traffic_back() {
    for world in [World::roles(), World::hashes(), World::services(), World::both()] {
        let mut world = world.ignoring_outages().deployed();
        world.set_image("v2");
        world.settle();
        world.break_image("v2", true);
        world.settle();
        world.expect("Paused (CanaryPauseStep), step 1, 0 %, 5 v1, 1 v2");
        world.break_image("v2", false);
        world.settle();
        world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2");
    }
}

#[test]
fn traffic_goes_back_only_to_who_can_take_it() {
    let mut world = World::hashes().steps(&json!([{"setWeight": 80}, {"pause": {}}])).deployed();
    world.set_image("v2");
    world.settle();
    let mut world = world.ignoring_outages();
    world.break_image("v1", true);
    world.set_status(&json!({"abort": true}));
    world.wait(120);
    assert_eq!(world.weight(), 80, "nobody is there to take it back: {}", world.line());
    assert_eq!(world.rs("v2").replicas, 4, "and who serves stays");
    world.break_image("v1", false);
    world.wait(60);
    world.expect("Degraded (RolloutAborted: Rollout aborted update to revision 2), step 0, 0 %, 5 v1");
}

#[test]
fn a_pod_that_cannot_be_made_is_told() {
    let mut world = World::hashes().deployed();
    world.set_image("v2");
    world.settle();
    world.rs_mut("v2").failure = Some("pods are forbidden: exceeded quota".to_owned());
    world.settle();
    assert_eq!(world.condition("ReplicaFailure"), "True FailedCreate: pods are forbidden: exceeded quota");
    world.rs_mut("v2").failure = None;
    world.settle();
    assert_eq!(world.condition("ReplicaFailure"), "absent");
}

#[test]
fn an_update_of_another_controller_is_taken_over_where_it_stands() {
    for world in [World::roles(), World::hashes(), World::services(), World::both(), World::basic()] {
        let mut world = world.deployed();
        world.set_image("v2");
        world.settle();
        let line = world.line();
        world.set_status(&json!({"serin": null}));
        for rs in &mut world.observed.replica_sets {
            rs.annotations.remove(serin_api::labels::OVERRIDDEN_METADATA);
        }
        world.told.clear();
        world.settle();
        assert_eq!(world.line(), line);
        assert_eq!(world.told, [""; 0], "nothing happens");
    }
}

#[test]
fn what_an_invalid_spec_says_is_kept_apart() {
    let mut world = World::hashes().deployed();
    world.set_spec(&json!({"minReadySeconds": 900}));
    let plan = world.settle();
    assert_eq!(plan.wake, None);
    assert!(world.condition("InvalidSpec").starts_with("True InvalidSpec: The Rollout \"web\" is invalid: "));
    assert!(world.line().starts_with("Degraded (InvalidSpec: The Rollout"), "{}", world.line());
    world.set_spec(&json!({"minReadySeconds": 1}));
    world.settle();
    world.expect("Healthy, step 2, 0 %, 5 v1");
    assert_eq!(world.condition("InvalidSpec"), "absent");
}
