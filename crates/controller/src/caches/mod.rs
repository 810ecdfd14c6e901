//! What the cluster looks like, as far as decisions need it: decoded once per change, indexed by owner and by reference.
//!
//! The work per change depends on the objects that it concerns, not on how many others there are.

mod decode;
mod enter;
mod experiments;
pub(crate) mod istiod;
mod jobs;
mod read;
mod references;
mod relations;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use serin_api::{AnalysisRun, Rollout, labels};
use serin_core::rollout::observed::{Found, Pod, Raw, ReplicaSet, Template, Workload};

use crate::change::{Change, Key, Kind, ObjectName};
use decode::Owner;
use experiments::Experiments;
use istiod::Istiod;
use jobs::Jobs;
use references::{Index, Reference, References};

/// Which objects are this controller's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only Rollouts whose instance label has this value; Experiments are served, and AnalysisRuns measured for, only
    /// with it. Without it, only those without the label.
    pub instance_id: Option<String>,
    /// Only objects of this namespace, beside those of the whole cluster.
    pub namespace: Option<String>,
    /// The Service of istiod; without it, nothing is known of Istio's control plane.
    pub istiod: Option<ObjectName>,
    /// How long proxies are given to find istiod again.
    pub reconnect: TimeDelta,
}

/// Typed views of all watched objects, and the indexes between them.
#[derive(Debug, Default)]
pub struct Caches {
    filter: Filter,
    rollouts: BTreeMap<ObjectName, RolloutEntry>,
    rollouts_by_uid: BTreeMap<String, ObjectName>,
    /// Rollouts by what they name.
    referrers: Index<Reference, ObjectName>,
    replica_sets: BTreeMap<ObjectName, ReplicaSetEntry>,
    replica_sets_by_uid: BTreeMap<String, ObjectName>,
    /// ReplicaSets by the UID of their controller.
    replica_sets_by_owner: Index<String, ObjectName>,
    /// ReplicaSets without a controller, by namespace.
    orphans: Index<String, ObjectName>,
    pods: BTreeMap<ObjectName, PodEntry>,
    /// Pods by the UID of their ReplicaSet.
    pods_by_owner: Index<String, ObjectName>,
    runs: BTreeMap<ObjectName, RunEntry>,
    /// AnalysisRuns by the UID of their controller.
    runs_by_owner: Index<String, ObjectName>,
    runs_by_uid: BTreeMap<String, ObjectName>,
    jobs: Jobs,
    experiments: Experiments,
    istiod: Istiod,
    /// Everything else: what Rollouts name.
    others: BTreeMap<Reference, OtherEntry>,
    /// Objects of those by the Rollouts that they say they are set by.
    set_by: Index<ObjectName, Reference>,
    /// Templates by the templates that they include.
    including: Index<Reference, Reference>,
    /// Names of ReplicaSets that a Rollout or an Experiment wanted and somebody else has.
    taken: Index<Key, String>,
}

#[derive(Debug)]
struct RolloutEntry {
    rollout: Arc<Rollout>,
    status: Arc<Value>,
    uid: String,
    version: String,
    references: References,
}

#[derive(Debug)]
struct ReplicaSetEntry {
    view: ReplicaSet,
    owner: Option<Owner>,
    version: String,
}

#[derive(Debug)]
struct PodEntry {
    view: Pod,
    owner: Option<String>,
    version: String,
}

#[derive(Debug)]
struct RunEntry {
    run: Arc<AnalysisRun>,
    status: Arc<Value>,
    uid: String,
    owner: Option<String>,
    version: String,
}

#[derive(Debug)]
struct OtherEntry {
    view: View,
    uid: String,
    version: String,
}

#[derive(Debug, PartialEq)]
enum View {
    Raw(Raw),
    Workload(Found<Workload>),
    Template(Found<Template>),
}

