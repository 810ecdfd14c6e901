//! A decision, whatever it is about, and the orders that follow from it.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};
use serin_core::analysis::job::StartJob;
use serin_core::bearing::Bearing;
use serin_core::plan::{Effect, Event, Wake, Write};
use serin_core::{analysis, experiment, rollout};

use crate::change::{Key, ObjectName};
use crate::merge::merge_diff;
use crate::observe::Seen;

/// A decision with what it was made from.
#[derive(Clone, Debug)]
pub enum Decision {
    /// About a Rollout.
    Rollout {
        /// What was seen.
        observed: Box<rollout::Observed>,
        /// What should happen.
        plan: Box<rollout::Plan>,
    },
    /// About an AnalysisRun.
    AnalysisRun {
        /// What was seen.
        observed: Box<analysis::Observed>,
        /// What should happen.
        plan: Box<analysis::Plan>,
    },
    /// About an Experiment.
    Experiment {
        /// What was seen.
        observed: Box<experiment::Observed>,
        /// What should happen.
        plan: Box<experiment::Plan>,
    },
}

/// What the executor is to do, in this order: status, effects, events.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The object that was decided about.
    pub subject: Subject,
    /// Merge patch of its status with its resourceVersion as the precondition.
    pub status: Option<Value>,
    /// Changes of the cluster.
    pub effects: Vec<Order>,
    /// Jobs to create, after the effects.
    pub jobs: Vec<StartJob>,
    /// Events about the status.
    pub events: Vec<Event>,
}

/// One change and the event that tells of it.
#[derive(Clone, Debug)]
pub struct Order {
    /// The request.
    pub write: Write,
    /// How it bears on those who serve.
    pub bearing: Bearing,
    /// What to tell once it is done.
    pub event: Option<Event>,
}

impl Order {
    pub(crate) fn new(effect: &Effect, event: Option<&Event>, rollout: &str) -> Self {
        Order { write: effect.write(rollout), bearing: effect.bearing(), event: event.cloned() }
    }

    /// Whether it is left out, until the next try, after another order before it has failed.
    pub(crate) fn waits_for(&self, failed: &Order) -> bool {
        let object = |order: &Order| (order.write.target, order.write.namespace.clone(), order.write.name.clone());
        self.bearing.waits_for(failed.bearing) || object(self) == object(failed)
    }
}

/// The object that was decided about, as events refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Kind, namespace and name.
    pub key: Key,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion` as observed.
    pub version: String,
}

impl Decision {
    /// When to look again although nothing changed.
    #[must_use]
    pub fn wake(&self) -> Option<&Wake> {
        match self {
            Decision::Rollout { plan, .. } => plan.wake.as_ref(),
            Decision::AnalysisRun { plan, .. } => plan.wake.as_ref(),
            Decision::Experiment { plan, .. } => plan.wake.as_ref(),
        }
    }

    /// What has to be done; `status` is the status as the API server has it.
    pub(crate) fn orders(&self, status: &Value) -> Orders {
        match self {
            Decision::Rollout { observed, plan } => {
                let subject = subject(Key::Rollout, &observed.rollout.metadata);
                let name = subject.key.object().name.clone();
                let effects = plan.effects.iter();
                let effects = effects.map(|p| Order::new(&p.effect, p.event.as_ref(), &name)).collect();
                let status = status_patch(&subject, status, observed.rollout.status.as_ref(), plan.status.as_ref());
                Orders { subject, status, effects, jobs: Vec::new(), events: plan.events.clone() }
            }
            Decision::AnalysisRun { observed, plan } => {
                let subject = subject(Key::AnalysisRun, &observed.run.metadata);
                let name = subject.key.object().name.clone();
                let effects = plan.effects.iter();
                let effects = effects.map(|effect| Order::new(effect, None, &name)).collect();
                let status = status_patch(&subject, status, observed.run.status.as_ref(), plan.status.as_ref());
                Orders { subject, status, effects, jobs: plan.jobs.clone(), events: plan.events.clone() }
            }
            Decision::Experiment { observed, plan } => {
                let subject = subject(Key::Experiment, &observed.experiment.metadata);
                let effects = plan.effects.iter();
                let effects = effects.map(|p| Order::new(&p.effect, p.event.as_ref(), "")).collect();
                let status = status_patch(&subject, status, observed.experiment.status.as_ref(), plan.status.as_ref());
                Orders { subject, status, effects, jobs: Vec::new(), events: plan.events.clone() }
            }
        }
    }
}

/// Decides about a Rollout.
pub(crate) fn decide_rollout(seen: Seen<rollout::Observed>) -> (Decision, Arc<Value>) {
    let plan = rollout::decide(&seen.observed);
    (Decision::Rollout { observed: Box::new(seen.observed), plan: Box::new(plan) }, seen.status)
}

/// Decides about an AnalysisRun.
pub(crate) fn decide_run(seen: Seen<analysis::Observed>) -> (Decision, Arc<Value>) {
    let plan = Box::new(analysis::decide(&seen.observed));
    (Decision::AnalysisRun { observed: Box::new(seen.observed), plan }, seen.status)
}

/// Decides about an Experiment.
pub(crate) fn decide_experiment(seen: Seen<experiment::Observed>) -> (Decision, Arc<Value>) {
    let plan = Box::new(experiment::decide(&seen.observed));
    (Decision::Experiment { observed: Box::new(seen.observed), plan }, seen.status)
}

fn subject(
    key: impl Fn(ObjectName) -> Key,
    metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta,
) -> Subject {
    let namespace = metadata.namespace.clone().unwrap_or_default();
    Subject {
        key: key(ObjectName { namespace, name: metadata.name.clone().unwrap_or_default() }),
        uid: metadata.uid.clone().unwrap_or_default(),
        version: metadata.resource_version.clone().unwrap_or_default(),
    }
}

fn status_patch<S: Serialize>(subject: &Subject, raw: &Value, old: Option<&S>, new: Option<&S>) -> Option<Value> {
    let wire = |status: &S| serde_json::to_value(status).expect("a status has only string keys");
    let known = old.map_or(Value::Null, wire);
    let patch = merge_diff(raw, &known, &wire(new?))?;
    Some(json!({"metadata": {"resourceVersion": subject.version}, "status": patch}))
}
