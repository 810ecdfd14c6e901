//! The last word: no plan may leave traffic without pods, and none may touch what is not ours.
//!
//! The guard judges the written patches themselves, applied to the objects as observed, and not the intentions that
//! led to them. Its rules: weights of a route sum to 100; no side gets weight without ready pods behind it, and the canary
//! no header route; a side that carries traffic is pointed, and its pods are relabelled or evicted, only so that ready
//! pods stay behind it; a ReplicaSet that carries traffic is not scaled to zero, and stable to no fewer pods than its share needs;
//! Services of experiments get weight only with ready pods behind them; foreign destinations, subsets and fields stay as
//! they are.

use std::sync::Arc;

use serde_json::{Value, json};
use serin_api::labels::{MANAGED_BY_ROLLOUTS, POD_TEMPLATE_HASH};

use crate::istio::experiments;
use crate::istio::managed;
use crate::istio::patch::patched;
use crate::istio::virtual_service::RouteWeights;
use crate::plan::Effect;
use crate::rollout::observed::{Observed, Pod, Raw};
use crate::rollout::parse::Spec;
use crate::rollout::{Hold, Plan};

use super::blue_green::{self, Services};
use super::extras;
use super::handover::relabelled;
use super::mesh::{End, Mesh, Role, Routed};
use super::replicas::share;

/// Lets a plan pass, or takes its effects away and says which rule it would have broken.
pub(crate) fn guard(observed: &Observed, spec: &Spec, plan: Plan) -> Plan {
    let broken = match (Mesh::read(observed, spec), Services::read(observed, spec)) {
        (Some(mesh), _) => violation(observed, spec, &mesh, &plan),
        (None, Some(services)) => blue_green::violation(observed, spec, &services, &plan),
        (None, None) => None,
    };
    match broken {
        None => plan,
        Some(rule) => {
            debug_assert!(false, "unsafe plan: {rule}: {plan:#?}");
            let mut plan = Plan { effects: Vec::new(), ..plan };
            plan.holds.push(Hold::UnsafePlan { rule });
            plan.facts.unsafe_plan = true;
            plan
        }
    }
}

