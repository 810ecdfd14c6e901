//! Whole runs over simulated time, against a scripted source.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use serin_api::AnalysisRun;

use super::super::condition::MetricResult as Result_;
use super::super::sample::{ArgValue, Outcome, Sample};
use super::*;
use crate::plan::EventKind;

/// What the source says to a metric at a second of the run.
type Source = dyn Fn(&str, i64) -> Outcome;

/// A run, its clock and its source; every decision is made twice to see that the second changes nothing.
struct World<'s> {
    run: AnalysisRun,
    source: &'s Source,
    /// Milliseconds that a measurement takes.
    latency: i64,
    now: i64,
    /// Seconds at which each metric was measured.
    measured: BTreeMap<String, Vec<i64>>,
    events: Vec<String>,
    deleted: bool,
    semantics: Semantics,
}

fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_800_000_000_000 + milliseconds).expect("in range")
}

impl<'s> World<'s> {
    fn new(spec: impl Into<Value>, source: &'s Source) -> Self {
        let run = json!({"metadata": {"name": "run", "namespace": "shop"}, "spec": spec.into()});
        World {
            run: serde_json::from_value(run).expect("a run"),
            source,
            latency: 700,
            now: 0,
            measured: BTreeMap::new(),
            events: Vec::new(),
            deleted: false,
            semantics: Semantics::Serin,
        }
    }

    fn observed(&self, samples: Vec<Sample>, in_flight: BTreeSet<String>) -> Observed {
        let (now, run) = (time(self.now), Arc::new(self.run.clone()));
        Observed { now, run, samples, in_flight, jobs: BTreeMap::new(), semantics: self.semantics }
    }

    /// Decides, writes, measures, and goes to the next wake-up, until `seconds` have passed or nothing is left to do.
    fn run_for(&mut self, seconds: i64) -> &mut Self {
        let mut samples = Vec::new();
        loop {
            let plan = decide(&self.observed(std::mem::take(&mut samples), BTreeSet::new()));
            self.write(&plan);
            let asked: BTreeSet<String> = plan.measure.iter().map(|measure| measure.metric.clone()).collect();
            let again = decide(&self.observed(Vec::new(), asked));
            let nothing = Plan { wake: plan.wake.clone(), effects: plan.effects.clone(), ..Plan::default() };
            assert_eq!(again, nothing, "deciding again changes something at {} ms", self.now);
            if !plan.measure.is_empty() {
                let started_at = time(self.now);
                for measure in &plan.measure {
                    self.measured.entry(measure.metric.clone()).or_default().push(self.now / 1000);
                }
                let second = self.now / 1000;
                self.now += self.latency;
                samples = plan.measure.iter().map(|measure| self.sample(&measure.metric, second, started_at)).collect();
                continue;
            }
            let Some(wake) = plan.wake else { return self };
            let wake = (wake.at - time(0)).num_milliseconds();
            if wake > seconds * 1000 || self.deleted {
                self.now = self.now.max(seconds * 1000);
                return self;
            }
            assert!(wake > self.now, "a wake-up in the past");
            self.now = wake;
        }
    }

    fn sample(&self, metric: &str, second: i64, started_at: DateTime<Utc>) -> Sample {
        Sample {
            metric: metric.to_owned(),
            started_at,
            finished_at: time(self.now),
            outcome: (self.source)(metric, second),
            value: "v".to_owned(),
            metadata: BTreeMap::new(),
        }
    }

    /// Writes the status as the API server would keep it.
    fn write(&mut self, plan: &Plan) {
        if let Some(status) = &plan.status {
            self.run.status = serde_json::from_value(json!(status)).expect("a status");
        }
        let second = self.now / 1000;
        self.events.extend(plan.events.iter().map(|event| format!("{second} {} {}", event.kind, event.reason)));
        self.deleted |= !plan.effects.is_empty();
    }

    fn status(&self) -> &AnalysisRunStatus {
        self.run.status.as_ref().expect("a status")
    }

    #[track_caller]
    fn expect(&self, phase: &str, message: &str) {
        let status = self.status();
        assert_eq!((status.phase.as_str(), status.message.as_deref().unwrap_or_default()), (phase, message));
        assert_eq!(status.completed_at.is_some(), Phase::of(phase).completed());
    }
}

