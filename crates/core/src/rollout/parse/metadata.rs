//! Ephemeral metadata: what pods carry while they have a role.

use std::collections::BTreeMap;

use serin_api::PodTemplateMetadata;
use serin_api::labels::POD_TEMPLATE_HASH;

use super::report::Report;
use super::selector;
use super::workload::Workload;

/// Labels and annotations of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Labels by key.
    pub labels: BTreeMap<String, String>,
    /// Annotations by key.
    pub annotations: BTreeMap<String, String>,
}

impl Metadata {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty()
    }
}

impl From<Option<&PodTemplateMetadata>> for Metadata {
    fn from(wire: Option<&PodTemplateMetadata>) -> Self {
        let wire = wire.cloned().unwrap_or_default();
        Metadata { labels: wire.labels, annotations: wire.annotations }
    }
}

/// Refuses labels that the controller sets, and labels that would take pods away from their ReplicaSet.
pub(super) fn check(roles: &[(&str, &Metadata)], workload: &Workload, report: &mut Report) {
    for (name, metadata) in roles {
        let field = format!("{name}.labels");
        if metadata.labels.contains_key(POD_TEMPLATE_HASH) {
            report.forbidden(format!("{field}[{POD_TEMPLATE_HASH}]"), "the controller sets this label; remove it");
        }
        let mut labels = workload.labels();
        let matched_before = selector::matches(&workload.selector, &labels) == Ok(true);
        labels.extend(metadata.labels.clone());
        if matched_before && selector::matches(&workload.selector, &labels) == Ok(false) {
            let detail = "pods with these labels would not match spec.selector any more; use other keys";
            report.forbidden(field, detail);
        }
    }
}
