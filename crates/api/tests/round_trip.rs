//! What is read is written again: every field of every kind, and manifests as teams write them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serin_api::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Experiment, Rollout, crds, decode};

/// Reads `manifest` as `T` without a loss, and writes the same again.
fn check<T: DeserializeOwned + Serialize>(case: &str, manifest: &Value) -> T {
    let decoded = decode::<T>(manifest.clone()).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(decoded.dropped, [], "{case}");
    let written = serde_json::to_value(&decoded.object).expect("all kinds can be written");
    assert_eq!(differences("", manifest, &written), Vec::<String>::new(), "{case}");
    decoded.object
}

/// Where two values differ, one line each.
fn differences(path: &str, expected: &Value, found: &Value) -> Vec<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let keys: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
            keys.into_iter()
                .flat_map(|key| {
                    let of = |side: &serde_json::Map<String, Value>| side.get(key).cloned().unwrap_or_default();
                    differences(&format!("{path}.{key}"), &of(expected), &of(found))
                })
                .collect()
        }
        (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => expected
            .iter()
            .zip(found)
            .enumerate()
            .flat_map(|(index, (expected, found))| differences(&format!("{path}[{index}]"), expected, found))
            .collect(),
        _ if expected == found => Vec::new(),
        _ => vec![format!("{path} was {expected} and became {found}")],
    }
}

/// The properties of a schema that `value` does not use.
fn unused(path: &str, schema: &Value, value: &Value) -> Vec<String> {
    if let Some(items) = schema.get("items") {
        return unused(path, items, &value[0]);
    }
    let Some(properties) = schema["properties"].as_object() else {
        return Vec::new();
    };
    // Pod templates are raw and belong to Kubernetes.
    if path.ends_with(".template") || path.ends_with(".job.spec") {
        return Vec::new();
    }
    properties
        .iter()
        .flat_map(|(name, property)| match value.get(name) {
            Some(value) => unused(&format!("{path}.{name}"), property, value),
            None => vec![format!("{path}.{name}")],
        })
        .collect()
}

#[test]
fn every_field_of_every_kind_survives() {
    let kitchen_sinks = [
        ("Rollout", include_str!("kitchen_sink/rollout.json")),
        ("AnalysisTemplate", include_str!("kitchen_sink/analysis_template.json")),
        ("AnalysisRun", include_str!("kitchen_sink/analysis_run.json")),
        ("Experiment", include_str!("kitchen_sink/experiment.json")),
    ];
    for (kind, text) in kitchen_sinks {
        let manifest: Value = serde_json::from_str(text).unwrap();
        match kind {
            "Rollout" => drop(check::<Rollout>(kind, &manifest)),
            "AnalysisTemplate" => drop(check::<AnalysisTemplate>(kind, &manifest)),
            "AnalysisRun" => drop(check::<AnalysisRun>(kind, &manifest)),
            _ => drop(check::<Experiment>(kind, &manifest)),
        }
        let definition = crds().iter().find(|crd| crd.spec.names.kind == kind).unwrap();
        let schema = definition.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        let schema = serde_json::to_value(schema).unwrap();
        assert_eq!(unused(kind, &schema, &manifest), Vec::<String>::new(), "the kitchen sink misses fields");
    }
}

#[test]
fn both_kinds_of_template_have_the_same_spec() {
    let mut manifest: Value = serde_json::from_str(include_str!("kitchen_sink/analysis_template.json")).unwrap();
    let template: AnalysisTemplate = check("a template", &manifest);
    manifest["kind"] = json!("ClusterAnalysisTemplate");
    manifest["metadata"].as_object_mut().unwrap().remove("namespace");
    let cluster_template: ClusterAnalysisTemplate = check("a template for all namespaces", &manifest);
    assert_eq!(cluster_template.spec.0, template.spec);
}

