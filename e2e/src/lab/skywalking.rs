//! A SkyWalking server in a pod, where the product's example looks for it.

use std::time::Duration;

use anyhow::Result;

use super::kubectl;
use super::layout::Layout;

const MANIFESTS: &str = include_str!("../../manifests/skywalking.yaml");

/// Applies its manifests.
///
/// # Errors
/// If the API server refuses them.
pub fn apply(layout: &Layout) -> Result<()> {
    kubectl::apply(layout, "{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}")?;
    kubectl::apply(layout, MANIFESTS)
}

/// Waits until it answers.
///
/// # Errors
/// If it does not in time.
pub fn wait(layout: &Layout) -> Result<()> {
    kubectl::wait_for_deployment(layout, "istio-system", "oap", Duration::from_secs(120))
}
