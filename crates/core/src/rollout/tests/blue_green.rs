//! Blue-green updates from the first pod of the preview to the last of the old version.

use serde_json::{Value, json};
use serin_api::labels;

use super::world::World;

/// A complete first version.
fn deployed(blue_green: &Value) -> World {
    let mut world = World::blue_green().with_template().with_blue_green(blue_green).deployed();
    world.expect("Healthy, v1 active, 5 v1");
    world.told.clear();
    world
}

/// An update that waits for a person.
fn paused() -> World {
    let mut world = deployed(&json!({"autoPromotionEnabled": false}));
    world.set_image("v2");
    world.settle();
    world.expect("Paused (BlueGreenPause), v1 active, 5 v1, 5 v2");
    world
}

fn hash(world: &World, image: &str) -> Option<String> {
    Some(world.rs(image).hash.clone())
}

#[test]
fn a_new_version_takes_over_and_the_old_one_goes_after_its_delay() {
    let mut world = deployed(&json!({}));
    world.set_image("v2");
    world.settle();
    world.expect("Healthy, v2 active, 5 v1, 5 v2");
    assert!(world.rs("v1").deadline().is_some(), "the old version waits");
    let (v1, v2) = (hash(&world, "v1").expect("a hash"), hash(&world, "v2").expect("a hash"));
    let name = world.rs("v2").name.clone();
    let told = [
        "RolloutUpdated: Rollout updated to revision 2".to_owned(),
        format!("NewReplicaSetCreated: Created ReplicaSet {name} (revision 2)"),
        format!("RolloutNotCompleted: Rollout not completed, started update to revision 2 ({v2})"),
        format!("ScalingReplicaSet: Scaled up ReplicaSet {name} (revision 2) from 0 to 5"),
        format!("SwitchService: Switched selector for service 'web-preview' from '{v1}' to '{v2}'"),
        format!("SwitchService: Switched selector for service 'web-active' from '{v1}' to '{v2}'"),
        format!("RolloutCompleted: Rollout completed update to revision 2 ({v2}): Completed blue-green update"),
    ];
    assert_eq!(world.told, told);
    world.wait(40);
    world.expect("Healthy, v2 active, 5 v2");
    assert_eq!(world.settle().wake, None, "again, and nothing happens");
}

#[test]
fn the_status_speaks_of_the_pods_that_serve() {
    let mut world = paused();
    world.set_spec(&json!({"replicas": 4}));
    world.settle();
    let status = world.status();
    let v1 = hash(&world, "v1").expect("a hash");
    assert_eq!(status.hpa_replicas, Some(4));
    assert_eq!((status.replicas, status.updated_replicas, status.available_replicas), (Some(8), Some(4), Some(4)));
    assert_eq!(status.selector, Some(format!("app=web,{}={v1}", labels::POD_TEMPLATE_HASH)));
    assert_eq!((status.blue_green.active_selector, status.blue_green.preview_selector), (Some(v1), hash(&world, "v2")));
    assert_eq!((status.current_step_index, status.current_step_hash), (None, None));
    assert_eq!(world.condition("Available"), "True AvailableReason: Rollout has minimum availability");
    assert_eq!(world.condition("Paused"), "True RolloutPaused: Rollout is paused");
}

#[test]
fn a_pause_ends_by_a_person_or_by_time() {
    let done = "Healthy, v2 active, 5 v1, 5 v2";
    let mut world = paused();
    world.wait(3600);
    world.expect("Paused (BlueGreenPause), v1 active, 5 v1, 5 v2");
    world.set_status(&json!({"pauseConditions": null}));
    world.settle();
    world.expect(done);
    assert!(world.told.contains(&"RolloutResumed: Rollout is resumed".to_owned()), "{:#?}", world.told);
    assert!(!world.status().controller_pause, "it is over");

    let mut world = paused();
    world.annotate(labels::PROMOTE, "go");
    world.settle();
    world.expect(done);
    let outcomes: Vec<String> =
        world.status().serin.expect("ours").handled_commands.into_values().map(|c| c.outcome).collect();
    assert_eq!(outcomes, ["ended the pause"]);

    let mut world = deployed(&json!({"autoPromotionSeconds": 60}));
    world.set_image("v2");
    world.wait(30);
    world.expect("Paused (BlueGreenPause), v1 active, 5 v1, 5 v2");
    world.wait(35);
    world.expect(done);
}

