//! Whole runs whose measurements are Jobs, against a scripted Job controller.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use serin_api::AnalysisRun;

use super::super::job::{Job, JobState, StartJob};
use super::super::sample::{Outcome, Sample};
use super::*;

/// A run and the Jobs there are; after each write, deciding again on it changes nothing.
struct World {
    run: AnalysisRun,
    jobs: BTreeMap<String, Job>,
    now: i64,
    /// Names of all Jobs that were ever created, in order.
    created: Vec<String>,
    deleted: Vec<String>,
}

fn time(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("in range")
}

fn job(name: &str) -> Job {
    let (name, uid) = (name.to_owned(), format!("uid of {name}"));
    Job { name, uid, state: JobState::Running, deleting: false, stuck: None, failed_pod: None }
}

fn metric(name: &str, fields: impl Into<Value>) -> Value {
    let pod = json!({"containers": [{"name": "c", "image": "i"}]});
    let mut metric = json!({"name": name, "provider": {"job": {"spec": {"template": {"spec": pod}}}}});
    for (field, value) in fields.into().as_object().expect("fields") {
        metric[field] = value.clone();
    }
    metric
}

impl World {
    fn new(spec: impl Into<Value>) -> Self {
        let run = json!({"metadata": {"name": "run", "namespace": "shop", "uid": "u"}, "spec": spec.into()});
        let run = serde_json::from_value(run).expect("a run");
        World { run, jobs: BTreeMap::new(), now: 0, created: Vec::new(), deleted: Vec::new() }
    }

    fn of(metrics: impl Into<Value>) -> Self {
        World::new(json!({"metrics": metrics.into()}))
    }

    fn plan(&self, samples: Vec<Sample>) -> Plan {
        let run = Arc::new(self.run.clone());
        let (jobs, semantics) = (self.jobs.clone(), Semantics::Serin);
        decide(&Observed { now: time(self.now), run, samples, in_flight: BTreeSet::new(), jobs, semantics })
    }

    /// Decides and brings everything about, until nothing is left to do at this moment.
    fn settle(&mut self) -> &mut Self {
        for _ in 0..10 {
            let plan = self.plan(Vec::new());
            if plan.status.is_none() && plan.jobs.is_empty() && plan.effects.is_empty() {
                return self;
            }
            self.write(&plan);
            self.bring_about(&plan);
        }
        panic!("it never comes to rest: {:?}", self.plan(Vec::new()));
    }

    fn write(&mut self, plan: &Plan) {
        if let Some(status) = &plan.status {
            self.run.status = serde_json::from_value(json!(status)).expect("a status");
        }
    }

    fn bring_about(&mut self, plan: &Plan) {
        for StartJob { name, .. } in &plan.jobs {
            self.created.push(name.clone());
            self.jobs.insert(name.clone(), job(name));
        }
        for effect in &plan.effects {
            let Effect::DeleteJob { name, uid } = effect else { panic!("an odd effect: {effect:?}") };
            assert_eq!(self.jobs.remove(name).map(|job| job.uid).as_ref(), Some(uid), "{name}");
            self.deleted.push(name.clone());
        }
    }

    fn end(&mut self, job: &str, state: JobState) -> &mut Self {
        self.jobs.get_mut(job).unwrap_or_else(|| panic!("no {job}; there were {:?}", self.created)).state = state;
        self.settle()
    }

    fn at(&mut self, seconds: i64) -> &mut Self {
        self.now = seconds;
        self.settle()
    }

    /// Phase and message of the run, then phase and message of each measurement of its first metric.
    fn told(&self) -> Vec<String> {
        let status = self.run.status.as_ref().expect("a status");
        let text = |phase: &str, message: &Option<String>| {
            message.as_ref().map_or_else(|| phase.to_owned(), |message| format!("{phase}: {message}"))
        };
        let measurements = status.metric_results.first().map_or(&[][..], |result| &result.measurements);
        let run = std::iter::once(text(&status.phase, &status.message));
        run.chain(measurements.iter().map(|m| text(&m.phase, &m.message))).collect()
    }
}

fn failed() -> JobState {
    JobState::Failed {
        reason: "DeadlineExceeded".into(),
        message: "Job was active longer than specified deadline".into(),
    }
}

