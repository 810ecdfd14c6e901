//! Revisions: superseded, taken back, found again, forgotten.

use serde_json::json;
use serin_api::labels;

use super::world::World;
use crate::rollout::observed::ReplicaSet;

#[test]
fn a_revision_may_supersede_a_canary_in_every_world() {
    for world in [World::roles(), World::hashes(), World::services(), World::both()] {
        let mut world = world.steps(&json!([{"setWeight": 60}, {"pause": {}}])).deployed();
        world.set_image("v2");
        world.settle();
        world.expect("Paused (CanaryPauseStep), step 1, 60 %, 5 v1, 3 v2");
        world.set_image("v3");
        world.settle();
        world.expect("Paused (CanaryPauseStep), step 1, 60 %, 5 v1, 3 v3");
        world.set_image("v2");
        world.settle();
        world.expect("Paused (CanaryPauseStep), step 1, 60 %, 5 v1, 3 v2");
        assert_eq!(world.rs("v2").revision(), 4, "a revision that comes back is the newest");
        assert_eq!(world.rs("v2").annotations.get(labels::REVISION_HISTORY).map(String::as_str), Some("2"));
        world.set_status(&json!({"promoteFull": true}));
        world.wait(60);
        world.expect("Healthy, step 2, 0 %, 5 v2");
    }
}

#[test]
fn revisions_may_change_at_any_moment() {
    for turns in [1, 2, 3, 4, 5, 7, 9, 12, 16, 21] {
        for world in [World::roles(), World::hashes(), World::services(), World::both()] {
            let mut world = world.steps(&json!([{"setWeight": 60}])).deployed();
            for image in ["v2", "v3", "v2", "v1", "v4"] {
                world.set_image(image);
                for _ in 0..turns {
                    world.turn();
                }
            }
            world.wait(90);
            assert_eq!(world.line(), "Healthy, step 1, 0 %, 5 v4", "a change every {turns} turns");
        }
    }
}

#[test]
fn a_return_to_stable_skips_the_steps() {
    for world in [World::roles(), World::hashes(), World::services(), World::both()] {
        let mut world = world.deployed();
        world.set_image("v2");
        world.settle();
        world.told.clear();
        world.set_image("v1");
        world.wait(60);
        world.expect("Healthy, step 2, 0 %, 5 v1");
        assert!(world.told.contains(&"SkipSteps: Rollback to stable ReplicaSets".to_owned()), "{:?}", world.told);
    }
}

