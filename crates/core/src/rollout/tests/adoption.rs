//! What another controller began, or keeps from us: its definitions, its instance, its hashes, its last words.

use serde_json::json;
use serin_api::labels;

use super::world::World;
use crate::plan::Effect;
use crate::rollout::observed::{Found, Workload};

/// Turns in a cluster whose definitions cut `status.serin` off, until nothing changes any more.
#[track_caller]
fn settle(world: &mut World) {
    let mut quiet = 0;
    for _ in 0..200 {
        let before = serde_json::to_value(world.status()).expect("JSON");
        let plan = world.turn();
        world.set_status(&json!({"serin": null}));
        let is_same = serde_json::to_value(world.status()).expect("JSON") == before;
        quiet = if is_same && plan.effects.is_empty() && plan.events.is_empty() { quiet + 1 } else { 0 };
        if quiet > 5 {
            return;
        }
    }
    panic!("it does not come to rest: {}", world.line());
}

#[test]
fn without_a_status_of_our_own_an_update_comes_to_rest_wherever_it_waits() {
    for world in [World::basic(), World::roles(), World::hashes(), World::services()] {
        let mut world = world;
        settle(&mut world);
        world.set_image("v2");
        settle(&mut world);
        assert_eq!(world.status().message.as_deref(), Some("CanaryPauseStep"), "{}", world.line());
        world.set_status(&json!({"abort": true}));
        settle(&mut world);
        world.set_status(&json!({"abort": false}));
        settle(&mut world);
        assert_eq!(world.status().message.as_deref(), Some("CanaryPauseStep"), "{}", world.line());
        world.set_status(&json!({"pauseConditions": null}));
        settle(&mut world);
        assert_eq!(world.status().phase.as_deref(), Some("Healthy"), "{}", world.line());
    }
}

#[test]
fn without_a_status_of_our_own_what_is_given_up_stays_so() {
    for (abort, words) in
        [(true, "RolloutAborted: Rollout aborted update to revision 2: "), (false, "ProgressDeadlineExceeded: ")]
    {
        let deadline = json!({"progressDeadlineSeconds": 15, "progressDeadlineAbort": abort});
        let mut world = World::hashes().spec(&deadline);
        settle(&mut world);
        world.keep_ready("v2", 0);
        world.set_image("v2");
        settle(&mut world);
        world.observed.now += chrono::TimeDelta::seconds(20);
        settle(&mut world);
        world.observed.now += chrono::TimeDelta::hours(1);
        settle(&mut world);
        let expected = format!("{words}ReplicaSet \"{}\" has timed out progressing.", world.rs("v2").name);
        assert_eq!(world.status().message, Some(expected));
    }
}

#[test]
fn of_two_replica_sets_with_one_template_the_recorded_one_stays() {
    let mut world = World::hashes().deployed();
    let mut twin = world.rs("v1").clone();
    twin.hash = "bcdfg".to_owned();
    twin.name = "web-bcdfg".to_owned();
    twin.uid = "uid-web-bcdfg".to_owned();
    twin.annotations.insert(labels::REVISION.to_owned(), "2".to_owned());
    world.observed.replica_sets.push(twin);
    world.annotate(labels::REVISION, "2");
    world.set_status(&json!({"currentPodHash": "bcdfg"}));
    world.turn();
    assert_eq!(world.status().current_pod_hash.as_deref(), Some("bcdfg"));
}

