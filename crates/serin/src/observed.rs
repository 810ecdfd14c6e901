//! Sees raw objects as the controller does, without a controller.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use serin_controller::caches::Caches;
use serin_controller::ledger::Ledger;
use serin_controller::observe::{Sight, observe_experiment, observe_rollout};
use serin_controller::{Change, Kind, ObjectName};
use serin_core::experiment;
use serin_core::rollout::Observed;
use serin_core::rollout::observed::{Pod, Settings};

/// Objects that came from files or from a cluster.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    caches: Caches,
}

impl Objects {
    /// Takes in an object. Rollouts of all instances are seen.
    pub(crate) fn add(&mut self, kind: Kind, object: Arc<Value>, now: DateTime<Utc>) {
        self.caches.apply(Change::Applied(kind, of_any_instance(object)), now);
    }

    /// What the controller would decide about a Rollout from; `None` if it is not there or cannot be read.
    pub(crate) fn observe(&self, rollout: &ObjectName, now: DateTime<Utc>) -> Option<Observed> {
        let mut ledger = Ledger::default();
        match observe_rollout(rollout, &self.caches, &mut ledger, now, &Settings::default()) {
            Sight::Seen(seen) => Some(seen.observed),
            Sight::Gone | Sight::Stale(..) => None,
        }
    }

    /// What the controller would decide about an Experiment from, and the pods of its ReplicaSets; `None` if it is not
    /// there or cannot be read.
    pub(crate) fn observe_experiment(
        &self,
        experiment: &ObjectName,
        now: DateTime<Utc>,
    ) -> Option<(experiment::Observed, Vec<Pod>)> {
        let mut ledger = Ledger::default();
        match observe_experiment(experiment, &self.caches, &mut ledger, now, &Settings::default()) {
            Sight::Seen(seen) => {
                let pods = self.caches.pods_of(&seen.observed.replica_sets);
                Some((seen.observed, pods))
            }
            Sight::Gone | Sight::Stale(..) => None,
        }
    }
}

/// The object without the label that makes it the business of one controller only.
fn of_any_instance(object: Arc<Value>) -> Arc<Value> {
    let labels = object.pointer("/metadata/labels");
    if labels.and_then(|labels| labels.get(serin_api::labels::INSTANCE_ID)).is_none() {
        return object;
    }
    let mut object = Arc::unwrap_or_clone(object);
    if let Some(labels) = object.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(serin_api::labels::INSTANCE_ID);
    }
    Arc::new(object)
}

/// The controller's name for the kind of an object; `None` for kinds that it does not read.
pub(crate) fn kind_of(object: &Value) -> Option<Kind> {
    let version = object["apiVersion"].as_str()?;
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = match (group, object["kind"].as_str()?) {
        (serin_api::labels::GROUP, "Rollout") => Kind::Rollout,
        (serin_api::labels::GROUP, "AnalysisRun") => Kind::AnalysisRun,
        (serin_api::labels::GROUP, "Experiment") => Kind::Experiment,
        (serin_api::labels::GROUP, "AnalysisTemplate") => Kind::AnalysisTemplate,
        (serin_api::labels::GROUP, "ClusterAnalysisTemplate") => Kind::ClusterAnalysisTemplate,
        (serin_api::istio::GROUP, "VirtualService") => Kind::VirtualService,
        (serin_api::istio::GROUP, "DestinationRule") => Kind::DestinationRule,
        ("apps", "Deployment") => Kind::Deployment,
        ("apps", "ReplicaSet") if has_hash(object) => Kind::ReplicaSet,
        ("apps", "ReplicaSet") => Kind::WorkloadReplicaSet,
        ("", "Service") => Kind::Service,
        ("", "Pod") => Kind::Pod,
        ("", "PodTemplate") => Kind::PodTemplate,
        _ => return None,
    };
    Some(kind)
}

fn has_hash(object: &Value) -> bool {
    object["metadata"]["labels"].get(serin_api::labels::POD_TEMPLATE_HASH).is_some()
}