#[test]
fn no_request_goes_to_a_version_that_is_not_there() {
    let mut world = deployed(&json!({}));
    world.break_image("v2", true);
    world.set_image("v2");
    world.wait(300);
    world.expect("Progressing (updated replicas are still becoming available), v1 active, 5 v1, 5 v2");
    assert_eq!(world.service("web-preview"), hash(&world, "v2").as_deref(), "it can be looked at");
    world.wait(600);
    let timeout = format!("ReplicaSet \"{}\" has timed out progressing.", world.rs("v2").name);
    assert_eq!(world.status().message, Some(format!("ProgressDeadlineExceeded: {timeout}")));
    world.break_image("v2", false);
    world.settle();
    world.expect("Healthy, v2 active, 5 v1, 5 v2");
}

#[test]
fn a_missed_deadline_aborts_if_asked_to() {
    let mut world = deployed(&json!({}));
    world.set_spec(&json!({"progressDeadlineAbort": true}));
    world.break_image("v2", true);
    world.set_image("v2");
    world.wait(700);
    let timeout = format!("ReplicaSet \"{}\" has timed out progressing.", world.rs("v2").name);
    world.expect(&format!(
        "Degraded (RolloutAborted: Rollout aborted update to revision 2: {timeout}), v1 active, 5 v1"
    ));
}

#[test]
fn a_small_preview_grows_before_the_switch() {
    let mut world = deployed(&json!({"previewReplicaCount": 2, "autoPromotionEnabled": false}));
    world.set_image("v2");
    world.settle();
    world.expect("Paused (BlueGreenPause), v1 active, 5 v1, 2 v2");
    assert!(!world.status().blue_green.scale_up_preview_check_point);
    world.set_status(&json!({"pauseConditions": null}));
    world.turn();
    assert!(world.status().blue_green.scale_up_preview_check_point, "from here on it may be whole");
    world.break_image("v2", true);
    world.settle();
    world.expect("Progressing (updated replicas are still becoming available), v1 active, 5 v1, 5 v2");
    world.break_image("v2", false);
    world.settle();
    world.expect("Healthy, v2 active, 5 v1, 5 v2");
    assert!(!world.status().blue_green.scale_up_preview_check_point, "the next update begins without");
    world.set_image("v3");
    world.settle();
    world.expect("Paused (BlueGreenPause), v2 active, 5 v1, 5 v2, 2 v3");
    world.set_status(&json!({"promoteFull": true}));
    world.settle();
    world.expect("Healthy, v3 active, 5 v1, 5 v2, 5 v3");
}

#[test]
fn analyses_around_the_switch_decide() {
    let analysis = json!({"templates": [{"templateName": "check"}]});
    let both =
        json!({"prePromotionAnalysis": analysis, "postPromotionAnalysis": analysis, "autoPromotionEnabled": false});
    let start = |world: &mut World| {
        world.set_image("v2");
        world.settle();
        world.expect("Progressing (active service cutover pending), v1 active, 5 v1, 5 v2");
        let base = format!("{}-2", world.rs("v2").name);
        assert_eq!(world.runs(), [format!("{base}-pre")]);
        let kinds: Vec<&str> = world
            .observed
            .analysis_runs
            .iter()
            .map(|run| run.metadata.labels.as_ref().expect("labels")[labels::ROLLOUT_TYPE].as_str())
            .collect();
        assert_eq!(kinds, ["PrePromotion"]);
        base
    };

    let mut world = deployed(&both);
    let base = start(&mut world);
    world.report(&format!("{base}-pre"), "Successful", "");
    world.settle();
    world.expect("Paused (BlueGreenPause), v1 active, 5 v1, 5 v2");
    world.set_status(&json!({"pauseConditions": null}));
    world.settle();
    world.expect("Progressing (waiting for analysis to complete), v2 active, 5 v1, 5 v2");
    assert_eq!(world.runs().last().copied(), Some(format!("{base}-post").as_str()));
    world.report(&format!("{base}-post"), "Successful", "");
    world.settle();
    world.expect("Healthy, v2 active, 5 v1, 5 v2");

    let mut world = deployed(&both);
    let base = start(&mut world);
    world.report(&format!("{base}-pre"), "Failed", "too slow");
    world.wait(60);
    let aborted = "Degraded (RolloutAborted: Rollout aborted update to revision 2: Blue/green";
    world.expect(&format!("{aborted} pre-promotion analysis phase error/failed: too slow), v1 active, 5 v1"));

    let mut world = deployed(&both);
    let base = start(&mut world);
    world.report(&format!("{base}-pre"), "Successful", "");
    world.settle();
    world.set_status(&json!({"pauseConditions": null}));
    world.settle();
    world.report(&format!("{base}-post"), "Error", "");
    world.settle();
    world.expect(&format!("{aborted} post-promotion analysis phase error/failed), v1 active, 5 v1, 5 v2"));
    world.set_status(&json!({"abort": false}));
    world.settle();
    assert_eq!(world.runs().last().copied(), Some(format!("{base}-pre.1").as_str()), "all over again");
}

