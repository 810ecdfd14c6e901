//! What the watches tell the caches, and what the caches tell the queue.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

/// The kinds of objects that the controller watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// argoproj.io Rollout.
    Rollout,
    /// apps ReplicaSet with a pod template hash of ours.
    ReplicaSet,
    /// core Pod with a pod template hash of ours.
    Pod,
    /// apps Deployment, for workload references.
    Deployment,
    /// core PodTemplate, for workload references.
    PodTemplate,
    /// apps ReplicaSet that no Rollout, Experiment or Deployment made, for workload references.
    WorkloadReplicaSet,
    /// core Service.
    Service,
    /// networking.istio.io VirtualService.
    VirtualService,
    /// networking.istio.io DestinationRule.
    DestinationRule,
    /// argoproj.io AnalysisTemplate.
    AnalysisTemplate,
    /// argoproj.io ClusterAnalysisTemplate.
    ClusterAnalysisTemplate,
    /// argoproj.io AnalysisRun.
    AnalysisRun,
    /// argoproj.io Experiment.
    Experiment,
    /// batch Job that takes a measurement.
    Job,
    /// core Pod of such a Job.
    JobPod,
    /// discovery.k8s.io EndpointSlice of istiod's Service.
    EndpointSlice,
}

impl Kind {
    /// All kinds, those first that others refer to.
    pub const ALL: [Kind; 16] = [
        Kind::EndpointSlice,
        Kind::Service,
        Kind::VirtualService,
        Kind::DestinationRule,
        Kind::Deployment,
        Kind::PodTemplate,
        Kind::WorkloadReplicaSet,
        Kind::ClusterAnalysisTemplate,
        Kind::AnalysisTemplate,
        Kind::Pod,
        Kind::ReplicaSet,
        Kind::JobPod,
        Kind::Job,
        Kind::AnalysisRun,
        Kind::Experiment,
        Kind::Rollout,
    ];

    /// The kind as manifests spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Rollout => "Rollout",
            Kind::ReplicaSet | Kind::WorkloadReplicaSet => "ReplicaSet",
            Kind::Pod | Kind::JobPod => "Pod",
            Kind::Deployment => "Deployment",
            Kind::PodTemplate => "PodTemplate",
            Kind::Service => "Service",
            Kind::VirtualService => "VirtualService",
            Kind::DestinationRule => "DestinationRule",
            Kind::AnalysisTemplate => "AnalysisTemplate",
            Kind::ClusterAnalysisTemplate => "ClusterAnalysisTemplate",
            Kind::AnalysisRun => "AnalysisRun",
            Kind::Experiment => "Experiment",
            Kind::Job => "Job",
            Kind::EndpointSlice => "EndpointSlice",
        }
    }

    /// The label that objects of this kind have that are looked at; `None` if it is all of them, or those of one Service.
    #[must_use]
    pub fn label(self) -> Option<&'static str> {
        match self {
            Kind::ReplicaSet | Kind::Pod => Some(serin_api::labels::POD_TEMPLATE_HASH),
            Kind::Job | Kind::JobPod => Some(serin_api::labels::ANALYSIS_RUN_UID),
            Kind::Rollout
            | Kind::Deployment
            | Kind::PodTemplate
            | Kind::WorkloadReplicaSet
            | Kind::Service
            | Kind::VirtualService
            | Kind::DestinationRule
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate
            | Kind::AnalysisRun
            | Kind::Experiment
            | Kind::EndpointSlice => None,
        }
    }

    /// Labels that objects of this kind do not have that are looked at.
    #[must_use]
    pub fn labels_absent(self) -> &'static [&'static str] {
        const HASHES: [&str; 2] = [serin_api::labels::POD_TEMPLATE_HASH, serin_api::labels::DEPLOYMENT_TEMPLATE_HASH];
        if self == Kind::WorkloadReplicaSet { &HASHES } else { &[] }
    }

    /// Both as a label selector; `None` if neither is asked for.
    #[must_use]
    pub fn selector(self) -> Option<String> {
        let absent = self.labels_absent().iter().map(|label| format!("!{label}"));
        let all: Vec<String> = self.label().map(str::to_owned).into_iter().chain(absent).collect();
        (!all.is_empty()).then(|| all.join(","))
    }

    /// Whether objects of this kind live in a namespace.
    #[must_use]
    pub fn is_namespaced(self) -> bool {
        self != Kind::ClusterAnalysisTemplate
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A change of the cluster as a watch reports it; objects are whole and raw.
#[derive(Clone, Debug)]
pub enum Change {
    /// An object was created or changed.
    Applied(Kind, Arc<Value>),
    /// An object is gone; the value is its last known state, of which only the metadata is read.
    Deleted(Kind, Arc<Value>),
    /// A fresh list of all objects of a kind: whatever is not in it is gone.
    Replaced(Kind, Vec<Arc<Value>>),
}

impl Change {
    /// The kind of what changed.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Change::Applied(kind, _) | Change::Deleted(kind, _) | Change::Replaced(kind, _) => *kind,
        }
    }
}

/// Namespace and name of an object; the namespace is empty for objects of the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectName {
    /// The object `name` in `namespace`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        ObjectName { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Something to decide about: one reconcile at a time works on a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A Rollout.
    Rollout(ObjectName),
    /// An AnalysisRun.
    AnalysisRun(ObjectName),
    /// An Experiment.
    Experiment(ObjectName),
}

impl Key {
    /// The Rollout `name` in `namespace`.
    pub fn rollout(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Key::Rollout(ObjectName::new(namespace, name))
    }

    /// The AnalysisRun `name` in `namespace`.
    pub fn analysis_run(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Key::AnalysisRun(ObjectName::new(namespace, name))
    }

    /// The Experiment `name` in `namespace`.
    pub fn experiment(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Key::Experiment(ObjectName::new(namespace, name))
    }

    /// Namespace and name of the object.
    #[must_use]
    pub fn object(&self) -> &ObjectName {
        match self {
            Key::Rollout(object) | Key::AnalysisRun(object) | Key::Experiment(object) => object,
        }
    }

    /// Kind of the object.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Key::Rollout(_) => Kind::Rollout,
            Key::AnalysisRun(_) => Kind::AnalysisRun,
            Key::Experiment(_) => Kind::Experiment,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.object())
    }
}
