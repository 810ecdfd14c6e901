//! The last word on a blue-green plan: whoever serves keeps pods behind it.

use std::sync::Arc;

use serde_json::Value;

use crate::istio::service::selects;
use crate::plan::Effect;
use crate::rollout::Plan;
use crate::rollout::observed::{Observed, Pod, Raw};
use crate::rollout::parse::Spec;
use crate::rollout::safety::pods_after;

use super::Services;

/// The first rule that a plan would break, in words: the active Service is pointed, and the pods behind it are relabelled or
/// evicted, only so that ready pods stay behind it, and the ReplicaSet that it points at is not scaled to zero.
pub(crate) fn violation(observed: &Observed, spec: &Spec, services: &Services<'_>, plan: &Plan) -> Option<String> {
    if spec.replicas == 0 || !is_served(services.active, &observed.pods) {
        return None;
    }
    let pods = pods_after(observed, plan);
    let name = &services.spec.active_service;
    if !is_served(services.active, &pods) {
        return Some(format!("relabelling or evicting pods would leave the active Service {name} without ready pods"));
    }
    plan.effects.iter().find_map(|planned| match &planned.effect {
        Effect::SwitchService { name: switched, patch } if switched == name => {
            let mut object = (*services.active.object).clone();
            merge(&mut object, patch);
            let after = Raw { object: Arc::new(object), ..services.active.clone() };
            (!is_served(&after, &pods)).then(|| format!("the active Service {name} would select no ready pod"))
        }
        Effect::ScaleReplicaSet { name: scaled, replicas: 0, .. } => {
            let rs = observed.replica_sets.iter().find(|rs| rs.name == *scaled)?;
            let serves =
                services.is_active(&rs.hash) && pods.iter().any(|p| p.replica_set == rs.name && p.is_serving());
            serves.then(|| format!("ReplicaSet {scaled} stands behind the active Service and would be scaled to zero"))
        }
        Effect::SwitchService { .. }
        | Effect::ScaleReplicaSet { .. }
        | Effect::SetRolloutReplicas { .. }
        | Effect::AnnotateRollout { .. }
        | Effect::CreateReplicaSet { .. }
        | Effect::AdoptReplicaSet { .. }
        | Effect::PatchReplicaSet { .. }
        | Effect::DeleteReplicaSet { .. }
        | Effect::RelabelPod { .. }
        | Effect::EvictPod { .. }
        | Effect::ScaleDeployment { .. }
        | Effect::ApplyRoutes { .. }
        | Effect::ApplySubsets { .. }
        | Effect::CreateService { .. }
        | Effect::DeleteService { .. }
        | Effect::CreateExperiment { .. }
        | Effect::ClaimExperiment { .. }
        | Effect::TerminateExperiment { .. }
        | Effect::DeleteExperiment { .. }
        | Effect::CreateAnalysisRun { .. }
        | Effect::ClaimAnalysisRun { .. }
        | Effect::TerminateAnalysisRun { .. }
        | Effect::DeleteAnalysisRun { .. }
        | Effect::DeleteJob { .. } => None,
    })
}

fn is_served(service: &Raw, pods: &[Pod]) -> bool {
    pods.iter().any(|pod| pod.is_serving() && selects(&service.object, &pod.labels))
}

/// The selector after a patch; other parts of a Service do not matter here.
fn merge(object: &mut Value, patch: &Value) {
    for (key, value) in patch.pointer("/spec/selector").and_then(Value::as_object).into_iter().flatten() {
        object["spec"]["selector"][key] = value.clone();
    }
}