#[test]
fn an_inconclusive_analysis_is_made_again_or_skipped() {
    let mut world = deployed(&json!({"prePromotionAnalysis": {"templates": [{"templateName": "check"}]}}));
    world.set_image("v2");
    world.settle();
    let base = format!("{}-2-pre", world.rs("v2").name);
    world.report(&base, "Inconclusive", "");
    world.settle();
    world.expect("Paused (InconclusiveAnalysisRun), v1 active, 5 v1, 5 v2");
    world.set_status(&json!({"pauseConditions": null}));
    world.settle();
    assert_eq!(world.runs().last().copied(), Some(format!("{base}.1").as_str()));
    world.set_status(&json!({"promoteFull": true}));
    world.settle();
    world.expect("Healthy, v2 active, 5 v1, 5 v2");
}

#[test]
fn an_abort_keeps_or_returns_what_was_stable() {
    let aborted = "Degraded (RolloutAborted: Rollout aborted update to revision 2), v1 active, 5 v1";
    let mut world = paused();
    world.set_status(&json!({"abort": true}));
    world.wait(20);
    world.expect(&format!("{aborted}, 5 v2"));
    world.wait(20);
    world.expect(aborted);
    world.annotate(labels::RETRY, "again");
    world.settle();
    world.expect("Paused (BlueGreenPause), v1 active, 5 v1, 5 v2");

    let mut world = paused();
    world.set_spec(&json!({"strategy": {"blueGreen": {"abortScaleDownDelaySeconds": 0}}}));
    world.set_status(&json!({"abort": true}));
    world.wait(600);
    world.expect(&format!("{aborted}, 5 v2"));
}

#[test]
fn traffic_returns_only_to_as_many_pods_as_serve() {
    let analysis = json!({"postPromotionAnalysis": {"templates": [{"templateName": "check"}]}});
    let mut world = deployed(&analysis);
    world.set_image("v2");
    world.settle();
    world.break_image("v1", true);
    world.set_status(&json!({"abort": true}));
    world.wait(120);
    assert_eq!(world.service("web-active"), hash(&world, "v2").as_deref(), "who serves goes on: {}", world.line());
    world.break_image("v1", false);
    world.wait(120);
    world.expect("Degraded (RolloutAborted: Rollout aborted update to revision 2), v1 active, 5 v1");
}

#[test]
fn a_rollback_within_the_delay_is_fast() {
    let analysis = json!({"templates": [{"templateName": "check"}]});
    let slow = json!({"prePromotionAnalysis": analysis, "autoPromotionEnabled": false});
    let mut world = deployed(&slow);
    world.set_image("v2");
    world.settle();
    world.set_status(&json!({"promoteFull": true}));
    world.settle();
    world.told.clear();
    world.set_image("v1");
    world.settle();
    world.expect("Healthy, v1 active, 5 v1, 5 v2");
    let completed = world.told.iter().find(|told| told.starts_with("RolloutCompleted")).expect("it is told");
    assert!(completed.ends_with(": Fast rollback"), "{completed}");
    assert_eq!(world.rs("v1").deadline(), None, "nothing waits for its end any more");
    world.wait(60);
    world.set_image("v2");
    world.settle();
    world.expect("Progressing (active service cutover pending), v1 active, 5 v1, 5 v2");
}

