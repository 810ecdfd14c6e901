//! Random walks: people, tools and accidents in any order, from which every world finds its way home.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::world::World;

/// Something that happens.
#[derive(Clone, Debug)]
enum Action {
    Image(u8),
    Break(u8),
    Mend(u8),
    Scale(i32),
    Paused(bool),
    Status(Value),
    Steps(u8),
    Window(Option<u8>),
    Restart,
    Report(&'static str),
    Turns(usize),
    Crash(usize),
    Pass(i64),
    /// Istio's control plane goes, or is there again.
    Istiod(bool),
}

fn harmless() -> impl Strategy<Value = Action> {
    let next = json!({"pauseConditions": null});
    let skip = json!({"pauseConditions": null, "controllerPause": false, "currentStepIndex": 3});
    let status = [next, skip, json!({"abort": true}), json!({"abort": false}), json!({"promoteFull": true})];
    prop_oneof![
        4 => (1..5_u8).prop_map(Action::Image),
        1 => (1..7).prop_map(Action::Scale),
        1 => any::<bool>().prop_map(Action::Paused),
        4 => proptest::sample::select(status.to_vec()).prop_map(Action::Status),
        1 => proptest::option::of(0..4_u8).prop_map(Action::Window),
        1 => Just(Action::Restart),
        2 => (0..5_u8).prop_map(Action::Steps),
        2 => proptest::sample::select(vec!["Running", "Successful", "Failed", "Inconclusive"]).prop_map(Action::Report),
        6 => (1..8_usize).prop_map(Action::Turns),
        2 => (0..4_usize).prop_map(Action::Crash),
        2 => (1..60_i64).prop_map(Action::Pass),
        2 => any::<bool>().prop_map(Action::Istiod),
    ]
}

fn harmful() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => harmless(),
        1 => (1..5_u8).prop_map(Action::Break),
        1 => (1..5_u8).prop_map(Action::Mend),
        1 => Just(Action::Scale(0)),
    ]
}

/// The kind of a world that is switched by Services.
const BLUE_GREEN: usize = 5;

fn world(kind: usize) -> World {
    let world = match kind {
        0 => World::roles(),
        1 => World::hashes(),
        2 => World::services(),
        3 => World::both(),
        BLUE_GREEN => return World::blue_green().with_template().with_blue_green(&switching(0)),
        _ => World::basic(),
    };
    let managed = json!({"trafficRouting": {"managedRoutes": [{"name": "header"}, {"name": "mirror"}]}});
    let world = if kind < 4 { world.canary(&managed) } else { world };
    let analysis = json!({"templates": [{"templateName": "check"}], "startingStep": 1});
    let ports = json!({"template": {"spec": {"containers": [
        {"name": "web", "image": "web:v1", "ports": [{"containerPort": 8080}]}]}}});
    world.with_template().spec(&ports).canary(&json!({"analysis": analysis})).steps(&steps(0))
}

fn steps(variant: u8) -> Value {
    match variant {
        0 => json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {"duration": 10}}]),
        1 => json!([{"setWeight": 100}, {"pause": {}}, {"setWeight": 10},
                    {"analysis": {"templates": [{"templateName": "check"}]}}]),
        2 => json!([{"setCanaryScale": {"replicas": 1}},
                    {"setHeaderRoute": {"name": "header", "match": [{"headerName": "a", "headerValue": {"exact": "b"}}]}},
                    {"pause": {}}, {"setWeight": 30},
                    {"setMirrorRoute": {"name": "mirror", "match": [{"path": {"prefix": "/"}}]}},
                    {"pause": {}}, {"setHeaderRoute": {"name": "header"}}, {"setCanaryScale": {"replicas": 0}}]),
        3 => json!([{"setWeight": 10}, {"experiment": {
                "duration": "30s", "scaleDownDelaySeconds": 0,
                "templates": [{"name": "new", "specRef": "canary", "weight": 20},
                              {"name": "old", "specRef": "stable", "weight": 5, "replicas": 2}],
                "analyses": [{"name": "check", "templateName": "check", "requiredForCompletion": true}]}},
             {"setWeight": 50}, {"experiment": {"duration": "20s",
                "templates": [{"name": "last", "specRef": "canary", "weight": 50}]}}]),
        _ => json!([]),
    }
}

/// What may come before and after a switch.
fn switching(variant: u8) -> Value {
    let analysis = json!({"templates": [{"templateName": "check"}]});
    match variant {
        0 => json!({"autoPromotionEnabled": false, "prePromotionAnalysis": null, "postPromotionAnalysis": analysis,
                    "previewReplicaCount": 1}),
        1 => json!({"autoPromotionEnabled": true, "autoPromotionSeconds": 5, "prePromotionAnalysis": analysis,
                    "previewReplicaCount": null}),
        _ => json!({"autoPromotionEnabled": true, "autoPromotionSeconds": null, "postPromotionAnalysis": null,
                    "scaleDownDelaySeconds": 0}),
    }
}