fn metric(name: &str, fields: impl Into<Value>) -> Value {
    let mut metric =
        json!({"name": name, "successCondition": "result >= 0.9", "provider": {"prometheus": {"query": "up"}}});
    for (field, value) in fields.into().as_object().expect("fields") {
        metric[field] = value.clone();
    }
    metric
}

fn value(number: f64) -> Outcome {
    Outcome::Measured(Result_::Scalar(number))
}

fn down() -> Outcome {
    Outcome::SourceDown { message: "connection refused".to_owned() }
}

/// The bookinfo template as a run: apdex by SkyWalking every five minutes, three failures tolerated.
fn apdex() -> Value {
    json!({
        "args": [{"name": "service-name", "value": "reviews"}],
        "metrics": [{
            "name": "apdex", "interval": "5m", "failureLimit": 3,
            "successCondition": "all(result.service_apdex.values.values, {asFloat(.value) >= 9900})",
            "provider": {"skywalking": {"interval": "3m", "address": "http://oap", "query": "{{ args.service-name }}"}},
        }],
    })
}

fn apdex_of(value: i64) -> Outcome {
    Outcome::Measured(Result_::Json(
        json!({"service_apdex": {"values": {"values": [{"value": 10_000}, {"value": value}]}}}),
    ))
}

#[test]
fn a_bad_apdex_fails_the_run_at_the_fourth_measurement() {
    let mut world = World::new(apdex(), &|_, _| apdex_of(5_000));
    world.run_for(3_600);
    world.expect("Failed", "Metric \"apdex\" assessed Failed due to failed (4) > failureLimit (3)");
    assert_eq!(world.measured["apdex"], [0, 300, 600, 900]);
    assert_eq!(world.events, ["900 Warning MetricFailed", "900 Warning AnalysisRunFailed"]);
    assert_eq!(json!(world.status().run_summary), json!({"count": 1, "failed": 1}));
    let result = &world.status().metric_results[0];
    assert_eq!((result.count, result.failed, result.phase.as_str()), (Some(4), Some(4), "Failed"));
}

#[test]
fn a_good_apdex_goes_on_until_the_run_is_asked_to_end() {
    let mut world = World::new(apdex(), &|_, _| apdex_of(9_950));
    world.run_for(1_800).expect("Running", "");
    world.run.spec.terminate = true;
    world.run_for(1_801).expect("Successful", "Run Terminated");
    assert_eq!(world.measured["apdex"], [0, 300, 600, 900, 1200, 1500, 1800]);
    assert_eq!(world.events.last().map(String::as_str), Some("1800 Normal AnalysisRunSuccessful"));
}

#[test]
fn a_dead_source_holds_for_an_hour_and_fails_nothing() {
    let mut world = World::new(apdex(), &|_, second| if second < 3_600 { down() } else { apdex_of(10_000) });
    world.run_for(3_590);
    let message = "the source of metric apdex of run cannot be asked (connection refused); the step waits, nothing is rolled back";
    world.expect("Running", message);
    assert_eq!(holding(&world.run).len(), 1);
    let result = &world.status().metric_results[0];
    assert_eq!((result.error, result.consecutive_error, result.count), (None, None, None));
    assert_eq!(result.measurements.len(), 10, "the last ten are kept");
    assert!(world.measured["apdex"].len() > 300, "it is asked every ten seconds");
    world.run_for(4_500).expect("Running", "");
    assert_eq!(holding(&world.run), []);
    let after: Vec<i64> = world.measured["apdex"].iter().copied().filter(|second| *second > 3_620).collect();
    assert_eq!(after, [3_900, 4_200, 4_500], "it is back on its ticks");
}

#[test]
fn a_dead_source_ends_the_run_where_the_metric_says_so() {
    let spec = json!({"metrics": [metric("m", json!({"interval": "1m", "consecutiveErrorLimit": 2}))]});
    let mut world = World::new(spec, &|_, _| down());
    let message = "Metric \"m\" assessed Error due to consecutiveErrors (3) > consecutiveErrorLimit (2): \"Error Message: connection refused\"";
    world.run_for(600).expect("Error", message);
    assert_eq!(world.measured["m"].len(), 3);
    assert_eq!(world.events, ["20 Warning MetricError", "20 Warning AnalysisRunError"]);
}

