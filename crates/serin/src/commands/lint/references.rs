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
        let named = message.contains(&format!("{name:?} not found")) && names_kind(&error.field, kind);
        named || message.starts_with(&format!("{kind} `{name}`"))
    })
}

/// Whether a field names an object of a kind; objects of several kinds often share one name.
fn names_kind(field: &str, kind: &str) -> bool {
    let words = [
        ("workloadRef", ["Deployment", "ReplicaSet", "PodTemplate"].as_slice()),
        ("destinationRule", &["DestinationRule"]),
        ("virtualService", &["VirtualService"]),
        ("Service", &["Service"]),
        ("templates", &["AnalysisTemplate", "ClusterAnalysisTemplate"]),
    ];
    words.iter().find(|(word, _)| field.contains(word)).is_none_or(|(_, kinds)| kinds.contains(&kind))
}

impl Missing {
    /// What to tell people.
    pub(super) fn message(&self) -> String {
        format!("{} {} is not in these files; what depends on it was not checked", self.kind, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_one_name_are_told_apart_by_the_field() {
        let missing: Vec<Missing> = ["Deployment", "VirtualService", "DestinationRule", "Service", "AnalysisTemplate"]
            .map(|kind| Missing { kind: kind.to_owned(), name: "web".to_owned() })
            .into();
        for (field, kind) in [
            ("spec.workloadRef.name", "Deployment"),
            ("spec.strategy.canary.trafficRouting.istio.virtualService.name", "VirtualService"),
            ("spec.strategy.canary.trafficRouting.istio.destinationRule.name", "DestinationRule"),
            ("spec.strategy.canary.canaryService", "Service"),
            ("spec.strategy.canary.analysis.templates[0]", "AnalysisTemplate"),
        ] {
            let error = FieldError::new(field, "Invalid value: \"web\": \"web\" not found");
            assert_eq!(about(&error, &missing).map(|missing| missing.kind.as_str()), Some(kind), "{field}");
        }
    }
}
