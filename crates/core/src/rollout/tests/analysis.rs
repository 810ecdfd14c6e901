//! Analysis: its runs, what their results do, and what they leave behind.

use serde_json::{Value, json};

use super::world::World;
use crate::rollout::Hold;

fn world(steps: &Value, background: bool) -> World {
    let templates = json!({"templates": [{"templateName": "check"}]});
    let analysis = if background { templates } else { Value::Null };
    World::hashes().with_template().steps(steps).canary(&json!({"analysis": analysis})).deployed()
}

/// An update with a step that is an analysis, and the name of its run.
fn in_step() -> (World, String) {
    let check = json!({"analysis": {"templates": [{"templateName": "check"}]}});
    let mut world = world(&json!([{"setWeight": 20}, check, check]), false);
    assert_eq!(world.runs(), [""; 0], "a first deployment is not analysed");
    world.set_image("v2");
    world.settle();
    let run = world.runs()[0].to_owned();
    assert_eq!(run, format!("web-{}-2-1", world.rs("v2").hash));
    world.expect("Progressing (more replicas need to be updated), step 1, 20 %, 5 v1, 1 v2");
    (world, run)
}

/// An update in a pause without end with an analysis beside it, and the name of its run.
fn in_background() -> (World, String) {
    let mut world = world(&json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 40}, {"pause": {}}]), true);
    world.set_image("v2");
    world.settle();
    let run = world.runs()[0].to_owned();
    assert_eq!(run, format!("web-{}-2", world.rs("v2").hash));
    world.report(&run, "Running", "");
    world.settle();
    (world, run)
}

#[test]
fn a_step_waits_for_its_analysis() {
    let (mut world, run) = in_step();
    world.report(&run, "Running", "");
    let plan = world.settle();
    assert_eq!(plan.holds, [Hold::AnalysisRunning { run: run.clone() }]);
    world.report(&run, "Successful", "");
    world.settle();
    let next = world.runs()[1].to_owned();
    assert_eq!(next, format!("{}-2", run.trim_end_matches("-1")));
    world.report(&next, "Successful", "");
    world.wait(60);
    world.expect("Healthy, step 3, 0 %, 5 v2");
}

#[test]
fn an_argument_that_is_not_there_is_told() {
    let from = json!({"fieldRef": {"fieldPath": "status.alb.name"}});
    let args = json!([{"name": "target", "valueFrom": from}]);
    let check = json!({"analysis": {"templates": [{"templateName": "check"}], "args": args}});
    let mut world = world(&json!([{"setWeight": 20}, check]), false);
    world.set_image("v2");
    let plan = world.settle();
    let told: Vec<String> = plan.holds.iter().map(|hold| format!("{}: {hold}", hold.reason())).collect();
    let run = format!("web-{}-2-1", world.rs("v2").hash);
    let why = format!(
        "MissingObject: analysis {run} cannot be made yet: args[0].valueFrom.fieldRef.fieldPath: the Rollout has no field \
         `status.alb.name`"
    );
    assert!(told.contains(&why), "{told:?}");
}

#[test]
fn a_failure_aborts_and_a_retry_measures_anew() {
    for (phase, (mut world, run), kind) in
        [("Failed", in_step(), "Step-based"), ("Error", in_background(), "Background")]
    {
        world.report(&run, phase, "it hurts");
        world.settle();
        world.expect(&format!(
            "Degraded (RolloutAborted: Rollout aborted update to revision 2: {kind} analysis phase error/failed: it \
             hurts), step 0, 0 %, 5 v1, 1 v2"
        ));
        assert!(world.told.contains(&format!("AnalysisRun{phase}: {kind} Analysis Run '{run}' Status New: '{phase}'")));
        world.set_status(&json!({"abort": false}));
        world.settle();
        let again = format!("{run}.1");
        assert!(world.runs().contains(&again.as_str()), "{:?}", world.runs());
        assert_eq!(world.status().serin.and_then(|own| own.abort_cause), None);
    }
}

/// What clients do about an inconclusive run, and what comes of it.
#[track_caller]
fn check_inconclusive(case: &str, (mut world, run): (World, String), patch: &Value, step: i32, again: bool) {
    world.report(&run, "Inconclusive", "who knows");
    let plan = world.settle();
    assert!(plan.holds.contains(&Hold::Inconclusive { object: format!("analysis {run}") }), "{case}: {:?}", plan.holds);
    assert_eq!(world.status().phase.as_deref(), Some("Paused"), "{case}");
    assert!(world.told.contains(&"RolloutPaused: Rollout is paused (InconclusiveAnalysisRun)".to_owned()), "{case}");
    world.set_status(patch);
    world.settle();
    assert_eq!(world.status().current_step_index, Some(step), "{case}: {}", world.line());
    assert_eq!(world.runs().contains(&format!("{run}.1").as_str()), again, "{case}: {:?}", world.runs());
}

