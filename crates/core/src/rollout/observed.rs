//! Everything that a decision about one Rollout may know, taken at one moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use serin_api::{AnalysisRun, AnalysisTemplateSpec, Experiment, Rollout};

use crate::analysis::sample::Semantics;
use crate::istio::Selection;
use crate::rollout::ControlPlane;

/// The input of `decide`: immutable, and complete.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The one moment at which all this was true.
    pub now: DateTime<Utc>,
    /// The Rollout, decoded tolerantly.
    pub rollout: Arc<Rollout>,
    /// The object that `spec.workloadRef` names; `None` without a workloadRef.
    pub workload: Option<Found<Workload>>,
    /// ReplicaSets that this Rollout controls, and orphans that match its selector.
    pub replica_sets: Vec<ReplicaSet>,
    /// Pods of those ReplicaSets.
    pub pods: Vec<Pod>,
    /// The Services that the spec names, by name.
    pub services: BTreeMap<String, Found<Raw>>,
    /// The VirtualServices that the spec names.
    pub virtual_services: BTreeMap<VirtualServiceKey, Found<Raw>>,
    /// The DestinationRule that the spec names; `None` if it names none.
    pub destination_rule: Option<Found<Raw>>,
    /// Objects that say that this Rollout set them, and that its spec does not name.
    pub left_behind: Vec<LeftBehind>,
    /// The templates that the spec refers to, and those that these refer to.
    pub templates: BTreeMap<TemplateKey, Found<Template>>,
    /// AnalysisRuns that this Rollout controls.
    pub analysis_runs: Vec<Arc<AnalysisRun>>,
    /// Names of ReplicaSets that somebody else has; an attempt to create one showed it.
    pub names_taken: BTreeSet<String>,
    /// Other Rollouts that name a VirtualService or the DestinationRule that this one names.
    pub rivals: Vec<Rival>,
    /// Experiments that this Rollout controls.
    pub experiments: Vec<Arc<Experiment>>,
    /// The Services that those control, by name.
    pub experiment_services: BTreeMap<String, Raw>,
    /// Pods of the ReplicaSets that those control.
    pub experiment_pods: Vec<Pod>,
    /// Whether the proxies learn of changes.
    pub control_plane: ControlPlane,
    /// How this controller is set up.
    pub settings: Settings,
}

/// Another Rollout that names an Istio object which this one names.
#[derive(Clone, Debug, PartialEq)]
pub struct Rival {
    /// Its namespace and name, as `namespace/name`.
    pub name: String,
    /// Its routes, by VirtualService.
    pub routes: BTreeMap<VirtualServiceKey, Selection>,
    /// Its subsets of the DestinationRule that this Rollout names.
    pub subsets: BTreeSet<String>,
}

/// An object that the spec refers to.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<T> {
    /// It is there.
    Present(T),
    /// It is not there.
    Missing,
    /// It is there, and cannot be read; the text says why.
    Malformed(String),
}

impl<T> Found<T> {
    /// The object, if it is there and readable.
    pub fn present(&self) -> Option<&T> {
        match self {
            Found::Present(object) => Some(object),
            Found::Missing | Found::Malformed(_) => None,
        }
    }
}

/// An object carried as JSON so that fields newer than us survive.
#[derive(Clone, Debug, PartialEq)]
pub struct Raw {
    /// The whole object.
    pub object: Arc<Value>,
    /// `metadata.resourceVersion`.
    pub version: String,
    /// When this version was first seen here; a lower bound of how long the mesh has had it.
    pub seen_at: DateTime<Utc>,
    /// Who wrote its routes last.
    pub writer: Writer,
}

/// Who wrote a part of an object last, from `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writer {
    /// This controller, or another replica of it.
    Own,
    /// Somebody else.
    Other {
        /// Name of the field manager, such as `kustomize-controller`.
        manager: String,
        /// `Apply` or `Update`.
        operation: String,
    },
    /// The API server does not say.
    Unknown,
}

/// An object that a Rollout set at some time, and does not name any more.
#[derive(Clone, Debug, PartialEq)]
pub enum LeftBehind {
    /// Its selector may still have our label.
    Service {
        /// Name of the Service.
        name: String,
        /// The object.
        raw: Raw,
    },
    /// Its subsets may still have our label.
    DestinationRule {
        /// Name of the DestinationRule.
        name: String,
        /// The object.
        raw: Raw,
    },
    /// It may still have managed routes.
    VirtualService {
        /// Namespace and name.
        key: VirtualServiceKey,
        /// The object.
        raw: Raw,
    },
}

/// Namespace and name of a VirtualService.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VirtualServiceKey {
    /// Namespace, the Rollout's own unless the reference says otherwise.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// Name and scope of a template.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateKey {
    /// True for a ClusterAnalysisTemplate.
    pub cluster_scope: bool,
    /// Name.
    pub name: String,
}

/// An AnalysisTemplate or ClusterAnalysisTemplate.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Its spec.
    pub spec: Arc<AnalysisTemplateSpec>,
    /// Whether its annotation `serin.dev/analysis-semantics` asks for upstream's rules.
    pub semantics: Option<Semantics>,
}

/// The pod template that a `workloadRef` points at.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The pod template, raw.
    pub template: Value,
    /// Its selector, raw; `Null` where the kind has none.
    pub selector: Value,
    /// `metadata.generation`, kept in `status.workloadObservedGeneration`.
    pub generation: i64,
    /// Pods that a Deployment asks for; `None` for other kinds.
    pub replicas: Option<i32>,
}

/// A ReplicaSet, as far as decisions need it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaSet {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Whether the Rollout controls it; false for an orphan that may be adopted.
    pub owned: bool,
    /// Value of its label `rollouts-pod-template-hash`.
    pub hash: String,
    /// `metadata.creationTimestamp`.
    pub created: DateTime<Utc>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether its status speaks of its present spec (`status.observedGeneration`).
    pub settled: bool,
    /// `spec.minReadySeconds`.
    pub min_ready_seconds: i32,
    /// `spec.replicas`: pods wanted.
    pub replicas: i32,
    /// `status.replicas`: pods that exist.
    pub replicas_actual: i32,
    /// `status.readyReplicas`.
    pub replicas_ready: i32,
    /// `status.availableReplicas`.
    pub replicas_available: i32,
    /// Message of its `ReplicaFailure` condition, if that is true.
    pub failure: Option<String>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `spec.template`, raw.
    pub template: Arc<Value>,
}

/// A pod, as far as decisions need it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Name of the ReplicaSet that controls it.
    pub replica_set: String,
    /// `metadata.creationTimestamp`.
    pub created: DateTime<Utc>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// Its `Ready` condition is true.
    pub ready: bool,
    /// It has a deletionTimestamp.
    pub terminating: bool,
    /// When its labels or readiness were last seen to change.
    pub seen_at: DateTime<Utc>,
}

/// How this controller is set up, as far as decisions depend on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Instance that this controller serves; copied to the objects it creates.
    pub instance_id: Option<String>,
    /// How long the mesh is given to take over a change before the next one may rely on it.
    pub propagation: TimeDelta,
    /// How long proxies are given to find istiod again after it was away.
    pub reconnect: TimeDelta,
    /// Rules for absent data, unless a template says otherwise.
    pub semantics: Semantics,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            instance_id: None,
            propagation: TimeDelta::seconds(2),
            reconnect: TimeDelta::seconds(30),
            semantics: Semantics::Serin,
        }
    }
}
