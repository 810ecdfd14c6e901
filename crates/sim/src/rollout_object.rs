//! The few fields of a raw Rollout that the simulation reads.

use serde_json::Value;

/// Namespace and name of each VirtualService that a Rollout of `namespace` steps.
pub(crate) fn routes_of(rollout: &Value, namespace: &str) -> Vec<(String, String)> {
    let Some(istio) = rollout.pointer("/spec/strategy/canary/trafficRouting/istio") else { return Vec::new() };
    let several = istio["virtualServices"].as_array().into_iter().flatten();
    std::iter::once(&istio["virtualService"])
        .chain(several)
        .filter_map(|reference| reference["name"].as_str())
        .filter_map(|name| serin_core::istio::reference::virtual_service(name, namespace).ok())
        .map(|key| (key.namespace, key.name))
        .collect()
}

/// Name of the Deployment that a Rollout refers to.
pub(crate) fn workload_name(rollout: &Value) -> Option<&str> {
    let reference = rollout.pointer("/spec/workloadRef")?;
    reference["kind"].as_str().filter(|kind| *kind == "Deployment")?;
    reference["name"].as_str()
}

/// A text field of the status; empty if it is not there.
pub(crate) fn status_text<'r>(rollout: &'r Value, field: &str) -> &'r str {
    rollout["status"][field].as_str().unwrap_or_default()
}

/// Whether the controller has seen the present spec.
pub(crate) fn is_observed(rollout: &Value) -> bool {
    let generation = rollout["metadata"]["generation"].as_i64().unwrap_or_default().to_string();
    status_text(rollout, "observedGeneration") == generation
}
