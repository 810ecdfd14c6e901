//! Experiment steps: what they create, when they let go on, and the traffic that they get.

use serde_json::{Value, json};
use serin_api::labels;

use super::world::World;
use crate::plan::Effect;
use crate::rollout::mesh::Mesh;
use crate::rollout::parse::parse;
use crate::rollout::safety::violation;
use crate::rollout::{Hold, Plan};

/// A Rollout whose pods have a port, deployed, with the given steps.
fn deployed(world: World, steps: &Value) -> World {
    let ports = json!({"template": {"spec": {"containers": [
        {"name": "web", "image": "web:v1", "ports": [{"containerPort": 8080}]}]}}});
    world.with_template().spec(&ports).steps(steps).deployed()
}

/// A baseline and a canary without traffic, compared by an analysis that the experiment waits for.
fn compared() -> Value {
    json!([{"experiment": {
        "templates": [{"name": "baseline", "specRef": "stable"}, {"name": "canary", "specRef": "canary"}],
        "analyses": [{"name": "check", "templateName": "check", "requiredForCompletion": true}],
    }}, {"pause": {}}])
}

/// A weighted experiment for some time.
fn weighted(duration: Option<&str>) -> Value {
    json!([{"setWeight": 10}, {"experiment": {
        "duration": duration, "scaleDownDelaySeconds": 0,
        "templates": [{"name": "new", "specRef": "canary", "weight": 20}],
    }}, {"setWeight": 50}, {"pause": {}}])
}

/// Host, subset and weight of each destination.
fn destinations(world: &World) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |d: &Value| {
        let (host, subset) = (text(&d["destination"]["host"]), text(&d["destination"]["subset"]));
        format!("{host}{}{subset} {}", if subset.is_empty() { "" } else { "/" }, d["weight"])
    };
    world.http()[0]["route"].as_array().expect("destinations").iter().map(of).collect()
}

fn update(mut world: World) -> World {
    world.set_image("v2");
    world.settle();
    world
}

#[test]
fn an_experiment_runs_to_the_end_of_its_analyses_and_the_update_goes_on() {
    let mut world = update(deployed(World::basic(), &compared()));
    let name = format!("web-{}-2-0", world.rs("v2").hash);
    assert_eq!(world.experiments(), [format!("{name} Running")]);
    assert_eq!(world.status().canary.current_experiment.as_deref(), Some(name.as_str()));
    let experiment = world.observed.experiments[0].clone();
    assert_eq!(experiment.metadata.labels.as_ref().expect("labels")[labels::POD_TEMPLATE_HASH], world.rs("v2").hash);
    assert_eq!(experiment.metadata.annotations.as_ref().expect("annotations")[labels::REVISION], "2");
    for (template, tag) in [("baseline", "v1"), ("canary", "v2")] {
        let (rs, original) = (world.experiment_rs(template), world.rs(tag));
        assert_eq!(rs.template["spec"], original.template["spec"], "the pods are those of the revision");
        assert_ne!(rs.hash, original.hash, "nobody may take them for pods of the revision");
        assert_eq!(rs.name, format!("{name}-{template}"));
    }
    assert_ne!(world.experiment_rs("baseline").hash, world.experiment_rs("canary").hash);
    world.report_experiments("Successful", "");
    world.settle();
    assert_eq!(world.experiments(), [format!("{name} Successful")]);
    world.expect("Paused (CanaryPauseStep), step 1, 5 v1");
    assert_eq!(world.status().canary.current_experiment, None);
    world.wait(31);
    assert!(world.observed.experiment_pods.is_empty(), "the pods go after the scale-down delay");
}

#[test]
fn arguments_know_revisions_and_templates() {
    let mut steps = compared();
    steps[0]["experiment"]["analyses"][0]["args"] = json!([
        {"name": "stable-hash", "valueFrom": {"podTemplateHashValue": "Stable"}},
        {"name": "latest-hash", "valueFrom": {"podTemplateHashValue": "Latest"}},
        {"name": "baseline-hash", "value": "{{templates.baseline.podTemplateHash}}"},
        {"name": "canary", "value": "{{ templates.canary.replicaset.name }}"},
    ]);
    let names = ["stable-hash", "latest-hash", "baseline-hash", "canary"];
    let world = deployed(World::basic().with_args(&names), &steps);
    let world = update(world);
    let runs = world.experiment_runs();
    let values: Vec<&str> = runs[0].spec.args.iter().filter_map(|arg| arg.value.as_deref()).collect();
    let (baseline, canary) = (world.experiment_rs("baseline"), world.experiment_rs("canary"));
    let expected = [&world.rs("v1").hash, &world.rs("v2").hash, &baseline.hash, &canary.name];
    assert_eq!(values, expected);
    assert_eq!(runs[0].metadata.name, Some(format!("web-{}-2-0-check", world.rs("v2").hash)));
}

