//! Istio's control plane is away: changes of the mesh wait, and whatever a proxy still knows is served.

use serde_json::json;

use super::world::World;
use crate::rollout::{ControlPlane, Hold};

fn worlds() -> [(&'static str, World); 4] {
    [
        ("subsets with roles", World::roles()),
        ("subsets with hashes", World::hashes()),
        ("Services", World::services()),
        ("subsets and Services", World::both()),
    ]
}

/// In mid-canary; stable's old pods go a second after the promotion.
fn in_mid_canary(world: World) -> World {
    let mut world = world.canary(&json!({"scaleDownDelaySeconds": 1})).deployed();
    world.set_image("v2");
    world.settle();
    world.wait(10);
    world
}

fn away() -> Hold {
    Hold::MeshNotListening { until: None }
}

#[test]
fn an_update_waits_for_istiod_and_goes_on_afterwards() {
    for (case, world) in worlds() {
        for turns in [0, 3, 6] {
            let mut world = in_mid_canary(world.clone());
            world.set_status(&json!({"promoteFull": true}));
            for _ in 0..turns {
                world.turn();
            }
            world.lose_istiod();
            world.wait(120);
            assert!(world.rs("v1").replicas > 0, "{case} after {turns} turns: the old pods are still called");
            world.regain_istiod();
            world.wait(20);
            assert!(world.rs("v1").replicas > 0, "{case} after {turns} turns: some proxies may not be back");
            world.wait(90);
            world.expect("Healthy, step 2, 0 %, 5 v2");
        }
    }
}

#[test]
fn it_is_told_why_an_update_waits() {
    let mut world = World::hashes().deployed();
    world.wait(10);
    world.lose_istiod();
    world.set_image("v2");
    let plan = world.settle();
    assert!(plan.holds.contains(&away()), "{:?}", plan.holds);
    assert_eq!(world.weight(), 0, "no proxy knows the canary");
    world.regain_istiod();
    let plan = world.settle();
    let until = world.observed.control_plane.reconnected_at();
    assert!(plan.holds.contains(&Hold::MeshNotListening { until }), "{:?}", plan.holds);
    assert_eq!(plan.wake.map(|wake| wake.at), until);
    world.wait(40);
    assert_eq!(world.weight(), 20, "{}", world.line());
}

#[test]
fn an_update_that_waits_for_istiod_misses_no_deadline() {
    let mut world = World::hashes().spec(&json!({"progressDeadlineSeconds": 60})).deployed();
    world.lose_istiod();
    world.set_image("v2");
    world.wait(600);
    assert_eq!(world.status().phase.as_deref(), Some("Progressing"), "{}", world.line());
    world.regain_istiod();
    world.wait(45);
    assert_eq!(world.status().phase.as_deref(), Some("Paused"), "{}", world.line());
}

#[test]
fn an_abort_does_not_wait_for_istiod() {
    for (case, world) in worlds() {
        let mut world = in_mid_canary(world);
        assert_eq!(world.weight(), 20, "{case}");
        world.lose_istiod();
        world.set_status(&json!({"abort": true}));
        world.settle();
        assert_eq!(world.weight(), 0, "{case}");
        assert!(world.rs("v2").replicas > 0, "{case}: proxies still call the canary");
    }
}

#[test]
fn a_blue_green_switch_waits_for_its_pods_and_not_for_istiod() {
    let mut world = World::blue_green().ignoring_outages().deployed();
    world.lose_istiod();
    world.break_image("v1", true);
    world.point("web-active", Some("gone"));
    let plan = world.settle();
    assert!(plan.holds.iter().any(|hold| matches!(hold, Hold::SideNotSwitched { .. })), "{:?}", plan.holds);
    assert!(!plan.holds.iter().any(|hold| matches!(hold, Hold::MeshNotListening { .. })), "{:?}", plan.holds);
    world.break_image("v1", false);
    world.settle();
    assert_eq!(world.service("web-active"), Some(world.rs("v1").hash.as_str()));
}

#[test]
fn a_restart_waits_for_istiod() {
    let mut world = World::hashes().deployed();
    world.wait(10);
    world.lose_istiod();
    let before: Vec<String> = world.observed.pods.iter().map(|pod| pod.uid.clone()).collect();
    let now = world.observed.now.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    world.set_spec(&json!({"restartAt": now}));
    world.wait(60);
    assert_eq!(world.observed.pods.iter().map(|pod| pod.uid.clone()).collect::<Vec<_>>(), before);
}

#[test]
#[should_panic(expected = "nobody may answer")]
fn whoever_does_not_know_that_istiod_is_away_takes_pods_that_are_called() {
    let mut world = in_mid_canary(World::hashes());
    world.lose_istiod();
    world.observed.control_plane = ControlPlane::Unknown;
    world.set_status(&json!({"promoteFull": true}));
    world.wait(120);
}
