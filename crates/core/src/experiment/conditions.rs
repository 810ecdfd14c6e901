//! The conditions of an Experiment.

use serin_api::{Condition, ExperimentStatus};

use crate::analysis::phase::Phase;
use crate::rollout::conditions::{merge, say};

use super::Observed;

/// The type of the condition that tells of mistakes in the spec.
pub(super) const INVALID: &str = "InvalidSpec";

/// The conditions of a valid Experiment.
pub(super) fn compute(observed: &Observed, status: &ExperimentStatus) -> Vec<Condition> {
    let name = observed.name();
    let before = observed.experiment.status.clone().unwrap_or_default();
    let counts = |status: &ExperimentStatus| {
        let all = status.template_statuses.iter();
        all.map(|t| (t.name.clone(), t.replicas, t.ready_replicas, t.available_replicas)).collect::<Vec<_>>()
    };
    let has_moved = counts(&before) != counts(status);
    let statement = match Phase::of(status.phase.as_deref().unwrap_or_default()) {
        Phase::Successful => {
            let message = format!("Experiment \"{name}\" has successfully ran and completed.");
            say("Progressing", "False", "ExperimentCompleted", message)
        }
        Phase::Failed | Phase::Error | Phase::Inconclusive => {
            let message = format!("Experiment \"{name}\" has ended: {}", status.message.clone().unwrap_or_default());
            say("Progressing", "False", "ExperimentCompleted", message)
        }
        Phase::Running if !has_moved => {
            say("Progressing", "True", "NewReplicaSetAvailable", format!("Experiment \"{name}\" is running."))
        }
        Phase::Running | Phase::Pending => {
            say("Progressing", "True", "ReplicaSetUpdated", format!("Experiment \"{name}\" is progressing."))
        }
    };
    let mut conditions = others(&before);
    conditions.push(merge(&before.conditions, statement, observed.now));
    conditions
}

/// The conditions of an Experiment whose spec is refused.
pub(super) fn invalid(observed: &Observed, message: String) -> Vec<Condition> {
    let before = observed.experiment.status.clone().unwrap_or_default();
    let old = before.conditions.iter().find(|condition| condition.kind == INVALID);
    let condition = match old.filter(|old| old.message == message) {
        Some(old) => old.clone(),
        None => merge(&[], say(INVALID, "True", INVALID, message), observed.now),
    };
    let mut conditions: Vec<Condition> = before.conditions.into_iter().filter(|c| c.kind != INVALID).collect();
    conditions.push(condition);
    conditions
}

/// Conditions that are not ours.
fn others(before: &ExperimentStatus) -> Vec<Condition> {
    before.conditions.iter().filter(|c| c.kind != INVALID && c.kind != "Progressing").cloned().collect()
}
