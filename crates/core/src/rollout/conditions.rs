//! Conditions: upstream's types, reasons and messages, computed in one place.

use chrono::{DateTime, Utc};
use serin_api::{Condition, Time};

use super::blue_green;
use super::deadline::{self, Deadline};
use super::replicas::is_fully_available;
use super::rivals;
use super::scene::Scene;
use super::state::State;

/// What a condition says, without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) kind: &'static str,
    pub(crate) status: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// All conditions of a valid Rollout, those of before with their times where nothing changed.
pub(crate) fn compute(
    scene: &Scene<'_>,
    state: &State,
    before: &[Condition],
    deadline: &Deadline,
    healthy: Health,
) -> Vec<Condition> {
    let statements = [
        Some(available(scene)),
        Some(progressing(scene, state, before, deadline)),
        failure(scene),
        paused(scene, state, before),
        Some(completed(scene, state)),
        Some(health(healthy)),
        rivals::condition(scene),
    ];
    let now = scene.observed.now;
    let progressed_at = state.progressed_at.unwrap_or(now);
    statements
        .into_iter()
        .flatten()
        .map(|statement| {
            let mut condition = merge(before, statement, now);
            if condition.kind == "Progressing" {
                condition.last_update_time = Some(Time(progressed_at));
            }
            condition
        })
        .collect()
}

/// Whether the Rollout is as its author wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Promoted, available, and all traffic is on stable.
    Healthy,
    /// Anything else.
    Unhealthy,
}

/// A condition as it should stand now; it is rewritten only if its status or reason changes.
pub(crate) fn merge(before: &[Condition], statement: Statement, now: DateTime<Utc>) -> Condition {
    let old = before.iter().find(|c| c.kind == statement.kind);
    if let Some(old) = old
        && old.status == statement.status
        && old.reason == statement.reason
        && (old.message == statement.message || statement.kind != "Progressing")
    {
        return old.clone();
    }
    let same_status = old.filter(|old| old.status == statement.status);
    Condition {
        kind: statement.kind.to_owned(),
        status: statement.status.to_owned(),
        last_update_time: Some(Time(now)),
        last_transition_time: same_status.map_or(Some(Time(now)), |old| old.last_transition_time),
        reason: statement.reason.to_owned(),
        message: statement.message,
    }
}

fn available(scene: &Scene<'_>) -> Statement {
    let available: i32 = scene.owned().map(|rs| rs.replicas_available).sum();
    let needed = scene.spec.replicas - scene.spec.canary.unavailable_max.round_down(scene.spec.replicas);
    let is_available =
        scene.blue_green.as_ref().map_or(available >= needed, |services| blue_green::available(scene, services));
    if is_available {
        say("Available", "True", "AvailableReason", "Rollout has minimum availability")
    } else {
        say("Available", "False", "AvailableReason", "Rollout does not have minimum availability")
    }
}

fn progressing(scene: &Scene<'_>, state: &State, before: &[Condition], deadline: &Deadline) -> Statement {
    let name = scene.new_name();
    let was = before.iter().find(|c| c.kind == "Progressing" && scene.is_recorded_revision());
    let was = was.map_or("", |c| c.reason.as_str());
    if state.aborted.is_some() {
        return say("Progressing", "False", "RolloutAborted", abort_message(scene, state));
    }
    if *deadline == Deadline::Exceeded {
        return say("Progressing", "False", "ProgressDeadlineExceeded", deadline::message(&name));
    }
    if scene.spec.paused || !state.pauses.is_empty() {
        return say("Progressing", "Unknown", "RolloutPaused", "Rollout is paused");
    }
    if state.is_promoted() && is_fully_available(scene.spec, scene.new_replica_set()) {
        let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
        return say("Progressing", "True", "NewReplicaSetAvailable", message);
    }
    match was {
        "RolloutPaused" => say("Progressing", "Unknown", "RolloutResumed", "Rollout is resumed"),
        "RolloutAborted" => say("Progressing", "Unknown", "RolloutRetry", "Retrying Rollout after abort"),
        _ if scene.revision.replica_set.is_none() => {
            say("Progressing", "True", "NewReplicaSetCreated", format!("Created new replica set \"{name}\""))
        }
        _ => say("Progressing", "True", "ReplicaSetUpdated", format!("ReplicaSet \"{name}\" is progressing.")),
    }
}

/// Text of the abort: what was given up, and why.
pub(crate) fn abort_message(scene: &Scene<'_>, state: &State) -> String {
    let cause = state.abort_cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("Rollout aborted update to revision {}{cause}", scene.revision.number)
}

fn failure(scene: &Scene<'_>) -> Option<Statement> {
    let message = scene.owned().find_map(|rs| rs.failure.clone())?;
    Some(say("ReplicaFailure", "True", "FailedCreate", message))
}

/// As upstream has it, a Rollout that was never paused says nothing of it.
fn paused(scene: &Scene<'_>, state: &State, before: &[Condition]) -> Option<Statement> {
    if scene.spec.paused || !state.pauses.is_empty() {
        return Some(say("Paused", "True", "RolloutPaused", "Rollout is paused"));
    }
    let was_paused = before.iter().any(|condition| condition.kind == "Paused");
    was_paused.then(|| say("Paused", "False", "RolloutPaused", "Rollout is not paused"))
}

fn completed(scene: &Scene<'_>, state: &State) -> Statement {
    if state.is_promoted() {
        say("Completed", "True", "RolloutCompleted", "RolloutCompleted")
    } else {
        let message = format!("Rollout not completed, started update to revision {}", scene.revision.number);
        say("Completed", "False", "RolloutCompleted", message)
    }
}

fn health(health: Health) -> Statement {
    match health {
        Health::Healthy => say("Healthy", "True", "RolloutHealthy", "Rollout is healthy"),
        Health::Unhealthy => say("Healthy", "False", "RolloutHealthy", "Rollout is not healthy"),
    }
}

pub(crate) fn say(
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: impl Into<String>,
) -> Statement {
    Statement { kind, status, reason, message: message.into() }
}
