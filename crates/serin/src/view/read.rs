//! From what the controller sees of a Rollout to what people see of it.

use std::cmp::Reverse;

use serde_json::Value;
use serin_api::{AnalysisRun, Experiment, MetricResult, RolloutStatus, labels};
use serin_core::rollout::Observed;
use serin_core::rollout::observed::{Pod, ReplicaSet};
use serin_core::rollout::parse::parse;

use super::routes::canary_weight;
use super::{
    ExperimentView, HoldView, MetricView, PodView, PodsView, Replicas, Revision, Role, RolloutView, Run, Weight,
};

/// Number of measurements of a metric that are shown.
const MEASUREMENTS_MAX: usize = 5;

impl RolloutView {
    /// The view of a Rollout.
    pub(crate) fn of(observed: &Observed) -> Self {
        let metadata = &observed.rollout.metadata;
        let status = observed.rollout.status.clone().unwrap_or_default();
        let spec = parse(observed).ok();
        let canary = spec.as_ref().map(|spec| &spec.canary);
        let steps: Vec<String> =
            canary.map(|canary| canary.steps.iter().map(ToString::to_string).collect()).unwrap_or_default();
        let step = usize::try_from(status.current_step_index.unwrap_or(0)).unwrap_or(0);
        RolloutView {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            step: step.min(steps.len()),
            steps,
            weight: canary.filter(|canary| canary.routing.is_some()).map(|canary| Weight {
                desired: status.canary.weights.as_ref().map(|weights| weights.canary.weight),
                observed: canary_weight(observed, canary),
            }),
            replicas: Replicas {
                desired: observed.rollout.spec.replicas.unwrap_or(1),
                current: status.replicas.unwrap_or(0),
                updated: status.updated_replicas.unwrap_or(0),
                available: status.available_replicas.unwrap_or(0),
            },
            revisions: revisions(observed, &status),
            holds: holds(&status),
            runs: runs(observed),
            experiments: experiments(observed, &status),
            unseen: Vec::new(),
            phase: status.phase.unwrap_or_default(),
            message: status.message.unwrap_or_default(),
        }
    }
}

fn revisions(observed: &Observed, status: &RolloutStatus) -> Vec<Revision> {
    let owned = observed.replica_sets.iter().filter(|replica_set| replica_set.owned);
    let mut revisions: Vec<Revision> = owned.map(|replica_set| revision(replica_set, observed, status)).collect();
    revisions.sort_by_key(|revision| (Reverse(revision.number), revision.hash.clone()));
    revisions
}

fn revision(replica_set: &ReplicaSet, observed: &Observed, status: &RolloutStatus) -> Revision {
    let hash = Some(replica_set.hash.as_str());
    Revision {
        number: replica_set.annotations.get(labels::REVISION).and_then(|number| number.parse().ok()),
        hash: replica_set.hash.clone(),
        role: if status.stable_rs.as_deref() == hash {
            Role::Stable
        } else if status.current_pod_hash.as_deref() == hash {
            Role::Canary
        } else {
            Role::Old
        },
        images: images(&replica_set.template),
        desired: replica_set.replicas,
        ready: replica_set.replicas_ready,
        pods: pod_views(&observed.pods, &replica_set.name),
    }
}

/// The pods of a ReplicaSet, by name.
pub(super) fn pod_views(pods: &[Pod], replica_set: &str) -> Vec<PodView> {
    let own = pods.iter().filter(|pod| pod.replica_set == replica_set);
    let mut views: Vec<PodView> =
        own.map(|pod| PodView { name: pod.name.clone(), ready: pod.ready, terminating: pod.terminating }).collect();
    views.sort_by(|a, b| a.name.cmp(&b.name));
    views
}

/// The images of a pod template.
pub(super) fn images(template: &Value) -> Vec<String> {
    let containers = template.pointer("/spec/containers").and_then(Value::as_array);
    let images = containers.into_iter().flatten().filter_map(|container| container["image"].as_str());
    images.map(str::to_owned).collect()
}

