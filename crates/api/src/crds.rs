//! The CustomResourceDefinitions, made from the types and finished as an API server wants them.

mod pod_template;
mod schema;

use std::sync::OnceLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{CustomResourceDefinition, JSONSchemaProps};
use kube_core::CustomResourceExt;
use serde_json::{Value, json};

use crate::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Experiment, Rollout};

/// The definitions of our five kinds, as they are applied to a cluster.
///
/// They accept every manifest that the definitions of Argo Rollouts accept, because malformed specs must be storable to
/// be reported. Each is small enough for a plain `kubectl apply`, which stores the whole object in an annotation.
///
/// Making them takes a moment, so it is done once in a process.
pub fn crds() -> &'static [CustomResourceDefinition] {
    static MADE: OnceLock<[CustomResourceDefinition; 5]> = OnceLock::new();
    MADE.get_or_init(|| {
        [
            finish(Rollout::crd()),
            finish(AnalysisTemplate::crd()),
            finish(ClusterAnalysisTemplate::crd()),
            finish(AnalysisRun::crd()),
            finish(Experiment::crd()),
        ]
    })
}

/// Fields that must be given inside an object, by the name of the property that holds the object or the list of them,
/// wherever the object has all of these fields.
///
/// Only what Argo Rollouts requires too, and only in specs: a status must always be storable.
const REQUIRED: [(&str, &[&str]); 39] = [
    ("alb", &["servicePort"]),
    ("ambassador", &["mappings"]),
    ("analyses", &["name", "templateName"]),
    ("args", &["name"]),
    ("blueGreen", &["activeService"]),
    ("canaryVirtualNodeRef", &["name"]),
    ("cloudWatch", &["metricDataQueries"]),
    ("controlScope", &["region", "scope", "step"]),
    ("destinationRule", &["canarySubsetName", "name", "stableSubsetName"]),
    ("dryRun", &["metricName"]),
    ("experiment", &["templates"]),
    ("experimentScope", &["region", "scope", "step"]),
    ("fieldRef", &["fieldPath"]),
    ("headers", &["key", "value"]),
    ("job", &["spec"]),
    (
        "kayenta",
        &[
            "address",
            "application",
            "canaryConfigName",
            "configurationAccountName",
            "metricsAccountName",
            "scopes",
            "storageAccountName",
            "threshold",
        ],
    ),
    ("managedRoutes", &["name"]),
    ("match", &["headerName", "headerValue"]),
    ("measurementRetention", &["limit", "metricName"]),
    ("metrics", &["name", "provider"]),
    ("newRelic", &["query"]),
    ("pingPong", &["pingService", "pongService"]),
    ("plugin", &["name"]),
    ("preferredDuringSchedulingIgnoredDuringExecution", &["weight"]),
    ("replicaProgressThreshold", &["type", "value"]),
    ("route", &["name"]),
    ("scopes", &["controlScope", "experimentScope", "name"]),
    ("secretKeyRef", &["key", "name"]),
    ("setMirrorRoute", &["name"]),
    ("stableVirtualNodeRef", &["name"]),
    ("stickinessConfig", &["durationSeconds", "enabled"]),
    ("templates", &["name", "selector", "template"]),
    ("templates", &["name", "specRef"]),
    ("threshold", &["marginal", "pass"]),
    ("traefik", &["weightedTraefikServiceName"]),
    ("virtualNodeGroup", &["canaryVirtualNodeRef", "stableVirtualNodeRef"]),
    ("virtualService", &["name"]),
    ("virtualServices", &["name"]),
    ("web", &["url"]),
];

/// Defaults that the API server fills in, by property; the same as those of Argo Rollouts.
const DATADOG_DEFAULTS: [(&str, &str); 3] = [("apiVersion", "v1"), ("interval", "5m"), ("requestTimeout", "10s")];

/// The aggregators that Datadog knows.
const DATADOG_AGGREGATORS: [&str; 9] = ["avg", "min", "max", "sum", "last", "percentile", "mean", "l2norm", "area"];

fn finish(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let kind = definition.spec.names.kind.as_str();
    for version in &mut definition.spec.versions {
        // Clients write the status of all kinds but Rollout together with the main resource.
        if kind != "Rollout"
            && let Some(subresources) = &mut version.subresources
        {
            subresources.status = None;
        }
        if let Some(validation) = &mut version.schema
            && let Some(root) = &validation.open_api_v3_schema
        {
            validation.open_api_v3_schema = Some(finish_schema(kind, root));
        }
    }
    definition
}

fn finish_schema(kind: &str, root: &JSONSchemaProps) -> JSONSchemaProps {
    let mut root = serde_json::to_value(root).expect("a schema has only string keys");
    schema::clean(&mut root);
    for (property, json_type) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
        root["properties"][property] = json!({ "type": json_type });
    }
    let spec = &mut root["properties"]["spec"];
    schema::visit(spec, &mut finish_spec_property);
    match kind {
        "Rollout" => {
            spec["properties"]["selector"]["x-kubernetes-validations"] =
                json!([{ "rule": "self == oldSelf", "message": ".spec.selector is immutable" }]);
        }
        "AnalysisRun" => spec["required"] = json!(["metrics"]),
        "Experiment" => spec["required"] = json!(["templates"]),
        _ => {}
    }
    serde_json::from_value(root).expect("the schema is made of the keywords that the type knows")
}

/// Finishes one property of a spec and tells whether the properties in it are to be visited; `node` is its schema, or
/// that of its items if it is a list.
fn finish_spec_property(name: &str, node: &mut Value) -> bool {
    let required = REQUIRED.iter().find(|(property, fields)| {
        *property == name && fields.iter().all(|field| node["properties"].get(field).is_some())
    });
    if let Some((_, fields)) = required {
        node["required"] = json!(fields);
    }
    match name {
        "template" => *node = pod_template::pod_template(),
        "job" => {
            node["properties"]["metadata"] = pod_template::metadata();
            node["properties"]["spec"] = pod_template::job_spec();
        }
        "selector" => *node = schema::selector(),
        "datadog" => {
            for (property, default) in DATADOG_DEFAULTS {
                node["properties"][property]["default"] = json!(default);
            }
            node["properties"]["apiVersion"]["enum"] = json!(["v1", "v2"]);
            node["properties"]["aggregator"]["enum"] = json!(DATADOG_AGGREGATORS);
        }
        _ => return true,
    }
    false
}

#[cfg(test)]
mod tests;
