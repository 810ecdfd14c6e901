//! The series that describe objects: written afresh from the last decision about each, so none outlives its object.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde_json::Value;
use serin_api::{AnalysisRunStatus, MetricProvider, Rollout, RolloutStatus};
use serin_core::{analysis, experiment, rollout};

use super::{Labels, Series, object_labels, provider, seconds};
use crate::change::{Change, Kind, ObjectName};

/// What is known of each object.
#[derive(Debug, Default)]
pub(super) struct Objects {
    rollouts: BTreeMap<ObjectName, RolloutFacts>,
    runs: BTreeMap<ObjectName, Vec<(&'static str, Labels)>>,
    experiments: BTreeMap<ObjectName, Vec<(&'static str, Labels)>>,
    /// Type and name of the metrics of each template.
    templates: BTreeMap<Kind, BTreeMap<ObjectName, Measured>>,
    /// Labels of the event counters of each Rollout, so that they can be removed.
    event_labels: BTreeMap<ObjectName, BTreeSet<Labels>>,
    /// The same of the counters of overwritten routes.
    overwrite_labels: BTreeMap<ObjectName, BTreeSet<Labels>>,
}

/// Labels of the counters of a Rollout that is no more.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    pub(super) events: BTreeSet<Labels>,
    pub(super) overwrites: BTreeSet<Labels>,
}

/// Field managers of one Rollout that are counted by name; anybody may choose new names without end.
const MANAGERS_MAX: usize = 8;

/// The name under which all further ones are counted.
const OTHERS: &str = "others";

/// Type and name of each metric of a template.
type Measured = BTreeSet<(&'static str, String)>;

#[derive(Debug)]
struct RolloutFacts {
    series: Vec<(&'static str, Labels, f64)>,
    step_started_at: Option<DateTime<Utc>>,
}

impl Objects {
    pub(super) fn rollout(&mut self, name: &ObjectName, observed: &rollout::Observed, plan: &rollout::Plan) {
        let status = plan.status.as_ref().or(observed.rollout.status.as_ref()).cloned().unwrap_or_default();
        let facts = rollout_facts(name, &observed.rollout, &status, plan);
        self.rollouts.insert(name.clone(), facts);
    }

    pub(super) fn run(&mut self, name: &ObjectName, observed: &analysis::Observed, plan: &analysis::Plan) {
        let status = plan.status.as_ref().or(observed.run.status.as_ref()).cloned().unwrap_or_default();
        self.runs.insert(name.clone(), run_series(name, observed, &status));
    }

    pub(super) fn experiment(&mut self, name: &ObjectName, observed: &experiment::Observed, plan: &experiment::Plan) {
        let status = plan.status.as_ref().or(observed.experiment.status.as_ref());
        let phase = status.and_then(|status| status.phase.clone()).filter(|phase| !phase.is_empty());
        let mut labels = object_labels(name);
        labels.push(("phase", phase.unwrap_or_else(|| "Pending".to_owned())));
        let series = vec![("experiment_info", labels.clone()), ("experiment_phase", labels)];
        self.experiments.insert(name.clone(), series);
    }

    pub(super) fn forget_experiment(&mut self, name: &ObjectName) {
        self.experiments.remove(name);
    }

    pub(super) fn note_event(&mut self, name: &ObjectName, labels: Labels) {
        self.event_labels.entry(name.clone()).or_default().insert(labels);
    }

    pub(super) fn change(&mut self, change: &Change) {
        let (Change::Applied(kind, _) | Change::Deleted(kind, _) | Change::Replaced(kind, _)) = change;
        if !matches!(kind, Kind::AnalysisTemplate | Kind::ClusterAnalysisTemplate) {
            return;
        }
        let templates = self.templates.entry(*kind).or_default();
        match change {
            Change::Applied(kind, object) => {
                templates.extend(template(*kind, object));
            }
            Change::Deleted(kind, object) => {
                if let Some(name) = crate::caches::name_of(*kind, object) {
                    templates.remove(&name);
                }
            }
            Change::Replaced(kind, objects) => {
                *templates = objects.iter().filter_map(|object| template(*kind, object)).collect();
            }
        }
    }

    /// The labels by which an overwrite by a field manager is counted.
    pub(super) fn overwrite_labels(&mut self, name: &ObjectName, manager: &str) -> Labels {
        let of = |manager: &str| {
            let mut labels = object_labels(name);
            labels.push(("manager", manager.to_owned()));
            labels
        };
        let known = self.overwrite_labels.entry(name.clone()).or_default();
        let own = of(manager);
        let labels = if known.contains(&own) || known.len() < MANAGERS_MAX { own } else { of(OTHERS) };
        known.insert(labels.clone());
        labels
    }

    /// Forgets a Rollout; answers with the labels of its counters.
    pub(super) fn forget_rollout(&mut self, name: &ObjectName) -> Forgotten {
        self.rollouts.remove(name);
        Forgotten {
            events: self.event_labels.remove(name).unwrap_or_default(),
            overwrites: self.overwrite_labels.remove(name).unwrap_or_default(),
        }
    }

    pub(super) fn forget_run(&mut self, name: &ObjectName) {
        self.runs.remove(name);
    }

    /// Writes all series in the text form of OpenMetrics, without the end mark.
    pub(super) fn render(&self, text: &mut String, now: DateTime<Utc>) {
        let series = self.series(now);
        for (name, help) in HELP {
            let Some(samples) = series.get(name) else {
                continue;
            };
            // Writing into a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} gauge");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{{{}}} {value}", label_text(labels));
            }
        }
    }

    fn series(&self, now: DateTime<Utc>) -> Series {
        let mut series = Series::new();
        let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        series.insert("argo_rollouts_controller_info", vec![(version, 1.0)]);
        for (name, facts) in &self.rollouts {
            for (family, labels, value) in &facts.series {
                series.entry(family).or_default().push((labels.clone(), *value));
            }
            if let Some(started) = facts.step_started_at {
                let samples = series.entry("serin_rollout_step_seconds").or_default();
                samples.push((object_labels(name), seconds(now - started)));
            }
        }
        for (family, labels) in self.runs.values().chain(self.experiments.values()).flatten() {
            series.entry(family).or_default().push((labels.clone(), 1.0));
        }
        for (name, measured) in self.templates.values().flatten() {
            series.entry("analysis_template_info").or_default().push((object_labels(name), 1.0));
            let metrics = series.entry("analysis_template_metric_info").or_default();
            metrics.extend(measured.iter().map(|(kind, metric)| {
                let mut labels = object_labels(name);
                labels.extend([("type", (*kind).to_owned()), ("metric", metric.clone())]);
                (labels, 1.0)
            }));
        }
        series
    }
}

/// All families of this page, in the order of the page.
const HELP: [(&str, &str); 21] = [
    ("argo_rollouts_controller_info", "Version of the controller"),
    ("rollout_info", "A Rollout and its phase"),
    ("rollout_info_replicas_available", "Available pods"),
    ("rollout_info_replicas_unavailable", "Pods that exist and are not available"),
    ("rollout_info_replicas_desired", "Pods asked for"),
    ("rollout_info_replicas_updated", "Pods of the newest revision"),
    ("rollout_phase", "Phase of a Rollout, deprecated in favour of rollout_info"),
    ("serin_rollout_weight_desired", "Canary weight that is wanted, in percent"),
    ("serin_rollout_weight_observed", "Canary weight that the routes carry, in percent"),
    ("serin_rollout_step_index", "Index of the current step; the number of steps when all are done"),
    ("serin_rollout_steps", "Number of steps"),
    ("serin_rollout_step_seconds", "Seconds since the current step began"),
    ("serin_rollout_hold", "1 for each reason why the rollout does not move now"),
    ("analysis_run_info", "An AnalysisRun and its phase"),
    ("analysis_run_phase", "Phase of an AnalysisRun, deprecated in favour of analysis_run_info"),
    ("experiment_info", "An Experiment and its phase"),
    ("experiment_phase", "Phase of an Experiment, deprecated in favour of experiment_info"),
    ("analysis_run_metric_type", "Provider of a metric"),
    ("analysis_run_metric_phase", "Phase of a metric"),
    ("analysis_template_info", "An AnalysisTemplate or, without namespace, a ClusterAnalysisTemplate"),
    ("analysis_template_metric_info", "A metric of such a template, and its provider"),
];

/// Name of a template, and what it measures.
fn template(kind: Kind, object: &Value) -> Option<(ObjectName, Measured)> {
    let metrics = object.pointer("/spec/metrics").and_then(Value::as_array).into_iter().flatten();
    let measured = metrics.map(|metric| {
        let given = serde_json::from_value::<MetricProvider>(metric["provider"].clone());
        let name = metric["name"].as_str().unwrap_or_default();
        (provider::kind(&given.unwrap_or_default()), name.to_owned())
    });
    Some((crate::caches::name_of(kind, object)?, measured.collect()))
}

fn rollout_facts(name: &ObjectName, rollout: &Rollout, status: &RolloutStatus, plan: &rollout::Plan) -> RolloutFacts {
    let labels = object_labels(name);
    let with = |more: &[(&'static str, &str)]| {
        let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
        labels.iter().cloned().chain(more).collect::<Labels>()
    };
    let phase = phase_of(status);
    let canary = rollout.spec.strategy.canary.as_ref();
    let strategy = if canary.is_some() { "canary" } else { "blueGreen" };
    let routing = canary.and_then(|canary| canary.traffic_routing.as_ref());
    let router = if routing.is_some_and(|r| r.istio.is_some()) { "Istio" } else { "" };
    let available = status.available_replicas.unwrap_or(0);
    let unavailable = (status.replicas.unwrap_or(0) - available).max(0);
    let mut series = vec![
        ("rollout_info", with(&[("strategy", strategy), ("traffic_router", router), ("phase", phase)]), 1.0),
        ("rollout_phase", with(&[("strategy", strategy), ("phase", phase)]), 1.0),
        ("rollout_info_replicas_available", labels.clone(), f64::from(available)),
        ("rollout_info_replicas_unavailable", labels.clone(), f64::from(unavailable)),
        ("rollout_info_replicas_desired", labels.clone(), f64::from(rollout.spec.replicas.unwrap_or(1))),
        ("rollout_info_replicas_updated", labels.clone(), f64::from(status.updated_replicas.unwrap_or(0))),
    ];
    let steps = canary.map_or(0, |canary| canary.steps.len());
    let optional = [
        ("serin_rollout_weight_desired", plan.facts.weight_desired),
        ("serin_rollout_weight_observed", plan.facts.weight_observed),
        ("serin_rollout_step_index", status.current_step_index),
        ("serin_rollout_steps", i32::try_from(steps).ok()),
    ];
    series.extend(optional.into_iter().filter_map(|(family, value)| Some((family, labels.clone(), f64::from(value?)))));
    let reasons: BTreeSet<&str> = plan.holds.iter().map(rollout::Hold::reason).collect();
    series.extend(reasons.into_iter().map(|reason| ("serin_rollout_hold", with(&[("reason", reason)]), 1.0)));
    let in_step =
        status.current_step_index.is_some_and(|index| usize::try_from(index).is_ok_and(|index| index < steps));
    let step_started_at =
        status.serin.as_ref().and_then(|serin| serin.step_started_at).map(|time| time.0).filter(|_| in_step);
    RolloutFacts { series, step_started_at }
}

/// The phase as upstream's metrics spell it, which differs from that of the status.
fn phase_of(status: &RolloutStatus) -> &'static str {
    if status.conditions.iter().any(|condition| condition.kind == "InvalidSpec" && condition.status == "True") {
        return "InvalidSpec";
    }
    let progressing = status.conditions.iter().find(|condition| condition.kind == "Progressing");
    match progressing.map_or("", |condition| condition.reason.as_str()) {
        "RolloutAborted" => return "Abort",
        "ProgressDeadlineExceeded" => return "Timeout",
        "ReplicaSetCreateError" => return "Error",
        _ => {}
    }
    match status.phase.as_deref() {
        Some("Healthy") => "Completed",
        Some("Paused") => "Paused",
        Some("Degraded") => "Error",
        Some(_) | None => "Progressing",
    }
}

fn run_series(
    name: &ObjectName,
    observed: &analysis::Observed,
    status: &AnalysisRunStatus,
) -> Vec<(&'static str, Labels)> {
    let labels = object_labels(name);
    let with = |more: &[(&'static str, &str)]| {
        let more = more.iter().map(|(key, value)| (*key, (*value).to_owned()));
        labels.iter().cloned().chain(more).collect::<Labels>()
    };
    let phase = if status.phase.is_empty() { "Pending" } else { &status.phase };
    let mut series =
        vec![("analysis_run_info", with(&[("phase", phase)])), ("analysis_run_phase", with(&[("phase", phase)]))];
    for metric in &observed.run.spec.metrics {
        let provider = provider::kind(&metric.provider);
        series.push(("analysis_run_metric_type", with(&[("metric", &metric.name), ("type", provider)])));
        let result = status.metric_results.iter().find(|result| result.name == metric.name);
        let phase = result.map_or("Pending", |result| &result.phase);
        let dry_run = if result.is_some_and(|result| result.dry_run) { "true" } else { "false" };
        let more = [("metric", metric.name.as_str()), ("type", provider), ("dry_run", dry_run), ("phase", phase)];
        series.push(("analysis_run_metric_phase", with(&more)));
    }
    series
}

fn label_text(labels: &Labels) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let parts: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
    parts.join(",")
}
