//! A world with manifests in it: how it is set up, checked, and brought to rest before a story begins.

use std::path::PathBuf;

use chrono::TimeDelta;
use serde_json::Value;

use crate::cluster::ROLLOUTS;
use crate::manifests::{Manifest, ManifestError};
use crate::rollout_object::{is_observed, status_text};
use crate::streams::stream_to;
use crate::world::{Defect, World};

/// Requests a second that each Rollout gets.
pub const REQUESTS_PER_SECOND: f64 = 40.0;

/// How long a first deployment may take.
const FIRST_DEPLOYMENT_MAX: TimeDelta = TimeDelta::hours(1);

/// Time between the first deployment and the first request.
const OPENING: TimeDelta = TimeDelta::seconds(5);

/// Why a stage cannot be set.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Manifests that the cluster or the controller refuses; every one of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<ManifestError>),
    /// The controller did what it never should.
    #[error(transparent)]
    Defect(#[from] Defect),
}

/// What was set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Kinds that the simulated cluster stores and does nothing about, as `Kind (group/version)`.
    pub unknown_kinds: Vec<String>,
}

/// Stores the manifests, namespaces first.
///
/// Objects without a namespace go into `namespace`, or into the only Namespace among the manifests, or into `default`.
///
/// # Errors
/// Every manifest that the API server refuses.
pub fn set(world: &World, manifests: &[Manifest], namespace: Option<&str>) -> Result<Setup, StageError> {
    let namespace = namespace.map_or_else(|| only_namespace(manifests), str::to_owned);
    world.cluster().ensure_namespace(&namespace);
    let (first, rest): (Vec<&Manifest>, Vec<&Manifest>) = manifests
        .iter()
        .partition(|m| m.object["kind"] == "Namespace" || m.object["kind"] == "CustomResourceDefinition");
    let mut setup = Setup::default();
    let mut errors = Vec::new();
    for manifest in first.into_iter().chain(rest) {
        let mut object = manifest.object.clone();
        if object.pointer("/metadata/namespace").and_then(Value::as_str).is_none()
            && manifest.object["kind"] != "Namespace"
        {
            object["metadata"]["namespace"] = Value::String(namespace.clone());
        }
        match world.apply(object) {
            Ok(applied) if !applied.known => {
                let kind = format!("{} ({})", applied.kind, applied.api_version);
                if !setup.unknown_kinds.contains(&kind) {
                    setup.unknown_kinds.push(kind);
                }
            }
            Ok(_) => {}
            Err(error) => errors.push(about(manifest, error.to_string())),
        }
    }
    if errors.is_empty() { Ok(setup) } else { Err(StageError::Invalid(errors)) }
}

/// Lets everything come up; true if every Rollout became Healthy in time.
///
/// # Errors
/// Every Rollout that the controller finds invalid, or that there is none.
pub async fn bring_up(world: &mut World, manifests: &[Manifest]) -> Result<bool, StageError> {
    world.settle().await?;
    let errors = invalid_rollouts(world, manifests);
    if !errors.is_empty() {
        return Err(StageError::Invalid(errors));
    }
    let horizon = world.now() + FIRST_DEPLOYMENT_MAX;
    let is_up = world.run_until(horizon, all_healthy).await?;
    // Clients come once the mesh knows the first pods; before that nobody promised them anything.
    let opening = world.now() + OPENING;
    world.run_until(opening, |_| false).await?;
    open_streams(world);
    Ok(is_up)
}

/// Lets clients call every Rollout.
pub fn open_streams(world: &mut World) {
    let rollouts = world.cluster().list(&ROLLOUTS, None);
    let streams = rollouts.iter().filter_map(|r| stream_to(world.cluster(), r, REQUESTS_PER_SECOND)).collect();
    world.set_streams(streams);
}

/// Whether every Rollout is Healthy, and the controller has seen its present spec.
#[must_use]
pub fn all_healthy(world: &World) -> bool {
    let rollouts = world.cluster().list(&ROLLOUTS, None);
    rollouts.iter().all(|rollout| is_observed(rollout) && status_text(rollout, "phase") == "Healthy")
}

fn invalid_rollouts(world: &World, manifests: &[Manifest]) -> Vec<ManifestError> {
    let rollouts = world.cluster().list(&ROLLOUTS, None);
    if rollouts.is_empty() {
        let file = manifests.first().map(|m| m.file.clone()).unwrap_or_default();
        let message = "there is no Rollout (argoproj.io/v1alpha1) in these manifests".to_owned();
        return vec![ManifestError { file, field: String::new(), message }];
    }
    rollouts
        .iter()
        .filter_map(|rollout| {
            let message = status_text(rollout, "message").strip_prefix("InvalidSpec: ")?.to_owned();
            Some(ManifestError { file: file_of(manifests, rollout), field: String::new(), message })
        })
        .collect()
}

fn file_of(manifests: &[Manifest], object: &Value) -> PathBuf {
    let same = |m: &&Manifest| {
        m.object["kind"] == object["kind"] && m.object["metadata"]["name"] == object["metadata"]["name"]
    };
    manifests.iter().find(same).map(|m| m.file.clone()).unwrap_or_default()
}

fn about(manifest: &Manifest, message: String) -> ManifestError {
    let name = manifest.object["metadata"]["name"].as_str().unwrap_or_default();
    let kind = manifest.object["kind"].as_str().unwrap_or_default();
    ManifestError { file: manifest.file.clone(), field: format!("{kind} {name}"), message }
}

fn only_namespace(manifests: &[Manifest]) -> String {
    let mut names = manifests
        .iter()
        .filter(|m| m.object["kind"] == "Namespace")
        .filter_map(|m| m.object["metadata"]["name"].as_str());
    match (names.next(), names.next()) {
        (Some(only), None) => only.to_owned(),
        _ => "default".to_owned(),
    }
}