#[test]
fn no_data_waits_for_the_next_tick_and_is_none_of_the_count() {
    let spec = json!({"metrics": [metric("m", json!({"interval": "1m", "count": 2}))]});
    let no_data = |_: &str, second: i64| {
        if second < 120 { Outcome::NoData { message: "no series".to_owned() } } else { value(1.0) }
    };
    let mut world = World::new(spec.clone(), &no_data);
    world
        .run_for(100)
        .expect("Running", "metric m of run has no data (no series); the step waits, nothing is rolled back");
    world.run_for(600).expect("Successful", "");
    assert_eq!(world.measured["m"], [0, 60, 120, 180]);

    let mut argo = World::new(spec, &|_, _| value(f64::NAN));
    argo.semantics = Semantics::Argo;
    argo.run_for(600).expect("Failed", "Metric \"m\" assessed Failed due to failed (1) > failureLimit (0)");
}

#[test]
fn the_annotation_chooses_the_rules() {
    let spec = json!({"metrics": [metric("m", json!({}))]});
    let mut world = World::new(spec, &|_, _| value(f64::NAN));
    world.run.metadata.annotations = Some([("serin.dev/analysis-semantics".to_owned(), "argo".to_owned())].into());
    world.run_for(60);
    assert_eq!(world.status().phase, "Failed");
    world.run.metadata.annotations = Some([("serin.dev/analysis-semantics".to_owned(), "helm".to_owned())].into());
    world.run.status = None;
    world.run_for(120);
    assert_eq!(world.status().phase, "Error");
    let message = world.status().message.clone().unwrap_or_default();
    assert!(message.starts_with("metadata.annotations: `helm` "), "{message}");
}

#[test]
fn a_wrong_question_ends_the_run_after_five_tries() {
    let spec = json!({"metrics": [metric("m", json!({"interval": "5m"}))]});
    let mut world = World::new(spec, &|_, _| Outcome::Wrong { message: "parse error".to_owned() });
    let message = "Metric \"m\" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): \"Error Message: parse error\"";
    world.run_for(3_600).expect("Error", message);
    assert_eq!(world.measured["m"], [0, 10, 20, 30, 40]);
}

#[test]
fn metrics_keep_their_own_ticks_and_end_together() {
    let spec = json!({"metrics": [
        metric("slow", json!({"interval": "1m", "initialDelay": "30s"})),
        metric("fast", json!({"interval": "20s", "failureLimit": 2})),
    ]});
    let source = |metric: &str, second: i64| value(if metric == "fast" && second >= 60 { 0.0 } else { 1.0 });
    let mut world = World::new(spec, &source);
    world.latency = 4_000;
    world.run_for(600).expect("Failed", "Metric \"fast\" assessed Failed due to failed (3) > failureLimit (2)");
    assert_eq!(world.measured["slow"], [30, 90]);
    assert_eq!(world.measured["fast"], [0, 20, 40, 60, 80, 100]);
    assert_eq!(
        world.events,
        ["104 Warning MetricFailed", "104 Normal MetricSuccessful", "104 Warning AnalysisRunFailed"]
    );
}

#[test]
fn a_dry_run_is_measured_and_told_apart() {
    let spec =
        json!({"metrics": [metric("m", json!({})), metric("try", json!({}))], "dryRun": [{"metricName": "^try$"}]});
    let mut world = World::new(spec, &|metric, _| value(if metric == "try" { 0.0 } else { 1.0 }));
    world.run_for(60).expect("Successful", "");
    assert_eq!(json!(world.status().run_summary), json!({"count": 1, "successful": 1}));
    assert_eq!(json!(world.status().dry_run_summary), json!({"count": 1, "failed": 1}));
    assert_eq!(world.events, ["0 Normal MetricSuccessful", "0 Warning MetricFailed", "0 Normal AnalysisRunSuccessful"]);
}

#[test]
fn retention_keeps_the_last_measurements_and_the_counters() {
    let spec = json!({
        "metrics": [metric("m", json!({"interval": "1m"})), metric("n", json!({"interval": "1m"}))],
        "measurementRetention": [{"metricName": "n", "limit": 2}],
    });
    let mut world = World::new(spec, &|_, _| value(1.0));
    world.run_for(20 * 60);
    let kept: Vec<usize> = world.status().metric_results.iter().map(|result| result.measurements.len()).collect();
    assert_eq!(kept, [10, 2]);
    assert!(world.status().metric_results.iter().all(|result| result.count == Some(21)));
}

