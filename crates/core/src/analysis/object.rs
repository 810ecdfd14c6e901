//! An AnalysisRun as an object to create, out of its templates and what whoever starts it adds.

use serde_json::{Value, json};
use serin_api::{AnalysisRunMetadata, Argument, DryRun, MeasurementRetention, labels};

use super::sample::Semantics;
use super::template::Flat;

/// What a run has that its templates do not say.
#[derive(Debug)]
pub(crate) struct Own<'a> {
    pub(crate) name: &'a str,
    pub(crate) namespace: Option<&'a str>,
    /// The owner reference of whoever starts it.
    pub(crate) owner: Value,
    /// Labels and annotations, those that the starter is known by among them.
    pub(crate) metadata: AnalysisRunMetadata,
    /// Rules that go beside those of the templates.
    pub(crate) dry_run: &'a [DryRun],
    pub(crate) retention: &'a [MeasurementRetention],
    /// The rules for absent data where no template asks for any.
    pub(crate) semantics: Semantics,
}

/// The object; `args` have their values.
pub(crate) fn object(flat: Flat, args: &[Argument], own: Own<'_>) -> Value {
    let (mut dry_run, mut retention) = (flat.dry_run, flat.measurement_retention);
    dry_run.extend_from_slice(own.dry_run);
    retention.extend_from_slice(own.retention);
    let mut annotations = own.metadata.annotations;
    if flat.semantics.unwrap_or(own.semantics) == Semantics::Argo {
        annotations.insert(labels::ANALYSIS_SEMANTICS.to_owned(), labels::ANALYSIS_SEMANTICS_ARGO.to_owned());
    }
    json!({
        "apiVersion": labels::API_VERSION,
        "kind": "AnalysisRun",
        "metadata": {
            "name": own.name,
            "namespace": own.namespace,
            "labels": own.metadata.labels,
            "annotations": annotations,
            "ownerReferences": [own.owner],
        },
        "spec": {
            "metrics": flat.metrics,
            "args": args,
            "dryRun": dry_run,
            "measurementRetention": retention,
        },
    })
}
