//! The CustomResourceDefinitions, made from the types and finished as an API server wants them.

mod pod_template;
mod schema;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube_core::CustomResourceExt;
use serde_json::{Value, json};

use crate::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Experiment, Rollout};

/// The definitions of our five kinds, as they are applied to a cluster.
///
/// They accept every manifest that the definitions of Argo Rollouts accept, because malformed specs must be storable to
/// be reported. Each is small enough for a plain `kubectl apply`, which stores the whole object in an annotation.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        finish(Rollout::crd()),
        finish(AnalysisTemplate::crd()),
        finish(ClusterAnalysisTemplate::crd()),
        finish(AnalysisRun::crd()),
        finish(Experiment::crd()),
    ]
}

/// Fields that must be given inside an object, by the name of the property that holds the object or the list of them.
///
/// Only what Argo Rollouts requires too, and only in specs: a status must always be storable.
const REQUIRED: [(&str, &[&str]); 31] = [
    ("alb", &["servicePort"]),
    ("ambassador", &["mappings"]),
    ("analyses", &["name", "templateName"]),
    ("args", &["name"]),
    ("blueGreen", &["activeService"]),
    ("canaryVirtualNodeRef", &["name"]),
    ("cloudWatch", &["metricDataQueries"]),
    ("controlScope", &["region", "scope", "step"]),
    (
        "destinationRule",
        &["canarySubsetName", "name", "stableSubsetName"],
    ),
    ("dryRun", &["metricName"]),
    ("experimentScope", &["region", "scope", "step"]),
    ("fieldRef", &["fieldPath"]),
    ("headers", &["key", "value"]),
    ("job", &["spec"]),
    ("managedRoutes", &["name"]),
    ("measurementRetention", &["limit", "metricName"]),
    ("metrics", &["name", "provider"]),
    ("newRelic", &["query"]),
    ("pingPong", &["pingService", "pongService"]),
    (
        "preferredDuringSchedulingIgnoredDuringExecution",
        &["weight"],
    ),
    ("replicaProgressThreshold", &["type", "value"]),
    ("route", &["name"]),
    ("scopes", &["controlScope", "experimentScope", "name"]),
    ("secretKeyRef", &["key", "name"]),
    ("setMirrorRoute", &["name"]),
    ("stableVirtualNodeRef", &["name"]),
    ("threshold", &["marginal", "pass"]),
    ("traefik", &["weightedTraefikServiceName"]),
    ("virtualService", &["name"]),
    ("virtualServices", &["name"]),
    ("web", &["url"]),
];

/// Defaults that the API server fills in, by property; the same as those of Argo Rollouts.
const DATADOG_DEFAULTS: [(&str, &str); 3] = [
    ("apiVersion", "v1"),
    ("interval", "5m"),
    ("requestTimeout", "10s"),
];

fn finish(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        // Clients write the status of all kinds but Rollout together with the main resource.
        if definition.spec.names.kind != "Rollout"
            && let Some(subresources) = &mut version.subresources
        {
            subresources.status = None;
        }
        if let Some(validation) = &mut version.schema
            && let Some(root) = &validation.open_api_v3_schema
        {
            validation.open_api_v3_schema = Some(finish_schema(root));
        }
    }
    definition
}

fn finish_schema(root: &JSONSchemaProps) -> JSONSchemaProps {
    let mut root = serde_json::to_value(root).expect("a schema has only string keys");
    schema::clean(&mut root);
    if let Some(spec) = root.pointer_mut("/properties/spec") {
        schema::visit(spec, &mut finish_spec_property);
        if let Some(selector) = spec.pointer_mut("/properties/selector") {
            selector["x-kubernetes-validations"] =
                json!([{ "rule": "self == oldSelf", "message": ".spec.selector is immutable" }]);
        }
        if spec
            .pointer("/properties/templates/items/properties/template")
            .is_some()
        {
            spec["properties"]["templates"]["items"]["required"] =
                json!(["name", "selector", "template"]);
        }
    }
    serde_json::from_value(root).expect("the schema is made of the keywords that the type knows")
}

/// Finishes one property of a spec; `node` is its schema, or that of its items if it is a list.
fn finish_spec_property(name: &str, node: &mut Value) {
    if let Some((_, fields)) = REQUIRED.iter().find(|(property, _)| *property == name)
        && fields
            .iter()
            .all(|field| node["properties"].get(field).is_some())
    {
        node["required"] = json!(fields);
    }
    match name {
        "template" => *node = pod_template::pod_template(),
        "job" => {
            node["properties"]["metadata"] = pod_template::metadata();
            node["properties"]["spec"] = pod_template::job_spec();
        }
        "datadog" => {
            for (property, default) in DATADOG_DEFAULTS {
                node["properties"][property]["default"] = json!(default);
            }
            node["properties"]["apiVersion"]["enum"] = json!(["v1", "v2"]);
        }
        "selector" => *node = schema::selector(),
        _ => {}
    }
}
