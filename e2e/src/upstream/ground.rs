//! The cluster that the suite expects: a node for any pod, the kinds of Serin and of Istio, and a namespace for the controller.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::lab::layout::{Layout, repository};
use crate::lab::parts::{self, Part};
use crate::lab::{kubectl, simulated, stages, start};

/// Where the controller has its lease and its configuration.
pub(super) const NAMESPACE: &str = "argo-rollouts";

/// Starts what of it does not run.
///
/// # Errors
/// If something does not start, or there is another node than the simulated one.
pub(super) fn start(layout: &Layout) -> Result<()> {
    start::start(layout, &parts::chosen(&[Part::Simulated], &[])?)?;
    let nodes = kubectl::run(layout, &["get", "nodes", "--output=name"])?;
    ensure!(
        nodes.trim() == "node/simulated-1",
        "the suite needs simulated pods only, but there are {}: run `serin-e2e stop --wipe` first",
        nodes.split_whitespace().collect::<Vec<_>>().join(", ")
    );
    Ok(())
}

/// Lets any pod go to the simulated node, and applies the kinds: ours, and those that the suite's manifests bring for other
/// projects. Whatever comes of it, [`leave`] has to follow.
///
/// # Errors
/// If something is refused.
pub(super) fn prepare(layout: &Layout, manifests: &Path) -> Result<()> {
    // The suite's pods tolerate nothing.
    simulated::open(layout)?;
    for folder in [repository().join("crds"), manifests.join("crds")] {
        apply_all(layout, &folder)?;
    }
    let wait = ["wait", "--for=condition=Established", "customresourcedefinitions", "--all", "--timeout=60s"];
    kubectl::run(layout, &wait)?;
    kubectl::apply(layout, &format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}"))
}

/// Gives the simulated node its taint back, and its pods the time that they usually take to start.
///
/// # Errors
/// If the API server refuses, or kwok cannot be started again.
pub(super) fn leave(layout: &Layout) -> Result<()> {
    let closed = simulated::close(layout);
    simulated::set_pod_start(layout, stages::START)?;
    closed
}

fn apply_all(layout: &Layout, folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to list {}", folder.display()))?;
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.extension().is_some_and(|it| it == "yaml") {
            let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
            kubectl::apply(layout, &text).with_context(|| format!("failed to apply {}", path.display()))?;
        }
    }
    Ok(())
}
