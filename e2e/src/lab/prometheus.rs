//! Prometheus in a pod, which scrapes every proxy and gives Envoy's numbers Istio's names.

use std::time::Duration;

use anyhow::Result;

use super::command::until;
use super::layout::Layout;
use super::{forward, http, kubectl};

const MANIFESTS: &str = include_str!("../../manifests/prometheus.yaml");
const READY: Duration = Duration::from_secs(60);

/// What a namespace needs so that its proxies are scraped: a Service that lists them. Prometheus looks only into the namespaces
/// that its configuration names.
pub const PROXIES: &str = include_str!("../../manifests/proxies.yaml");

/// Applies its manifests.
///
/// # Errors
/// If the API server refuses them.
pub fn apply(layout: &Layout) -> Result<()> {
    kubectl::apply(layout, MANIFESTS)?;
    forward::start(layout, forward::PROMETHEUS)
}

/// Waits until it answers queries on the host.
///
/// # Errors
/// If it does not in time.
pub fn wait(layout: &Layout) -> Result<()> {
    kubectl::wait_for_deployment(layout, "istio-system", "prometheus", READY)?;
    until("Prometheus answers on the host", READY, || {
        forward::expect_alive(layout, forward::PROMETHEUS)?;
        Ok(http::is_ok(forward::PROMETHEUS.host_port, "/-/ready"))
    })
}