#[test]
fn an_inconclusive_analysis_waits_for_a_person() {
    let resume = json!({"pauseConditions": null});
    check_inconclusive("a step is resumed", in_step(), &resume, 1, true);
    check_inconclusive("the background is resumed", in_background(), &resume, 1, true);
    let skip = |step: i32| json!({"controllerPause": false, "pauseConditions": null, "currentStepIndex": step});
    check_inconclusive("a step is skipped", in_step(), &skip(2), 2, false);
    check_inconclusive("the background is skipped", in_background(), &skip(2), 3, false);
    check_inconclusive("abort", in_step(), &json!({"abort": true}), 0, false);
    check_inconclusive("promote in full", in_step(), &json!({"promoteFull": true}), 3, false);
}

#[test]
fn an_inconclusive_analysis_after_the_last_step_can_be_left() {
    for (case, annotation) in [("promote", serin_api::labels::PROMOTE), ("in full", serin_api::labels::PROMOTE_FULL)] {
        let mut world = world(&json!([{"setWeight": 20}]), true);
        world.broken.insert("v2".to_owned());
        world.set_image("v2");
        world.settle();
        world.set_status(&json!({"currentStepIndex": 1}));
        world.settle();
        let run = world.runs()[0].to_owned();
        world.report(&run, "Inconclusive", "");
        world.settle();
        assert_eq!(world.status().phase.as_deref(), Some("Paused"), "{case}");
        world.break_image("v2", false);
        world.annotate(annotation, "yes");
        world.wait(60);
        assert_eq!(world.line(), "Healthy, step 1, 0 %, 5 v2", "{case}");
    }
}

#[test]
fn a_run_that_somebody_deleted_is_made_again() {
    let (mut world, run) = in_step();
    world.report(&run, "Running", "");
    world.settle();
    world.observed.analysis_runs.clear();
    world.settle();
    assert_eq!(world.runs(), [run.as_str()]);
    world.report(&run, "Successful", "");
    world.settle();
    assert_eq!(world.status().current_step_index, Some(2));
}

#[test]
fn runs_end_with_the_update() {
    let end = json!({"promoteFull": true});
    for (case, patch) in [("abort", json!({"abort": true})), ("promote in full", end)] {
        let (mut world, _) = in_background();
        world.set_status(&patch);
        world.wait(60);
        assert_eq!(world.runs(), [""; 0], "{case}");
    }
    let (mut world, run) = in_background();
    world.set_image("v3");
    world.wait(60);
    assert!(!world.runs().contains(&run.as_str()), "superseded: {:?}", world.runs());
}

#[test]
fn a_silent_source_stops_the_clock_and_nothing_flaps() {
    let mut world = world(&json!([{"setWeight": 20}, {"pause": {"duration": "10m"}}]), true);
    world.set_image("v2");
    world.settle();
    let run = world.runs()[0].to_owned();
    let silent = |world: &mut World, is_silent: bool| {
        let outcome = if is_silent { json!("source-down") } else { Value::Null };
        let measurement = json!({"phase": "Error", "message": "refused", "metadata": {"serin.dev/outcome": outcome}});
        let measurement = if is_silent { measurement } else { json!({"phase": "Successful", "value": "1"}) };
        let status = json!({"phase": "Running", "metricResults": [
            {"name": "ok", "phase": "Running", "measurements": [measurement]}]});
        let found = world.observed.analysis_runs.iter_mut().find(|r| r.metadata.name.as_ref() == Some(&run));
        std::sync::Arc::make_mut(found.expect("a run")).status =
            Some(serde_json::from_value(status).expect("a status"));
    };
    world.wait(300);
    silent(&mut world, true);
    world.wait(1200);
    let status = world.status();
    assert_eq!(status.phase.as_deref(), Some("Paused"));
    assert!(status.message.is_some_and(|message| message.contains("cannot be asked (refused)")));
    silent(&mut world, false);
    world.wait(270);
    world.expect("Paused (CanaryPauseStep), step 1, 20 %, 5 v1, 1 v2");
    world.wait(100);
    world.expect("Healthy, step 2, 0 %, 5 v2");
}

#[test]
fn finished_runs_are_kept_within_limits() {
    let (mut world, _) = in_background();
    world.set_spec(&json!({"analysis": {"successfulRunHistoryLimit": 1, "unsuccessfulRunHistoryLimit": 2}}));
    for _ in 0..6 {
        let run = world.runs().last().map(|run| (*run).to_owned()).expect("a run");
        world.report(&run, "Failed", "");
        world.settle();
        world.set_status(&json!({"abort": false}));
        world.settle();
        world.observed.now += chrono::TimeDelta::seconds(10);
    }
    let phases = world.observed.analysis_runs.iter().filter_map(|run| run.status.as_ref()).map(|s| s.phase.as_str());
    assert_eq!(phases.filter(|phase| *phase == "Failed").count(), 2, "{:?}", world.runs());
}