#[test]
fn the_generation_of_the_workload_is_told_to_those_who_wait_for_it() {
    let mut world = World::hashes();
    let template = serde_json::to_value(&world.observed.rollout.spec.template).expect("JSON");
    world.set_spec(
        &json!({"template": null, "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}),
    );
    for generation in [7, 8] {
        let selector = json!({"matchLabels": {"app": "web"}});
        let workload = Workload { template: template.clone(), selector, generation, replicas: Some(3) };
        world.observed.workload = Some(Found::Present(workload));
        world.told.clear();
        world.settle();
        let annotations = world.observed.rollout.metadata.annotations.clone().expect("annotations");
        assert_eq!(annotations.get(labels::WORKLOAD_GENERATION), Some(&generation.to_string()));
        assert_eq!(world.status().workload_observed_generation, Some(generation.to_string()));
        let told = world.told.iter().filter(|told| told.starts_with("RolloutUpdated")).count();
        assert_eq!(told, usize::from(generation == 7), "only a revision is told of");
    }
}

#[test]
fn runs_under_way_follow_their_rollout_to_another_instance() {
    let analysis = json!({"analysis": {"templates": [{"templateName": "check"}]}});
    let mut world = World::hashes().with_template().canary(&analysis).deployed();
    world.set_image("v2");
    world.settle();
    assert_eq!(world.runs().len(), 1);
    for instance in [Some("blue".to_owned()), Some("green".to_owned()), None] {
        world.observed.settings.instance_id.clone_from(&instance);
        let plan = world.turn();
        let claims = plan.effects.iter().filter(|planned| matches!(planned.effect, Effect::ClaimAnalysisRun { .. }));
        assert_eq!(claims.count(), 1, "{instance:?}");
        let labels = world.observed.analysis_runs[0].metadata.labels.clone().unwrap_or_default();
        assert_eq!(labels.get(labels::INSTANCE_ID), instance.as_ref());
        assert!(world.turn().effects.is_empty(), "{instance:?}");
    }
}

/// An update that stands in an experiment which only its analysis ends.
fn experimenting() -> World {
    let steps = json!([{"experiment": {
        "templates": [{"name": "baseline", "specRef": "stable"}, {"name": "canary", "specRef": "canary"}],
        "analyses": [{"name": "check", "templateName": "check", "requiredForCompletion": true}],
    }}, {"pause": {}}]);
    let mut world = World::hashes().with_template().steps(&steps).deployed();
    world.set_image("v2");
    world.settle();
    assert_eq!(world.experiments().len(), 1, "{}", world.line());
    world
}

/// Instances that experiments and their runs under way have.
fn served_by(world: &World) -> Vec<Option<String>> {
    let label = |all: &Option<std::collections::BTreeMap<String, String>>| {
        all.as_ref().and_then(|all| all.get(labels::INSTANCE_ID)).cloned()
    };
    let experiments = world.observed.experiments.iter().map(|experiment| label(&experiment.metadata.labels));
    experiments.chain(world.experiment_runs().iter().map(|run| label(&run.metadata.labels))).collect()
}

#[test]
fn experiments_under_way_follow_their_rollout_to_another_instance_with_their_runs() {
    let mut world = experimenting();
    for instance in [Some("blue".to_owned()), Some("green".to_owned()), None] {
        world.observed.settings.instance_id.clone_from(&instance);
        let (line, experiments) = (world.line(), world.experiments());
        world.settle();
        assert_eq!(served_by(&world), vec![instance.clone(); 2], "{instance:?}");
        assert_eq!((world.line(), world.experiments()), (line, experiments), "{instance:?}");
    }
    world.observed.settings.instance_id = Some("blue".to_owned());
    world.settle();
    world.report_experiments("Successful", "");
    world.settle();
    world.expect("Paused (CanaryPauseStep), step 1, 0 %, 5 v1");
}

#[test]
fn an_experiment_that_somebody_gives_to_another_instance_comes_back() {
    let mut world = experimenting();
    let name = world.observed.experiments[0].metadata.name.clone().expect("a name");
    world.hand_over_experiment(&name, Some(&"another".to_owned()));
    world.settle();
    assert_eq!(served_by(&world), [None, None]);
    world.hand_over_experiment(&name, Some(&"another".to_owned()));
    world.set_status(&json!({"abort": true}));
    world.settle();
    assert!(world.experiments()[0].ends_with("Successful"), "it is ended, too: {:?}", world.experiments());
}

#[test]
fn an_experiment_that_is_over_is_taken_along_only_while_it_has_pods() {
    let mut world = experimenting();
    world.report_experiments("Successful", "");
    world.settle();
    assert!(!world.observed.experiment_pods.is_empty(), "they stay for the delay");
    let instance = Some("blue".to_owned());
    world.observed.settings.instance_id.clone_from(&instance);
    world.wait(31);
    assert!(world.observed.experiment_pods.is_empty(), "the new master removes them");
    assert_eq!(served_by(&world), [instance, None], "a run that is over is nobody's business");
    world.observed.settings.instance_id = None;
    assert!(world.turn().effects.is_empty(), "nor is an experiment that has left nothing");
}

#[test]
fn a_template_put_back_with_all_that_was_injected_is_the_same() {
    let mut world = World::roles().deployed();
    let rs = world.rs("v1");
    let (hash, mut template) = (rs.hash.clone(), (*rs.template).clone());
    assert_eq!(template["metadata"]["labels"]["role"], "stable");
    template["metadata"]["labels"].as_object_mut().and_then(|labels| labels.remove(labels::POD_TEMPLATE_HASH));
    world.set_spec(&json!({"template": template}));
    world.settle();
    world.expect("Healthy, step 2, 0 %, 5 v1");
    assert_eq!((world.observed.replica_sets.len(), world.status().current_pod_hash), (1, Some(hash)));
}
