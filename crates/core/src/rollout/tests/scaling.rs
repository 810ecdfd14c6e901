//! Numbers of pods: scaling, canary scale, none at all, and autoscalers.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::world::World;
use crate::plan::Effect;

#[test]
fn a_canary_scale_is_in_force_until_the_last_step() {
    let steps = json!([
        {"pause": {}}, {"setCanaryScale": {"weight": 20}}, {"pause": {}}, {"setWeight": 60}, {"pause": {}},
        {"setCanaryScale": {"replicas": 2}}, {"pause": {}}, {"setCanaryScale": {"matchTrafficWeight": true}}, {"pause": {}},
        {"setCanaryScale": {"replicas": 1}}, {"pause": {}}, {"setWeight": 100}, {"pause": {}},
    ]);
    let mut world = World::hashes().steps(&steps).deployed();
    world.set_image("v2");
    world.settle();
    let paused = |step: i32, weight: i32, pods: i32| {
        let pods = if pods == 0 { String::new() } else { format!(", {pods} v2") };
        format!("Paused (CanaryPauseStep), step {step}, {weight} %, 5 v1{pods}")
    };
    for line in [
        paused(0, 0, 0),
        paused(2, 0, 1),
        paused(4, 60, 1),
        paused(6, 60, 2),
        paused(8, 60, 3),
        paused(10, 60, 1),
        paused(12, 100, 1),
    ] {
        assert_eq!(world.line(), line);
        world.set_status(&json!({"pauseConditions": null}));
        world.settle();
    }
    world.wait(60);
    world.expect("Healthy, step 13, 0 %, 5 v2");
}

#[test]
fn weights_fall_before_pods_go() {
    let steps = json!([{"setWeight": 80}, {"pause": {}}, {"setWeight": 20}, {"pause": {}}]);
    let mut world = World::roles().steps(&steps).deployed();
    world.set_image("v2");
    world.settle();
    world.expect("Paused (CanaryPauseStep), step 1, 80 %, 5 v1, 4 v2");
    world.set_status(&json!({"pauseConditions": null}));
    world.turn();
    world.expect("Progressing (more replicas need to be updated), step 2, 20 %, 5 v1, 4 v2");
    world.settle();
    world.expect("Paused (CanaryPauseStep), step 3, 20 %, 5 v1, 1 v2");
}

#[test]
fn a_rollout_may_have_no_pods_at_all() {
    for world in [World::roles(), World::hashes(), World::services(), World::both()] {
        let mut world = world.deployed();
        world.set_spec(&json!({"replicas": 0}));
        world.settle();
        world.expect("Healthy, step 2, 0 %");
        world.set_image("v2");
        world.settle();
        assert_eq!(world.status().message.as_deref(), Some("CanaryPauseStep"), "{}", world.line());
        world.set_status(&json!({"pauseConditions": null}));
        world.wait(60);
        world.expect("Healthy, step 2, 0 %");
        world.set_spec(&json!({"replicas": 3}));
        world.wait(60);
        world.expect("Healthy, step 2, 0 %, 3 v2");
    }
}

#[test]
fn pods_may_go_and_come_back_in_the_middle_of_an_update() {
    for world in [World::roles(), World::hashes(), World::services(), World::both()] {
        let mut world = world.ignoring_outages().deployed();
        world.set_image("v2");
        world.settle();
        world.set_spec(&json!({"replicas": 0}));
        world.wait(60);
        world.set_spec(&json!({"replicas": 10}));
        world.wait(60);
        world.expect("Paused (CanaryPauseStep), step 1, 20 %, 10 v1, 2 v2");
        world.set_status(&json!({"promoteFull": true}));
        world.wait(60);
        world.expect("Healthy, step 2, 0 %, 10 v2");
    }
}

#[test]
fn a_number_of_pods_is_written_back_once() {
    let mut world = World::hashes().spec(&json!({"replicas": null}));
    let plan = world.turn();
    assert!(plan.effects.iter().any(|p| p.effect == Effect::SetRolloutReplicas { replicas: 1 }), "{:?}", plan.effects);
    let world = world.deployed();
    world.expect("Healthy, step 2, 0 %, 1 v1");
}

