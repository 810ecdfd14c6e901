//! Experiments: sets of pods that run beside each other for a while, and the analyses of them.
//!
//! Read [`decide`] first. An Experiment has the same shape as a Rollout: what is observed goes in, a plan comes out.

mod analyses;
mod conditions;
mod decide;
mod objects;
pub mod parse;
mod templates;
mod traffic;

pub use decide::decide;
pub use objects::service_name;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use serin_api::{AnalysisRun, Experiment, ExperimentStatus, labels};

use crate::plan::{Event, Planned, Wake};
use crate::rollout::ControlPlane;
use crate::rollout::observed::{Found, Raw, ReplicaSet, Settings, Template, TemplateKey};

/// Everything that a decision about one Experiment may know, taken at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The one moment at which all this was true.
    pub now: DateTime<Utc>,
    /// The Experiment, decoded tolerantly.
    pub experiment: Arc<Experiment>,
    /// ReplicaSets that it controls.
    pub replica_sets: Vec<ReplicaSet>,
    /// Names of ReplicaSets in its namespace that begin with its own name and that somebody else controls.
    pub taken: BTreeSet<String>,
    /// The Services that its templates ask for, and those that it controls, by name.
    pub services: BTreeMap<String, Raw>,
    /// AnalysisRuns that it controls.
    pub analysis_runs: Vec<Arc<AnalysisRun>>,
    /// The templates that its analyses refer to, and those that these refer to.
    pub templates: BTreeMap<TemplateKey, Found<Template>>,
    /// The VirtualServices of the Rollout that it belongs to: they may send requests to its Services.
    pub virtual_services: Vec<Raw>,
    /// Whether the proxies learn of changes.
    pub control_plane: ControlPlane,
    /// How this controller is set up.
    pub settings: Settings,
}

/// What should happen to an Experiment next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The status to write, if it differs from the one observed.
    pub status: Option<ExperimentStatus>,
    /// Changes of the cluster, in order.
    pub effects: Vec<Planned>,
    /// Events that tell of what the status now says.
    pub events: Vec<Event>,
    /// When to look again although nothing changed.
    pub wake: Option<Wake>,
    /// Whether effects were dropped, as they would have taken pods or Services away that requests are sent to: a defect.
    pub unsafe_plan: bool,
}

impl Observed {
    /// Name of the Experiment.
    pub(crate) fn name(&self) -> &str {
        self.experiment.metadata.name.as_deref().unwrap_or_default()
    }

    /// Its namespace.
    pub(crate) fn namespace(&self) -> &str {
        self.experiment.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The ReplicaSet of a template: the oldest, should there be several.
    pub(crate) fn replica_set(&self, template: &str) -> Option<&ReplicaSet> {
        let own = self.replica_sets.iter().filter(|rs| !rs.deleting && template_of(&rs.annotations) == Some(template));
        own.min_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)))
    }

    /// The Service of a name, if the Experiment controls it.
    pub(crate) fn service(&self, name: &str) -> Option<&Raw> {
        self.services.get(name).filter(|raw| self.controls(&raw.object))
    }

    /// Whether an object says that the Experiment controls it.
    pub(crate) fn controls(&self, object: &Value) -> bool {
        let uid = self.experiment.metadata.uid.as_deref();
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let mut owners = owners.into_iter().flatten();
        owners.any(|owner| owner["controller"] == true && owner["uid"].as_str() == uid && uid.is_some())
    }

    /// The owner reference of what it creates.
    pub(crate) fn owner_reference(&self) -> Value {
        let metadata = &self.experiment.metadata;
        serde_json::json!({
            "apiVersion": labels::API_VERSION,
            "kind": "Experiment",
            "name": metadata.name,
            "uid": metadata.uid,
            "controller": true,
            "blockOwnerDeletion": true,
        })
    }
}

/// The template that a ReplicaSet was made for.
pub(crate) fn template_of(annotations: &BTreeMap<String, String>) -> Option<&str> {
    annotations.get(labels::EXPERIMENT_TEMPLATE_NAME).map(String::as_str)
}

#[cfg(test)]
mod tests;