#[test]
fn an_invalid_run_says_so_and_ends() {
    for (spec, message) in [
        (json!({"metrics": []}), "Analysis spec invalid: metrics: no metrics specified"),
        (
            json!({"metrics": [metric("m", json!({"interval": "x"})), metric("n", json!({"count": 2}))]}),
            "Analysis spec invalid: metrics[0].interval: `x` is not a duration; write a number and a unit, such as 30s, 5m or 1h30m; \
             metrics[1].interval: must be given when count > 1",
        ),
        (
            json!({"metrics": [metric("m", json!({}))], "args": [{"name": "a"}]}),
            "Unable to resolve metric arguments: argument \"a\" was not supplied",
        ),
    ] {
        let mut world = World::new(spec, &|_, _| value(1.0));
        world.run_for(60).expect("Error", message);
        assert_eq!(world.events, ["0 Warning AnalysisRunError"]);
        assert!(world.measured.is_empty());
    }
}

#[test]
fn a_finished_run_deletes_itself_after_its_time() {
    for (ttl, number, expected) in [
        (json!({"secondsAfterCompletion": 60}), 1.0, Some(60)),
        (json!({"secondsAfterCompletion": 60, "secondsAfterSuccess": 30}), 1.0, Some(30)),
        (json!({"secondsAfterCompletion": 60, "secondsAfterSuccess": 30}), 0.0, Some(60)),
        (json!({"secondsAfterFailure": 90}), 0.0, Some(90)),
        (json!({"secondsAfterFailure": 90}), 1.0, None),
        (json!({}), 1.0, None),
    ] {
        let source = move |_: &str, _: i64| value(number);
        let mut world = World::new(json!({"metrics": [metric("m", json!({}))], "ttlStrategy": ttl}), &source);
        for second in 0..=100 {
            world.run_for(second);
            assert_eq!(world.deleted, expected.is_some_and(|at| second >= at), "{ttl} after {second} s");
        }
    }
    let mut old = World::new(json!({"metrics": [], "ttlStrategy": {"secondsAfterCompletion": 5}}), &|_, _| value(1.0));
    old.run.status = Some(AnalysisRunStatus { phase: "Error".to_owned(), ..AnalysisRunStatus::default() });
    old.run_for(4);
    assert!(old.status().completed_at.is_some() && !old.deleted, "one that never said when it ended");
    assert!(old.run_for(5).deleted);
}

#[test]
fn a_sample_counts_once_and_only_for_a_metric_that_goes_on() {
    let mut world =
        World::new(json!({"metrics": [metric("m", json!({"interval": "1m", "failureLimit": 5}))]}), &|_, _| value(0.0));
    world.run_for(0);
    let again = Sample { finished_at: time(5_000), ..world.sample("m", 0, time(300)) };
    let stranger = world.sample("stranger", 0, time(0));
    world.now = 6_000;
    let plan = decide(&world.observed(vec![again, stranger], BTreeSet::new()));
    assert_eq!(plan.status, None);
    let new = world.sample("m", 0, time(60_000));
    world.now = 61_000;
    let plan = decide(&world.observed(vec![new], BTreeSet::new()));
    let status = plan.status.expect("something new");
    assert_eq!(status.metric_results[0].failed, Some(2));

    let mut over = World::new(json!({"metrics": [metric("m", json!({}))]}), &|_, _| value(1.0));
    over.run_for(10);
    let late = over.sample("m", 0, time(9_000));
    assert_eq!(decide(&over.observed(vec![late], BTreeSet::new())), Plan::default());
}

#[test]
fn a_measurement_under_way_is_not_asked_for_again() {
    let world = World::new(json!({"metrics": [metric("m", json!({})), metric("n", json!({}))]}), &|_, _| value(1.0));
    let plan = decide(&world.observed(Vec::new(), BTreeSet::from(["m".to_owned()])));
    let asked: Vec<&str> = plan.measure.iter().map(|measure| measure.metric.as_str()).collect();
    assert_eq!(asked, ["n"]);
}

