//! The objects that the live tests are about.

use serde_json::{Value, json};

/// The steps of most Rollouts here: two weights, a short pause and one without end.
pub(super) fn steps() -> Value {
    json!([{"setWeight": 20}, {"pause": {"duration": "1s"}}, {"setWeight": 60}, {"pause": {}}])
}

/// A Rollout with its Service, VirtualService and DestinationRule.
pub(super) fn routed(name: &str, steps: &Value) -> Vec<Value> {
    let routing = json!({"istio": {
        "virtualService": {"name": name},
        "destinationRule": {"name": name, "canarySubsetName": "canary", "stableSubsetName": "stable"},
    }});
    let destination =
        |subset: &str, weight: i64| json!({"destination": {"host": name, "subset": subset}, "weight": weight});
    let subset = |subset: &str| json!({"name": subset, "labels": {"app": name}});
    vec![
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 8080}]},
        }),
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name},
            "spec": {"hosts": [name], "http": [{"route": [destination("stable", 100), destination("canary", 0)]}]},
        }),
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": name},
            "spec": {"host": name, "subsets": [subset("stable"), subset("canary")]},
        }),
        rollout(name, &json!({"steps": steps, "trafficRouting": routing})),
    ]
}

/// A Rollout whose weights are numbers of pods.
pub(super) fn plain(name: &str, steps: &Value) -> Value {
    rollout(name, &json!({"steps": steps}))
}

/// A template with one metric: the share of requests to a revision that did not fail.
pub(super) fn success_rate(address: &str) -> Value {
    let rate = |filter: &str| {
        format!(
            "sum(rate(istio_requests_total{{reporter=\"destination\",\
             destination_version=\"{{{{args.version}}}}\"{filter}}}[1m]))"
        )
    };
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "success-rate"},
        "spec": {
            "args": [{"name": "version"}],
            "metrics": [{
                "name": "success-rate", "interval": "1s", "count": 2, "failureLimit": 0,
                "successCondition": "result[0] >= 0.95",
                "provider": {"prometheus": {
                    "address": address,
                    "query": format!("{} / {}", rate(",response_code!~\"5.*\""), rate("")),
                }},
            }],
        },
    })
}

/// A step that judges a version by [`success_rate`].
pub(super) fn judge(version: &str) -> Value {
    json!({"analysis": {
        "templates": [{"templateName": "success-rate"}],
        "args": [{"name": "version", "value": version}],
    }})
}

/// The definition of one of Istio's kinds.
pub(super) fn istio_definition(plural: &str, kind: &str) -> Value {
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.networking.istio.io")},
        "spec": {
            "group": "networking.istio.io", "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
        },
    })
}

fn rollout(name: &str, canary: &Value) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": name, "image": format!("{name}:v1")}]},
            },
            "strategy": {"canary": canary},
        },
    })
}