#[test]
fn a_canary_by_subsets_of_an_existing_deployment_survives() {
    let role = |role: &str| json!({ "labels": { "version": role }, "annotations": { "version": role } });
    let rollout: Rollout = check(
        "a Rollout that takes its template from a Deployment",
        &json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": { "name": "reviews-rollout" },
            "spec": {
                "replicas": 5,
                "selector": { "matchLabels": { "app": "reviews" } },
                "workloadRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "reviews" },
                "strategy": { "canary": {
                    "analysis": {
                        "templates": [{ "templateName": "apdex" }],
                        "startingStep": 2,
                        "args": [{ "name": "service-name", "value": "canary|reviews|bookinfo|cluster-1|-" }],
                    },
                    "canaryMetadata": role("canary"),
                    "stableMetadata": role("stable"),
                    "trafficRouting": { "istio": {
                        "virtualService": { "name": "reviews" },
                        "destinationRule": {
                            "name": "reviews",
                            "canarySubsetName": "canary",
                            "stableSubsetName": "stable",
                        },
                    } },
                    "steps": [
                        { "setWeight": 10 },
                        { "pause": { "duration": "10m" } },
                        { "setWeight": 20 },
                        { "pause": { "duration": 300 } },
                        { "pause": {} },
                    ],
                } },
            },
        }),
    );
    let canary = rollout.spec.strategy.canary.unwrap();
    assert_eq!(canary.steps[0].set_weight, Some(10));
    assert_eq!(canary.steps[3].pause.as_ref().unwrap().duration, Some(300.into()));
    assert_eq!(canary.steps[4].pause.as_ref().unwrap().duration, None);
    assert_eq!(canary.analysis.unwrap().starting_step, Some(2));
    assert_eq!(canary.traffic_routing.unwrap().istio.unwrap().virtual_service.unwrap().name, "reviews");
}

#[test]
fn a_template_that_asks_skywalking_survives() {
    let template: AnalysisTemplate = check(
        "an AnalysisTemplate",
        &json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AnalysisTemplate",
            "metadata": { "name": "apdex" },
            "spec": {
                "args": [{ "name": "service-name" }],
                "metrics": [{
                    "name": "apdex",
                    "interval": "5m",
                    "successCondition": "all(result.apdex.values.values, {asFloat(.value) >= 9900})",
                    "failureLimit": 3,
                    "provider": { "skywalking": {
                        "interval": "3m",
                        "address": "http://oap.istio-system:12800",
                        "query": "query q($duration: Duration!) {\n  apdex: readMetricsValues(duration: $duration)\n}\n",
                    } },
                }],
            },
        }),
    );
    let metric = &template.spec.metrics[0];
    assert_eq!(metric.failure_limit.as_ref().and_then(serin_api::IntOrString::as_int), Some(3));
    assert_eq!(metric.provider.skywalking.as_ref().unwrap().interval.as_deref(), Some("3m"));
}

#[test]
fn a_status_is_written_as_clients_expect_it() {
    let status = json!({
        "canary": { "weights": { "canary": { "weight": 0 }, "stable": { "weight": 100 } } },
        "blueGreen": {},
        "observedGeneration": "12",
        "HPAReplicas": 5,
        "stableRS": "6b56c8cdb4",
        "currentStepIndex": 0,
        "pauseConditions": [{ "reason": "CanaryPauseStep", "startTime": "2026-01-31T12:00:00Z" }],
        "controllerPause": true,
    });
    let mut rollout: Rollout = check(
        "weights of zero are written, and so are empty parts of strategies",
        &json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Rollout",
            "metadata": { "name": "web" },
            "spec": { "strategy": {} },
            "status": status,
        }),
    );
    let status = rollout.status.as_mut().unwrap();
    status.controller_pause = false;
    status.pause_conditions.clear();
    let written = serde_json::to_value(status).unwrap();
    assert_eq!(written.get("controllerPause"), None, "false is left out");
    assert_eq!(written.get("pauseConditions"), None, "an empty list is left out");
}

#[test]
fn the_steps_are_written_in_the_order_of_the_step_hash() {
    let rollout = json!({
        "metadata": { "name": "web" },
        "spec": { "strategy": { "canary": { "steps": [
            { "experiment": { "duration": "1m", "templates": [{ "weight": 1, "specRef": "canary", "name": "a" }] } },
            { "setMirrorRoute": { "percentage": 5, "name": "m", "match": [{ "path": { "exact": "/" } }] } },
        ] } } },
    });
    let canary = decode::<Rollout>(rollout).unwrap().object.spec.strategy.canary.unwrap();
    assert_eq!(
        serde_json::to_string(&canary.steps).unwrap(),
        concat!(
            r#"[{"experiment":{"templates":[{"name":"a","specRef":"canary","metadata":{},"weight":1}],"#,
            r#""duration":"1m","analysisRunMetadata":{}}},"#,
            r#"{"setMirrorRoute":{"name":"m","match":[{"path":{"exact":"/"}}],"percentage":5}}]"#,
        ),
    );
}
