//! What a decision looks like: effects to bring about, events to tell, when to look again, and why we wait.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use serin_api::labels;

/// One change of the cluster, as desired state: bringing it about twice is the same as once.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Sets `spec.replicas` of the Rollout itself, where a scaler needs the field to exist.
    SetRolloutReplicas {
        /// The number to write.
        replicas: i32,
    },
    /// Sets annotations of the Rollout itself.
    AnnotateRollout {
        /// Values by key.
        annotations: BTreeMap<String, String>,
    },
    /// Creates a ReplicaSet of a revision.
    CreateReplicaSet {
        /// The whole object.
        object: Value,
    },
    /// Takes an orphaned ReplicaSet under the Rollout's control.
    AdoptReplicaSet {
        /// Name of the ReplicaSet.
        name: String,
        /// Its UID, a precondition.
        uid: String,
        /// The owner reference to add.
        owner: Value,
    },
    /// Changes the size of a ReplicaSet, and the annotations that go with it.
    ScaleReplicaSet {
        /// Name of the ReplicaSet.
        name: String,
        /// Its UID, a precondition.
        uid: String,
        /// Number of pods wanted.
        replicas: i32,
        /// Annotations to set, or with `None` to remove.
        annotations: BTreeMap<String, Option<String>>,
    },
    /// Merge-patches metadata or pod template metadata of a ReplicaSet.
    PatchReplicaSet {
        /// Name of the ReplicaSet.
        name: String,
        /// Its UID, a precondition.
        uid: String,
        /// JSON merge patch (RFC 7386).
        patch: Value,
    },
    /// Deletes a ReplicaSet that has no pods.
    DeleteReplicaSet {
        /// Name of the ReplicaSet.
        name: String,
        /// Its UID, a precondition.
        uid: String,
    },
    /// Sets labels and annotations of one live pod.
    RelabelPod {
        /// Name of the pod.
        name: String,
        /// Its UID, a precondition.
        uid: String,
        /// Labels to set, or with `None` to remove.
        labels: BTreeMap<String, Option<String>>,
        /// Annotations to set, or with `None` to remove.
        annotations: BTreeMap<String, Option<String>>,
    },
    /// Asks for a pod to be evicted; a disruption budget may refuse it, which is no failure.
    EvictPod {
        /// Name of the pod.
        name: String,
        /// Its UID, a precondition.
        uid: String,
    },
    /// Changes the size of the Deployment that the Rollout refers to.
    ScaleDeployment {
        /// Name of the Deployment.
        name: String,
        /// Number of pods wanted.
        replicas: i32,
    },
    /// Sets weights of a VirtualService.
    ApplyRoutes {
        /// Namespace of the VirtualService, which need not be the Rollout's.
        namespace: String,
        /// Its name.
        name: String,
        /// JSON Patch (RFC 6902); begins with tests of the version and of each destination that it touches.
        patch: Vec<Value>,
    },
    /// Sets the pod-template-hash of subsets of a DestinationRule.
    ApplySubsets {
        /// Name of the DestinationRule in the Rollout's namespace.
        name: String,
        /// JSON Patch (RFC 6902); begins with tests of the version and of each subset that it touches.
        patch: Vec<Value>,
    },
    /// Points a Service at the pods of a revision.
    SwitchService {
        /// Name of the Service in the Rollout's namespace.
        name: String,
        /// JSON merge patch (RFC 7386) with the resourceVersion as precondition.
        patch: Value,
    },
    /// Creates a Service for the pods of an Experiment.
    CreateService {
        /// The whole object.
        object: Value,
    },
    /// Deletes such a Service.
    DeleteService {
        /// Name of the Service.
        name: String,
        /// Its UID, a precondition.
        uid: String,
    },
    /// Creates an Experiment.
    CreateExperiment {
        /// The whole object.
        object: Value,
    },
    /// Makes this controller instance the one that serves an Experiment.
    ClaimExperiment {
        /// Name of the Experiment.
        name: String,
        /// Its UID, a precondition.
        uid: String,
        /// The instance, `None` for the one without a name.
        instance: Option<String>,
    },
    /// Asks an Experiment to end.
    TerminateExperiment {
        /// Name of the Experiment.
        name: String,
    },
    /// Deletes an Experiment that nobody needs any more.
    DeleteExperiment {
        /// Name of the Experiment.
        name: String,
        /// Its UID, a precondition.
        uid: String,
    },
    /// Creates an AnalysisRun.
    CreateAnalysisRun {
        /// The whole object.
        object: Value,
    },
    /// Makes this controller instance the one that measures for an AnalysisRun.
    ClaimAnalysisRun {
        /// Name of the run.
        name: String,
        /// Its UID, a precondition.
        uid: String,
        /// The instance, `None` for the one without a name.
        instance: Option<String>,
    },
    /// Asks an AnalysisRun to end.
    TerminateAnalysisRun {
        /// Name of the run.
        name: String,
    },
    /// Deletes an AnalysisRun that nobody needs any more.
    DeleteAnalysisRun {
        /// Name of the run.
        name: String,
        /// Its UID, a precondition.
        uid: String,
    },
    /// Deletes a Job whose measurement is over, with its pods.
    DeleteJob {
        /// Name of the Job.
        name: String,
        /// Its UID, a precondition.
        uid: String,
    },
}