#[test]
fn every_version_that_was_stable_and_still_waits_comes_back_fast() {
    let mut world = deployed(&json!({"autoPromotionEnabled": false, "scaleDownDelaySeconds": 86400}));
    for image in ["v2", "v3"] {
        world.set_image(image);
        world.settle();
        world.set_status(&json!({"pauseConditions": null}));
        world.settle();
    }
    world.expect("Healthy, v3 active, 5 v1, 5 v2, 5 v3");
    let retired = |world: &World| world.status().serin.expect("ours").retired_revisions;
    assert_eq!(retired(&world), [world.rs("v1").hash.clone(), world.rs("v2").hash.clone()]);
    world.set_image("v1");
    world.settle();
    world.expect("Healthy, v1 active, 5 v1, 5 v2, 5 v3");
    assert_eq!(retired(&world), [world.rs("v2").hash.clone(), world.rs("v3").hash.clone()]);
}

#[test]
fn what_was_never_stable_does_not_come_back_fast() {
    let mut world = paused();
    world.set_image("v1");
    world.settle();
    world.expect("Healthy, v1 active, 5 v1");
    world.set_image("v2");
    world.settle();
    world.expect("Paused (BlueGreenPause), v1 active, 5 v1, 5 v2");
    world.set_image("v3");
    world.settle();
    world.expect("Paused (BlueGreenPause), v1 active, 5 v1, 5 v3");
}

#[test]
fn a_revision_that_was_passed_over_after_its_switch_serves_until_the_next_can() {
    let mut world = deployed(&json!({"postPromotionAnalysis": {"templates": [{"templateName": "check"}]}}));
    world.set_image("v2");
    world.settle();
    world.expect("Progressing (waiting for analysis to complete), v2 active, 5 v1, 5 v2");
    world.break_image("v3", true);
    world.set_image("v3");
    world.wait(120);
    world.expect("Progressing (updated replicas are still becoming available), v2 active, 5 v1, 5 v2, 5 v3");
    world.set_image("v1");
    world.wait(60);
    world.expect("Healthy, v1 active, 5 v1");
}

#[test]
fn a_paused_spec_stops_everything_but_an_abort() {
    let mut world = deployed(&json!({}));
    world.set_spec(&json!({"paused": true}));
    world.set_image("v2");
    world.wait(60);
    world.expect("Paused (manually paused), v1 active, 5 v1");
    assert_eq!(world.service("web-preview"), hash(&world, "v1").as_deref());
    world.set_spec(&json!({"paused": false}));
    world.settle();
    world.expect("Healthy, v2 active, 5 v1, 5 v2");
}

#[test]
fn only_so_many_old_versions_wait() {
    for (limit, line) in [(1, "Healthy, v3 active, 5 v2, 5 v3"), (0, "Healthy, v3 active, 5 v3")] {
        let mut world = deployed(&json!({"scaleDownDelayRevisionLimit": limit}));
        for image in ["v2", "v3"] {
            world.set_image(image);
            world.settle();
        }
        world.wait(3);
        world.expect(line);
    }
}

#[test]
fn who_was_out_of_service_before_the_last_switch_need_not_wait_for_it_to_spread() {
    for (limit, left) in [(2, [0, 5, 5]), (1, [0, 0, 5]), (0, [0, 0, 5])] {
        let mut world = deployed(&json!({"scaleDownDelaySeconds": 86400}));
        for image in ["v2", "v3"] {
            world.set_image(image);
            world.wait(60);
        }
        world.set_spec(&json!({"strategy": {"blueGreen": {"scaleDownDelayRevisionLimit": limit}}}));
        world.set_image("v4");
        world.turn();
        while world.status().phase.as_deref() != Some("Healthy") {
            world.turn();
        }
        let replicas = ["v1", "v2", "v3"].map(|image| world.rs(image).replicas);
        assert_eq!(replicas, left, "with limit {limit}, v3 keeps its pods while requests may reach them");
    }
}

#[test]
fn somebody_elses_selector_is_put_right() {
    let mut world = paused().ignoring_outages();
    let (v1, v2) = (hash(&world, "v1"), hash(&world, "v2"));
    for (service, wrong, right) in
        [("web-active", None, &v1), ("web-active", Some("gone"), &v1), ("web-preview", v1.as_deref(), &v2)]
    {
        world.point(service, wrong);
        world.settle();
        assert_eq!(world.service(service), right.as_deref(), "{service} at {wrong:?}");
    }
    world.expect("Paused (BlueGreenPause), v1 active, 5 v1, 5 v2");
}

