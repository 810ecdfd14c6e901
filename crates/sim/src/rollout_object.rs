//! The few fields of a raw Rollout that the simulation reads.

use serde_json::Value;

use crate::cluster::{DEPLOYMENTS, POD_TEMPLATES, REPLICA_SETS, Resource};

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

/// Where the pod template of a Rollout is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Workload<'r> {
    /// Kind of the object.
    pub(crate) resource: &'static Resource,
    /// Its name, in the Rollout's namespace.
    pub(crate) name: &'r str,
    /// JSON pointer to the template in it.
    pub(crate) template: &'static str,
}

/// The object that a Rollout refers to.
pub(crate) fn workload(rollout: &Value) -> Option<Workload<'_>> {
    let reference = rollout.pointer("/spec/workloadRef")?;
    let (resource, template) = match reference["kind"].as_str()? {
        "Deployment" => (&DEPLOYMENTS, "/spec/template"),
        "ReplicaSet" => (&REPLICA_SETS, "/spec/template"),
        "PodTemplate" => (&POD_TEMPLATES, "/template"),
        _ => return None,
    };
    Some(Workload { resource, name: reference["name"].as_str()?, template })
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
