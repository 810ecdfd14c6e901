//! Whole lives as clients see them: what is told and in which order, and what a first version is worth that never came up.

use serde_json::{Value, json};
use serin_api::labels;

use super::world::{World, image, key};
use crate::plan::{Effect, Verb};
use crate::rollout::decide;
use crate::rollout::observed::{Found, LeftBehind};

/// Reasons of everything told, in order.
fn reasons(world: &World) -> Vec<&str> {
    world.told.iter().filter_map(|told| told.split(':').next()).collect()
}

#[test]
fn a_canary_is_told_in_the_order_that_clients_know() {
    let steps = json!([{"setWeight": 50}, {"pause": {"duration": "3s"}}]);
    let mut world = World::basic().spec(&json!({"replicas": 1})).steps(&steps).deployed();
    world.set_image("v2");
    while world.status().phase.as_deref() != Some("Paused") {
        world.turn();
    }
    world.set_status(&json!({"abort": true}));
    world.settle();
    world.expect("Degraded (RolloutAborted: Rollout aborted update to revision 2), step 0, 1 v1");
    world.set_status(&json!({"abort": false}));
    world.wait(20);
    world.expect("Healthy, step 2, 1 v2");
    let wanted = [
        "RolloutAddedToInformer",
        "RolloutUpdated",
        "NewReplicaSetCreated",
        "RolloutNotCompleted",
        "ScalingReplicaSet",
        "RolloutCompleted",
        "RolloutUpdated",
        "NewReplicaSetCreated",
        "RolloutNotCompleted",
        "ScalingReplicaSet",
        "RolloutStepCompleted",
        "RolloutPaused",
        "ScalingReplicaSet",
        "RolloutAborted",
        "ScalingReplicaSet",
        "RolloutStepCompleted",
        "RolloutPaused",
        "RolloutStepCompleted",
        "RolloutResumed",
        "ScalingReplicaSet",
        "RolloutCompleted",
    ];
    assert_eq!(reasons(&world), wanted, "{:#?}", world.told);
}

#[test]
fn a_switch_is_told_in_the_order_that_clients_know() {
    let blue_green = json!({"activeService": "web-active", "previewService": null});
    let mut world = World::blue_green().with_blue_green(&blue_green).deployed();
    world.set_image("v2");
    world.settle();
    world.expect("Healthy, v2 active, 5 v1, 5 v2");
    let wanted = [
        "RolloutAddedToInformer",
        "RolloutUpdated",
        "NewReplicaSetCreated",
        "ScalingReplicaSet",
        "RolloutCompleted",
        "SwitchService",
        "RolloutUpdated",
        "NewReplicaSetCreated",
        "RolloutNotCompleted",
        "ScalingReplicaSet",
        "SwitchService",
        "RolloutCompleted",
    ];
    assert_eq!(reasons(&world), wanted, "{:#?}", world.told);
}

#[test]
fn an_invalid_rollout_is_seen_too() {
    let mut world = World::basic().canary(&json!({"maxSurge": 0, "maxUnavailable": 0}));
    world.settle();
    assert_eq!(reasons(&world), ["RolloutAddedToInformer"]);
    let kinds: Vec<String> = world.status().conditions.into_iter().map(|condition| condition.kind).collect();
    assert_eq!(kinds, ["InvalidSpec"]);
}

/// A first version of four pods that never come up, replaced by `second`.
fn replaced(surge: i32, unavailable: i32, second: &str) -> World {
    let limits = json!({"maxSurge": surge, "maxUnavailable": unavailable, "steps": []});
    let mut world = World::basic().spec(&json!({"replicas": 4, "progressDeadlineSeconds": 10})).canary(&limits);
    world.broken.insert("v1".to_owned());
    world.wait(30);
    assert_eq!(world.status().phase.as_deref(), Some("Degraded"), "{}", world.line());
    world.set_image(second);
    world
}

#[test]
fn a_first_version_that_never_came_up_is_replaced_pod_by_pod() {
    for (surge, unavailable, left) in [(1, 0, 4), (0, 1, 3), (0, 2, 2), (4, 4, 0)] {
        let mut world = replaced(surge, unavailable, "v2");
        world.broken.insert("v2".to_owned());
        world.wait(30);
        assert_eq!(world.status().phase.as_deref(), Some("Degraded"), "{}", world.line());
        let pods = |tag: &str| world.observed.replica_sets.iter().find(|rs| image(&rs.template) == tag);
        let (v1, v2) = (pods("v1").expect("there").replicas, pods("v2").expect("there").replicas);
        assert_eq!((v1, v2), (left, (4 + surge - left).min(4)), "maxSurge {surge}, maxUnavailable {unavailable}");

        let mut world = replaced(surge, unavailable, "v2");
        world.wait(60);
        world.expect("Healthy, step 0, 4 v2");
    }
}