impl Caches {
    /// Empty caches.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Caches { filter, ..Caches::default() }
    }

    /// Takes in a change that was seen at `now`; answers with the keys that have to be looked at again, in order.
    pub fn apply(&mut self, change: Change, now: DateTime<Utc>) -> Vec<Key> {
        let mut keys = BTreeSet::new();
        let is_of_istiod = change.kind() == Kind::EndpointSlice;
        match change {
            Change::Applied(kind, object) => self.applied(kind, object, now, &mut keys),
            Change::Deleted(kind, object) => {
                if let Some(identity) = decode::identity(kind, &object) {
                    self.removed(kind, &identity.name, &mut keys);
                }
            }
            Change::Replaced(kind, objects) => {
                let listed = objects.iter().filter_map(|object| decode::identity(kind, object));
                let listed: BTreeSet<ObjectName> = listed.map(|identity| identity.name).collect();
                let gone: Vec<ObjectName> = self.names(kind).filter(|name| !listed.contains(name)).collect();
                for name in gone {
                    self.removed(kind, &name, &mut keys);
                }
                for object in objects {
                    self.applied(kind, object, now, &mut keys);
                }
            }
        }
        if is_of_istiod && self.istiod.look(now, self.filter.reconnect) {
            tracing::info!(control_plane = ?self.control_plane(now), "an istiod went or came; proxies have to find one");
            // Everybody sends requests through the mesh.
            keys.extend(self.keys().filter(|key| key.kind() != Kind::AnalysisRun));
        }
        keys.into_iter().collect()
    }

    /// Keys of everything that decisions are made about.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        let rollouts = self.rollouts.keys().cloned().map(Key::Rollout);
        let experiments = self.experiments.names().cloned().map(Key::Experiment);
        rollouts.chain(experiments).chain(self.runs.keys().cloned().map(Key::AnalysisRun))
    }

    fn applied(&mut self, kind: Kind, object: Arc<Value>, now: DateTime<Utc>, keys: &mut BTreeSet<Key>) {
        let Some(identity) = decode::identity(kind, &object) else {
            tracing::warn!(%kind, "an object without a name was left out");
            return;
        };
        if !self.is_ours(kind, &identity.name, &object) {
            self.removed(kind, &identity.name, keys);
            return;
        }
        if !identity.version.is_empty()
            && self.shown(kind, &identity.name).map(|s| s.version) == Some(&identity.version)
        {
            return;
        }
        match kind {
            Kind::Rollout => self.rollout_applied(identity, &object, keys),
            Kind::ReplicaSet => self.replica_set_applied(identity, &object, keys),
            Kind::Pod => self.pod_applied(identity, &object, now, keys),
            Kind::AnalysisRun => self.run_applied(identity, &object, keys),
            Kind::Experiment => self.experiment_applied(identity, &object, keys),
            Kind::Job | Kind::JobPod => {
                let run = self.jobs.applied(kind, identity, &object);
                self.concerned_by_job(run, keys);
            }
            Kind::EndpointSlice => self.istiod.applied(identity, &object),
            Kind::Service | Kind::VirtualService | Kind::DestinationRule => {
                let mut raw = decode::raw(object, &identity.version, now);
                if let Some(View::Raw(old)) = self.others.get(&(kind, identity.name.clone())).map(|entry| &entry.view)
                    && old.object.get("spec") == raw.object.get("spec")
                {
                    // The mesh reads the spec alone: an edit of an annotation has nothing to spread.
                    raw.seen_at = old.seen_at;
                }
                self.other_applied(kind, identity, View::Raw(raw), keys);
            }
            Kind::Deployment | Kind::PodTemplate | Kind::WorkloadReplicaSet => {
                let view = View::Workload(decode::workload(kind, &object));
                self.other_applied(kind, identity, view, keys);
            }
            Kind::AnalysisTemplate | Kind::ClusterAnalysisTemplate => {
                let view = View::Template(decode::template(&object));
                self.other_applied(kind, identity, view, keys);
            }
        }
    }

    fn is_ours(&self, kind: Kind, name: &ObjectName, object: &Value) -> bool {
        let is_of_mesh = kind == Kind::EndpointSlice;
        let here = is_of_mesh
            || self.filter.namespace.as_ref().is_none_or(|ns| !kind.is_namespaced() || *ns == name.namespace);
        let labels = || decode::labels_of(object);
        here && match kind {
            Kind::Rollout => labels().get(labels::INSTANCE_ID) == self.filter.instance_id.as_ref(),
            // A Rollout that changes its instance takes its Experiments and runs along, so those of others are kept too.
            Kind::Experiment | Kind::AnalysisRun => true,
            Kind::ReplicaSet | Kind::Pod => labels().contains_key(labels::POD_TEMPLATE_HASH),
            Kind::WorkloadReplicaSet => !kind.labels_absent().iter().any(|label| labels().contains_key(*label)),
            Kind::Job | Kind::JobPod => labels().contains_key(labels::ANALYSIS_RUN_UID),
            Kind::EndpointSlice => self.filter.istiod.as_ref().is_some_and(|service| {
                service.namespace == name.namespace && labels().get(istiod::SERVICE_NAME) == Some(&service.name)
            }),
            Kind::Deployment
            | Kind::PodTemplate
            | Kind::Service
            | Kind::VirtualService
            | Kind::DestinationRule
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate => true,
        }
    }

    fn removed(&mut self, kind: Kind, name: &ObjectName, keys: &mut BTreeSet<Key>) {
        match kind {
            Kind::Rollout => {
                if self.rollouts.contains_key(name) {
                    self.forget_rollout(name, keys);
                    self.taken.remove_all(&Key::Rollout(name.clone()));
                    keys.insert(Key::Rollout(name.clone()));
                }
            }
            Kind::ReplicaSet => self.forget_replica_set(name, keys),
            Kind::Pod => self.forget_pod(name, keys),
            Kind::AnalysisRun => self.forget_run(name, keys),
            Kind::Experiment => {
                self.forget_experiment(name, keys);
                self.taken.remove_all(&Key::Experiment(name.clone()));
            }
            Kind::Job | Kind::JobPod => {
                let run = self.jobs.removed(kind, name);
                self.concerned_by_job(run, keys);
            }
            Kind::EndpointSlice => self.istiod.removed(name),
            Kind::Deployment
            | Kind::PodTemplate
            | Kind::WorkloadReplicaSet
            | Kind::Service
            | Kind::VirtualService
            | Kind::DestinationRule
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate => {
                let reference = (kind, name.clone());
                self.forget_included(&reference);
                self.forget_set(&reference);
                if let Some(old) = self.others.remove(&reference) {
                    self.service_left(&reference, &old.view, keys);
                    self.concerned_by_other(&reference, keys);
                }
            }
        }
    }
}

/// Namespace and name of a raw object; `None` if it has no name.
pub(crate) fn name_of(kind: Kind, object: &Value) -> Option<ObjectName> {
    decode::identity(kind, object).map(|identity| identity.name)
}

#[cfg(test)]
mod tests;
