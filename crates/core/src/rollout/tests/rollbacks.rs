//! Returns to earlier revisions, within the rollback window and beyond it, and the clock of updates.

use serde_json::{Value, json};

use super::world::World;

const WINDOW: &str = "RolloutCompleted: Rollout completed update to revision";

/// Versions `v1` to `v4`, each promoted in turn, with steps, an analysis and a window of some revisions.
fn history(world: World, revisions: &Value) -> World {
    let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]);
    let analysis = json!({"templates": [{"templateName": "check"}]});
    let mut world = world.with_template().steps(&steps).canary(&json!({"analysis": analysis})).deployed();
    world.set_spec(&json!({"rollbackWindow": {"revisions": revisions}}));
    for version in ["v2", "v3", "v4"] {
        world.set_image(version);
        world.turn();
        world.set_status(&json!({"promoteFull": true}));
        world.wait(120);
        assert_eq!(world.status().phase.as_deref(), Some("Healthy"), "{version}: {}", world.line());
    }
    world.told.clear();
    world
}

fn outcome(world: &World) -> String {
    let clock = world.status().duration.expect("a clock");
    let is_over = if clock.finished_at.is_some() { "" } else { ", running" };
    format!("{}{is_over}", clock.completion_status.unwrap_or_default())
}

#[track_caller]
fn check(case: &str, world: World, revisions: &Value, (back_to, skips): (&str, bool)) {
    let mut world = history(world, revisions);
    let runs = world.observed.analysis_runs.len();
    world.set_image(back_to);
    world.wait(120);
    if !skips {
        assert_eq!(world.status().phase.as_deref(), Some("Paused"), "{case}: {}", world.line());
        assert_eq!(outcome(&world), ", running", "{case}");
        return;
    }
    assert_eq!(world.status().phase.as_deref(), Some("Healthy"), "{case}: {}", world.line());
    assert_eq!(world.rs(back_to).hash, world.status().stable_rs.unwrap_or_default(), "{case}");
    assert_eq!(world.observed.analysis_runs.len(), runs, "{case}: no analysis");
    let told = |text: &str| world.told.iter().any(|line| line.contains(text));
    assert!(told("SkipSteps: Rollback to active ReplicaSets within RollbackWindow"), "{case}: {:?}", world.told);
    assert!(told(WINDOW) && told("Rollback within window"), "{case}: {:?}", world.told);
    assert!(!told("RolloutPaused"), "{case}: {:?}", world.told);
}

#[test]
fn a_return_within_the_window_skips_steps_and_analyses() {
    for world in [World::basic, World::roles, World::hashes, World::services, World::both] {
        check("to the one before", world(), &json!(1), ("v3", true));
        check("to one further back than the window", world(), &json!(1), ("v2", false));
        check("to the edge of the window", world(), &json!(2), ("v2", true));
        check("beyond a wider window", world(), &json!(2), ("v1", false));
        check("no window at all", world(), &Value::Null, ("v3", false));
        check("a window of nothing", world(), &json!(0), ("v3", false));
    }
}

#[test]
fn a_return_within_the_window_can_be_stopped() {
    let mut world = history(World::hashes(), &json!(3));
    world.break_image("v2", true);
    world.set_image("v2");
    world.settle();
    assert_eq!(world.status().phase.as_deref(), Some("Progressing"), "{}", world.line());
    assert_eq!(world.weight(), 0, "nobody is sent to pods that are not ready");
    world.set_status(&json!({"abort": true}));
    world.wait(60);
    world.expect("Degraded (RolloutAborted: Rollout aborted update to revision 5), step 0, 0 %, 5 v4");
    assert_eq!(outcome(&world), "Aborted");
    world.break_image("v2", false);
    world.set_status(&json!({"abort": false}));
    world.wait(120);
    world.expect("Healthy, step 4, 0 %, 5 v2");
    assert_eq!(outcome(&world), "Promoted", "a retry begins anew");
}

#[test]
fn a_blue_green_return_within_the_window_needs_no_person() {
    let mut world = World::blue_green().deployed();
    let spec = json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 0});
    world.set_spec(&json!({"strategy": {"blueGreen": spec}, "rollbackWindow": {"revisions": 1}}));
    world.set_image("v2");
    world.settle();
    world.set_status(&json!({"pauseConditions": null}));
    world.wait(60);
    assert_eq!(world.status().phase.as_deref(), Some("Healthy"), "{}", world.line());
    world.set_image("v3");
    world.settle();
    assert_eq!(world.status().phase.as_deref(), Some("Paused"), "{}", world.line());
    world.set_image("v1");
    world.wait(60);
    assert_eq!(world.status().phase.as_deref(), Some("Healthy"), "{}", world.line());
    assert_eq!(outcome(&world), "FastRolledBack");
}