#[test]
fn pods_carry_the_metadata_of_their_role() {
    let role = |role: &str| json!({"labels": {"role": role}});
    let mut world = deployed(
        &json!({"previewMetadata": role("preview"), "activeMetadata": role("active"), "autoPromotionEnabled": false}),
    );
    let roles = |world: &World, image: &str| -> Vec<String> {
        let name = &world.rs(image).name;
        let pods = world.observed.pods.iter().filter(|pod| pod.replica_set == *name);
        let mut roles: Vec<String> = pods.filter_map(|pod| pod.labels.get("role").cloned()).collect();
        roles.dedup();
        roles
    };
    world.set_image("v2");
    world.settle();
    assert_eq!((roles(&world, "v1"), roles(&world, "v2")), (vec!["active".to_owned()], vec!["preview".to_owned()]));
    world.set_status(&json!({"pauseConditions": null}));
    world.settle();
    assert_eq!((roles(&world, "v1"), roles(&world, "v2")), (Vec::new(), vec!["active".to_owned()]));
}

#[test]
fn a_crash_between_any_two_writes_harms_nobody() {
    let analysis = json!({"templates": [{"templateName": "check"}]});
    for effects_max in 0..3 {
        let mut world =
            deployed(&json!({"autoPromotionSeconds": 30, "previewReplicaCount": 1, "postPromotionAnalysis": analysis}));
        world.set_image("v2");
        let turns = |world: &mut World| {
            for turn in 0..90 {
                world.turn_with(if turn % 3 == 2 { usize::MAX } else { effects_max });
            }
        };
        turns(&mut world);
        world.expect("Progressing (waiting for analysis to complete), v2 active, 5 v1, 5 v2");
        let run = format!("{}-2-post", world.rs("v2").name);
        world.report(&run, "Failed", "");
        turns(&mut world);
        world.expect("Degraded (RolloutAborted: Rollout aborted update to revision 2: Blue/green post-promotion analysis phase error/failed), v1 active, 5 v1");
    }
}

#[test]
fn the_strategy_may_be_changed() {
    let mut world = paused();
    let canary = json!({"steps": [{"setWeight": 20}, {"pause": {}}]});
    world.set_spec(&json!({"strategy": {"blueGreen": null, "canary": canary}}));
    world.wait(60);
    assert_eq!(world.status().phase.as_deref(), Some("Paused"), "{}", world.line());
    assert_eq!(world.status().blue_green, serin_api::BlueGreenStatus::default());
    world.set_spec(&json!({"strategy": {"canary": null, "blueGreen": {"activeService": "web-active"}}}));
    world.wait(60);
    world.expect("Healthy, v2 active, 5 v2");
}

#[test]
fn no_plan_takes_the_pods_from_the_active_service() {
    use crate::plan::{Effect, Planned};
    use crate::rollout::Plan;
    use crate::rollout::blue_green::{Services, violation};
    use crate::rollout::parse::parse;

    let world = paused();
    let spec = parse(&world.observed).expect("a valid spec");
    let services = Services::read(&world.observed, &spec).expect("Services");
    let broken = |effect: Effect| {
        let plan = Plan { effects: vec![Planned { effect, event: None }], ..Plan::default() };
        violation(&world.observed, &spec, &services, &plan)
    };
    let point = |name: &str, hash: &str| Effect::SwitchService {
        name: name.to_owned(),
        patch: json!({"spec": {"selector": {labels::POD_TEMPLATE_HASH: hash}}}),
    };
    let empty = |image: &str| Effect::ScaleReplicaSet {
        name: world.rs(image).name.clone(),
        uid: world.rs(image).uid.clone(),
        replicas: 0,
        annotations: std::collections::BTreeMap::new(),
    };
    assert_eq!(
        broken(point("web-active", "gone")),
        Some("the active Service web-active would select no ready pod".to_owned())
    );
    assert_eq!(broken(point("web-active", &world.rs("v2").hash)), None);
    assert_eq!(broken(point("web-preview", "gone")), None);
    let name = &world.rs("v1").name;
    assert_eq!(
        broken(empty("v1")),
        Some(format!("ReplicaSet {name} stands behind the active Service and would be scaled to zero"))
    );
    assert_eq!(broken(empty("v2")), None);
}