#[test]
fn a_secret_goes_to_the_measurement_by_reference_and_nowhere_else() {
    let mut spec = json!({"metrics": [metric("m", json!({"interval": "1m"}))], "args": [
        {"name": "token", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}, {"name": "a", "value": "1"}]});
    spec["metrics"][0]["provider"]["prometheus"]["query"] = json!("{{args.token}}{{args.a}}");
    let world = World::new(spec, &|_, _| value(1.0));
    let plan = decide(&world.observed(Vec::new(), BTreeSet::new()));
    assert_eq!(plan.measure[0].args["token"], ArgValue::Secret { name: "s".to_owned(), key: "k".to_owned() });
    assert_eq!(plan.measure[0].args["a"], ArgValue::Known("1".to_owned()));
    assert_eq!(plan.measure[0].spec.provider, world.run.spec.metrics[0].provider, "the executor substitutes");
}

#[test]
fn a_run_that_is_being_deleted_is_left_alone() {
    let mut world = World::new(json!({"metrics": [metric("m", json!({}))]}), &|_, _| value(1.0));
    world.run.metadata.deletion_timestamp = Some(serin_api::Time(time(0)).to_kubernetes());
    assert_eq!(decide(&world.observed(Vec::new(), BTreeSet::new())), Plan::default());
}

#[test]
fn resolved_queries_stand_with_the_metric_and_warnings_with_the_measurement() {
    let mut world = World::new(json!({"metrics": [metric("m", json!({"interval": "1m"}))]}), &|_, _| value(1.0));
    world.run_for(0);
    let mut sample = world.sample("m", 0, time(60_000));
    sample.metadata =
        [("ResolvedPrometheusQuery", "up"), ("warnings", "w")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    world.now = 60_500;
    let status = decide(&world.observed(vec![sample], BTreeSet::new())).status.expect("a status");
    let result = &status.metric_results[0];
    assert_eq!(json!(result.metadata), json!({"ResolvedPrometheusQuery": "up"}));
    assert_eq!(json!(result.measurements[1].metadata), json!({"warnings": "w"}));
    assert_eq!(result.measurements[1].value.as_deref(), Some("v"));
}

#[test]
fn warnings_are_for_failures_and_errors_only() {
    let kinds = [Phase::Successful, Phase::Inconclusive, Phase::Failed, Phase::Error]
        .map(|phase| event(phase, "Metric", String::new()).kind);
    assert_eq!(kinds, [EventKind::Normal, EventKind::Normal, EventKind::Warning, EventKind::Warning]);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever the source answers: each decision made twice is one (the world checks it), the counters add up, and a
    /// run fails only with more bad measurements than it may have.
    #[test]
    fn any_answers_add_up(
        answers in proptest::collection::vec(0..6_u8, 1..30),
        (failures, inconclusive, errors) in (0..4_i64, proptest::option::of(0..4_i64), proptest::option::of(0..4_i64)),
        (count, interval, latency) in (0..8_i64, 1..90_i64, 0..20_000_i64),
    ) {
        let script = answers.clone();
        let source = move |_: &str, second: i64| match script[usize::try_from(second / 10).unwrap_or(0) % script.len()] {
            0 => value(0.5),
            1 => value(0.7),
            2 => Outcome::NoData { message: "none".to_owned() },
            3 => down(),
            4 => Outcome::Wrong { message: "wrong".to_owned() },
            _ => value(1.0),
        };
        let mut spec = json!({"interval": format!("{interval}s"), "failureLimit": failures, "failureCondition": "result < 0.6"});
        for (name, limit) in [("inconclusiveLimit", inconclusive), ("consecutiveErrorLimit", errors)] {
            if let Some(limit) = limit {
                spec[name] = json!(limit);
            }
        }
        if count >= failures.max(inconclusive.unwrap_or(0)) {
            spec["count"] = json!(count);
        }
        let mut world = World::new(json!({"metrics": [metric("m", spec)]}), &source);
        world.latency = latency;
        world.run_for(2_000);
        let status = world.status();
        let result = &status.metric_results[0];
        let [taken, good, bad, unclear] =
            [result.count, result.successful, result.failed, result.inconclusive].map(|counter| i64::from(counter.unwrap_or(0)));
        proptest::prop_assert!(good + bad <= taken && taken <= good + bad + unclear);
        proptest::prop_assert!(inconclusive.is_some() || taken == good + bad + unclear);
        proptest::prop_assert_eq!(status.phase == "Failed", bad > failures);
        proptest::prop_assert_eq!(status.completed_at.is_some(), Phase::of(&status.phase).completed());
        proptest::prop_assert!(world.measured["m"].is_sorted_by(|a, b| a < b));
        proptest::prop_assert!(errors.is_some() || answers.contains(&4) || status.phase != "Error");
    }
}
