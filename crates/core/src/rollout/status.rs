//! The status of a Rollout as one value: counts, weights, conditions, phase.

use serde_json::Value;
use serin_api::{HoldStatus, RolloutStatus, Time, TrafficWeights, WeightDestination};

use crate::rollout::Hold;

use super::blue_green;
use super::conditions::{self, Health};
use super::deadline::Deadline;
use super::duration;
use super::mesh::Role;
use super::phase;
use super::scene::Scene;
use super::state::State;
use super::wire;

/// The status to write; fields that are not ours to decide stay as they were.
pub(crate) fn compute(scene: &Scene<'_>, state: &State, deadline: &Deadline, holds: &[Hold]) -> RolloutStatus {
    let before = scene.observed.rollout.status.clone().unwrap_or_default();
    let mut status = before.clone();
    wire::to_status(state, &mut status);
    count_pods(scene, &mut status);
    status.selector = Some(selector_text(&scene.spec.selector));
    if let Some(services) = &scene.blue_green {
        blue_green::count_pods(scene, services, &mut status);
    }
    status.collision_count = scene.revision.collisions;
    status.observed_generation = scene.observed.rollout.metadata.generation.map(|g| g.to_string());
    let workload = scene.observed.workload.as_ref().and_then(|found| found.present());
    status.workload_observed_generation = workload.map(|workload| workload.generation.to_string());
    status.canary.weights = weights(scene, state);
    status.duration = duration::compute(scene, state, &before);
    let phase = phase::compute(scene, state, deadline, holds);
    let health = if phase.is_healthy() { Health::Healthy } else { Health::Unhealthy };
    status.conditions = conditions::compute(scene, state, &before.conditions, deadline, health);
    status.phase = Some(phase.phase.to_owned());
    status.message = Some(phase.message).filter(|message| !message.is_empty());
    record_holds(scene, holds, &mut status);
    status
}

fn count_pods(scene: &Scene<'_>, status: &mut RolloutStatus) {
    let sum = |pick: fn(&crate::rollout::observed::ReplicaSet) -> i32| Some(scene.owned().map(pick).sum());
    status.replicas = sum(|rs| rs.replicas_actual);
    status.hpa_replicas = status.replicas;
    status.ready_replicas = sum(|rs| rs.replicas_ready);
    status.available_replicas = sum(|rs| rs.replicas_available);
    status.updated_replicas = Some(scene.new_replica_set().map_or(0, |rs| rs.replicas_actual));
}

/// The weights that the routes carry, not those that were asked for.
fn weights(scene: &Scene<'_>, state: &State) -> Option<TrafficWeights> {
    let observed = scene.mesh.as_ref()?.canary_weight()?;
    let canary = &scene.spec.canary;
    Some(TrafficWeights {
        canary: WeightDestination {
            weight: observed,
            service_name: canary.canary_service.clone(),
            pod_template_hash: Some(state.current_hash.clone()),
        },
        stable: WeightDestination {
            weight: scene.mesh.as_ref()?.carried(Role::Stable),
            service_name: canary.stable_service.clone(),
            pod_template_hash: state.stable_hash.clone(),
        },
        additional: Vec::new(),
        verified: None,
    })
}

/// Keeps since when each reason to wait has held.
fn record_holds(scene: &Scene<'_>, holds: &[Hold], status: &mut RolloutStatus) {
    let Some(own) = status.serin.as_mut() else { return };
    let before = std::mem::take(&mut own.holds);
    own.holds = holds
        .iter()
        .map(|hold| {
            let reason = hold.reason().to_owned();
            let since = before.iter().find(|b| b.reason == reason).and_then(|b| b.since);
            HoldStatus { reason, message: hold.to_string(), since: since.or(Some(Time(scene.observed.now))) }
        })
        .collect();
}

/// A label selector as `kubectl` writes it.
pub(crate) fn selector_text(selector: &Value) -> String {
    let labels = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
    let mut parts: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let text = |field: &str| expression.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let values: Vec<&str> = expression
            .get("values")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let values = values.join(",");
        parts.push(match text("operator").as_str() {
            "Exists" => text("key"),
            "DoesNotExist" => format!("!{}", text("key")),
            "NotIn" => format!("{} notin ({values})", text("key")),
            _ => format!("{} in ({values})", text("key")),
        });
    }
    parts.join(",")
}