#[test]
fn an_experiment_that_cannot_be_made_says_why() {
    let mut steps = compared();
    let from = json!({"fieldRef": {"fieldPath": "status.alb.name"}});
    steps[0]["experiment"]["analyses"][0]["args"] = json!([{"name": "target", "valueFrom": from}]);
    let mut world = deployed(World::basic().with_args(&["target"]), &steps);
    world.set_image("v2");
    let told: Vec<String> = world.settle().holds.iter().map(ToString::to_string).collect();
    let begin = format!("experiment web-{}-2-0 cannot be made yet: ", world.rs("v2").hash);
    let why = told.iter().find_map(|hold| hold.strip_prefix(&begin)).unwrap_or_default();
    assert!(
        why.ends_with("args[0].valueFrom.fieldRef.fieldPath: the Rollout has no field `status.alb.name`"),
        "{told:?}"
    );
    assert_eq!(world.experiments(), Vec::<String>::new());
}

#[track_caller]
fn check_end(case: &str, phase: &str, line: &str) {
    let mut world = update(deployed(World::basic(), &compared()));
    world.report_experiments(phase, "too slow");
    world.settle();
    assert!(world.line().starts_with(line), "{case}: {}", world.line());
    assert!(world.experiments()[0].ends_with(phase), "{case}: {:?}", world.experiments());
}

#[test]
fn a_bad_end_of_an_experiment_is_one_of_the_update() {
    let aborted =
        "Degraded (RolloutAborted: Rollout aborted update to revision 2: Experiment analysis phase is error/failed";
    check_end("a failure aborts", "Failed", &format!("{aborted}: too slow)"));
    check_end("so does an error", "Error", &format!("{aborted}: too slow)"));
    check_end("an inconclusive one waits for a person", "Inconclusive", "Paused (InconclusiveExperiment)");
}

#[test]
fn whoever_resumes_an_inconclusive_experiment_gets_another_and_a_retry_too() {
    let mut world = update(deployed(World::basic(), &compared()));
    let name = format!("web-{}-2-0", world.rs("v2").hash);
    world.report_experiments("Inconclusive", "");
    let plan = world.settle();
    let inconclusive = format!("experiment {name} is inconclusive; ends with a promotion or an abort");
    assert!(plan.holds.iter().any(|hold| hold.to_string() == inconclusive), "{:?}", plan.holds);
    world.set_status(&json!({"pauseConditions": null}));
    world.settle();
    assert_eq!(world.experiments(), [format!("{name} Inconclusive"), format!("{name}-1 Running")]);
    world.report_experiments("Failed", "");
    world.settle();
    world.set_status(&json!({"abort": false}));
    world.settle();
    assert_eq!(world.experiments().last(), Some(&format!("{name}-2 Running")));
    world.report_experiments("Successful", "");
    world.settle();
    world.expect("Paused (CanaryPauseStep), step 1, 5 v1");
}

/// The first Experiment ends and leaves nothing behind; a newer version may have one of its own by then.
#[track_caller]
fn check_terminated(case: &str, act: impl FnOnce(&mut World)) {
    let mut world = update(deployed(World::hashes(), &weighted(None)));
    assert_eq!(destinations(&world).len(), 3, "{case}: {:?}", destinations(&world));
    act(&mut world);
    world.wait(40);
    let experiments = &world.observed.experiments;
    assert!(experiments[0].spec.terminate, "{case}: {:?}", world.experiments());
    let name = experiments[0].metadata.name.clone().expect("a name");
    let pods: Vec<&str> = world.observed.experiment_pods.iter().map(|pod| pod.replica_set.as_str()).collect();
    assert!(!pods.iter().any(|pod| pod.starts_with(&name)), "{case}: {pods:?}");
    let services: Vec<&String> = world.observed.experiment_services.keys().collect();
    assert!(!services.iter().any(|service| service.starts_with(&name)), "{case}: {services:?}");
    assert_eq!(destinations(&world).len(), 2 + (experiments.len() - 1), "{case}: {:?}", destinations(&world));
}

