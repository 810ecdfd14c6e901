//! Which fields are lost, and which are not.

use serde_json::json;

use super::*;
use crate::{AnalysisTemplate, Experiment, Rollout, istio::VirtualService};

/// Reads `object` as `T` and expects exactly the fields of `dropped` to be left out, and the rest as in `kept`.
fn check<T: DeserializeOwned + serde::Serialize>(case: &str, object: Value, dropped: &[&str], kept: &[(&str, Value)]) {
    let decoded = decode::<T>(object).unwrap_or_else(|error| panic!("{case}: {error}"));
    let paths: Vec<_> = decoded.dropped.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, dropped, "{case}");
    let written = serde_json::to_value(&decoded.object).unwrap();
    for (pointer, expected) in kept {
        assert_eq!(written.pointer(pointer), Some(expected), "{case}: {pointer}");
    }
}

fn rollout(spec: impl Into<Value>) -> Value {
    let spec: Value = spec.into();
    json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": { "name": "web" }, "spec": spec })
}

#[test]
fn malformed_fields_cost_only_themselves() {
    check::<Rollout>(
        "a sound Rollout loses nothing",
        rollout(json!({ "replicas": 3, "strategy": { "canary": { "steps": [{ "setWeight": 10 }] } } })),
        &[],
        &[("/spec/replicas", json!(3))],
    );
    check::<Rollout>(
        "a word as a weight leaves the other steps, and its own place, as they are",
        rollout(json!({ "strategy": { "canary": { "steps": [
            { "setWeight": 10 }, { "setWeight": "x" }, { "pause": { "duration": "5m" } },
        ] } } })),
        &["spec.strategy.canary.steps[1].setWeight"],
        &[("/spec/strategy/canary/steps", json!([{ "setWeight": 10 }, {}, { "pause": { "duration": "5m" } }]))],
    );
    check::<Rollout>(
        "a number as the value of an argument leaves the argument's name",
        rollout(json!({ "strategy": { "canary": { "analysis": { "startingStep": 1, "args": [
            { "name": "port", "value": 8080 }, { "name": "host", "value": "web" },
        ] } } } })),
        &["spec.strategy.canary.analysis.args[0].value"],
        &[
            ("/spec/strategy/canary/analysis/startingStep", json!(1)),
            ("/spec/strategy/canary/analysis/args/0", json!({ "name": "port" })),
            ("/spec/strategy/canary/analysis/args/1/value", json!("web")),
        ],
    );
    check::<Rollout>(
        "a malformed quantity in the raw template is kept as it is",
        rollout(json!({ "template": { "spec": { "containers": [
            { "name": "a", "resources": { "requests": { "memory": "invalid" } } },
        ] } } })),
        &[],
        &[("/spec/template/spec/containers/0/resources/requests/memory", json!("invalid"))],
    );
}

#[test]
fn absent_and_hopeless_fields_are_told_apart() {
    check::<Rollout>(
        "several malformed fields are all named",
        rollout(json!({ "replicas": "many", "paused": "yes", "minReadySeconds": 5, "strategy": "canary" })),
        &["spec.paused", "spec.replicas", "spec.strategy"],
        &[("/spec/minReadySeconds", json!(5))],
    );
    check::<Rollout>(
        "null is an absent field",
        rollout(json!({ "replicas": null, "paused": null, "strategy": { "canary": { "steps": null } } })),
        &[],
        &[("/spec/strategy/canary", json!({}))],
    );
    check::<Rollout>(
        "a spec that is no object becomes an empty one",
        rollout(json!("x")),
        &["spec"],
        &[("/spec", json!({ "strategy": {} }))],
    );
}

#[test]
fn other_parts_and_other_kinds_are_read_in_the_same_way() {
    let mut with_status = rollout(json!({ "replicas": 1 }));
    with_status["status"] = json!({
        "phase": "Paused",
        "pauseConditions": [{ "reason": "CanaryPauseStep", "startTime": "yesterday" }],
    });
    check::<Rollout>(
        "a bad time leaves the reason of the pause",
        with_status,
        &["status.pauseConditions[0].startTime"],
        &[("/status/phase", json!("Paused")), ("/status/pauseConditions", json!([{ "reason": "CanaryPauseStep" }]))],
    );
    let mut with_labels = rollout(json!({}));
    with_labels["metadata"]["labels"] = json!({ "a": "b", "c": 1 });
    check::<Rollout>(
        "a bad label leaves the name and the other labels",
        with_labels,
        &["metadata.labels.c"],
        &[("/metadata/name", json!("web")), ("/metadata/labels", json!({ "a": "b" }))],
    );
    check::<AnalysisTemplate>(
        "a metric keeps its name if its provider is malformed",
        rollout(json!({ "metrics": [{ "name": "m", "count": 1.5, "provider": { "prometheus": { "query": 1 } } }] })),
        &["spec.metrics[0].count", "spec.metrics[0].provider.prometheus.query"],
        &[("/spec/metrics/0", json!({ "name": "m", "provider": { "prometheus": {} } }))],
    );
    check::<Experiment>(
        "a missing spec is an empty one",
        json!({ "metadata": { "name": "e" } }),
        &[],
        &[("/metadata/name", json!("e"))],
    );
    check::<VirtualService>(
        "a bad weight leaves the destination",
        json!({ "metadata": { "name": "v" }, "spec": { "http": [
            { "route": [{ "destination": { "host": "a" }, "weight": "x" }], "unknown": { "kept": "elsewhere" } },
        ] } }),
        &["spec.http[0].route[0].weight"],
        &[("/spec/http/0/route/0/destination/host", json!("a"))],
    );
}

#[test]
fn some_objects_cannot_be_read_at_all() {
    let refused = |value| decode::<Rollout>(value).unwrap_err().to_string();
    assert_eq!(refused(json!([])), "expected a JSON object, found a list");
    assert_eq!(refused(json!({})), "metadata.name is missing or empty; give the object a name");
    assert_eq!(refused(json!({ "metadata": { "name": "" } })), Undecodable::NoName.to_string());
    assert_eq!(refused(json!({ "metadata": "x" })), Undecodable::NoName.to_string());
    let steps: Vec<_> = (0..10_000).map(|_| json!({ "setWeight": "x" })).collect();
    assert!(
        refused(rollout(json!({ "strategy": { "canary": { "steps": steps } } })))
            .starts_with("more than 64 fields are malformed, the first is spec.strategy.canary.steps[0].setWeight: ")
    );
}
