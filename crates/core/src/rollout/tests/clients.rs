//! What people and tools ask for: promotions, aborts and retries, by patches of the status and by annotations.

use serde_json::{Value, json};
use serin_api::labels;

use super::world::World;

/// An update that waits in its second step.
fn paused() -> World {
    let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 40}, {"pause": {}}]);
    let mut world = World::hashes().steps(&steps).deployed();
    world.set_image("v2");
    world.settle();
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2");
    world.told.clear();
    world
}

/// Patches the status of a paused update as a client does.
#[track_caller]
fn check(case: &str, patches: &[Value], line: &str) {
    let mut world = paused();
    for patch in patches {
        world.set_status(patch);
        world.settle();
    }
    assert_eq!(world.line(), line, "{case}");
}

#[test]
fn clients_patch_the_status() {
    let next = "Paused (CanaryPauseStep), step 3, 40 %, 5 v1, 2 v2";
    let aborted = "Degraded (RolloutAborted: Rollout aborted update to revision 2), step 0, 0 %, 5 v1, 1 v2";
    let here = "Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2";
    check("promote", &[json!({"pauseConditions": null})], next);
    check(
        "promote past a step of an index",
        &[json!({"currentStepIndex": 2, "controllerPause": false, "pauseConditions": null})],
        next,
    );
    check("abort", &[json!({"abort": true})], aborted);
    check("abort twice", &[json!({"abort": true}), json!({"abort": true})], aborted);
    check("retry", &[json!({"abort": true}), json!({"abort": false})], here);
    check("retry as Argo CD does", &[json!({"abort": true}), json!({"abort": null})], here);
    check("promote past a step what is aborted", &[json!({"abort": true}), json!({"pauseConditions": null})], aborted);
    check("stop and go at once", &[json!({"abort": true, "promoteFull": true})], aborted);
    check(
        "an abort that is retried takes no old promotion along",
        &[json!({"abort": true, "promoteFull": true}), json!({"abort": false})],
        here,
    );
}

#[test]
fn a_promotion_in_full_skips_all_that_is_left() {
    let mut world = paused();
    world.set_status(&json!({"promoteFull": true}));
    world.wait(60);
    world.expect("Healthy, step 4, 0 %, 5 v2");
    assert!(!world.status().promote_full, "it is over");
    let completed = world.told.iter().find(|told| told.starts_with("RolloutCompleted")).expect("it is told");
    assert!(completed.ends_with(": Full promotion requested"), "{completed}");
}

#[test]
fn a_promotion_in_full_takes_up_what_was_aborted_before() {
    let mut world = paused();
    world.set_status(&json!({"abort": true}));
    world.settle();
    world.set_status(&json!({"promoteFull": true}));
    world.wait(60);
    world.expect("Healthy, step 4, 0 %, 5 v2");
}

#[test]
fn nothing_is_asked_of_a_complete_revision() {
    for patch in [json!({"abort": true}), json!({"promoteFull": true})] {
        let mut world = World::hashes().deployed();
        world.set_status(&patch);
        world.settle();
        world.expect("Healthy, step 2, 0 %, 5 v1");
        let status = world.status();
        assert!(!status.abort && !status.promote_full, "{patch}");
        world.set_image("v2");
        world.settle();
        world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2");
    }
}

#[test]
fn a_first_deployment_cannot_be_aborted() {
    let mut world = World::hashes();
    world.broken.insert("v1".to_owned());
    world.settle();
    world.set_status(&json!({"abort": true}));
    world.settle();
    world.expect("Progressing (updated replicas are still becoming available), step 2, 0 %, 5 v1");
}

#[test]
fn an_abort_does_not_hit_the_next_revision() {
    let mut world = paused();
    world.set_status(&json!({"abort": true}));
    world.set_image("v3");
    world.settle();
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v3");
    let mut world = paused();
    world.set_status(&json!({"abort": true}));
    world.settle();
    world.set_image("v3");
    world.wait(60);
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v3");
}

#[test]
fn an_abort_is_told_once_with_its_conditions() {
    let mut world = paused();
    world.set_status(&json!({"abort": true}));
    world.wait(60);
    let aborts = world.told.iter().filter(|told| told.starts_with("RolloutAborted")).collect::<Vec<_>>();
    assert_eq!(aborts, ["RolloutAborted: Rollout aborted update to revision 2"]);
    assert_eq!(world.condition("Progressing"), "False RolloutAborted: Rollout aborted update to revision 2");
    assert_eq!(world.condition("Paused"), "False RolloutPaused: Rollout is not paused");
    assert_eq!(
        world.condition("Completed"),
        "False RolloutCompleted: Rollout not completed, started update to revision 2"
    );
    world.set_status(&json!({"abort": false}));
    world.turn();
    assert_eq!(world.condition("Progressing"), "Unknown RolloutRetry: Retrying Rollout after abort");
    world.settle();
    assert_eq!(world.condition("Progressing"), "Unknown RolloutPaused: Rollout is paused");
    world.set_status(&json!({"pauseConditions": null}));
    world.turn();
    assert_eq!(world.condition("Progressing"), "Unknown RolloutResumed: Rollout is resumed");
    world.set_status(&json!({"promoteFull": true}));
    world.wait(60);
    let name = &world.rs("v2").name;
    let progressed = format!("True NewReplicaSetAvailable: ReplicaSet \"{name}\" has successfully progressed.");
    assert_eq!(world.condition("Progressing"), progressed);
}

