//! Restarts: who goes, how many at a time, and what nobody may take away.

use chrono::TimeDelta;
use serde_json::json;

use super::world::World;
use crate::plan::Effect;
use crate::rollout::Plan;

fn evicted(plan: &Plan) -> usize {
    plan.effects.iter().filter(|planned| matches!(planned.effect, Effect::EvictPod { .. })).count()
}

/// Asks for a restart, now or later.
fn restart(world: &mut World, in_seconds: i64) {
    let at = world.observed.now + TimeDelta::seconds(in_seconds);
    world.set_spec(&json!({"restartAt": at.format("%Y-%m-%dT%H:%M:%SZ").to_string()}));
}

fn names(world: &World) -> Vec<String> {
    world.observed.pods.iter().map(|pod| pod.name.clone()).collect()
}

/// Restarts a Rollout, and checks that every pod was replaced and who is there at the end.
#[track_caller]
fn check(case: &str, world: World, line: &str) {
    let mut world = world;
    world.wait(10);
    let before = names(&world);
    restart(&mut world, 0);
    world.turn();
    let message = world.status().message.unwrap_or_default();
    assert!(message == "rollout is restarting" || message == "CanaryPauseStep", "{case}: {}", world.line());
    world.wait(120);
    assert_eq!(world.line(), line, "{case}");
    assert_eq!(world.status().restarted_at.map(|time| time.0), world.restart_at(), "{case}");
    let kept: Vec<String> = names(&world).into_iter().filter(|name| before.contains(name)).collect();
    assert_eq!(kept, Vec::<String>::new(), "{case}: these stayed");
}

#[test]
fn every_pod_is_replaced() {
    for replicas in [1, 2, 5] {
        for world in [World::basic, World::roles, World::hashes, World::services, World::both] {
            let world = world().spec(&json!({"replicas": replicas})).deployed();
            let weight = if world.observed.virtual_services.is_empty() { "" } else { " 0 %," };
            check("a healthy Rollout", world, &format!("Healthy, step 2,{weight} {replicas} v1"));
        }
        let world = World::blue_green().spec(&json!({"replicas": replicas})).deployed();
        check("a blue-green Rollout", world, &format!("Healthy, v1 active, {replicas} v1"));
    }
    for (world, line) in [
        (World::basic(), "Paused (CanaryPauseStep), step 1, 4 v1, 1 v2"),
        (World::roles(), "Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2"),
        (World::services(), "Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2"),
    ] {
        let mut world = world.deployed();
        world.set_image("v2");
        world.settle();
        check("in mid-canary", world, line);
    }
    for world in [World::roles(), World::hashes(), World::services(), World::both()] {
        let steps = json!([{"setCanaryScale": {"replicas": 1}}, {"pause": {}}]);
        let mut world = world.steps(&steps).deployed();
        world.set_image("v2");
        world.settle();
        check("a lone canary that is sent nothing", world, "Paused (CanaryPauseStep), step 1, 0 %, 5 v1, 1 v2");
    }
}

#[test]
fn no_more_pods_go_than_may_be_unavailable() {
    #[track_caller]
    fn check(case: &str, unavailable: &str, replicas: i32, wanted: usize) {
        let strategy = json!({"maxUnavailable": unavailable});
        let mut world = World::basic().spec(&json!({"replicas": replicas})).canary(&strategy).deployed();
        world.wait(10);
        restart(&mut world, 0);
        assert_eq!(evicted(&world.turn()), wanted, "{case}");
    }
    check("a quarter of five, rounded down", "25%", 5, 1);
    check("three quarters of four", "75%", 4, 3);
    check("all of them", "100%", 4, 4);
    check("one at least", "0", 4, 1);
}

#[test]
fn pods_that_are_not_ready_are_missed_by_nobody() {
    let mut world = World::basic().deployed();
    world.wait(10);
    world.break_image("v1", true);
    restart(&mut world, 0);
    assert_eq!(evicted(&world.turn()), 5);
}

#[test]
fn what_a_budget_protects_is_tried_again() {
    let mut world = World::basic().deployed();
    world.wait(10);
    world.protected = true;
    restart(&mut world, 0);
    let before = names(&world);
    let plan = world.turn();
    assert_eq!(evicted(&plan), 1);
    assert_eq!(plan.holds.iter().map(ToString::to_string).collect::<Vec<_>>(), ["5 pods are left to restart"]);
    assert_eq!(names(&world), before);
    let again = plan.wake.expect("a wake-up").at;
    assert!(again - world.observed.now <= TimeDelta::seconds(10), "it is not forgotten");
    world.protected = false;
    world.wait(60);
    world.expect("Healthy, step 2, 5 v1");
}

#[test]
fn a_restart_waits_for_its_time() {
    let mut world = World::basic().deployed();
    let before = names(&world);
    restart(&mut world, 30);
    let plan = world.settle();
    assert_eq!(plan.wake.map(|wake| wake.at), world.restart_at());
    assert_eq!(names(&world), before);
    world.expect("Progressing (rollout is restarting), step 2, 5 v1");
    world.wait(60);
    world.expect("Healthy, step 2, 5 v1");
    assert!(names(&world).iter().all(|name| !before.contains(name)));
}

#[test]
fn a_pause_does_not_keep_a_lone_pod_from_its_restart() {
    for world in [World::roles(), World::hashes(), World::services(), World::blue_green()] {
        let mut world = world.spec(&json!({"replicas": 1})).deployed();
        world.wait(10);
        let before = names(&world);
        world.set_spec(&json!({"paused": true}));
        restart(&mut world, 0);
        world.wait(60);
        assert!(names(&world).iter().all(|name| !before.contains(name)), "{}", world.line());
        world.set_spec(&json!({"paused": false}));
        world.wait(60);
        assert!(world.line().ends_with("1 v1"), "{}", world.line());
    }
}

#[test]
fn a_new_version_needs_no_restart() {
    let mut world = World::basic().steps(&json!([])).deployed();
    world.wait(10);
    world.protected = true;
    restart(&mut world, 0);
    world.turn();
    world.set_image("v2");
    world.settle();
    world.expect("Healthy, step 0, 5 v2");
    assert_eq!(world.status().restarted_at.map(|time| time.0), world.restart_at());
}
