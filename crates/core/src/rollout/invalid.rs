//! What an invalid spec leads to: a status that names every error, and nothing else. Traffic stays where it is.

use serin_api::{Condition, RolloutStatus};

use crate::field_error::FieldError;
use crate::rollout::Plan;
use crate::rollout::observed::Observed;
use crate::rollout::parse::invalid_message;

use super::conditions::{merge, say};
use super::decide::changed;

/// The plan for a Rollout whose spec cannot be followed.
pub(crate) fn plan(observed: &Observed, errors: &[FieldError]) -> Plan {
    let before = observed.rollout.status.clone().unwrap_or_default();
    let message = invalid_message(observed.rollout.metadata.name.as_deref().unwrap_or_default(), errors);
    let mut conditions: Vec<Condition> =
        before.conditions.iter().filter(|c| c.kind != "InvalidSpec").cloned().collect();
    let mut invalid =
        merge(&before.conditions, say("InvalidSpec", "True", "InvalidSpec", message.clone()), observed.now);
    invalid.message.clone_from(&message);
    conditions.push(invalid);
    let after = RolloutStatus {
        conditions,
        observed_generation: observed.rollout.metadata.generation.map(|generation| generation.to_string()),
        phase: Some("Degraded".to_owned()),
        message: Some(format!("InvalidSpec: {message}")),
        ..before
    };
    Plan { status: changed(observed, after), ..Plan::default() }
}
