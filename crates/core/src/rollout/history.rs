//! AnalysisRuns of the past: how many are kept.

use std::sync::Arc;

use serin_api::{AnalysisRun, labels};

use crate::plan::{Effect, Planned};

use super::run_object::RunKind;
use super::runs::{is_complete, name, report, slot};
use super::scene::Scene;
use super::state::State;

/// Deletes finished runs whose revision is gone, and the oldest ones beyond the limits of `spec.analysis`.
pub(crate) fn clear_away(scene: &Scene<'_>, state: &State) -> Vec<Planned> {
    let mut runs: Vec<&Arc<AnalysisRun>> = scene
        .observed
        .analysis_runs
        .iter()
        .filter(|run| is_complete(run) && !is_current(state, run) && run.metadata.deletion_timestamp.is_none())
        .collect();
    runs.sort_by_key(|run| {
        let created = run.metadata.creation_timestamp.as_ref().map(|time| serin_api::Time::from(time).0);
        (std::cmp::Reverse(created), name(run).to_owned())
    });
    let (successful_max, unsuccessful_max) = scene.spec.analysis_history;
    let (mut successful, mut unsuccessful) = (0, 0);
    let mut effects = Vec::new();
    for run in runs {
        let (kept, kept_max) = if report(run).0 == "Successful" {
            (&mut successful, successful_max)
        } else {
            (&mut unsuccessful, unsuccessful_max)
        };
        if *kept < kept_max && has_revision(scene, run) {
            *kept += 1;
        } else if let Some(uid) = run.metadata.uid.clone() {
            effects
                .push(Planned { effect: Effect::DeleteAnalysisRun { name: name(run).to_owned(), uid }, event: None });
        }
    }
    effects
}

fn is_current(state: &State, run: &AnalysisRun) -> bool {
    RunKind::ALL.into_iter().filter_map(|kind| slot(state, kind).as_ref()).any(|current| current.name == name(run))
}

/// Whether the ReplicaSet that a run was about still exists.
fn has_revision(scene: &Scene<'_>, run: &AnalysisRun) -> bool {
    let hash = run.metadata.labels.as_ref().and_then(|all| all.get(labels::POD_TEMPLATE_HASH));
    hash.is_some_and(|hash| scene.by_hash(hash).is_some())
}