#[test]
fn revisions_of_the_same_second_are_told_apart_by_their_numbers() {
    let mut world = World::blue_green().deployed();
    let spec = json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 0});
    world.set_spec(&json!({"strategy": {"blueGreen": spec}, "rollbackWindow": {"revisions": 1}}));
    for version in ["v2", "v3"] {
        world.set_image(version);
        world.settle();
        let first = world.rs("v1").created;
        world.rs_mut(version).created = first;
        if version == "v2" {
            world.set_status(&json!({"pauseConditions": null}));
            world.wait(60);
        }
    }
    world.set_image("v1");
    world.wait(60);
    assert_eq!(world.status().phase.as_deref(), Some("Healthy"), "{}", world.line());
    assert_eq!(outcome(&world), "FastRolledBack");
}

#[test]
fn a_blue_green_return_without_a_delay_beyond_the_window_needs_a_person() {
    let mut world = World::blue_green().deployed();
    let spec = json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 0});
    world.set_spec(&json!({"strategy": {"blueGreen": spec}, "rollbackWindow": {"revisions": 1}}));
    for version in ["v2", "v3", "v4"] {
        world.set_image(version);
        world.settle();
        if version != "v4" {
            world.set_status(&json!({"pauseConditions": null}));
            // Not a second for the old pods to go.
            while world.status().phase.as_deref() != Some("Healthy") {
                world.turn();
            }
        }
    }
    world.set_image("v1");
    world.settle();
    assert_eq!(world.status().phase.as_deref(), Some("Paused"), "{}", world.line());
}

/// What the clock says while and after something happens to an update that pauses for people.
#[track_caller]
fn clock(case: &str, happens: impl FnOnce(&mut World), wanted: &str, paused: Option<i64>) {
    let mut world = World::basic().deployed();
    assert_eq!(outcome(&world), "Promoted", "{case}: the first deployment");
    assert_eq!(world.status().duration.expect("a clock").total_manual_pause_duration_seconds, None, "{case}");
    let first = world.status().duration.expect("a clock").rollout_started_at;
    world.set_image("v2");
    world.settle();
    assert_eq!(outcome(&world), ", running", "{case}");
    let running = world.status().duration.expect("a clock");
    assert_ne!(running.rollout_started_at, first, "{case}: an update begins anew");
    assert!(running.manual_pause_started_at.is_some(), "{case}: the pause has no end");
    world.observed.now += chrono::TimeDelta::seconds(100);
    happens(&mut world);
    world.settle();
    world.wait(60);
    assert_eq!(outcome(&world), wanted, "{case}");
    let clock = world.status().duration.expect("a clock");
    assert_eq!(clock.total_manual_pause_duration_seconds.map(|seconds| seconds / 100 * 100), paused, "{case}");
    assert_eq!(clock.manual_pause_started_at.is_some(), wanted.ends_with("running"), "{case}");
}

#[test]
fn the_clock_tells_how_an_update_ended() {
    let paused = Some(100);
    clock("promoted", |w| w.set_status(&json!({"pauseConditions": null})), "Promoted", paused);
    clock("promoted in full", |w| w.set_status(&json!({"promoteFull": true})), "FastPromoted", paused);
    clock("aborted", |w| w.set_status(&json!({"abort": true})), "Aborted", paused);
    clock("back to stable", |w| w.set_image("v1"), "FastRolledBack", paused);
    clock("superseded", |w| w.set_image("v3"), ", running", None);
    clock(
        "other steps",
        |w| w.set_spec(&json!({"strategy": {"canary": {"steps": [{"setWeight": 40}, {"pause": {}}]}}})),
        ", running",
        None,
    );
    clock("scaled", |w| w.set_spec(&json!({"replicas": 3})), ", running", None);
    let retry = |w: &mut World| {
        w.set_status(&json!({"abort": true}));
        w.settle();
        w.set_status(&json!({"abort": false}));
    };
    clock("retried", retry, ", running", None);
}

#[test]
fn the_clock_stands_while_somebody_paused_the_rollout() {
    let mut world = World::basic().steps(&json!([])).deployed();
    world.set_spec(&json!({"paused": true}));
    world.set_image("v2");
    world.settle();
    assert!(world.status().duration.expect("a clock").manual_pause_started_at.is_some());
    world.observed.now += chrono::TimeDelta::seconds(50);
    world.set_spec(&json!({"paused": false}));
    world.settle();
    let clock = world.status().duration.expect("a clock");
    assert_eq!(clock.completion_status.as_deref(), Some("Promoted"));
    assert!(clock.total_manual_pause_duration_seconds >= Some(50), "{clock:?}");
    world.set_spec(&json!({"replicas": 2}));
    world.settle();
    assert_eq!(world.status().duration.expect("a clock"), clock, "scaling is no update");
}

#[test]
fn a_return_outside_the_window_runs_all_steps_and_is_told_as_a_rollback() {
    let mut world = history(World::basic(), &json!(1));
    world.set_image("v5");
    world.settle();
    world.set_image("v1");
    world.settle();
    assert_eq!(outcome(&world), "RolledBack, running");
    for _ in 0..2 {
        let run = world.runs().last().expect("a run").to_string();
        world.report(&run, "Successful", "");
        world.set_status(&json!({"pauseConditions": null}));
        world.settle();
    }
    assert_eq!(outcome(&world), "RolledBack", "{}", world.line());
}