#[test]
fn an_aborted_canary_stays_for_its_delay_and_goes_for_good() {
    let aborted = "Degraded (RolloutAborted: Rollout aborted update to revision 2), step 0, 0 %, 5 v1";
    let mut world = paused();
    world.set_status(&json!({"abort": true}));
    world.wait(20);
    world.expect(&format!("{aborted}, 1 v2"));
    world.wait(20);
    world.expect(aborted);
    assert_eq!(world.rs("v2").deadline(), None);
    let plan = world.settle();
    assert_eq!(plan.wake, None, "nothing is due any more");
    let mut world = paused();
    world.set_spec(&json!({"strategy": {"canary": {"abortScaleDownDelaySeconds": 0}}}));
    world.set_status(&json!({"abort": true}));
    world.wait(600);
    world.expect(&format!("{aborted}, 1 v2"));
}

#[test]
fn a_second_abort_has_its_own_delay() {
    let mut world = paused();
    world.set_status(&json!({"abort": true}));
    world.wait(20);
    world.set_status(&json!({"abort": false}));
    world.settle();
    assert_eq!(world.rs("v2").deadline(), None, "a retry needs the pods");
    world.set_status(&json!({"abort": true}));
    world.wait(20);
    world.expect("Degraded (RolloutAborted: Rollout aborted update to revision 2), step 0, 0 %, 5 v1, 1 v2");
    world.wait(20);
    world.expect("Degraded (RolloutAborted: Rollout aborted update to revision 2), step 0, 0 %, 5 v1");
}

#[test]
fn annotations_act_once() {
    let mut world = paused();
    world.annotate(labels::PROMOTE, "now");
    world.settle();
    world.expect("Paused (CanaryPauseStep), step 3, 40 %, 5 v1, 2 v2");
    world.annotate(labels::ABORT, "bad");
    world.settle();
    world.expect("Degraded (RolloutAborted: Rollout aborted update to revision 2), step 0, 0 %, 5 v1, 2 v2");
    world.annotate(labels::RETRY, "again");
    world.settle();
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2");
    world.set_image("v3");
    world.wait(60);
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v3");
    world.annotate(labels::PROMOTE_FULL, "go");
    world.wait(60);
    world.expect("Healthy, step 4, 0 %, 5 v3");
}

#[test]
fn a_token_may_name_revision_and_step() {
    let mut probe = paused();
    let v2 = probe.rs("v2").hash.clone();
    probe.set_image("v3");
    probe.wait(60);
    let v3 = probe.rs("v3").hash.clone();
    #[track_caller]
    fn check(case: &str, token: &str, step: i32) {
        let mut world = paused();
        world.annotate(labels::PROMOTE, token);
        world.settle();
        assert_eq!(world.status().current_step_index, Some(step), "{case}");
    }
    check("this revision", &v2, 3);
    check("this step", &format!("{v2}:2"), 3);
    check("a step that is over", &format!("{v2}:1"), 1);
    check("a step to come", &format!("{v2}:4"), 1);
    check("another revision", &v3, 1);
    let mut world = paused();
    world.annotate(labels::PROMOTE, &format!("{v3}:2"));
    world.settle();
    world.set_image("v3");
    world.wait(60);
    world.expect("Paused (CanaryPauseStep), step 3, 40 %, 5 v1, 2 v3");
    let mut world = paused();
    world.annotate(labels::PROMOTE, &format!("{v2}:4"));
    world.settle();
    world.set_status(&json!({"pauseConditions": null}));
    world.wait(60);
    world.expect("Healthy, step 4, 0 %, 5 v2");
}

#[test]
fn a_pause_of_what_is_complete_holds_nothing_up() {
    let mut world = World::basic().deployed();
    world.set_spec(&json!({"paused": true}));
    world.settle();
    assert_eq!(world.status().phase.as_deref(), Some("Paused"));
    let progressing = world.condition("Progressing");
    assert!(progressing.starts_with("True NewReplicaSetAvailable"), "{progressing}");
}