fn holds(status: &RolloutStatus) -> Vec<HoldView> {
    let holds = status.serin.iter().flat_map(|serin| &serin.holds);
    holds
        .map(|hold| HoldView {
            reason: hold.reason.clone(),
            message: hold.message.clone(),
            since: hold.since.map(|time| time.0),
        })
        .collect()
}

fn runs(observed: &Observed) -> Vec<Run> {
    let mut runs: Vec<&AnalysisRun> = observed.analysis_runs.iter().map(AsRef::as_ref).collect();
    runs.sort_by_key(|run| {
        let created = run.metadata.creation_timestamp.as_ref().map(serin_api::Time::from);
        (Reverse(created), run.metadata.name.clone())
    });
    runs.into_iter().map(run).collect()
}

/// The view of an AnalysisRun.
pub(super) fn run(run: &AnalysisRun) -> Run {
    let status = run.status.clone().unwrap_or_default();
    let kind = run.metadata.labels.as_ref().and_then(|all| all.get(labels::ROLLOUT_TYPE));
    let metrics = run.spec.metrics.iter().map(|metric| {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let result = status.metric_results.iter().find(|result| result.name == metric.name);
        MetricView {
            name: metric.name.clone(),
            success: text(&metric.success_condition),
            failure: text(&metric.failure_condition),
            phase: result.map(|result| result.phase.clone()).unwrap_or_default(),
            measurements: result.map(measurements).unwrap_or_default(),
            message: result.and_then(|result| result.message.clone()).unwrap_or_default(),
        }
    });
    Run {
        name: run.metadata.name.clone().unwrap_or_default(),
        kind: kind.cloned().unwrap_or_default(),
        metrics: metrics.collect(),
        phase: status.phase,
        message: status.message.unwrap_or_default(),
    }
}

fn experiments(observed: &Observed, status: &RolloutStatus) -> Vec<ExperimentView> {
    let mut all: Vec<&Experiment> = observed.experiments.iter().map(AsRef::as_ref).collect();
    all.sort_by_key(|experiment| {
        let created = experiment.metadata.creation_timestamp.as_ref().map(serin_api::Time::from);
        (Reverse(created), experiment.metadata.name.clone())
    });
    all.into_iter().map(|one| experiment(one, status)).collect()
}

fn experiment(experiment: &Experiment, rollout: &RolloutStatus) -> ExperimentView {
    let status = experiment.status.clone().unwrap_or_default();
    let additional = rollout.canary.weights.as_ref().map_or(&[][..], |weights| weights.additional.as_slice());
    let weight_of = |service: Option<&String>| {
        let found = additional.iter().find(|one| service.is_some() && one.service_name.as_ref() == service);
        found.map_or(0, |one| one.weight)
    };
    let templates = experiment.spec.templates.iter().map(|template| {
        let known = status.template_statuses.iter().find(|known| known.name == template.name);
        PodsView {
            name: template.name.clone(),
            desired: template.replicas.unwrap_or(1),
            available: known.map_or(0, |known| known.available_replicas),
            weight: weight_of(known.and_then(|known| known.service_name.as_ref())),
        }
    });
    ExperimentView {
        name: experiment.metadata.name.clone().unwrap_or_default(),
        templates: templates.collect(),
        analyses: status.analysis_runs.iter().map(|run| (run.name.clone(), run.phase.clone())).collect(),
        phase: status.phase.unwrap_or_default(),
        message: status.message.unwrap_or_default(),
    }
}

fn measurements(result: &MetricResult) -> Vec<(String, String)> {
    let first = result.measurements.len().saturating_sub(MEASUREMENTS_MAX);
    let last = result.measurements.iter().skip(first);
    last.map(|measurement| (measurement.phase.clone(), measurement.value.clone().unwrap_or_default())).collect()
}
