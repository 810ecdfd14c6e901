//! Updates from the first deployment to the promotion, in every way of splitting the traffic.

use serde_json::json;

use super::world::World;

/// Runs an update of two steps to its end, and compares what clients see on the way.
#[track_caller]
fn check(case: &str, world: World, deployed: &str, paused: &str, promoted: &str) {
    let mut world = world.deployed();
    assert_eq!(world.line(), deployed, "{case}: deployed");
    world.set_image("v2");
    world.settle();
    assert_eq!(world.line(), paused, "{case}: paused");
    world.set_status(&json!({"pauseConditions": null}));
    world.settle();
    world.wait(60);
    assert_eq!(world.line(), promoted, "{case}: promoted");
    assert_eq!(world.condition("Completed"), "True RolloutCompleted: RolloutCompleted", "{case}");
    assert_eq!(world.condition("Healthy"), "True RolloutHealthy: Rollout is healthy", "{case}");
    assert_eq!(world.rs("v1").replicas, 0, "{case}: the old version is gone");
}

#[test]
fn updates_run_to_their_end_in_every_world() {
    let paused = "Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2";
    let routed = ("Healthy, step 2, 0 %, 5 v1", paused, "Healthy, step 2, 0 %, 5 v2");
    for (case, world) in [
        ("subsets with roles", World::roles()),
        ("subsets with hashes", World::hashes()),
        ("Services", World::services()),
        ("subsets and Services", World::both()),
    ] {
        check(case, world, routed.0, routed.1, routed.2);
    }
    check(
        "a basic canary",
        World::basic(),
        "Healthy, step 2, 5 v1",
        "Paused (CanaryPauseStep), step 1, 4 v1, 1 v2",
        "Healthy, step 2, 5 v2",
    );
}

#[test]
fn updates_run_to_their_end_with_any_number_of_pods() {
    for replicas in 1..=7 {
        for world in [World::roles(), World::hashes(), World::services(), World::both()] {
            let pods = json!({"replicas": replicas});
            check(
                &format!("{replicas} pods"),
                world.spec(&pods),
                &format!("Healthy, step 2, 0 %, {replicas} v1"),
                &format!(
                    "Paused (CanaryPauseStep), step 1, 20 %, {replicas} v1, {} v2",
                    if replicas > 5 { 2 } else { 1 }
                ),
                &format!("Healthy, step 2, 0 %, {replicas} v2"),
            );
        }
    }
}

#[test]
fn an_update_without_steps_still_moves_traffic_before_pods_go() {
    for world in [World::roles(), World::hashes(), World::services(), World::both()] {
        let mut world = world.steps(&json!([])).deployed();
        world.set_image("v2");
        world.wait(60);
        world.expect("Healthy, step 0, 0 %, 5 v2");
    }
}

#[test]
fn sides_stand_for_their_revisions() {
    let mut world = World::both().deployed();
    let v1 = world.rs("v1").hash.clone();
    let sides = |world: &World| {
        [world.subset("canary"), world.subset("stable"), world.service("web-canary"), world.service("web-stable")]
            .map(|hash| hash.unwrap_or_default().to_owned())
    };
    assert_eq!(sides(&world), [v1.as_str(); 4], "both stand for the first revision");
    world.set_image("v2");
    world.settle();
    let v2 = world.rs("v2").hash.clone();
    assert_eq!(sides(&world), [&v2, &v1, &v2, &v1].map(String::as_str), "the canary's for the new one");
    world.set_status(&json!({"abort": true}));
    world.settle();
    assert_eq!(sides(&world), [&v2, &v1, &v1, &v1].map(String::as_str), "an abort takes the Service back");
    world.set_status(&json!({"abort": false}));
    world.settle();
    assert_eq!(sides(&world), [&v2, &v1, &v2, &v1].map(String::as_str), "a retry gives it again");
    world.set_status(&json!({"promoteFull": true}));
    world.wait(60);
    assert_eq!(sides(&world), [v2.as_str(); 4], "in the end all stand for the second");
}

#[test]
fn a_side_is_first_pointed_at_a_whole_revision() {
    let mut world = World::services();
    world.broken.insert("v1".to_owned());
    world.settle();
    assert_eq!(world.service("web-stable"), None, "pods that are not ready take no traffic");
    assert_eq!(world.line(), "Progressing (updated replicas are still becoming available), step 2, 0 %, 5 v1");
    world.break_image("v1", false);
    let mut world = world.deployed();
    assert_eq!(world.service("web-stable"), Some(world.rs("v1").hash.as_str()));
    world.broken.insert("v2".to_owned());
    world.set_image("v2");
    world.settle();
    let v1 = world.rs("v1").hash.clone();
    assert_eq!(world.service("web-canary"), Some(v1.as_str()), "later ones need one pod that is ready");
    world.expect("Progressing (more replicas need to be updated), step 0, 0 %, 5 v1, 1 v2");
}