#[test]
fn a_job_is_begun_in_status_first_and_its_end_is_the_verdict() {
    let mut world = World::of(json!([metric("m", json!({}))]));
    let plan = world.plan(Vec::new());
    world.write(&plan);
    let measurement = &world.run.status.as_ref().expect("a status").metric_results[0].measurements[0];
    assert_eq!(json!(measurement.metadata), json!({"job-name": "u.m.1", "job-namespace": "shop"}));
    assert_eq!(plan.jobs.iter().map(|start| start.name.as_str()).collect::<Vec<_>>(), ["u.m.1"]);
    assert_eq!(plan.jobs[0].started_at, time(0));
    world.settle();
    assert_eq!(world.told(), ["Running", "Running"]);
    world.at(3_600);
    assert_eq!(world.told(), ["Running", "Running"], "a Job takes its time");
    world.end("u.m.1", JobState::Complete);
    assert_eq!(world.told(), ["Successful", "Successful"]);
    assert_eq!((world.created.len(), world.deleted.len()), (1, 0), "what a Job has left is kept for people");
}

#[test]
fn a_failed_job_fails_its_run_and_says_why() {
    let mut world = World::of(json!([metric("m", json!({}))]));
    world.settle().jobs.get_mut("u.m.1").expect("a Job").failed_pod = Some("Pod p ended with exit code 1".into());
    world.end("u.m.1", failed());
    let why = "Job was active longer than specified deadline (DeadlineExceeded); Pod p ended with exit code 1";
    let run =
        format!("Failed: Metric \"m\" assessed Failed due to failed (1) > failureLimit (0): \"Error Message: {why}\"");
    assert_eq!(world.told(), [run, format!("Failed: {why}")]);
}

#[test]
fn a_job_that_cannot_start_is_for_a_person_to_judge_and_does_not_linger() {
    let mut world = World::of(json!([metric("m", json!({}))]));
    world.settle().jobs.get_mut("u.m.1").expect("a Job").stuck = Some("ErrImagePull".into());
    world.settle();
    let run = "Inconclusive: Metric \"m\" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0): \
               \"Error Message: ErrImagePull\"";
    assert_eq!(world.told(), [run, "Inconclusive: ErrImagePull"]);
    assert_eq!(world.deleted, ["u.m.1"]);
}

#[test]
fn jobs_follow_one_another_and_only_as_many_are_kept_as_measurements() {
    let spec = json!({
        "metrics": [metric("m", json!({"count": 4, "interval": "10s", "failureLimit": 1}))],
        "measurementRetention": [{"metricName": "m", "limit": 2}],
    });
    let mut world = World::new(spec);
    world.settle().at(4).end("u.m.1", JobState::Complete);
    assert_eq!(world.created, ["u.m.1"], "the next is due after the interval");
    world.at(10).at(35).end("u.m.2", failed());
    assert_eq!(world.created, ["u.m.1", "u.m.2", "u.m.3"], "one that took longer is followed at once");
    assert_eq!(world.deleted, ["u.m.1"]);
    world.end("u.m.3", JobState::Complete).at(40).end("u.m.4", JobState::Complete);
    assert_eq!(world.told(), ["Successful", "Successful", "Successful"]);
    assert_eq!(world.jobs.keys().collect::<Vec<_>>(), ["u.m.3", "u.m.4"]);
}

#[test]
fn a_run_that_is_to_end_ends_its_job() {
    let mut world = World::of(json!([metric("m", json!({}))]));
    world.settle().run.spec.terminate = true;
    world.at(5);
    let run = "Inconclusive: Metric \"m\" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0): \
               \"Error Message: Metric Terminated\"";
    assert_eq!(world.told(), [run, "Inconclusive: Metric Terminated"]);
    assert_eq!((world.created.len(), world.jobs.len()), (1, 0));
}

#[test]
fn a_job_that_ended_by_itself_counts_although_its_run_is_to_end() {
    let mut world = World::of(json!([metric("m", json!({}))]));
    world.settle().run.spec.terminate = true;
    world.end("u.m.1", JobState::Complete);
    assert_eq!(world.told(), ["Successful: Run Terminated", "Successful"]);
}

#[test]
fn a_metric_that_fails_ends_the_job_of_another() {
    let mut world = World::of(json!([metric("a", json!({})), metric("b", json!({}))]));
    world.settle().end("u.b.1", failed());
    assert!(world.told()[0].starts_with("Failed: Metric \"b\" assessed Failed"), "{:?}", world.told());
    assert_eq!(world.told()[1], "Inconclusive: Metric Terminated");
    assert_eq!(world.deleted, ["u.a.1"]);
}

#[test]
fn no_measurement_gets_a_second_job() {
    let mut world = World::of(json!([metric("m", json!({}))]));
    let plan = world.plan(Vec::new());
    world.write(&plan);
    world.now = 20;
    let again = world.plan(Vec::new());
    assert_eq!(again.status, None, "a controller that starts anew finds the measurement in status");
    assert_eq!(again.jobs, plan.jobs, "and makes the Job that the one before did not come to make");
    world.settle().jobs.clear();
    world.settle();
    assert_eq!(world.created, ["u.m.1"]);
    assert_eq!(world.told(), ["Running", "Error: Job u.m.1 was deleted before it ended"]);
    world.at(30);
    assert_eq!(world.created, ["u.m.1", "u.m.2"], "the next measurement is another one");
}

