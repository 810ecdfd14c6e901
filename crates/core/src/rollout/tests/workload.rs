//! The Deployment that a Rollout takes over from: how many pods it keeps, and when.

use serde_json::json;

use super::world::World;

/// Sizes of the Deployment: before any pod of the Rollout is ready, with three of five, and at the end.
#[track_caller]
fn check(case: &str, scale_down: &str, wanted: [i32; 3]) {
    for world in [World::basic(), World::hashes(), World::blue_green()] {
        let mut world = world.with_workload(scale_down);
        world.keep_ready("v1", 0);
        world.settle();
        let before = world.deployment();
        world.keep_ready("v1", 3);
        world.settle();
        let between = world.deployment();
        world.keep_ready("v1", i32::MAX);
        world.settle();
        assert_eq!([before, between, world.deployment()], wanted, "{case}: {}", world.line());
        assert_eq!(world.status().phase.as_deref(), Some("Healthy"), "{case}");
        let generation = world.status().workload_observed_generation;
        let annotation = world.observed.rollout.metadata.annotations.clone().unwrap_or_default();
        assert_eq!(annotation.get("rollout.argoproj.io/workload-generation").cloned(), generation, "{case}");
    }
}

#[test]
fn the_deployment_gives_its_pods_away_as_asked_for() {
    check("it is left alone", "never", [5, 5, 5]);
    check("when the Rollout is healthy", "onsuccess", [5, 5, 0]);
    check("pod by pod", "progressively", [5, 2, 0]);
}

#[test]
fn pods_that_are_lost_on_the_way_come_back() {
    let mut world = World::basic().with_workload("progressively");
    world.keep_ready("v1", 4);
    world.settle();
    assert_eq!(world.deployment(), 1);
    world.keep_ready("v1", 2);
    world.settle();
    assert_eq!(world.deployment(), 3);
}

#[test]
fn what_somebody_scaled_to_nothing_stays_so() {
    let mut world = World::basic().with_workload("progressively");
    world.set_deployment(0);
    world.keep_ready("v1", 3);
    world.settle();
    assert_eq!(world.deployment(), 0);
}

#[test]
fn only_the_first_deployment_takes_over() {
    for scale_down in ["onsuccess", "progressively"] {
        let mut world = World::basic().with_workload(scale_down).steps(&json!([])).deployed();
        world.set_spec(&json!({"replicas": 8}));
        world.settle();
        assert_eq!(world.deployment(), 0, "{scale_down}: scaling changes nothing");
        world.set_workload_image("v2");
        world.settle();
        world.set_deployment(3);
        world.settle();
        assert_eq!(world.deployment(), 3, "{scale_down}: somebody wants pods there again");
    }
}

#[test]
fn a_first_version_that_never_worked_may_be_mended() {
    for scale_down in ["onsuccess", "progressively"] {
        let mut world = World::basic().with_workload(scale_down);
        world.break_image("v1", true);
        world.settle();
        world.set_workload_image("v2");
        world.settle();
        assert_eq!((world.line().as_str(), world.deployment()), ("Healthy, step 2, 5 v2", 0), "{scale_down}");
    }
}

/// A Deployment keeps its pods as long as something is wrong, and gives them away as soon as it is right.
#[test]
fn what_could_not_be_scaled_down_at_once_is_later() {
    for scale_down in ["onsuccess", "progressively"] {
        let mut world = World::roles().with_workload(scale_down);
        world.break_image("v1", true);
        world.settle();
        world.set_workload_image("v2");
        world.protected = true;
        for _ in 0..60 {
            world.turn();
        }
        assert_eq!((world.line().as_str(), world.deployment()), ("Healthy, step 2, 0 %, 5 v2", 5), "{scale_down}");
        world.protected = false;
        world.settle();
        assert_eq!(world.deployment(), 0, "{scale_down}: {}", world.line());
    }
}

#[test]
fn a_deployment_that_was_to_stay_may_go_after_any_update() {
    let mut world = World::basic().with_workload("never").steps(&json!([])).deployed();
    world.set_workload_image("v2");
    world.settle();
    assert_eq!(world.deployment(), 5);
    world.set_spec(&json!({"workloadRef": {"scaleDown": "onsuccess"}}));
    world.settle();
    assert_eq!(world.deployment(), 0);
    world.set_deployment(3);
    world.settle();
    assert_eq!(world.deployment(), 3, "somebody wants pods there again");
}