#[test]
fn an_autoscaler_sees_all_pods_and_the_selector() {
    let mut world = World::hashes()
        .spec(&json!({"selector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}}))
        .deployed();
    world.set_image("v2");
    world.settle();
    let status = world.status();
    assert_eq!(status.selector.as_deref(), Some("app=web,app in (web)"));
    assert_eq!((status.hpa_replicas, status.replicas, status.updated_replicas), (Some(6), Some(6), Some(1)));
    assert_eq!((status.ready_replicas, status.available_replicas), (Some(6), Some(6)));
    let generation = world.observed.rollout.metadata.generation.map(|generation| generation.to_string());
    assert_eq!(status.observed_generation, generation);
}

/// An update of a basic canary to 50 %: the numbers of pods while the new version comes up, turn by turn.
#[track_caller]
fn check_basic(case: &str, canary: &Value, available_min: i32, pods_max: i32) {
    let mut world = World::basic().steps(&json!([{"setWeight": 50}, {"pause": {}}])).canary(canary).deployed();
    world.set_image("v2");
    for _ in 0..30 {
        world.turn();
        let pods = i32::try_from(world.observed.pods.len()).expect("few");
        assert!((available_min..=pods_max).contains(&pods), "{case}: {}", world.line());
    }
    world.settle();
    let line = world.line();
    assert!(line.starts_with("Paused (CanaryPauseStep), step 1"), "{case}: {line}");
    world.set_status(&json!({"pauseConditions": null}));
    for _ in 0..30 {
        world.turn();
        let pods = i32::try_from(world.observed.pods.len()).expect("few");
        assert!((available_min..=pods_max).contains(&pods), "{case}: {}", world.line());
    }
    world.settle();
    world.expect("Healthy, step 2, 5 v2");
}

#[test]
fn a_basic_canary_keeps_within_surge_and_unavailability() {
    check_basic("defaults: 25 %", &json!({}), 4, 7);
    check_basic("surge alone", &json!({"maxSurge": 1, "maxUnavailable": 0}), 5, 6);
    check_basic("no surge", &json!({"maxSurge": 0, "maxUnavailable": 1}), 4, 5);
    check_basic("everything at once", &json!({"maxSurge": "100%", "maxUnavailable": "100%"}), 0, 10);
}

#[test]
fn a_basic_canary_that_is_broken_takes_no_more_than_it_may() {
    let mut world = World::basic().canary(&json!({"maxSurge": 0, "maxUnavailable": 1})).deployed();
    world.broken.insert("v2".to_owned());
    world.set_image("v2");
    world.wait(700);
    let name = world.rs("v2").name.clone();
    world.expect(&format!(
        "Degraded (ProgressDeadlineExceeded: ReplicaSet \"{name}\" has timed out progressing.), step 0, 4 v1, 1 v2"
    ));
    world.set_status(&json!({"abort": true}));
    world.settle();
    world.expect("Degraded (RolloutAborted: Rollout aborted update to revision 2), step 0, 5 v1");
}

#[test]
fn stable_gives_pods_away_as_its_weight_falls() {
    let steps =
        json!([{"setWeight": 40}, {"pause": {}}, {"setWeight": 100}, {"pause": {}}, {"setWeight": 20}, {"pause": {}}]);
    for make in [World::hashes, World::roles, World::services, World::both] {
        let dynamic = json!({"dynamicStableScale": true});
        let mut world = make().canary(&dynamic).steps(&steps).deployed();
        world.set_image("v2");
        world.settle();
        world.expect("Paused (CanaryPauseStep), step 1, 40 %, 3 v1, 2 v2");
        world.set_status(&json!({"pauseConditions": null}));
        world.settle();
        world.expect("Paused (CanaryPauseStep), step 3, 100 %, 5 v2");
        world.set_status(&json!({"pauseConditions": null}));
        world.settle();
        world.expect("Paused (CanaryPauseStep), step 5, 20 %, 4 v1, 1 v2");
        world.set_status(&json!({"pauseConditions": null}));
        world.wait(60);
        world.expect("Healthy, step 6, 0 %, 5 v2");
    }
}

#[test]
fn a_small_stable_takes_traffic_back_as_its_pods_come() {
    let steps = json!([{"setWeight": 80}, {"pause": {}}]);
    let small = |make: fn() -> World| {
        let mut world = make().canary(&json!({"dynamicStableScale": true})).steps(&steps).deployed();
        world.set_image("v2");
        world.settle();
        world.expect("Paused (CanaryPauseStep), step 1, 80 %, 1 v1, 4 v2");
        world
    };
    for make in [World::hashes as fn() -> World, World::roles, World::services, World::both] {
        let mut world = small(make);
        world.set_status(&json!({"abort": true}));
        let mut before = 80;
        for _ in 0..20 {
            world.turn();
            let ready = world.rs("v1").replicas_ready;
            assert!(100 - world.weight() <= i64::from(ready) * 20, "{} on {ready} pods", world.line());
            assert!(world.weight() <= before, "{}", world.line());
            before = world.weight();
        }
        world.wait(30);
        world.expect("Degraded (RolloutAborted: Rollout aborted update to revision 2), step 0, 0 %, 5 v1");
        let mut world = small(make);
        world.set_image("v3");
        world.settle();
        world.expect("Paused (CanaryPauseStep), step 1, 80 %, 1 v1, 4 v3");
        let mut world = small(make).ignoring_outages();
        world.break_image("v2", true);
        world.set_status(&json!({"abort": true}));
        world.turn();
        assert_eq!(world.weight(), 0, "nobody is there to keep it");
    }
}

#[test]
fn a_revision_with_any_traffic_has_its_least_number_of_pods() {
    let steps = json!([{"pause": {}}, {"setWeight": 10}, {"pause": {}}, {"setWeight": 80}, {"pause": {}}]);
    let mut world = World::hashes().canary(&json!({"minPodsPerReplicaSet": 2})).steps(&steps).deployed();
    world.set_image("v2");
    for line in ["step 0, 0 %, 5 v1", "step 2, 10 %, 5 v1, 2 v2", "step 4, 80 %, 5 v1, 4 v2"] {
        world.settle();
        world.expect(&format!("Paused (CanaryPauseStep), {line}"));
        world.set_status(&json!({"pauseConditions": null}));
    }
    let mut world =
        World::hashes().spec(&json!({"replicas": 1})).canary(&json!({"minPodsPerReplicaSet": 9})).deployed();
    world.set_image("v2");
    world.settle();
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 1 v1, 1 v2");
}

#[test]
fn enough_pods_are_enough() {
    let broken_but = |threshold: &Value, ready: i32| {
        let canary = json!({"replicaProgressThreshold": threshold});
        let mut world = World::hashes().canary(&canary).steps(&json!([{"setWeight": 80}, {"pause": {}}])).deployed();
        world.set_image("v2");
        world.turn();
        world.keep_ready("v2", ready);
        world.settle();
        world.status().current_step_index
    };
    for (case, threshold, ready, step) in [
        ("half of four, rounded up", json!({"type": "Percent", "value": 50}), 2, 1),
        ("less than half of four", json!({"type": "Percent", "value": 50}), 1, 0),
        ("three pods", json!({"type": "Pods", "value": 3}), 3, 1),
        ("less than three pods", json!({"type": "Pods", "value": 3}), 2, 0),
        ("more than there are to be", json!({"type": "Pods", "value": 9}), 4, 1),
        ("a negative value is none", json!({"type": "Pods", "value": -1}), 3, 0),
    ] {
        assert_eq!(broken_but(&threshold, ready), Some(step), "{case}");
    }
}

#[test]
fn a_rollout_that_is_scaled_in_mid_update_keeps_to_its_surge() {
    let surge = json!({"steps": null, "maxSurge": 2, "maxUnavailable": 0});
    let mut world = World::basic().canary(&surge).spec(&json!({"replicas": 4})).deployed();
    world.break_image("v2", true);
    world.set_image("v2");
    for (replicas, pods) in [(4, "4 v1, 2 v2"), (8, "4 v1, 6 v2"), (4, "4 v1, 2 v2")] {
        world.set_spec(&json!({"replicas": replicas}));
        world.settle();
        assert!(world.line().ends_with(pods), "{replicas}: {}", world.line());
    }
    world.break_image("v2", false);
    world.settle();
    assert!(world.line().ends_with("Healthy, 4 v2") || world.line().ends_with(", 4 v2"), "{}", world.line());
}

#[test]
fn an_aborted_canary_has_its_deadline_from_the_abort_on() {
    for world in [World::roles(), World::hashes(), World::services()] {
        let mut world = world.deployed();
        world.set_image("v2");
        world.settle();
        world.set_status(&json!({"abort": true}));
        world.turn();
        let aborted_at = world.status().aborted_at.expect("aborted").0;
        let deadline = world.rs("v2").deadline().expect("a deadline");
        assert_eq!(deadline - aborted_at, TimeDelta::seconds(30), "{}", world.line());
        world.wait(15);
        assert_eq!(world.rs("v2").replicas, 1, "{}", world.line());
        world.wait(20);
        assert_eq!(world.rs("v2").replicas, 0, "{}", world.line());
    }
}