/// What came of creating the first Job of a plan, a second later.
fn answered(plan: &Plan, outcome: Outcome) -> Sample {
    Sample {
        metric: "m".into(),
        started_at: plan.jobs[0].started_at,
        finished_at: time(1),
        outcome,
        value: String::new(),
        metadata: BTreeMap::new(),
    }
}

#[test]
fn a_job_that_is_refused_is_an_error_of_its_measurement() {
    let mut world = World::of(json!([metric("m", json!({"consecutiveErrorLimit": 0}))]));
    let plan = world.plan(Vec::new());
    world.write(&plan);
    let sample = answered(&plan, Outcome::Wrong { message: "no such field".into() });
    let plan = world.plan(vec![sample.clone()]);
    world.write(&plan);
    let run = "Error: Metric \"m\" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): \
               \"Error Message: no such field\"";
    assert_eq!(world.told(), [run, "Error: no such field"]);
    assert_eq!(world.plan(vec![sample]).status, None, "taking it twice changes nothing");
}

/// A first measurement that came to nothing because the API server was not well, and what follows it.
#[track_caller]
fn after_an_outage(spec: Value) -> World {
    let mut world = World::new(spec);
    let plan = world.plan(Vec::new());
    world.write(&plan);
    let sample = answered(&plan, Outcome::SourceDown { message: "503".into() });
    world.now = 1;
    let plan = world.plan(vec![sample]);
    world.write(&plan);
    assert_eq!(world.told()[1..], ["Error: 503"]);
    world
}

#[test]
fn a_job_outlives_the_outage_before_it() {
    for limits in [json!({}), json!({"consecutiveErrorLimit": 3}), json!({"count": 2, "interval": "20s"})] {
        let mut world = after_an_outage(json!({"metrics": [metric("m", limits.clone())]}));
        world.at(11).at(15);
        assert_eq!(
            (world.jobs.len(), world.deleted.len()),
            (1, 0),
            "{limits}: it is the Job of the second measurement"
        );
        let name = world.jobs.keys().next().expect("a Job").clone();
        world.end(&name, JobState::Complete);
        assert_eq!(world.told()[1..], ["Error: 503", "Successful"], "{limits}");
    }
}

#[test]
fn a_job_that_came_to_be_in_an_outage_after_all_is_taken_for_no_later_one() {
    let mut world = after_an_outage(json!({"metrics": [metric("m", json!({}))]}));
    world.jobs.insert("u.m.1".into(), job("u.m.1"));
    world.settle();
    assert_eq!(world.deleted, ["u.m.1"], "nobody waits for it");
    world.at(11);
    assert_eq!(world.created, ["u.m.2"]);
    world.end("u.m.2", JobState::Complete);
    assert_eq!(world.told(), ["Successful", "Error: 503", "Successful"]);
}

#[test]
fn jobs_go_on_counting_when_only_the_last_measurement_is_kept() {
    let retention = json!([{"metricName": "m", "limit": 1}]);
    let mut world = after_an_outage(json!({"metrics": [metric("m", json!({}))], "measurementRetention": retention}));
    world.at(11).end("u.m.2", JobState::Complete);
    assert_eq!(world.told(), ["Successful", "Successful"]);
}

#[test]
fn of_two_measurements_that_share_a_job_the_last_one_has_it() {
    let mut world = after_an_outage(json!({"metrics": [metric("m", json!({}))]}));
    let results = &mut world.run.status.as_mut().expect("a status").metric_results;
    let mut second = results[0].measurements[0].clone();
    second.phase = "Running".into();
    second.metadata.remove("serin.dev/outcome");
    results[0].measurements.push(second);
    world.at(12);
    assert_eq!((world.jobs.len(), world.deleted.len()), (1, 0));
}

#[test]
fn a_dry_run_may_fail() {
    let spec = json!({"metrics": [metric("m", json!({}))], "dryRun": [{"metricName": "m"}]});
    let mut world = World::new(spec);
    world.settle().end("u.m.1", failed());
    assert_eq!(world.told()[0], "Successful");
}

#[test]
fn a_job_that_no_measurement_knows_is_left_alone_while_its_run_goes_on() {
    let mut world = World::of(json!([metric("m", json!({"initialDelay": "1m"}))]));
    world.jobs.insert("u.m.1".into(), job("u.m.1"));
    world.settle();
    assert_eq!(world.deleted, [""; 0], "the run may be shown older than the Job");
    world.at(60);
    assert_eq!(world.created, [""; 0], "it is the Job of the first measurement");
    world.end("u.m.1", JobState::Complete);
    assert_eq!(world.told(), ["Successful", "Successful"]);
}