#[test]
fn other_steps_begin_the_update_anew_and_skip_nothing() {
    let mut world = World::hashes().deployed();
    world.told.clear();
    world.set_spec(&json!({"strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}}));
    world.settle();
    world.expect("Healthy, step 2, 0 %, 5 v1");
    assert_eq!(world.told, [""; 0], "nothing happened to a complete revision");
    world.set_image("v2");
    world.settle();
    world.set_spec(&json!({"strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}]}}}));
    world.settle();
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2");
}

#[test]
fn the_old_version_stays_for_its_delay() {
    let mut world = World::hashes().deployed();
    world.set_image("v2");
    world.settle();
    world.set_status(&json!({"promoteFull": true}));
    world.wait(20);
    world.expect("Healthy, step 2, 0 %, 5 v1, 5 v2");
    assert!(world.rs("v1").deadline().is_some());
    world.set_image("v3");
    world.wait(5);
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 5 v2, 1 v3");
    world.wait(30);
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v2, 1 v3");
    let mut world = World::hashes().canary(&json!({"scaleDownDelayRevisionLimit": 0})).deployed();
    world.set_image("v2");
    world.settle();
    world.set_status(&json!({"promoteFull": true}));
    world.wait(15);
    world.expect("Healthy, step 2, 0 %, 5 v2");
}

#[test]
fn old_revisions_are_forgotten_beyond_the_limit() {
    let mut world = World::hashes().spec(&json!({"revisionHistoryLimit": 2})).deployed();
    for image in ["v2", "v3", "v4", "v5"] {
        world.set_image(image);
        world.settle();
        world.set_status(&json!({"promoteFull": true}));
        world.wait(60);
    }
    let kept: Vec<i64> = world.observed.replica_sets.iter().map(ReplicaSet::revision).collect();
    assert_eq!(kept, [3, 4, 5]);
}

#[test]
fn a_taken_hash_is_passed_over() {
    let probe = World::hashes().deployed();
    let mut world = World::hashes();
    let mut foreign = probe.rs("v1").clone();
    foreign.template = std::sync::Arc::new(json!({"spec": {"containers": [{"name": "other", "image": "web:x"}]}}));
    (foreign.replicas, foreign.owned) = (0, true);
    world.observed.replica_sets.push(foreign);
    let world = world.deployed();
    assert_eq!(world.status().collision_count, Some(1));
    assert_ne!(world.rs("v1").hash, probe.rs("v1").hash);
}

#[test]
fn orphans_are_adopted_and_nothing_is_deployed_anew() {
    let mut world = World::hashes().deployed();
    world.set_image("v2");
    world.settle();
    for rs in &mut world.observed.replica_sets {
        rs.owned = false;
    }
    world.set_status(&json!(null));
    world.told.clear();
    world.set_image("v1");
    world.wait(60);
    world.expect("Healthy, step 2, 0 %, 5 v1");
    assert!(world.observed.replica_sets.iter().all(|rs| rs.owned));
    assert!(!world.told.iter().any(|told| told.starts_with("NewReplicaSetCreated")), "{:?}", world.told);
}

#[test]
fn a_lost_replica_set_comes_back_in_its_role() {
    let mut world = World::roles().ignoring_outages().deployed();
    world.observed.replica_sets.clear();
    world.let_live();
    world.settle();
    world.expect("Healthy, step 2, 0 %, 5 v1");
    assert!(world.observed.pods.iter().all(|pod| pod.labels.get("role").map(String::as_str) == Some("stable")));
    world.set_image("v2");
    world.settle();
    let stable = world.rs("v1").name.clone();
    world.observed.replica_sets.retain(|rs| rs.name != stable);
    world.let_live();
    world.set_status(&json!({"pauseConditions": null}));
    world.wait(60);
    world.expect("Healthy, step 2, 0 %, 5 v2");
}

#[test]
fn a_deleted_rollout_is_left_alone() {
    let mut world = World::hashes();
    let metadata = &mut std::sync::Arc::make_mut(&mut world.observed.rollout).metadata;
    metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).expect("a time");
    assert_eq!(world.turn(), crate::rollout::Plan::default());
}

#[test]
fn roles_follow_the_revision_and_leave_nothing_behind() {
    let mut world = World::roles().canary(&json!({"scaleDownDelaySeconds": 300})).deployed();
    world.set_image("v2");
    world.settle();
    let roles = |world: &World| {
        let role = |pod: &crate::rollout::observed::Pod| pod.labels.get("role").cloned().unwrap_or_default();
        let mut roles: Vec<String> = world.observed.pods.iter().map(role).collect();
        roles.dedup();
        roles
    };
    assert_eq!(roles(&world), ["stable", "canary"]);
    world.set_status(&json!({"promoteFull": true}));
    world.wait(10);
    world.expect("Healthy, step 2, 0 %, 5 v1, 5 v2");
    assert_eq!(roles(&world), ["", "stable"], "old pods lose their role");
    world.set_spec(&json!({"strategy": {"canary": {"stableMetadata": {"labels": {"tier": "gold"}}}}}));
    world.wait(60);
    let pod = world.observed.pods.iter().find(|pod| pod.replica_set == world.rs("v2").name).expect("a pod");
    assert_eq!(pod.labels.get("tier").map(String::as_str), Some("gold"), "{pod:?}");
}