#[test]
fn an_experiment_ends_with_the_step_that_it_is_for() {
    check_terminated("an abort", |world| world.set_status(&json!({"abort": true})));
    check_terminated("a promotion in full", |world| world.set_status(&json!({"promoteFull": true})));
    check_terminated("a client that skips the step", |world| world.set_status(&json!({"currentStepIndex": 2})));
    check_terminated("a rollback", |world| world.set_image("v1"));
    let command = |world: &mut World| world.annotate(labels::PROMOTE, "now");
    check_terminated("a command that skips the step", command);
}

#[test]
fn a_newer_version_gets_an_experiment_of_its_own() {
    let mut world = update(deployed(World::hashes(), &weighted(None)));
    let old = world.experiments();
    world.set_image("v3");
    world.wait(40);
    let old = old[0].replace("Running", "Successful");
    let new = format!("web-{}-3-1", world.rs("v3").hash);
    assert_eq!(world.experiments(), [old, format!("{new} Running")]);
    assert_eq!(destinations(&world), ["web/stable 70".to_owned(), "web/canary 10".to_owned(), format!("{new}-new 20")]);
    assert_eq!(world.observed.experiment_pods.len(), 1);
}

#[test]
fn a_weighted_experiment_gets_its_share_from_stable_and_gives_it_back() {
    for (world, stable, canary) in [
        (World::hashes(), "web/stable", "web/canary"),
        (World::services(), "web-stable", "web-canary"),
        (World::both(), "web/stable", "web/canary"),
    ] {
        let mut world = update(deployed(world, &weighted(Some("60s"))));
        let service = format!("web-{}-2-1-new", world.rs("v2").hash);
        let split = [format!("{stable} 70"), format!("{canary} 10"), format!("{service} 20")];
        assert_eq!(destinations(&world), split, "{}", world.line());
        let additional = world.status().canary.weights.expect("weights").additional;
        let hash = world.experiment_rs("new").hash.clone();
        let first = additional.first().expect("one");
        assert_eq!((first.weight, first.service_name.as_deref()), (20, Some(service.as_str())));
        assert_eq!(first.pod_template_hash.as_deref(), Some(hash.as_str()));
        if stable.contains('/') {
            assert_eq!(world.subset(&service), Some(hash.as_str()), "a subset names its pods");
        }
        world.wait(70);
        assert_eq!(destinations(&world), [format!("{stable} 50"), format!("{canary} 50")], "{}", world.line());
        assert!(world.observed.experiment_services.is_empty(), "the Service is gone");
        assert_eq!(world.subset(&service), None);
        world.set_status(&json!({"promoteFull": true}));
        world.wait(60);
        assert!(world.line().starts_with("Healthy"), "{}", world.line());
        let route = &world.observed.virtual_services.values().next().expect("one").present().expect("present").object;
        assert!(route["metadata"]["annotations"].as_object().is_none_or(serde_json::Map::is_empty), "{route:#}");
    }
}

#[test]
fn an_experiment_gets_nothing_before_the_mesh_knows_its_pods() {
    let mut world = deployed(World::hashes(), &weighted(None));
    world.set_image("v2");
    let mut running_since = None;
    for _ in 0..40 {
        let plan = world.turn();
        let is_running = world.experiments().first().is_some_and(|e| e.ends_with("Running"));
        running_since = running_since.or(is_running.then_some(world.observed.now));
        if destinations(&world).len() == 3 {
            let delay = world.observed.now - running_since.expect("it runs");
            assert!(delay >= world.observed.settings.propagation, "{delay}");
            return;
        }
        let spreads = plan.holds.iter().any(|hold| matches!(hold, Hold::Propagating { .. }));
        assert!(spreads || !is_running || running_since == Some(world.observed.now), "{:?}", plan.holds);
    }
    panic!("{}", world.line());
}