/// The kinds that effects write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// argoproj.io Rollout.
    Rollout,
    /// apps ReplicaSet.
    ReplicaSet,
    /// core Pod.
    Pod,
    /// apps Deployment.
    Deployment,
    /// core Service.
    Service,
    /// networking.istio.io VirtualService.
    VirtualService,
    /// networking.istio.io DestinationRule.
    DestinationRule,
    /// argoproj.io AnalysisRun.
    AnalysisRun,
    /// argoproj.io Experiment.
    Experiment,
    /// batch Job.
    Job,
}

/// An effect as the one API request that brings it about.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The kind written to.
    pub target: Target,
    /// Namespace; `None` means the Rollout's own.
    pub namespace: Option<String>,
    /// Name of the object.
    pub name: String,
    /// The request.
    pub verb: Verb,
}

/// The six requests that effects are made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// POST of a whole object. AlreadyExists with the same owner counts as done.
    Create(Value),
    /// PATCH with `application/merge-patch+json`.
    MergePatch(Value),
    /// PATCH with `application/json-patch+json`; a failed `test` is a conflict.
    JsonPatch(Vec<Value>),
    /// PATCH of the subresource `scale`, which changes the number of pods and nothing else.
    Scale {
        /// Number of pods wanted.
        replicas: i32,
    },
    /// POST of an eviction with a UID precondition. NotFound counts as done; 429, by which disruption budgets refuse, too.
    Evict {
        /// UID that the pod must have.
        uid: String,
    },
    /// DELETE with a UID precondition, in the background. NotFound counts as done.
    Delete {
        /// UID that the object must have.
        uid: String,
    },
}

impl Effect {
    /// The API request that brings this effect about; `rollout` is the name of the Rollout that it belongs to.
    #[must_use]
    pub fn write(&self, rollout: &str) -> Write {
        let own = |target, name: &str, verb| Write { target, namespace: None, name: name.to_owned(), verb };
        let created = |target, object: &Value| own(target, name_of(object), Verb::Create(object.clone()));
        let deleted = |target, name: &str, uid: &str| own(target, name, Verb::Delete { uid: uid.to_owned() });
        match self {
            Effect::SetRolloutReplicas { replicas } => {
                own(Target::Rollout, rollout, Verb::MergePatch(json!({"spec": {"replicas": replicas}})))
            }
            Effect::AnnotateRollout { annotations } => {
                own(Target::Rollout, rollout, Verb::MergePatch(json!({"metadata": {"annotations": annotations}})))
            }
            Effect::CreateReplicaSet { object } => created(Target::ReplicaSet, object),
            Effect::AdoptReplicaSet { name, uid, owner } => own(
                Target::ReplicaSet,
                name,
                Verb::MergePatch(json!({"metadata": {"uid": uid, "ownerReferences": [owner]}})),
            ),
            Effect::ScaleReplicaSet { name, uid, replicas, annotations } => own(
                Target::ReplicaSet,
                name,
                Verb::MergePatch(json!({
                    "metadata": {"uid": uid, "annotations": annotations},
                    "spec": {"replicas": replicas},
                })),
            ),
            Effect::PatchReplicaSet { name, uid, patch } => {
                own(Target::ReplicaSet, name, Verb::MergePatch(with_uid(patch, uid)))
            }
            Effect::DeleteReplicaSet { name, uid } => deleted(Target::ReplicaSet, name, uid),
            Effect::RelabelPod { name, uid, labels, annotations } => own(
                Target::Pod,
                name,
                Verb::MergePatch(json!({"metadata": {"uid": uid, "labels": labels, "annotations": annotations}})),
            ),
            Effect::EvictPod { name, uid } => own(Target::Pod, name, Verb::Evict { uid: uid.clone() }),
            Effect::ScaleDeployment { name, replicas } => {
                own(Target::Deployment, name, Verb::Scale { replicas: *replicas })
            }
            Effect::ApplyRoutes { namespace, name, patch } => Write {
                target: Target::VirtualService,
                namespace: Some(namespace.clone()),
                name: name.clone(),
                verb: Verb::JsonPatch(patch.clone()),
            },
            Effect::ApplySubsets { name, patch } => own(Target::DestinationRule, name, Verb::JsonPatch(patch.clone())),
            Effect::SwitchService { name, patch } => own(Target::Service, name, Verb::MergePatch(patch.clone())),
            Effect::CreateService { object } => created(Target::Service, object),
            Effect::DeleteService { name, uid } => deleted(Target::Service, name, uid),
            Effect::CreateExperiment { object } => created(Target::Experiment, object),
            Effect::ClaimExperiment { name, uid, instance } => {
                own(Target::Experiment, name, claimed(uid, instance.as_deref()))
            }
            Effect::TerminateExperiment { name } => {
                own(Target::Experiment, name, Verb::MergePatch(json!({"spec": {"terminate": true}})))
            }
            Effect::DeleteExperiment { name, uid } => deleted(Target::Experiment, name, uid),
            Effect::CreateAnalysisRun { object } => created(Target::AnalysisRun, object),
            Effect::ClaimAnalysisRun { name, uid, instance } => {
                own(Target::AnalysisRun, name, claimed(uid, instance.as_deref()))
            }
            Effect::TerminateAnalysisRun { name } => {
                own(Target::AnalysisRun, name, Verb::MergePatch(json!({"spec": {"terminate": true}})))
            }
            Effect::DeleteAnalysisRun { name, uid } => deleted(Target::AnalysisRun, name, uid),
            Effect::DeleteJob { name, uid } => deleted(Target::Job, name, uid),
        }
    }
}

fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn claimed(uid: &str, instance: Option<&str>) -> Verb {
    Verb::MergePatch(json!({"metadata": {"uid": uid, "labels": {labels::INSTANCE_ID: instance}}}))
}

fn with_uid(patch: &Value, uid: &str) -> Value {
    let mut patch = patch.clone();
    if let Some(map) = patch.as_object_mut()
        && let Some(metadata) = map.entry("metadata").or_insert_with(|| json!({})).as_object_mut()
    {
        metadata.insert("uid".to_owned(), json!(uid));
    }
    patch
}

/// An effect with the event that tells of it, published once the effect is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// What to bring about.
    pub effect: Effect,
    /// What to tell once it is.
    pub event: Option<Event>,
}

/// A Kubernetes Event to publish on the object that was decided about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Normal or Warning.
    pub kind: EventKind,
    /// Machine-readable reason, Argo Rollouts' where it has one.
    pub reason: String,
    /// The sentence for people.
    pub message: String,
}

/// Severity of an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Expected progress.
    Normal,
    /// Something that a person may have to look at.
    Warning,
}

impl Event {
    /// An event about expected progress.
    pub fn normal(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Event { kind: EventKind::Normal, reason: reason.into(), message: message.into() }
    }

    /// Puts what came of one decision into the order in which Argo Rollouts tells it, and in which people read it: the
    /// revision and its ReplicaSet, what became of the steps, what was done about it, and then how the update ended. A
    /// Service is switched after all that, because a first deployment is complete before anybody is sent to it.
    ///
    /// `of_status` are the events of the status, in their order, and `of_effects` those of the effects.
    pub fn in_order<'e>(
        of_status: impl IntoIterator<Item = &'e Event>,
        of_effects: impl IntoIterator<Item = &'e Event>,
    ) -> Vec<&'e Event> {
        let mut events: Vec<&Event> = of_status.into_iter().chain(of_effects).collect();
        events.sort_by_key(|event| match event.reason.as_str() {
            "RolloutAddedToInformer" => 0,
            "RolloutUpdated" | "NewReplicaSetCreated" => 1,
            "RolloutAborted" | "RolloutCompleted" => 3,
            "SwitchService" => 4,
            _ => 2,
        });
        events
    }

    /// An event that a person may have to look at.
    pub fn warning(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Event { kind: EventKind::Warning, reason: reason.into(), message: message.into() }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EventKind::Normal => "Normal",
            EventKind::Warning => "Warning",
        })
    }
}

/// When to look again although nothing changed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// The moment.
    pub at: DateTime<Utc>,
    /// What is due then, for logs.
    pub why: String,
}

impl Wake {
    /// The earlier of two wake-ups.
    #[must_use]
    pub fn earlier(a: Option<Wake>, b: Option<Wake>) -> Option<Wake> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if b.at < a.at { b } else { a }),
            (one, other) => one.or(other),
        }
    }
}
