//! How the controller hears of changes: in their order, unless faults hold them back or end its watches.

use std::sync::Arc;

use serde_json::Value;
use serin_controller::{Change, Engine, Kind};

use crate::cluster::{self, ChangeKind, Cluster, Events, Resource};

/// The way of changes from a cluster to an engine.
#[derive(Debug)]
pub(crate) struct Feed {
    changes: Events,
    /// What the engine has not heard of yet, oldest first.
    held: Vec<cluster::Change>,
    /// How many times watches had been dropped when they were last opened.
    drops: u64,
}

/// What one look at the cluster brought.
#[derive(Debug)]
pub(crate) struct News {
    /// What changed, whether the engine was told of it or not.
    pub(crate) changes: Vec<cluster::Change>,
    /// Whether the engine was told of anything.
    pub(crate) told: bool,
}

impl Feed {
    /// Begins with all objects there are.
    pub(crate) fn open(cluster: &Cluster) -> Self {
        Feed { changes: cluster.subscribe(), held: Vec::new(), drops: cluster.faults().drops() }
    }

    /// Takes what changed, and tells the engine as much of it as faults allow.
    pub(crate) fn pass_on(&mut self, cluster: &Cluster, engine: &Engine) -> News {
        let faults = cluster.faults();
        let changes = self.changes.drain();
        self.held.extend(changes.iter().cloned());
        let mut told = false;
        if self.drops != faults.drops() && !faults.crashed() {
            self.drops = faults.drops();
            self.list_again(cluster, engine);
            told = true;
        }
        let (held, due): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.held).into_iter().partition(|change| faults.withholds(&change.resource));
        self.held = held;
        for change in &due {
            for kind in kinds_of(&change.resource).filter(|kind| is_watched(*kind, &change.object)) {
                told = true;
                engine.apply(match change.kind {
                    ChangeKind::Added | ChangeKind::Modified => Change::Applied(kind, Arc::clone(&change.object)),
                    ChangeKind::Deleted => Change::Deleted(kind, Arc::clone(&change.object)),
                });
            }
        }
        News { changes, told }
    }

    /// After a watch has ended its kind is listed anew; what happened in between is never told.
    fn list_again(&mut self, cluster: &Cluster, engine: &Engine) {
        let faults = cluster.faults();
        self.held.retain(|change| faults.withholds(&change.resource));
        for kind in Kind::ALL {
            let resource = resource_of(kind);
            if faults.withholds(resource) {
                continue;
            }
            let objects = cluster.list(resource, None).into_iter().filter(|object| is_watched(kind, object));
            engine.apply(Change::Replaced(kind, objects.collect()));
        }
    }
}

/// Where the cluster keeps what the controller calls by this kind.
fn resource_of(kind: Kind) -> &'static Resource {
    match kind {
        Kind::EndpointSlice => &cluster::ENDPOINT_SLICES,
        Kind::Service => &cluster::SERVICES,
        Kind::VirtualService => &cluster::VIRTUAL_SERVICES,
        Kind::DestinationRule => &cluster::DESTINATION_RULES,
        Kind::Deployment => &cluster::DEPLOYMENTS,
        Kind::PodTemplate => &cluster::POD_TEMPLATES,
        Kind::ClusterAnalysisTemplate => &cluster::CLUSTER_ANALYSIS_TEMPLATES,
        Kind::AnalysisTemplate => &cluster::ANALYSIS_TEMPLATES,
        Kind::Pod | Kind::JobPod => &cluster::PODS,
        Kind::ReplicaSet | Kind::WorkloadReplicaSet => &cluster::REPLICA_SETS,
        Kind::Job => &cluster::JOBS,
        Kind::AnalysisRun => &cluster::ANALYSIS_RUNS,
        Kind::Experiment => &cluster::EXPERIMENTS,
        Kind::Rollout => &cluster::ROLLOUTS,
    }
}

/// The controller's names for a kind, one for each of its watches; none for kinds that it does not watch.
fn kinds_of(resource: &Resource) -> impl Iterator<Item = Kind> {
    Kind::ALL.into_iter().filter(move |kind| resource_of(*kind) == resource)
}

/// The live controller watches some kinds by labels.
fn is_watched(kind: Kind, object: &Value) -> bool {
    let has = |label: &str| object.pointer("/metadata/labels").is_some_and(|all| all.get(label).is_some());
    kind.label().is_none_or(has) && !kind.labels_absent().iter().any(|label| has(label))
}