#[test]
fn an_experiment_that_loses_its_pods_loses_its_share() {
    let mut world = update(deployed(World::hashes().ignoring_outages(), &weighted(None)));
    assert_eq!(destinations(&world).len(), 3);
    world.break_image("v2", true);
    world.turn();
    assert_eq!(destinations(&world).len(), 2, "{:?}", destinations(&world));
}

#[test]
fn the_guard_refuses_weight_for_a_service_without_pods() {
    let mut world = update(deployed(World::hashes(), &weighted(None)));
    world.observed.experiment_pods.clear();
    let raw = world.observed.virtual_services.values().next().expect("one").present().expect("present").clone();
    let weight = |index: usize, weight: i32| json!({"op": "replace", "path": format!("/spec/http/0/route/{index}/weight"), "value": weight});
    let spec = parse(&world.observed).expect("a valid spec");
    let mesh = Mesh::read(&world.observed, &spec).expect("a mesh");
    let refusal = |patch: Vec<Value>| {
        let effect = Effect::ApplyRoutes { namespace: "shop".to_owned(), name: "web".to_owned(), patch };
        let planned = crate::plan::Planned { effect, event: None };
        violation(&world.observed, &spec, &mesh, &Plan { effects: vec![planned], ..Plan::default() })
    };
    let more = refusal(vec![weight(0, 60), weight(2, 30)]).expect("refused");
    assert!(more.contains("would get weight without ready pods behind it"), "{more}: {:#}", raw.object);
    assert_eq!(refusal(vec![weight(0, 80), weight(2, 10)]), None, "less is always right");
    let hosts = json!({"op": "replace", "path": "/spec/hosts/0", "value": "elsewhere"});
    assert_eq!(refusal(vec![hosts]).as_deref(), Some("a route patch would change more than our weights"));
}

#[test]
fn old_experiments_are_deleted_beyond_the_limits() {
    let limits = json!({"analysis": {"successfulRunHistoryLimit": 1, "unsuccessfulRunHistoryLimit": 1}});
    let mut world = update(deployed(World::basic().spec(&limits), &compared()));
    for _ in 0..4 {
        world.report_experiments("Failed", "");
        world.wait(40);
        world.set_status(&json!({"abort": false}));
        world.settle();
    }
    let names = world.experiments();
    assert_eq!(names.iter().filter(|name| name.ends_with("Failed")).count(), 1, "{names:?}");
    assert_eq!(names.iter().filter(|name| name.ends_with("Running")).count(), 1, "{names:?}");
}

#[track_caller]
fn check_refused(case: &str, world: World, experiment: &Value, refused: &str) {
    let steps = json!([{"setWeight": 30}, {"experiment": experiment}]);
    let world = world.with_template().steps(&steps);
    let errors = parse(&world.observed).expect_err(case);
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(errors.iter().any(|error| error.contains(refused)), "{case}: {errors:?}");
}

#[test]
fn a_step_that_cannot_run_is_refused_with_its_field() {
    let one = |template: Value| json!({"templates": [template]});
    let field = "spec.strategy.canary.steps[1].experiment";
    check_refused("no templates", World::basic(), &json!({}), &format!("{field}.templates: Required value"));
    let nobody = one(json!({"name": "a", "specRef": "newest"}));
    check_refused("a revision that is none", World::basic(), &nobody, &format!("{field}.templates[0].specRef"));
    let weight = |weight: i32| one(json!({"name": "a", "specRef": "canary", "weight": weight}));
    let needs = "Experiment template weight cannot be set unless TrafficRouting is enabled";
    check_refused("a weight without routing", World::basic(), &weight(5), needs);
    check_refused("a weight that is none", World::hashes(), &weight(101), "weight needs to be between 0 and 100");
    check_refused(
        "more than there is beside the canary",
        World::hashes(),
        &weight(80),
        "together they must not exceed 100",
    );
    check_refused("a weight for pods without port", World::hashes(), &weight(5), "a weight needs a Service");
    let twice = json!({"templates": [{"name": "a", "specRef": "canary"}, {"name": "a", "specRef": "stable"}]});
    check_refused("a name twice", World::basic(), &twice, "the name is there twice");
    let mut analysed = one(json!({"name": "a", "specRef": "canary"}));
    analysed["analyses"] = json!([{"name": "x", "templateName": "nowhere"}]);
    check_refused("a template that is not there", World::basic(), &analysed, "AnalysisTemplate `nowhere`");
}
