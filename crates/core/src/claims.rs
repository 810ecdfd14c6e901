//! What another instance of the controller began: whoever serves an object has what it owns, too.

use std::collections::BTreeMap;
use std::sync::Arc;

use serin_api::{AnalysisRun, Experiment, labels};

use crate::analysis::phase::Phase;
use crate::plan::{Effect, Planned};
use crate::rollout::observed::Settings;

/// Takes over the AnalysisRuns under way that another instance began: nobody measures for them otherwise.
pub(crate) fn of_runs(runs: &[Arc<AnalysisRun>], settings: &Settings) -> Vec<Planned> {
    let open = runs.iter().filter(|run| {
        let phase = run.status.as_ref().map_or(Phase::Pending, |status| Phase::of(&status.phase));
        !phase.completed()
            && run.metadata.deletion_timestamp.is_none()
            && is_foreign(run.metadata.labels.as_ref(), settings)
    });
    open.filter_map(|run| {
        let (name, uid) = (run.metadata.name.clone()?, run.metadata.uid.clone()?);
        let instance = settings.instance_id.clone();
        Some(Planned { effect: Effect::ClaimAnalysisRun { name, uid, instance }, event: None })
    })
    .collect()
}

/// Takes over the Experiments under way that another instance began, and those that still have pods to remove.
pub(crate) fn of_experiments(experiments: &[Arc<Experiment>], settings: &Settings) -> Vec<Planned> {
    let open = experiments.iter().filter(|experiment| {
        !is_done(experiment)
            && experiment.metadata.deletion_timestamp.is_none()
            && is_foreign(experiment.metadata.labels.as_ref(), settings)
    });
    open.filter_map(|experiment| {
        let (name, uid) = (experiment.metadata.name.clone()?, experiment.metadata.uid.clone()?);
        let instance = settings.instance_id.clone();
        Some(Planned { effect: Effect::ClaimExperiment { name, uid, instance }, event: None })
    })
    .collect()
}

fn is_done(experiment: &Experiment) -> bool {
    let Some(status) = &experiment.status else { return false };
    let is_over = Phase::of(status.phase.as_deref().unwrap_or_default()).completed();
    is_over && status.template_statuses.iter().all(|template| template.replicas == 0)
}

fn is_foreign(all: Option<&BTreeMap<String, String>>, settings: &Settings) -> bool {
    all.and_then(|all| all.get(labels::INSTANCE_ID)) != settings.instance_id.as_ref()
}
