//! Manifests with Experiments and without a Rollout: the story begins with the first pod and ends with the last Experiment.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use serin_core::analysis::phase::Phase;

use super::{AFTERMATH, End, Options, SimulateError, Summary, tell_all};
use crate::cluster::{Cluster, EXPERIMENTS, ROLLOUTS};
use crate::manifests::{Manifest, ManifestError};
use crate::stage::{Setup, StageError};
use crate::timeline::{Entry, Timeline};
use crate::world::World;

/// Whether there is an Experiment and no Rollout to begin with.
pub(super) fn are_alone(cluster: &Cluster) -> bool {
    cluster.list(&ROLLOUTS, None).is_empty() && !cluster.list(&EXPERIMENTS, None).is_empty()
}

/// Lets all Experiments run to their ends, at most to the horizon.
pub(super) async fn unfold(
    mut world: World,
    (options, setup): (&Options, Setup),
    timeline: &Timeline,
    tell: &mut dyn FnMut(&Entry),
) -> Result<Summary, SimulateError> {
    if options.set_image.is_some() {
        let why = "there is no Rollout among the manifests; an Experiment runs the images of its templates";
        return Err(SimulateError::SetImage(why.to_owned()));
    }
    let began = world.now();
    world.settle().await.map_err(StageError::from)?;
    let errors = invalid(world.cluster(), &options.manifests);
    if !errors.is_empty() {
        return Err(StageError::Invalid(errors).into());
    }
    let are_over = |world: &World| worst(world.cluster()).0.completed();
    let ended = world.run_until(began + options.horizon, |world| {
        tell_all(timeline, tell);
        are_over(world)
    });
    if ended.await.map_err(StageError::from)? {
        let rest = world.now() + AFTERMATH;
        world.run_until(rest, |_| false).await.map_err(StageError::from)?;
    }
    tell_all(timeline, tell);
    let (phase, message) = worst(world.cluster());
    let end = match phase {
        Phase::Successful => End::Healthy,
        Phase::Inconclusive | Phase::Error | Phase::Failed => End::Aborted,
        Phase::Running | Phase::Pending => End::Waiting,
    };
    let (at, requests) = (world.now(), world.served().clone());
    Ok(Summary { end, at, began, phase: phase.to_string(), message, requests, setup, changed: None })
}

/// Phase and message of the Experiment that decides how all of them ended: one under way, else the worst.
fn worst(cluster: &Cluster) -> (Phase, String) {
    let all = cluster.list(&EXPERIMENTS, None);
    let text = |experiment: &Value, field: &str| experiment["status"][field].as_str().unwrap_or_default().to_owned();
    let phases = all.iter().map(|experiment| (Phase::of(&text(experiment, "phase")), text(experiment, "message")));
    let worst = phases.max_by_key(|(phase, _)| (!phase.completed(), *phase));
    worst.unwrap_or((Phase::Successful, String::new()))
}

/// Experiments that the controller refuses.
fn invalid(cluster: &Cluster, manifests: &[Manifest]) -> Vec<ManifestError> {
    let all = cluster.list(&EXPERIMENTS, None);
    let refused = all.iter().filter(|experiment| {
        let conditions = experiment["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|c| c["type"] == "InvalidSpec" && c["status"] == "True")
    });
    refused.map(|experiment| about(experiment, manifests)).collect()
}

fn about(experiment: &Arc<Value>, manifests: &[Manifest]) -> ManifestError {
    let name = &experiment["metadata"]["name"];
    let own = manifests.iter().find(|m| m.object["kind"] == "Experiment" && m.object["metadata"]["name"] == *name);
    let file = own.map_or_else(PathBuf::new, |manifest| manifest.file.clone());
    let message = experiment["status"]["message"].as_str().unwrap_or_default().to_owned();
    ManifestError { file, field: String::new(), message }
}
