//! What happened in one reconcile: for whoever draws a timeline, and for the log.

use chrono::{DateTime, Utc};
use serin_api::ExperimentStatus;
use serin_core::rollout;

use crate::change::Key;
use crate::decision::Decision;
use crate::error::Error;
use crate::execute::{Outcome, Report};

/// One reconcile, from what was seen to what came of it.
#[derive(Debug)]
pub struct Record<'a> {
    /// The moment of the observation.
    pub at: DateTime<Utc>,
    /// What was seen and decided.
    pub decision: &'a Decision,
    /// What came of it.
    pub report: &'a Report,
}

/// Somebody who wants to know of every reconcile, such as a live view or a simulator.
pub trait Observer: Send + Sync {
    /// Called after each reconcile, in order for each key. Must not block.
    fn reconciled(&self, key: &Key, record: &Record<'_>);

    /// Called when a decision broke down, which is a defect; a test wants to fail then.
    fn broke_down(&self, key: &Key, error: &Error) {
        let _ = (key, error);
    }
}

/// Logs a reconcile: at info what a person would call an event, at debug the rest.
pub(crate) fn log(key: &Key, record: &Record<'_>) {
    for error in record.report.failures() {
        tracing::warn!(%key, %error, "a write failed; trying again");
    }
    match &record.report.outcome {
        Outcome::Done | Outcome::Failed(_) => {}
        Outcome::Conflict { operation } => {
            tracing::debug!(%key, %operation, "somebody else wrote first; observing again");
        }
        Outcome::Fenced => {
            tracing::warn!(%key, "not the leader any more; nothing further was written");
        }
    }
    for written in &record.report.writes {
        tracing::debug!(%key, verb = written.verb, kind = %written.kind, name = %written.name, "written");
    }
    match record.decision {
        Decision::Rollout { observed, plan } => log_rollout(key, observed, plan, record.report),
        Decision::Experiment { observed, plan } => {
            let old = observed.experiment.status.as_ref().and_then(|status| status.phase.as_ref());
            let phase = |new: &&ExperimentStatus| record.report.status_written && new.phase.as_ref() != old;
            if let Some(new) = plan.status.as_ref().filter(phase) {
                let name = key.object();
                let message = new.message.as_deref().unwrap_or_default();
                let phase = new.phase.as_deref().unwrap_or_default();
                tracing::info!(namespace = %name.namespace, experiment = %name.name, phase, message, "experiment");
            }
        }
        Decision::AnalysisRun { observed, plan } => {
            let old = observed.run.status.as_ref().map_or("", |status| &status.phase);
            if let Some(new) = plan.status.as_ref().filter(|new| record.report.status_written && new.phase != old) {
                let name = key.object();
                let message = new.message.as_deref().unwrap_or_default();
                tracing::info!(namespace = %name.namespace, run = %name.name, phase = %new.phase, message, "analysis");
            }
        }
    }
}

fn log_rollout(key: &Key, observed: &rollout::Observed, plan: &rollout::Plan, report: &Report) {
    let Some(new) = plan.status.as_ref().filter(|_| report.status_written) else {
        return;
    };
    let old = observed.rollout.status.clone().unwrap_or_default();
    let same = (&old.phase, old.current_step_index, &old.current_pod_hash, old.abort)
        == (&new.phase, new.current_step_index, &new.current_pod_hash, new.abort);
    if same {
        return;
    }
    let name = key.object();
    tracing::info!(
        namespace = %name.namespace,
        rollout = %name.name,
        revision = new.current_pod_hash.as_deref().unwrap_or_default(),
        step = new.current_step_index,
        phase = new.phase.as_deref().unwrap_or_default(),
        message = new.message.as_deref().unwrap_or_default(),
        weight = plan.facts.weight_desired,
        hold = plan.holds.first().map(ToString::to_string),
        "rollout"
    );
}
