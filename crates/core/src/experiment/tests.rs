//! Experiments by themselves: what is created, when they end, and in which way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use serin_api::{AnalysisRun, Experiment, ExperimentStatus, labels};

use super::traffic::{violation, without_effects};
use super::{Observed, Plan, decide, service_name};
use crate::plan::{Effect, EventKind, Planned};
use crate::rollout::ControlPlane;
use crate::rollout::observed::{Found, Raw, ReplicaSet, Settings, Template, TemplateKey, Writer};

/// An Experiment `exp` and what came of it.
#[derive(Clone, Debug)]
struct Lab {
    observed: Observed,
    told: Vec<String>,
    /// Whether pods become available.
    healthy: bool,
}

fn start() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

fn template(name: &str, more: &Value) -> Value {
    let mut template = json!({
        "name": name,
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "web", "image": "web:v1", "ports": [{"containerPort": 8080}]}]},
        },
    });
    json_patch::merge(&mut template, more);
    template
}

impl Lab {
    fn new(spec: &Value) -> Self {
        let object = json!({
            "metadata": {"name": "exp", "namespace": "shop", "uid": "uid-exp", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": spec,
        });
        let experiment: Experiment = serde_json::from_value(object).expect("an Experiment");
        let metrics = json!({"args": [{"name": "hash", "value": "none"}], "metrics": [{"name": "up", "interval": "1m",
            "count": 5, "provider": {"prometheus": {"address": "http://prometheus", "query": "up"}}}]});
        let spec = Arc::new(serde_json::from_value(metrics).expect("a template"));
        let key = TemplateKey { cluster_scope: false, name: "check".to_owned() };
        let observed = Observed {
            now: start(),
            experiment: Arc::new(experiment),
            replica_sets: Vec::new(),
            taken: BTreeSet::new(),
            services: BTreeMap::new(),
            analysis_runs: Vec::new(),
            templates: BTreeMap::from([(key, Found::Present(Template { spec, semantics: None }))]),
            virtual_services: Vec::new(),
            control_plane: ControlPlane::Unknown,
            settings: Settings::default(),
        };
        Lab { observed, told: Vec::new(), healthy: true }
    }

    /// Decides once and lets all of it come true.
    fn turn(&mut self) -> Plan {
        let plan = decide(&self.observed);
        if let Some(status) = &plan.status {
            let wire = serde_json::to_value(status).expect("JSON");
            Arc::make_mut(&mut self.observed.experiment).status = Some(serde_json::from_value(wire).expect("a status"));
        }
        for planned in &plan.effects {
            self.bring_about(&planned.effect);
        }
        for rs in &mut self.observed.replica_sets {
            rs.replicas_actual = rs.replicas;
            rs.replicas_available = if self.healthy { rs.replicas } else { 0 };
            rs.replicas_ready = rs.replicas_available;
        }
        let words = |e: &crate::plan::Event| {
            let mark = if e.kind == EventKind::Warning { "!" } else { "" };
            format!("{mark}{}: {}", e.reason, e.message)
        };
        self.told.extend(plan.events.iter().map(words));
        plan
    }

    /// Turns until nothing changes any more.
    #[track_caller]
    fn settle(&mut self) -> Plan {
        for _ in 0..20 {
            let plan = self.turn();
            if plan.status.is_none() && plan.effects.is_empty() {
                assert!(plan.events.is_empty(), "{:?}", plan.events);
                return plan;
            }
        }
        panic!("it does not come to rest: {:#?}", decide(&self.observed));
    }

    /// Lets time pass, and looks whenever a plan asked for that.
    #[track_caller]
    fn wait(&mut self, seconds: i64) {
        let until = self.observed.now + TimeDelta::seconds(seconds);
        while let Some(wake) = self.settle().wake.filter(|wake| wake.at <= until) {
            self.observed.now = wake.at;
        }
        self.observed.now = until;
        self.settle();
    }

    fn bring_about(&mut self, effect: &Effect) {
        let text = |object: &Value, pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        match effect {
            Effect::CreateReplicaSet { object } => {
                let map = |pointer: &str| serde_json::from_value(object.pointer(pointer).cloned().unwrap_or_default());
                let name = text(object, "/metadata/name");
                self.observed.replica_sets.push(ReplicaSet {
                    uid: format!("uid-{name}"),
                    name,
                    owned: true,
                    hash: text(object, &format!("/metadata/labels/{}", labels::POD_TEMPLATE_HASH)),
                    created: self.observed.now,
                    deleting: false,
                    settled: true,
                    min_ready_seconds: i32::try_from(object["spec"]["minReadySeconds"].as_i64().unwrap_or(0))
                        .expect("few"),
                    replicas: i32::try_from(object["spec"]["replicas"].as_i64().expect("a number")).expect("few"),
                    replicas_actual: 0,
                    replicas_ready: 0,
                    replicas_available: 0,
                    failure: None,
                    labels: map("/metadata/labels").expect("labels"),
                    annotations: map("/metadata/annotations").expect("annotations"),
                    template: Arc::new(object["spec"]["template"].clone()),
                });
            }
            Effect::ScaleReplicaSet { name, replicas, annotations, .. } => {
                let rs = self.observed.replica_sets.iter_mut().find(|rs| rs.name == *name).expect("a ReplicaSet");
                rs.replicas = *replicas;
                for (key, value) in annotations {
                    match value {
                        Some(value) => drop(rs.annotations.insert(key.clone(), value.clone())),
                        None => drop(rs.annotations.remove(key)),
                    }
                }
            }
            Effect::CreateService { object } => {
                let raw = raw(object.clone(), self.observed.now);
                self.observed.services.insert(text(object, "/metadata/name"), raw);
            }
            Effect::DeleteService { name, .. } => drop(self.observed.services.remove(name)),
            Effect::CreateAnalysisRun { object } => {
                let mut run: AnalysisRun = serde_json::from_value(object.clone()).expect("a run");
                run.metadata.uid = run.metadata.name.as_ref().map(|name| format!("uid-{name}"));
                self.observed.analysis_runs.push(Arc::new(run));
            }
            Effect::ClaimAnalysisRun { name, instance, .. } => {
                let mut runs = self.observed.analysis_runs.iter_mut();
                let run = runs.find(|run| run.metadata.name.as_ref() == Some(name)).expect("a run");
                let all = Arc::make_mut(run).metadata.labels.get_or_insert_default();
                match instance {
                    Some(instance) => all.insert(labels::INSTANCE_ID.to_owned(), instance.clone()),
                    None => all.remove(labels::INSTANCE_ID),
                };
            }
            Effect::TerminateAnalysisRun { name } => {
                self.report(name, "Successful");
                let mut runs = self.observed.analysis_runs.iter_mut();
                let run = runs.find(|run| run.metadata.name.as_ref() == Some(name)).expect("a run");
                Arc::make_mut(run).spec.terminate = true;
            }
            Effect::SetRolloutReplicas { .. }
            | Effect::AnnotateRollout { .. }
            | Effect::AdoptReplicaSet { .. }
            | Effect::PatchReplicaSet { .. }
            | Effect::DeleteReplicaSet { .. }
            | Effect::RelabelPod { .. }
            | Effect::EvictPod { .. }
            | Effect::ScaleDeployment { .. }
            | Effect::ApplyRoutes { .. }
            | Effect::ApplySubsets { .. }
            | Effect::SwitchService { .. }
            | Effect::CreateExperiment { .. }
            | Effect::ClaimExperiment { .. }
            | Effect::TerminateExperiment { .. }
            | Effect::DeleteExperiment { .. }
            | Effect::DeleteAnalysisRun { .. }
            | Effect::DeleteJob { .. } => panic!("an Experiment does not {effect:?}"),
        }
    }

    fn report(&mut self, name: &str, phase: &str) {
        let mut runs = self.observed.analysis_runs.iter_mut();
        let run =
            runs.find(|run| run.metadata.name.as_deref() == Some(name)).unwrap_or_else(|| panic!("no run {name}"));
        let status = json!({"phase": phase, "message": "said so"});
        Arc::make_mut(run).status = Some(serde_json::from_value(status).expect("a status"));
    }

    fn edit(&mut self, patch: &Value) {
        let mut object = serde_json::to_value(&*self.observed.experiment).expect("JSON");
        json_patch::merge(&mut object, patch);
        self.observed.experiment = Arc::new(serde_json::from_value(object).expect("an Experiment"));
    }

    fn status(&self) -> ExperimentStatus {
        self.observed.experiment.status.clone().unwrap_or_default()
    }

    /// Phase, message, and the templates' standings and pods.
    fn line(&self) -> String {
        let status = self.status();
        let mut line = status.phase.unwrap_or_default();
        if let Some(message) = status.message {
            line += &format!(" ({message})");
        }
        for template in status.template_statuses {
            line += &format!(", {} {} {}", template.name, template.status.unwrap_or_default(), template.replicas);
        }
        line
    }

    #[track_caller]
    fn expect(&self, line: &str) {
        assert_eq!(self.line(), line, "{:#?}", self.told);
    }

    fn condition(&self, kind: &str) -> String {
        let status = self.status();
        let found = status.conditions.iter().find(|c| c.kind == kind);
        found.map_or("absent".to_owned(), |c| format!("{} {}: {}", c.status, c.reason, c.message))
    }
}

fn raw(mut object: Value, now: DateTime<Utc>) -> Raw {
    object["metadata"]["uid"] = json!("uid");
    Raw { object: Arc::new(object), version: "1".to_owned(), seen_at: now, writer: Writer::Own }
}

#[test]
fn an_experiment_runs_for_its_duration_and_its_pods_stay_for_the_delay() {
    let spec = json!({"duration": "60s", "templates": [
        template("a", &json!({"replicas": 2})), template("b", &json!({"service": {}}))]});
    let mut lab = Lab::new(&spec);
    lab.turn();
    lab.expect("Pending, a Progressing 0, b Progressing 0");
    assert_eq!(lab.condition("Progressing"), "True ReplicaSetUpdated: Experiment \"exp\" is progressing.");
    lab.settle();
    lab.expect("Running, a Running 2, b Running 1");
    assert_eq!(lab.status().available_at.map(|time| time.0), Some(start()));
    assert_eq!(lab.condition("Progressing"), "True NewReplicaSetAvailable: Experiment \"exp\" is running.");
    let (a, b) = (&lab.observed.replica_sets[0], &lab.observed.replica_sets[1]);
    assert_eq!((a.name.as_str(), b.name.as_str()), ("exp-a", "exp-b"));
    assert_ne!(a.hash, b.hash);
    let service = &lab.observed.services["exp-b"].object;
    assert_eq!(service["spec"]["selector"], json!({"app": "b", labels::POD_TEMPLATE_HASH: b.hash}));
    assert_eq!(service["spec"]["ports"], json!([{"port": 8080, "targetPort": 8080, "protocol": "TCP"}]));
    assert_eq!(lab.status().template_statuses[1].service_name.as_deref(), Some("exp-b"));
    lab.wait(60);
    lab.expect("Successful, a Successful 2, b Successful 1");
    assert!(lab.observed.services.contains_key("exp-b"), "whoever calls it is answered until the delay is over");
    lab.wait(30);
    lab.expect("Successful, a Successful 0, b Successful 0");
    assert!(lab.observed.services.is_empty());
    let completed = "False ExperimentCompleted: Experiment \"exp\" has successfully ran and completed.";
    assert_eq!(lab.condition("Progressing"), completed);
    assert_eq!(lab.told[0], "TemplateProgressing: Template 'a' transitioned from  -> Progressing");
    assert_eq!(
        lab.told.last().map(String::as_str),
        Some("ExperimentSuccessful: Experiment transitioned from Running -> Successful")
    );
}

#[test]
fn the_service_is_gone_before_anybody_can_see_that_the_pods_are() {
    let mut lab = Lab::new(&json!({"duration": "10s", "scaleDownDelaySeconds": 5,
        "templates": [template("a", &json!({"service": {"name": "own-name"}}))]}));
    lab.settle();
    assert!(lab.observed.services.contains_key("own-name"));
    lab.wait(10);
    lab.observed.now += TimeDelta::seconds(5);
    let plan = decide(&lab.observed);
    let order: Vec<bool> = plan.effects.iter().map(|p| matches!(p.effect, Effect::DeleteService { .. })).collect();
    assert_eq!(order, [true, false], "{:#?}", plan.effects);
}

#[test]
fn pods_that_requests_are_sent_to_stay() {
    let mut lab = Lab::new(&json!({"duration": "10s", "scaleDownDelaySeconds": 0,
        "templates": [template("a", &json!({"service": {}}))]}));
    let vs = |weight: i32| {
        json!({"metadata": {"namespace": "shop"}, "spec": {"http": [{"route": [
        {"destination": {"host": "stable"}, "weight": 100 - weight}, {"destination": {"host": "exp-a"}, "weight": weight}]}]}})
    };
    lab.settle();
    lab.observed.virtual_services = vec![raw(vs(20), lab.observed.now)];
    lab.wait(20);
    lab.expect("Successful, a Successful 1");
    lab.observed.virtual_services = vec![raw(vs(0), lab.observed.now)];
    lab.settle();
    assert!(lab.observed.services.contains_key("exp-a"), "some proxy may not know yet");
    lab.wait(3);
    lab.expect("Successful, a Successful 0");
    assert!(lab.observed.services.is_empty());
}

#[test]
fn a_plan_that_takes_a_service_from_requests_is_dropped_and_told() {
    let mut lab = Lab::new(&json!({"templates": [template("a", &json!({"service": {}}))]}));
    lab.settle();
    let service = lab.observed.services["exp-a"].object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let effect = Effect::DeleteService { name: "exp-a".to_owned(), uid: service };
    let plan = Plan { effects: vec![Planned { effect, event: None }], ..Plan::default() };
    assert_eq!(violation(&lab.observed, &plan), None, "nobody is sent there");
    let route = json!({"route": [{"destination": {"host": "exp-a"}, "weight": 100}]});
    let vs = json!({"metadata": {"namespace": "shop"}, "spec": {"http": [route]}});
    lab.observed.virtual_services = vec![raw(vs, lab.observed.now)];
    let rule = violation(&lab.observed, &plan).expect("requests go there");
    let plan = without_effects(plan, &rule);
    assert!(plan.effects.is_empty() && plan.unsafe_plan);
    let told: Vec<&str> = plan.events.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(told, ["The next change would be unsafe: Service exp-a may get requests and would be deleted"]);
}

#[test]
fn pods_that_never_come_fail_the_experiment() {
    let mut lab = Lab::new(&json!({"progressDeadlineSeconds": 30, "scaleDownDelaySeconds": 0,
        "templates": [template("a", &json!({})), template("b", &json!({}))]}));
    lab.healthy = false;
    lab.wait(29);
    lab.expect("Pending, a Progressing 1, b Progressing 1");
    lab.wait(10);
    let message = "Template 'a' exceeded its progressDeadlineSeconds (30)";
    lab.expect(&format!("Failed ({message}), a Failed 0, b Failed 0"));
    assert!(
        lab.told.contains(&format!("!TemplateFailed: Template 'a' transitioned from Progressing -> Failed: {message}"))
    );
    assert_eq!(
        lab.told.last().map(String::as_str),
        Some("!ExperimentFailed: Experiment transitioned from Pending -> Failed")
    );
}

fn analysed(more: &Value) -> Lab {
    let mut spec = json!({"templates": [template("a", &json!({}))], "scaleDownDelaySeconds": 0, "analyses": [
        {"name": "first", "templateName": "check", "args": [{"name": "hash", "value": "{{templates.a.podTemplateHash}}"}]},
        {"name": "second", "templateName": "check"}]});
    json_patch::merge(&mut spec, more);
    let mut lab = Lab::new(&spec);
    lab.settle();
    lab
}

#[test]
fn analyses_start_with_the_pods_and_know_them() {
    let lab =
        analysed(&json!({"dryRun": [{"metricName": "up"}], "measurementRetention": [{"metricName": "up", "limit": 2}],
        "analysisRunMetadata": {"labels": {"team": "shop"}}}));
    let run = &lab.observed.analysis_runs[0];
    assert_eq!(run.metadata.name.as_deref(), Some("exp-first"));
    assert_eq!(run.metadata.labels.as_ref().expect("labels")["team"], "shop");
    assert_eq!(run.spec.args[0].value.as_ref(), Some(&lab.observed.replica_sets[0].hash));
    assert_eq!(lab.observed.analysis_runs[1].spec.args[0].value.as_deref(), Some("none"), "the template's default");
    assert_eq!((run.spec.dry_run.len(), run.spec.measurement_retention.len()), (1, 1));
    let recorded = &lab.status().analysis_runs[0];
    assert_eq!((recorded.analysis_run.as_str(), recorded.phase.as_str()), ("exp-first", "Pending"));
}

#[track_caller]
fn check_end(case: &str, more: &Value, reports: &[(&str, &str)], seconds: i64, line: &str) {
    let mut lab = analysed(more);
    for (run, phase) in reports {
        lab.report(run, phase);
    }
    lab.wait(seconds);
    assert_eq!(lab.line(), line, "{case}");
    if lab.line().starts_with("Running") {
        return;
    }
    let is_over =
        |run: &Arc<AnalysisRun>| run.spec.terminate || run.status.as_ref().is_some_and(|s| s.phase != "Running");
    assert!(lab.observed.analysis_runs.iter().all(is_over), "{case}: whatever goes on is ended");
}

#[test]
fn what_ends_an_experiment() {
    let required = |both: bool| {
        json!({"analyses": [{"name": "first", "templateName": "check", "requiredForCompletion": true},
                            {"name": "second", "templateName": "check", "requiredForCompletion": both}]})
    };
    let timed = json!({"duration": "60s"});
    let running = "Running, a Running 1";
    let good = "Successful (Required AnalysisRuns completed), a Successful 0";
    check_end("nothing, without duration", &json!({}), &[("exp-first", "Successful")], 1000, running);
    check_end("a failure", &timed, &[("exp-first", "Failed")], 1, "Failed (said so), a Successful 0");
    check_end("an error", &timed, &[("exp-first", "Error")], 1, "Error (said so), a Successful 0");
    check_end("a doubt", &timed, &[("exp-second", "Inconclusive")], 1, "Inconclusive (said so), a Successful 0");
    let both = [("exp-first", "Inconclusive"), ("exp-second", "Failed")];
    check_end("the worst of two", &timed, &both, 1, "Failed (said so), a Successful 0");
    check_end("an analysis that it waits for", &required(false), &[("exp-first", "Successful")], 1, good);
    check_end("not one of two", &required(true), &[("exp-first", "Successful")], 1, running);
    check_end("both of two", &required(true), &[("exp-first", "Successful"), ("exp-second", "Successful")], 1, good);
    check_end("time, whatever still runs", &timed, &[("exp-first", "Running")], 60, "Successful, a Successful 0");
    let mut both = required(false);
    both["duration"] = json!("60s");
    check_end("time waits for what is required", &both, &[("exp-first", "Running")], 600, running);
    check_end("a person", &json!({"terminate": true}), &[], 1, "Successful, a Successful 0");
}

#[test]
fn a_template_that_is_missing_is_an_error_after_a_moment() {
    let mut lab = analysed(&json!({"analyses": [{"name": "first", "templateName": "nowhere"}]}));
    assert!(!lab.status().phase.unwrap_or_default().starts_with("Error"), "it may be told of later");
    lab.wait(10);
    let message = lab.status().message.unwrap_or_default();
    assert_eq!(lab.status().phase.as_deref(), Some("Error"));
    assert!(message.contains("analysis 'first'") && message.contains("`nowhere`"), "{message}");
}

#[test]
fn a_retry_begins_anew_with_the_same_pods() {
    let mut lab = analysed(&json!({"duration": "60s"}));
    lab.report("exp-first", "Failed");
    lab.settle();
    lab.expect("Failed (said so), a Successful 0");
    lab.edit(&json!({"status": null}));
    lab.settle();
    lab.expect("Running, a Running 1");
    let names: Vec<String> = lab.status().analysis_runs.iter().map(|run| run.analysis_run.clone()).collect();
    assert_eq!(names, ["exp-first.1", "exp-second.1"]);
    assert_eq!(lab.observed.replica_sets.len(), 1);
    assert!(!lab.observed.replica_sets[0].annotations.contains_key(labels::SCALE_DOWN_DEADLINE));
}

#[test]
fn runs_under_way_follow_their_experiment_to_another_instance() {
    let mut lab = analysed(&json!({"duration": "60s"}));
    lab.report("exp-second", "Successful");
    lab.settle();
    for instance in [Some("blue".to_owned()), Some("green".to_owned()), None] {
        lab.observed.settings.instance_id.clone_from(&instance);
        let effects: Vec<Effect> = lab.turn().effects.into_iter().map(|planned| planned.effect).collect();
        let expected = Effect::ClaimAnalysisRun {
            name: "exp-first".to_owned(),
            uid: "uid-exp-first".to_owned(),
            instance: instance.clone(),
        };
        assert_eq!(effects, [expected], "what is over stays as it is");
    }
    lab.observed.settings.instance_id = Some("blue".to_owned());
    lab.edit(&json!({"spec": {"terminate": true}}));
    let plan = decide(&lab.observed);
    let order: Vec<bool> = plan.effects.iter().map(|p| matches!(p.effect, Effect::ClaimAnalysisRun { .. })).collect();
    assert_eq!(order, [true, false, false], "whoever ends the Experiment ends its runs: {:#?}", plan.effects);
}

#[test]
fn names_that_are_taken_are_left_alone() {
    let mut lab =
        Lab::new(&json!({"progressDeadlineSeconds": 60, "templates": [template("a", &json!({"service": {}}))]}));
    lab.observed.taken.insert("exp-a".to_owned());
    let foreign = json!({"metadata": {"name": "exp-a", "ownerReferences": [{"uid": "another", "controller": true}]}});
    lab.observed.services.insert("exp-a".to_owned(), raw(foreign, start()));
    lab.settle();
    assert_eq!(lab.observed.replica_sets[0].name, "exp-a-1");
    assert_eq!(lab.status().template_statuses[0].collision_count, Some(1));
    let taken = "service exp-a already exists and is not owned by experiment template a";
    lab.expect(&format!("Pending ({taken}), a Progressing 1"));
    lab.observed.services.clear();
    lab.settle();
    lab.expect("Running, a Running 1");
    assert!(service_name("exp", &"x".repeat(80)).len() <= 63);
    assert_ne!(service_name("exp", &"x".repeat(80)), service_name("exp", &"x".repeat(81)));
}

#[track_caller]
fn check_invalid(case: &str, spec: &Value, field: &str) {
    let mut lab = Lab::new(spec);
    lab.settle();
    let message = lab.status().message.unwrap_or_default();
    assert_eq!(lab.status().phase.as_deref(), Some("Error"), "{case}");
    assert!(message.starts_with("The Experiment \"exp\" is invalid: ") && message.contains(field), "{case}: {message}");
    assert_eq!(lab.condition("InvalidSpec"), format!("True InvalidSpec: {message}"), "{case}");
    assert!(lab.observed.replica_sets.is_empty(), "{case}");
}

#[test]
fn a_spec_that_cannot_be_carried_out_is_told_with_its_fields() {
    let with = |more: Value| json!({"templates": [template("a", &more)]});
    check_invalid("no templates", &json!({}), "spec.templates: ");
    check_invalid("no name", &with(json!({"name": ""})), "spec.templates[0].name");
    let twice = json!({"templates": [template("a", &json!({})), template("a", &json!({}))]});
    check_invalid("a name twice", &twice, "spec.templates[1].name: there are several templates named 'a'");
    check_invalid(
        "no containers",
        &with(json!({"template": {"spec": null}})),
        "spec.templates[0].template.spec.containers",
    );
    check_invalid("no selector", &with(json!({"selector": null})), "spec.templates[0].selector");
    check_invalid("an empty selector", &with(json!({"selector": {"matchLabels": null}})), "spec.templates[0].selector");
    let other = json!({"selector": {"matchLabels": {"app": "other"}}});
    check_invalid("a selector of other pods", &with(other), "spec.templates[0].selector.matchLabels");
    check_invalid(
        "labels that are a text",
        &with(json!({"template": {"metadata": {"labels": "x"}}})),
        "template.metadata.labels",
    );
    check_invalid("too few replicas", &with(json!({"replicas": -1})), "spec.templates[0].replicas");
    check_invalid(
        "ready after the deadline",
        &with(json!({"minReadySeconds": 601})),
        "spec.templates[0].minReadySeconds",
    );
    let mut duration = with(json!({}));
    duration["duration"] = json!("soon");
    check_invalid("a duration that is none", &duration, "spec.duration: `soon` is not a duration");
    let mut analyses = with(json!({}));
    analyses["analyses"] = json!([{"name": "x", "templateName": "check"}, {"name": "x", "templateName": ""}]);
    check_invalid("an analysis twice", &analyses, "there are several analyses named 'x'");
    check_invalid("an analysis of nothing", &analyses, "spec.analyses[1].templateName: must not be empty");
}

#[test]
fn a_spec_that_is_mended_begins_anew() {
    let mut lab = Lab::new(&json!({"duration": "soon", "templates": [template("a", &json!({}))]}));
    lab.settle();
    lab.edit(&json!({"spec": {"duration": "60s"}}));
    lab.settle();
    lab.expect("Running, a Running 1");
    assert_eq!(lab.condition("InvalidSpec"), "absent");
    lab.edit(&json!({"spec": {"duration": "later"}}));
    lab.wait(40);
    assert!(lab.observed.replica_sets.iter().all(|rs| rs.replicas == 0), "what cannot be carried out ends");
}
