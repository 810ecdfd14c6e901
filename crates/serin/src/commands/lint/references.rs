//! Tells a reference that leads out of the files from a wrong one.

use serin_core::field_error::FieldError;
use serin_core::rollout::Observed;
use serin_core::rollout::observed::Found;

/// An object that is referred to and is not among the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    kind: String,
    name: String,
}

/// Everything that a Rollout refers to and that is not among the files.
pub(super) fn missing(observed: &Observed) -> Vec<Missing> {
    let mut all = Vec::new();
    let mut add = |kind: &str, name: &str| all.push(Missing { kind: kind.to_owned(), name: name.to_owned() });
    let spec = &observed.rollout.spec;
    if let (Some(Found::Missing), Some(reference)) = (&observed.workload, &spec.workload_ref) {
        let kind = reference.kind.as_deref().unwrap_or("workload");
        add(kind, reference.name.as_deref().unwrap_or_default());
    }
    for (name, _) in observed.services.iter().filter(|(_, found)| **found == Found::Missing) {
        add("Service", name);
    }
    for (key, _) in observed.virtual_services.iter().filter(|(_, found)| **found == Found::Missing) {
        add("VirtualService", &key.name);
    }
    let routing = spec.strategy.canary.as_ref().and_then(|canary| canary.traffic_routing.as_ref());
    let rule = routing.and_then(|routing| routing.istio.as_ref()).and_then(|istio| istio.destination_rule.as_ref());
    if let (Some(Found::Missing), Some(rule)) = (&observed.destination_rule, rule) {
        add("DestinationRule", &rule.name);
    }
    for (key, _) in observed.templates.iter().filter(|(_, found)| **found == Found::Missing) {
        add(if key.cluster_scope { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" }, &key.name);
    }
    all
}

/// The missing object that an error is about, if it is about one.
pub(super) fn about<'m>(error: &FieldError, missing: &'m [Missing]) -> Option<&'m Missing> {
    let message = &error.message;
    if !message.ends_with("not found") && !message.ends_with("does not exist") {
        return None;
    }
    missing.iter().find(|missing| {
        let Missing { kind, name } = missing;
        message.contains(&format!("{name:?} not found")) || message.starts_with(&format!("{kind} `{name}`"))
    })
}

impl Missing {
    /// What to tell people.
    pub(super) fn message(&self) -> String {
        format!("{} {} is not in these files; what depends on it was not checked", self.kind, self.name)
    }
}