#[test]
fn several_virtual_services_get_the_same_weight() {
    let world = World::hashes().canary(&json!({"trafficRouting": {"istio": {
        "virtualService": null, "virtualServices": [{"name": "web"}, {"name": "edge"}],
    }}}));
    let mut world = world;
    let weights = |world: &World| {
        let objects = world.observed.virtual_services.values().map(|found| found.present().expect("present"));
        objects.map(|raw| raw.object["spec"]["http"][0]["route"][1]["weight"].clone()).collect::<Vec<_>>()
    };
    let route = |canary: i32| {
        json!([{"destination": {"host": "web", "subset": "stable"}, "weight": 100 - canary},
               {"destination": {"host": "web", "subset": "canary"}, "weight": canary}])
    };
    world.put_route("edge", &route(0));
    let mut world = world.deployed();
    world.set_image("v2");
    world.settle();
    assert_eq!(weights(&world), [20, 20]);
    world.put_route("edge", &route(70));
    let plan = world.turn();
    assert_eq!(plan.facts.weight_observed, None, "they disagree");
    let found: Vec<(&str, i32, i32)> =
        plan.facts.overwritten.iter().map(|one| (one.name.as_str(), one.from, one.to)).collect();
    assert_eq!(found, [("edge", 20, 70)], "somebody else did that");
    world.settle();
    assert_eq!(weights(&world), [20, 20], "what somebody changed is set right");
    assert_eq!(world.status().canary.weights.map(|weights| weights.canary.weight), Some(20));
}

#[test]
fn everything_is_told_in_the_words_that_clients_know() {
    let mut world = World::hashes().deployed();
    world.told.clear();
    world.set_image("v2");
    world.settle();
    world.set_status(&json!({"pauseConditions": null}));
    world.wait(60);
    let (v1, v2) = (world.rs("v1").hash.clone(), world.rs("v2").hash.clone());
    let wanted = [
        "RolloutUpdated: Rollout updated to revision 2".to_owned(),
        format!("NewReplicaSetCreated: Created ReplicaSet web-{v2} (revision 2)"),
        format!("RolloutNotCompleted: Rollout not completed, started update to revision 2 ({v2})"),
        format!("ScalingReplicaSet: Scaled up ReplicaSet web-{v2} (revision 2) from 0 to 1"),
        format!("UpdatedDestinationRule: DestinationRule web subset updated (canary: {v2}, stable: {v1})"),
        "TrafficWeightUpdated: Traffic weight updated from 0 to 20".to_owned(),
        "RolloutStepCompleted: Rollout step 1/2 completed (setWeight: 20)".to_owned(),
        "RolloutPaused: Rollout is paused (CanaryPauseStep)".to_owned(),
        "RolloutStepCompleted: Rollout step 2/2 completed (pause)".to_owned(),
        "RolloutResumed: Rollout is resumed".to_owned(),
        format!("ScalingReplicaSet: Scaled up ReplicaSet web-{v2} (revision 2) from 1 to 5"),
        "TrafficWeightUpdated: Traffic weight updated from 20 to 100".to_owned(),
        format!("RolloutCompleted: Rollout completed update to revision 2 ({v2}): Completed all 2 canary steps"),
        format!("UpdatedDestinationRule: DestinationRule web subset updated (canary: {v2}, stable: {v2})"),
        "TrafficWeightUpdated: Traffic weight updated from 100 to 0".to_owned(),
        format!("ScalingReplicaSet: Scaled down ReplicaSet web-{v1} (revision 1) from 5 to 0"),
    ];
    assert_eq!(world.told, wanted);
}

#[test]
fn a_first_deployment_is_healthy_once_both_sides_stand_for_it() {
    for mut world in [World::services(), World::hashes()] {
        let both = |world: &World| match world.observed.services.is_empty() {
            true => (world.subset("canary").is_some(), world.subset("stable").is_some()),
            false => (world.service("web-canary").is_some(), world.service("web-stable").is_some()),
        };
        for _ in 0..20 {
            let before = both(&world);
            world.turn();
            let is_healthy = world.status().phase.as_deref() == Some("Healthy");
            assert!(!is_healthy || before == (true, true), "{}", world.line());
        }
        world.expect("Healthy, step 2, 0 %, 5 v1");
    }
}
