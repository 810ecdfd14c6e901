//! Header and mirror routes: made with their steps, kept up, and gone with the update.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::{World, key};
use crate::plan::Effect;
use crate::rollout::observed::{Found, Writer};

/// A canary of two pods without weight, then a header and a mirror route, then the end of both.
fn world(make: fn() -> World) -> World {
    let header = json!([{"headerName": "agent", "headerValue": {"exact": "tester"}}]);
    let steps = json!([
        {"setCanaryScale": {"replicas": 2}},
        {"setHeaderRoute": {"name": "header", "match": header}},
        {"pause": {}},
        {"setMirrorRoute": {"name": "mirror", "match": [{"method": {"exact": "GET"}}], "percentage": 40}},
        {"pause": {}},
        {"setWeight": 40},
        {"pause": {}},
        {"setHeaderRoute": {"name": "header"}},
        {"pause": {}},
    ]);
    let managed = json!({"trafficRouting": {"managedRoutes": [{"name": "mirror"}, {"name": "header"}]}});
    make().canary(&managed).steps(&steps)
}

/// A kind of world by its name.
type Named = (&'static str, fn() -> World);

const WORLDS: [Named; 4] =
    [("hashes", World::hashes), ("roles", World::roles), ("services", World::services), ("both", World::both)];

/// Names of the routes, and the canary's weight in each that splits.
fn routes(world: &World) -> Vec<String> {
    let told = |route: &Value| {
        let name = route["name"].as_str().unwrap_or("main").to_owned();
        match route["route"][1]["weight"].as_i64() {
            Some(weight) => format!("{name} {weight}"),
            None => name,
        }
    };
    world.http().iter().map(told).collect()
}

fn go_on(world: &mut World) {
    world.set_status(&json!({"pauseConditions": null}));
    world.settle();
}

/// An update that stands in its second pause, with both routes.
fn with_both(make: fn() -> World) -> World {
    let mut world = world(make).deployed();
    world.set_image("v2");
    world.settle();
    go_on(&mut world);
    assert_eq!(routes(&world), ["mirror 0", "header", "main 0"], "{}", world.line());
    world
}

fn is_clean(world: &World) -> bool {
    let record = world.observed.virtual_services[&key("web")].present().expect("present").object.to_string();
    routes(world) == [format!("main {}", world.weight())] && !record.contains("managed-routes")
}

#[test]
fn routes_come_and_go_with_their_steps() {
    for (case, make) in WORLDS {
        let mut world = world(make).deployed();
        world.set_image("v2");
        world.settle();
        assert_eq!(routes(&world), ["header", "main 0"], "{case}");
        assert_eq!(world.line(), "Paused (CanaryPauseStep), step 2, 0 %, 5 v1, 2 v2", "{case}");
        let header = &world.http()[0];
        assert_eq!(header["match"], json!([{"headers": {"agent": {"exact": "tester"}}}]), "{case}");
        assert_eq!(
            header["route"],
            json!([{"destination": world.http()[1]["route"][1]["destination"], "weight": 100}])
        );
        go_on(&mut world);
        assert_eq!(routes(&world), ["mirror 0", "header", "main 0"], "{case}");
        let mirror = &world.http()[0];
        assert_eq!(mirror["mirror"], world.http()[2]["route"][1]["destination"], "{case}");
        assert_eq!(mirror["mirrorPercentage"], json!({"value": 40}), "{case}");
        go_on(&mut world);
        assert_eq!(routes(&world), ["mirror 40", "header", "main 40"], "{case}: the mirror splits as its origin does");
        go_on(&mut world);
        assert_eq!(routes(&world), ["mirror 40", "main 40"], "{case}");
        go_on(&mut world);
        world.wait(90);
        assert_eq!(world.line(), "Healthy, step 9, 0 %, 5 v2", "{case}");
        assert!(is_clean(&world), "{case}: {:?}", routes(&world));
    }
}

#[test]
fn a_newer_version_does_not_pass_the_step_before_it_has_routes_of_its_own() {
    for (case, make) in WORLDS {
        let mut world = world(make).deployed();
        world.set_image("v2");
        world.settle();
        world.set_image("v3");
        world.turn();
        for _ in 0..20 {
            if world.status().current_step_index > Some(1) {
                break;
            }
            world.turn();
        }
        assert_eq!(world.line(), "Paused (CanaryPauseStep), step 2, 0 %, 5 v1, 2 v3", "{case}");
        assert_eq!(routes(&world), ["header", "main 0"], "{case}: {}", world.line());
    }
}

#[test]
fn a_step_is_left_only_when_its_route_is_there() {
    for (case, make) in WORLDS {
        let header = json!([{"headerName": "agent", "headerValue": {"exact": "tester"}}]);
        let steps = json!([{"setCanaryScale": {"replicas": 1}},
            {"setHeaderRoute": {"name": "header", "match": header}}, {"pause": {}}]);
        let mut world = world(make).steps(&steps).deployed();
        world.set_image("v2");
        let mut turns = 0..100;
        while world.status().current_step_index != Some(2) {
            assert!(turns.next().is_some(), "{case}: {}", world.line());
            world.turn();
        }
        assert_eq!(routes(&world), ["header", "main 0"], "{case}: {}", world.line());
    }
}

#[test]
fn nothing_of_them_outlives_the_update() {
    for (case, make) in WORLDS {
        let mut world = with_both(make);
        world.set_status(&json!({"abort": true}));
        world.turn();
        assert!(is_clean(&world), "{case}: gone with the first decision after an abort: {:?}", routes(&world));
        world.wait(60);
        assert_eq!(world.rs("v2").replicas, 0, "{case}");
        let mut world = with_both(make);
        world.set_status(&json!({"promoteFull": true}));
        world.wait(90);
        assert_eq!(world.line(), "Healthy, step 9, 0 %, 5 v2", "{case}");
        assert!(is_clean(&world), "{case}: {:?}", routes(&world));
        let mut world = with_both(make);
        world.set_image("v3");
        world.turn();
        assert!(is_clean(&world), "{case}: they were for v2: {:?}", routes(&world));
        world.settle();
        assert_eq!(routes(&world), ["header", "main 0"], "{case}: and come again for v3");
        assert_eq!(
            world.subset("canary").or_else(|| world.service("web-canary")),
            Some(world.rs("v3").hash.as_str()),
            "{case}"
        );
        let mut world = with_both(make);
        world.set_image("v1");
        world.wait(60);
        assert!(is_clean(&world), "{case}: back to stable: {:?}", routes(&world));
    }
}

#[test]
fn what_somebody_takes_away_comes_back() {
    for (case, make) in WORLDS {
        let mut world = with_both(make);
        let (before, versions) = (routes(&world), world.versions);
        let found = world.observed.virtual_services.get_mut(&key("web")).expect("a VirtualService");
        let Found::Present(raw) = found else { panic!("present") };
        let mut object = (*raw.object).clone();
        let main = object["spec"]["http"][2].clone();
        object["spec"]["http"] = json!([{"name": "header", "route": [{"destination": {"host": "elsewhere"}}]}, main]);
        object["metadata"]["resourceVersion"] = json!((versions + 1).to_string());
        raw.version = (versions + 1).to_string();
        raw.writer = Writer::Other { manager: "kubectl".to_owned(), operation: "Update".to_owned() };
        raw.object = Arc::new(object);
        world.versions += 1;
        world.settle();
        assert_eq!(routes(&world), before, "{case}");
    }
}

#[test]
fn a_header_route_goes_with_the_last_ready_pod() {
    for (case, make) in WORLDS {
        let mut world = with_both(make).ignoring_outages();
        world.break_image("v2", true);
        world.turn();
        assert!(is_clean(&world), "{case}: {:?}", routes(&world));
        world.settle();
        world.break_image("v2", false);
        world.settle();
        assert_eq!(routes(&world), ["mirror 0", "header", "main 0"], "{case}");
    }
}

#[test]
fn without_canary_pods_a_header_step_passes_and_sends_nobody_anywhere() {
    let header = json!([{"headerName": "agent", "headerValue": {"prefix": "t"}}]);
    let steps = json!([{"setHeaderRoute": {"name": "header", "match": header}}, {"pause": {}},
        {"setCanaryScale": {"replicas": 1}}, {"pause": {}}, {"setCanaryScale": {"replicas": 0}}, {"pause": {}}]);
    let mut world = world(World::hashes).steps(&steps).deployed();
    world.set_image("v2");
    world.settle();
    assert_eq!(
        (routes(&world), world.line().as_str()),
        (vec!["main 0".to_owned()], "Paused (CanaryPauseStep), step 1, 0 %, 5 v1")
    );
    go_on(&mut world);
    assert_eq!(routes(&world), ["header", "main 0"], "now that there is a pod");
    go_on(&mut world);
    assert_eq!((routes(&world), world.rs("v2").replicas), (vec!["main 0".to_owned()], 0), "the route went first");
}

#[test]
fn a_crash_at_any_write_changes_nothing() {
    for (case, make) in WORLDS {
        for effects_max in 0..3 {
            let mut world = world(make).deployed();
            world.set_image("v2");
            let turns = |world: &mut World| {
                for turn in 0..40 {
                    world.turn_with(if turn % 3 == 2 { usize::MAX } else { effects_max });
                }
            };
            turns(&mut world);
            assert_eq!(routes(&world), ["header", "main 0"], "{case}, {effects_max} effects");
            for _ in 0..4 {
                world.set_status(&json!({"pauseConditions": null}));
                turns(&mut world);
            }
            world.wait(90);
            assert_eq!(world.line(), "Healthy, step 9, 0 %, 5 v2", "{case}, {effects_max} effects");
            assert!(is_clean(&world), "{case}: {:?}", routes(&world));
        }
    }
}

#[test]
fn a_virtual_service_is_written_once_a_decision() {
    let mut world = with_both(World::hashes);
    go_on(&mut world);
    world.set_status(&json!({"abort": true}));
    let plan = world.turn();
    let writes = plan.effects.iter().filter(|planned| matches!(planned.effect, Effect::ApplyRoutes { .. })).count();
    assert_eq!((writes, world.weight()), (1, 0), "weights and routes in one patch");
    assert!(is_clean(&world));
}
