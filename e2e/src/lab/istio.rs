//! istiod and the ingress gateway, by the manifests that `istioctl` made.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::layout::Layout;
use super::{forward, kubectl};

const READY: Duration = Duration::from_secs(90);

/// What `istioctl` is asked for.
pub const OPERATOR: &str = include_str!("../../manifests/istio-operator.yaml");

/// The manifests that it makes of it.
#[must_use]
pub fn manifests(layout: &Layout) -> PathBuf {
    layout.parts().join("istio.yaml")
}

/// Applies the manifests.
///
/// # Errors
/// If the API server refuses them.
pub fn apply(layout: &Layout) -> Result<()> {
    let file = manifests(layout);
    let text = fs::read_to_string(&file)
        .with_context(|| format!("failed to read {}: run `serin-e2e build mesh` first", file.display()))?;
    kubectl::apply(layout, "{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}")?;
    // Objects of a definition that is in the same text fail until the API server serves it.
    if kubectl::apply(layout, &text).is_err() {
        kubectl::apply(layout, &text)?;
    }
    forward::start(layout, forward::GATEWAY)
}

/// Waits for istiod, then for the gateway, which gets its configuration from there.
///
/// # Errors
/// If one is not ready in time.
pub fn wait(layout: &Layout) -> Result<()> {
    kubectl::wait_for_deployment(layout, "istio-system", "istiod", READY)?;
    kubectl::wait_for_deployment(layout, "istio-system", "istio-ingressgateway", READY)?;
    forward::expect_alive(layout, forward::GATEWAY)
}