/// The first rule that a plan would break, in words.
pub(super) fn violation(observed: &Observed, spec: &Spec, mesh: &Mesh<'_>, plan: &Plan) -> Option<String> {
    let pods = pods_after(observed, plan);
    let end_loses_all = || role_without_pods(observed, mesh, &pods);
    if plan.effects.iter().any(|planned| matches!(planned.effect, Effect::RelabelPod { .. } | Effect::EvictPod { .. }))
        && let Some(role) = end_loses_all()
    {
        return Some(format!(
            "relabelling or evicting pods would leave the {role} side with traffic and without ready pods"
        ));
    }
    plan.effects.iter().find_map(|planned| match &planned.effect {
        Effect::ApplyRoutes { namespace, name, patch } => {
            let routed = mesh.routed.iter().find(|r| r.key.namespace == *namespace && r.key.name == *name)?;
            routes_violation(observed, mesh, routed, patch)
        }
        Effect::ApplySubsets { name, patch } => subsets_violation(mesh, name, patch, &pods),
        // Whoever asks for no pods at all gets none.
        Effect::ScaleReplicaSet { name, replicas: 0, .. } if spec.replicas > 0 => {
            let rs = observed.replica_sets.iter().find(|rs| rs.name == *name)?;
            let carries = rs.replicas > 0 && mesh.weight_carried_by(&rs.hash) > 0 && has_ready(observed, name);
            carries.then(|| format!("ReplicaSet {name} carries traffic and would be scaled to zero"))
        }
        Effect::ScaleReplicaSet { name, replicas, .. } => stable_violation(observed, spec, mesh, (name, *replicas)),
        Effect::SwitchService { name, patch } => service_violation(mesh, name, patch, &pods),
        Effect::SetRolloutReplicas { .. }
        | Effect::AnnotateRollout { .. }
        | Effect::CreateReplicaSet { .. }
        | Effect::AdoptReplicaSet { .. }
        | Effect::PatchReplicaSet { .. }
        | Effect::DeleteReplicaSet { .. }
        | Effect::RelabelPod { .. }
        | Effect::EvictPod { .. }
        | Effect::ScaleDeployment { .. }
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

/// The stable ReplicaSet would have fewer pods than its share of the traffic needs.
fn stable_violation(
    observed: &Observed,
    spec: &Spec,
    mesh: &Mesh<'_>,
    (name, replicas): (&str, i32),
) -> Option<String> {
    let rs = observed.replica_sets.iter().find(|rs| rs.name == name)?;
    let stable = observed.rollout.status.as_ref()?.stable_rs.as_deref()?;
    let is_stable = rs.hash == stable && mesh.stable.hash() == Some(stable);
    let needed = share(spec.replicas, mesh.weight(Role::Stable));
    (is_stable && replicas < rs.replicas && replicas < needed)
        .then(|| format!("ReplicaSet {name} would have {replicas} pods, and its share of the traffic needs {needed}"))
}

fn has_ready(observed: &Observed, replica_set: &str) -> bool {
    observed.pods.iter().any(|pod| pod.replica_set == replica_set && pod.is_serving())
}

/// The pods as they would be after the plan's relabelling and without those that it evicts.
pub(super) fn pods_after(observed: &Observed, plan: &Plan) -> Vec<Pod> {
    let mut pods = observed.pods.clone();
    for planned in &plan.effects {
        if let Effect::EvictPod { name, .. } = &planned.effect {
            pods.retain(|pod| pod.name != *name);
        }
        if let Effect::RelabelPod { name, labels, .. } = &planned.effect {
            for pod in pods.iter_mut().filter(|pod| pod.name == *name) {
                pod.labels = relabelled(&pod.labels, labels);
            }
        }
    }
    pods
}

/// A side that carries traffic and has ready pods now, and would have none.
fn role_without_pods(observed: &Observed, mesh: &Mesh<'_>, pods: &[Pod]) -> Option<Role> {
    [Role::Canary, Role::Stable].into_iter().find(|role| {
        let end = mesh.end(*role);
        mesh.carried(*role) > 0 && !end.ready(observed).is_empty() && !is_served(end, pods)
    })
}

fn is_served(end: &End<'_>, pods: &[Pod]) -> bool {
    pods.iter().any(|pod| pod.is_serving() && end.selects(&pod.labels))
}

fn routes_violation(observed: &Observed, mesh: &Mesh<'_>, routed: &Routed<'_>, patch: &[Value]) -> Option<String> {
    let after = match patched(&routed.raw.object, patch) {
        Ok(after) => Raw { object: Arc::new(after), ..routed.raw.clone() },
        Err(why) => return Some(format!("the patch of VirtualService {} does not apply: {why}", routed.key.name)),
    };
    let Some(after) = Routed::read((routed.key, &after), routed.selection.clone(), &mesh.sides)
        .map(|read| (read.weights, read.base.len(), read.to_canary, Arc::clone(&after.object)))
    else {
        return Some("the patched routes cannot be read".to_owned());
    };
    let (weights, base, to_canary, object) = after;
    if let Some(wrong) = weights.iter().find(|w| w.canary + w.stable + w.foreign != 100) {
        return Some(format!("weights of {} would not sum to 100", wrong.route));
    }
    let ours = |object: &Value| {
        let object = experiments::without(object, &mesh.services());
        without_weights(&managed::without(&object, &routed.selection.managed))
    };
    if base != routed.base.len()
        || foreign_changes(mesh, routed, (&object, &weights))
        || ours(&object) != ours(&routed.raw.object)
    {
        return Some("a route patch would change more than our weights".to_owned());
    }
    if let Some(rule) = extras::violation(observed, mesh, routed, &object) {
        return Some(rule);
    }
    let unserved = |role: Role| mesh.end(role).ready(observed).is_empty();
    if to_canary && !routed.to_canary && unserved(Role::Canary) {
        return Some("a header route would send requests to a canary without ready pods".to_owned());
    }
    [(Role::Canary, weights.iter().map(|w| w.canary).max()), (Role::Stable, weights.iter().map(|w| w.stable).max())]
        .into_iter()
        .find(|(role, weight)| weight.unwrap_or(0) > mesh.weight(*role) && unserved(*role))
        .map(|(role, _)| format!("the {role} side would get weight without ready pods behind it"))
}

/// Whether destinations change that are neither canary nor stable nor an experiment's.
fn foreign_changes(mesh: &Mesh<'_>, routed: &Routed<'_>, (object, after): (&Value, &[RouteWeights])) -> bool {
    let foreign = |object: &Value, weights: &RouteWeights| {
        weights.foreign - experiments::weights(object, weights.route, &mesh.services()).values().sum::<i32>()
    };
    let before = routed.weights.iter().take(routed.base.len());
    before.zip(after).any(|(before, after)| foreign(&routed.raw.object, before) != foreign(object, after))
}

/// An object with every route weight blanked, so that two of them compare equal if nothing else differs.
fn without_weights(object: &Value) -> Value {
    let mut object = object.clone();
    for protocol in ["http", "tls", "tcp"] {
        let routes = object.pointer_mut(&format!("/spec/{protocol}")).and_then(Value::as_array_mut);
        for destination in routes.into_iter().flatten().filter_map(|route| route["route"].as_array_mut()).flatten() {
            destination["weight"] = json!(0);
        }
    }
    object
}

fn subsets_violation(mesh: &Mesh<'_>, name: &str, patch: &[Value], pods: &[Pod]) -> Option<String> {
    let is_named = |raw: &&Raw| raw.object.pointer("/metadata/name").and_then(Value::as_str) == Some(name);
    let raw = mesh.destination_rule.filter(is_named)?;
    let after = match patched(&raw.object, patch) {
        Ok(after) => after,
        Err(why) => return Some(format!("the patch of the DestinationRule does not apply: {why}")),
    };
    let ours = |object: &Value| without_hashes(&experiments::without_subsets(object, &mesh.experiments));
    if ours(&after) != ours(&raw.object) {
        return Some("a subset patch would change more than our label".to_owned());
    }
    let after = Raw { object: Arc::new(after), ..raw.clone() };
    [Role::Canary, Role::Stable].into_iter().find_map(|role| {
        let end = mesh.end(role);
        let moved = End { subset: end.subset.map(|(_, name)| (&after, name)), ..*end };
        let broken = mesh.carried(role) > 0 && !is_served(&moved, pods) && is_served(end, pods);
        broken.then(|| format!("the {role} side carries traffic and would select no ready pod"))
    })
}

/// A DestinationRule without our label and annotation.
fn without_hashes(object: &Value) -> Value {
    let mut object = object.clone();
    let subsets = object.pointer_mut("/spec/subsets").and_then(Value::as_array_mut);
    for subset in subsets.into_iter().flatten() {
        if let Some(labels) = subset.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove(POD_TEMPLATE_HASH);
        }
        if subset.get("labels").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
            subset["labels"] = Value::Null;
        }
        if subset.get("labels").is_none() {
            subset["labels"] = Value::Null;
        }
    }
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(MANAGED_BY_ROLLOUTS);
    }
    if object.pointer("/metadata/annotations").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty) {
        object["metadata"]["annotations"] = Value::Null;
    }
    object
}

fn service_violation(mesh: &Mesh<'_>, name: &str, patch: &Value, pods: &[Pod]) -> Option<String> {
    [Role::Canary, Role::Stable].into_iter().find_map(|role| {
        let (raw, _) = mesh.end(role).service.filter(|(_, own)| *own == name)?;
        let mut after = (*raw.object).clone();
        let selector = patch.pointer("/spec/selector").and_then(Value::as_object);
        for (key, value) in selector.into_iter().flatten() {
            after["spec"]["selector"][key] = value.clone();
        }
        let after = Raw { object: Arc::new(after), ..raw.clone() };
        let moved = End { service: Some((&after, name)), ..*mesh.end(role) };
        let broken = mesh.carried(role) > 0 && !is_served(&moved, pods) && is_served(mesh.end(role), pods);
        broken.then(|| format!("Service {name} carries traffic and would select no ready pod"))
    })
}