#[test]
fn a_rollout_that_was_never_paused_says_nothing_of_pauses() {
    let mut world = World::blue_green().with_blue_green(&json!({"abortScaleDownDelaySeconds": 2})).deployed();
    world.set_spec(&json!({"progressDeadlineSeconds": 1}));
    world.broken.insert("v2".to_owned());
    world.set_image("v2");
    world.wait(60);
    let timeout = format!("ReplicaSet \"{}\" has timed out progressing.", world.rs("v2").name);
    world.expect(&format!("Degraded (ProgressDeadlineExceeded: {timeout}), v1 active, 5 v1, 5 v2"));
    world.set_spec(&json!({"progressDeadlineAbort": true}));
    world.wait(10);
    world.expect(&format!(
        "Degraded (RolloutAborted: Rollout aborted update to revision 2: {timeout}), v1 active, 5 v1"
    ));
    let kinds: Vec<String> = world.status().conditions.into_iter().map(|condition| condition.kind).collect();
    assert_eq!(kinds, ["Available", "Progressing", "Completed", "Healthy"]);
}

#[test]
fn a_workload_that_is_named_no_longer_leaves_no_generation_behind() {
    let mut world = World::basic();
    world.set_status(&json!({"workloadObservedGeneration": "2"}));
    world.settle();
    assert_eq!(world.status().workload_observed_generation, None);
}

/// The effects of one decision on an object that is named no longer.
#[track_caller]
fn lifted(world: &mut World, object: LeftBehind) -> Effect {
    world.observed.left_behind = vec![object];
    let effects: Vec<Effect> = decide(&world.observed).effects.into_iter().map(|planned| planned.effect).collect();
    let [effect] = effects.as_slice() else { panic!("one effect is wanted, not {effects:#?}") };
    effect.clone()
}

#[test]
fn what_is_named_no_longer_keeps_no_abort_from_the_routes() {
    let mut world = World::services().deployed();
    world.set_image("v2");
    world.settle();
    let raw = world.observed.services.values().find_map(|found| found.present().cloned()).expect("a Service");
    world.observed.left_behind = vec![LeftBehind::Service { name: "old".to_owned(), raw }];
    world.annotate(labels::ABORT, "now");
    let effects = decide(&world.observed).effects;
    let place = |wanted: fn(&Effect) -> bool| effects.iter().position(|planned| wanted(&planned.effect));
    let routes = place(|effect| matches!(effect, Effect::ApplyRoutes { .. })).expect("routes");
    let lifted = place(|effect| matches!(effect, Effect::SwitchService { name, .. } if name == "old")).expect("lifted");
    assert!(routes < lifted, "{effects:#?}");
}

#[test]
fn what_is_named_no_longer_is_as_its_author_wrote_it() {
    let present = |found: &Found<_>| found.present().cloned().expect("present");
    let patched = |effect: Effect| match effect.write("web").verb {
        Verb::MergePatch(patch) => patch,
        Verb::JsonPatch(patch) => Value::Array(patch),
        Verb::Create(_) | Verb::Delete { .. } | Verb::Scale { .. } | Verb::Evict { .. } => {
            panic!("it changes no field")
        }
    };

    let mut world = World::blue_green().deployed();
    let raw = present(&world.observed.services["web-active"]);
    let lifting = patched(lifted(&mut world, LeftBehind::Service { name: "old".to_owned(), raw: raw.clone() }));
    let mut service = (*raw.object).clone();
    json_patch::merge(&mut service, &lifting);
    assert_eq!(service["spec"]["selector"], json!({"app": "web"}));

    let mut world = World::roles().deployed();
    let raw = present(world.observed.destination_rule.as_ref().expect("a rule"));
    let lifting = lifted(&mut world, LeftBehind::DestinationRule { name: "old".to_owned(), raw: raw.clone() });
    assert!(matches!(&lifting, Effect::ApplySubsets { name, .. } if name == "old"), "{lifting:?}");
    let patch: json_patch::Patch = serde_json::from_value(patched(lifting)).expect("a patch");
    let mut rule = (*raw.object).clone();
    json_patch::patch(&mut rule, &patch).expect("it applies");
    assert!(!rule.to_string().contains("rollouts-pod-template-hash"), "{rule}");

    let mut world = World::roles().deployed();
    let raw = present(&world.observed.virtual_services[&key("web")]);
    let lifting = lifted(&mut world, LeftBehind::VirtualService { key: key("old"), raw });
    assert!(matches!(&lifting, Effect::ApplyRoutes { name, .. } if name == "old"), "{lifting:?}");
}