fn act(world: &mut World, action: &Action) {
    match action {
        Action::Image(number) => world.set_image(&format!("v{number}")),
        Action::Break(number) => world.break_image(&format!("v{number}"), true),
        Action::Mend(number) => world.break_image(&format!("v{number}"), false),
        Action::Scale(replicas) => world.set_spec(&json!({"replicas": replicas})),
        Action::Paused(paused) => world.set_spec(&json!({"paused": paused})),
        Action::Status(patch) => world.set_status(patch),
        Action::Steps(variant) if world.observed.rollout.spec.strategy.blue_green.is_some() => {
            world.set_spec(&json!({"strategy": {"blueGreen": switching(*variant)}}));
        }
        Action::Steps(2 | 3) if world.observed.virtual_services.is_empty() => {}
        Action::Steps(variant) => world.set_spec(&json!({"strategy": {"canary": {"steps": steps(*variant)}}})),
        Action::Window(revisions) => world.set_spec(&json!({"rollbackWindow": {"revisions": revisions}})),
        Action::Restart => {
            let now = world.observed.now.format("%Y-%m-%dT%H:%M:%SZ").to_string();
            world.set_spec(&json!({"restartAt": now}));
        }
        Action::Report(phase) => report(world, phase),
        Action::Turns(turns) => (0..*turns).for_each(|_| drop(world.turn())),
        Action::Crash(effects_max) => drop(world.turn_with(*effects_max)),
        Action::Istiod(false) => world.lose_istiod(),
        Action::Istiod(true) => world.regain_istiod(),
        Action::Pass(seconds) => {
            world.observed.now += chrono::TimeDelta::seconds(*seconds);
            world.turn();
        }
    }
}

/// Gives a phase to every run that is under way.
fn report(world: &mut World, phase: &str) {
    world.report_experiments(phase, "");
    let open = |run: &&str| {
        world.observed.analysis_runs.iter().any(|r| {
            r.metadata.name.as_deref() == Some(run) && r.status.as_ref().is_none_or(|status| status.phase == "Running")
        })
    };
    let names: Vec<String> = world.runs().iter().filter(|run| open(run)).map(ToString::to_string).collect();
    for name in names {
        world.report(&name, phase, "");
    }
}

/// Everything is mended, and somebody promotes the present version: it has to become healthy and alone.
fn go_home(world: &mut World) {
    for number in 1..5 {
        world.break_image(&format!("v{number}"), false);
    }
    world.regain_istiod();
    world.set_spec(&json!({"paused": false, "replicas": 3}));
    world.wait(40);
    if world.status().abort {
        world.set_status(&json!({"abort": false}));
        world.turn();
    }
    report(world, "Successful");
    world.settle();
    world.set_status(&json!({"promoteFull": true}));
    world.wait(90);
    assert_eq!(world.status().phase.as_deref(), Some("Healthy"), "{}: {:?}", world.line(), world.settle().holds);
    assert_eq!(world.observed.pods.len(), 3, "{}", world.line());
    assert!(world.observed.experiment_pods.is_empty(), "{:?}", world.experiments());
    if !world.observed.virtual_services.is_empty() {
        assert!(world.http().iter().all(|route| route["route"].as_array().is_none_or(|all| all.len() <= 2)));
        assert_eq!(world.weight(), 0, "{}", world.line());
    }
}

/// Walks that once led nowhere.
#[track_caller]
fn check(case: &str, kind: usize, actions: &[Action]) {
    let mut world = world(kind).deployed();
    for action in actions {
        act(&mut world, action);
    }
    go_home(&mut world);
    assert_eq!(world.observed.pods.len(), 3, "{case}");
}

#[test]
fn walks_that_once_led_nowhere_lead_home() {
    use Action::{Crash, Image, Pass, Report, Scale, Status, Steps, Turns};
    let full = json!({"promoteFull": true});
    let restarts = [Image(2), Crash(0), Status(full.clone()), Turns(1), Crash(0), Report("Running")];
    check("crashes around the first decision to promote in full", 3, &restarts);
    check("a restart in the hand-over", 0, &[Image(2), Turns(1), Status(full.clone()), Turns(2), Action::Restart]);
    let restart = [Image(2), Steps(1), Turns(4), Steps(4), Pass(2), Turns(3), Action::Restart];
    check("a restart beside a turn of the hand-over", 0, &restart);
    check("a crash between subset and Service", 3, &[Image(2), Turns(3), Status(full), Turns(2), Crash(1)]);
    let skip = json!({"controllerPause": false, "currentStepIndex": 3, "pauseConditions": null});
    check("steps skipped before the first weight", 0, &[Image(2), Crash(2), Pass(1), Status(skip.clone())]);
    check("new steps skipped before the first weight", 3, &[Steps(1), Image(2), Turns(1), Pass(1), Status(skip)]);
    check("no pods while both sides change", 3, &[Image(2), Steps(4), Turns(1), Scale(0), Turns(1)]);
    check("no pods in the middle of an update", 0, &[Image(2), Turns(4), Steps(4), Scale(0), Crash(0)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_is_ever_left_without_an_answer(
        kind in prop_oneof![4 => 0..4_usize, 2 => Just(BLUE_GREEN)],
        actions in proptest::collection::vec(harmless(), 1..30),
    ) {
        let mut world = world(kind).deployed();
        for action in &actions {
            act(&mut world, action);
        }
        go_home(&mut world);
    }

    #[test]
    fn every_mess_can_be_cleaned_up(
        kind in 0..=BLUE_GREEN,
        actions in proptest::collection::vec(harmful(), 1..30),
    ) {
        let mut world = world(kind).ignoring_outages().deployed();
        for action in &actions {
            act(&mut world, action);
        }
        go_home(&mut world);
    }
}
