//! Time: pauses, the progress deadline, and what a status says of it.

use serde_json::{Value, json};

use super::world::World;
use crate::rollout::Hold;

fn stuck(world: World) -> World {
    let mut world = world.deployed();
    world.broken.insert("v2".to_owned());
    world.set_image("v2");
    world.settle();
    world
}

#[test]
fn a_pause_lasts_as_long_as_it_says() {
    for duration in [json!("10m"), json!(600), json!("600")] {
        let mut world =
            World::hashes().steps(&json!([{"setWeight": 20}, {"pause": {"duration": duration}}])).deployed();
        world.set_image("v2");
        let plan = world.settle();
        let [Hold::PauseRunning { step: 1, until }] = plan.holds[..] else { panic!("{:?}", plan.holds) };
        assert_eq!(plan.wake.map(|wake| wake.at), Some(until));
        world.wait(580);
        world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2");
        world.wait(80);
        world.expect("Healthy, step 2, 0 %, 5 v2");
    }
}

#[test]
fn an_update_without_progress_is_degraded_and_recovers() {
    let mut world = stuck(World::hashes());
    world.wait(590);
    world.expect("Progressing (more replicas need to be updated), step 0, 0 %, 5 v1, 1 v2");
    world.wait(30);
    let name = world.rs("v2").name.clone();
    let text = format!("ReplicaSet \"{name}\" has timed out progressing.");
    world.expect(&format!("Degraded (ProgressDeadlineExceeded: {text}), step 0, 0 %, 5 v1, 1 v2"));
    assert_eq!(world.condition("Progressing"), format!("False ProgressDeadlineExceeded: {text}"));
    world.break_image("v2", false);
    world.settle();
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2");
}

#[test]
fn flapping_is_no_progress() {
    let mut world = stuck(World::hashes().steps(&json!([{"setWeight": 40}, {"pause": {}}])));
    for _ in 0..40 {
        world.observed.now += chrono::TimeDelta::seconds(20);
        // One pod of two is ready now and then.
        let ready = !world.observed.pods.iter().any(|pod| pod.ready && pod.replica_set == world.rs("v2").name);
        let rs = world.rs_mut("v2");
        rs.replicas_available = i32::from(ready);
        world.turn();
    }
    assert_eq!(world.status().phase.as_deref(), Some("Degraded"), "{}", world.line());
}

#[test]
fn an_update_may_be_aborted_at_its_deadline() {
    let mut world = stuck(World::hashes().spec(&json!({"progressDeadlineAbort": true})));
    world.wait(700);
    let name = world.rs("v2").name.clone();
    world.expect(&format!(
        "Degraded (RolloutAborted: Rollout aborted update to revision 2: ReplicaSet \"{name}\" has timed out \
         progressing.), step 0, 0 %, 5 v1"
    ));
}

/// Something that stops the clock for an hour in an update that has to make progress after.
#[track_caller]
fn check_clock(case: &str, steps: &Value, stop: impl Fn(&mut World), go: impl Fn(&mut World)) {
    let world = World::hashes().steps(steps).spec(&json!({"progressDeadlineAbort": true})).with_template();
    let mut world = world.deployed();
    world.broken.insert("v2".to_owned());
    world.set_image("v2");
    world.settle();
    stop(&mut world);
    world.wait(3600);
    assert!(!world.line().contains("RolloutAborted"), "{case}: {}", world.line());
    go(&mut world);
    world.wait(500);
    assert_eq!(world.status().phase.as_deref(), Some("Progressing"), "{case}: {}", world.line());
    world.wait(200);
    assert_eq!(world.status().phase.as_deref(), Some("Degraded"), "{case}: {}", world.line());
}

#[test]
fn the_deadline_counts_only_time_in_which_progress_is_due() {
    let weight = json!([{"setWeight": 20}]);
    check_clock(
        "spec.paused",
        &weight,
        |world| world.set_spec(&json!({"paused": true})),
        |world| world.set_spec(&json!({"paused": false})),
    );
    check_clock(
        "a pause",
        &json!([{"pause": {}}, {"setWeight": 20}]),
        |_| (),
        |world| {
            world.set_status(&json!({"pauseConditions": null}));
        },
    );
    check_clock(
        "an analysis that a client skips",
        &json!([{"analysis": {"templates": [{"templateName": "check"}]}}, {"setWeight": 20}]),
        |_| (),
        |world| world.set_status(&json!({"currentStepIndex": 1})),
    );
    check_clock(
        "an invalid spec",
        &weight,
        |world| {
            world.set_spec(&json!({"strategy": {"canary": {"maxSurge": 0, "maxUnavailable": 0}}}));
            world.settle();
        },
        |world| world.set_spec(&json!({"strategy": {"canary": {"maxSurge": 1}}})),
    );
}

#[test]
fn a_complete_revision_is_not_timed() {
    let mut world = World::hashes().deployed();
    world.wait(3600);
    world.break_image("v1", true);
    let mut world = world.ignoring_outages();
    world.settle();
    world.expect("Progressing (updated replicas are still becoming available), step 2, 0 %, 5 v1");
    world.break_image("v1", false);
    world.settle();
    world.set_spec(&json!({"replicas": 8}));
    world.turn();
    assert_eq!(world.status().phase.as_deref(), Some("Progressing"));
    world.settle();
    world.expect("Healthy, step 2, 0 %, 8 v1");
}

#[test]
fn spec_paused_halts_the_update_and_says_so() {
    let mut world = World::hashes().spec(&json!({"paused": true}));
    world.settle();
    world.expect("Paused (manually paused), step 2, 0 %");
    world.set_spec(&json!({"paused": false}));
    let mut world = world.deployed();
    world.set_image("v2");
    world.settle();
    world.set_spec(&json!({"paused": true}));
    world.set_status(&json!({"pauseConditions": null}));
    world.settle();
    world.expect("Paused (manually paused), step 1, 20 %, 5 v1, 1 v2");
    assert_eq!(world.condition("Paused"), "True RolloutPaused: Rollout is paused");
    world.set_spec(&json!({"replicas": 10}));
    world.settle();
    world.expect("Paused (manually paused), step 1, 20 %, 10 v1, 2 v2");
    world.set_spec(&json!({"paused": false}));
    world.wait(60);
    world.expect("Healthy, step 2, 0 %, 10 v2");
}
