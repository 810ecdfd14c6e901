//! AnalysisRuns and Experiments of the past: how many are kept.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serin_api::labels;

use crate::analysis::phase::Phase;
use crate::plan::{Effect, Planned};

use super::experiments;
use super::run_object::RunKind;
use super::runs::{self, slot};
use super::scene::Scene;
use super::state::State;

/// Something that is over, and that nobody needs any more.
struct Past<'s> {
    created: Option<DateTime<Utc>>,
    name: &'s str,
    uid: Option<String>,
    labels: Option<&'s BTreeMap<String, String>>,
    phase: Phase,
}

/// Deletes finished runs and Experiments whose revision is gone, and the oldest ones beyond the limits of `spec.analysis`.
pub(crate) fn clear_away(scene: &Scene<'_>, state: &State) -> Vec<Planned> {
    let runs = beyond_limits(scene, past_runs(scene, state))
        .into_iter()
        .filter_map(|run| Some(Effect::DeleteAnalysisRun { name: run.name.to_owned(), uid: run.uid? }));
    let experiments = beyond_limits(scene, past_experiments(scene, state)).into_iter().filter_map(|experiment| {
        Some(Effect::DeleteExperiment { name: experiment.name.to_owned(), uid: experiment.uid? })
    });
    runs.chain(experiments).map(|effect| Planned { effect, event: None }).collect()
}

fn past_runs<'s>(scene: &'s Scene<'_>, state: &State) -> Vec<Past<'s>> {
    let is_current = |name: &str| {
        RunKind::ALL.into_iter().filter_map(|kind| slot(state, kind).as_ref()).any(|current| current.name == name)
    };
    let runs = scene.observed.analysis_runs.iter().filter(|run| run.metadata.deletion_timestamp.is_none());
    let past = runs.map(|run| Past {
        created: run.metadata.creation_timestamp.as_ref().map(|time| serin_api::Time::from(time).0),
        name: runs::name(run),
        uid: run.metadata.uid.clone(),
        labels: run.metadata.labels.as_ref(),
        phase: Phase::of(&runs::report(run).0),
    });
    past.filter(|run| run.phase.completed() && !is_current(run.name)).collect()
}

/// An Experiment takes its pods and Services with it, and so stays for as long as it has any, or a route may send requests
/// there.
fn past_experiments<'s>(scene: &'s Scene<'_>, state: &State) -> Vec<Past<'s>> {
    let carries = |name: &String| scene.mesh.as_ref().is_some_and(|mesh| mesh.share_of(name) > 0);
    let all = scene.observed.experiments.iter().filter(|experiment| {
        let has_pods = experiment.status.iter().flat_map(|s| &s.template_statuses).any(|t| t.replicas > 0);
        let is_current = state.experiment.as_deref() == Some(experiments::name(experiment));
        let in_use = has_pods || experiments::services(experiment).iter().any(carries);
        !is_current && !in_use && experiment.metadata.deletion_timestamp.is_none()
    });
    let past = all.map(|experiment| Past {
        created: experiment.metadata.creation_timestamp.as_ref().map(|time| serin_api::Time::from(time).0),
        name: experiments::name(experiment),
        uid: experiment.metadata.uid.clone(),
        labels: experiment.metadata.labels.as_ref(),
        phase: experiments::phase(experiment),
    });
    past.filter(|experiment| experiment.phase.completed()).collect()
}

fn beyond_limits<'s>(scene: &Scene<'_>, mut past: Vec<Past<'s>>) -> Vec<Past<'s>> {
    past.sort_by_key(|one| (std::cmp::Reverse(one.created), one.name.to_owned()));
    let (successful_max, unsuccessful_max) = scene.spec.analysis_history;
    let (mut successful, mut unsuccessful) = (0, 0);
    past.retain(|one| {
        let (kept, kept_max) = if one.phase == Phase::Successful {
            (&mut successful, successful_max)
        } else {
            (&mut unsuccessful, unsuccessful_max)
        };
        let is_kept = *kept < kept_max && has_revision(scene, one);
        *kept += i32::from(is_kept);
        !is_kept
    });
    past
}

/// Whether the ReplicaSet that it was about still exists.
fn has_revision(scene: &Scene<'_>, one: &Past<'_>) -> bool {
    let hash = one.labels.and_then(|all| all.get(labels::POD_TEMPLATE_HASH));
    hash.is_some_and(|hash| scene.by_hash(hash).is_some())
}
