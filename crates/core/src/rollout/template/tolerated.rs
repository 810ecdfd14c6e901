//! What a pod template says that no API server would have in a ReplicaSet: left out, as Argo Rollouts does, because
//! Rollouts with it exist and are served.

use serde_json::Value;

use super::quantity::is_quantity;

/// Lists of containers whose malformed resources are left out one by one.
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];
/// Containers that may not be in a template at all; the list goes as a whole if one of them cannot be read.
const EPHEMERAL: &str = "ephemeralContainers";
/// Maps of quantities in `resources`.
const AMOUNTS: [&str; 2] = ["requests", "limits"];

/// The template without maps of resources of which an amount is no quantity, and the fields that were left out.
#[must_use]
pub fn tolerated(mut template: Value) -> (Value, Vec<String>) {
    let mut dropped = Vec::new();
    let Some(spec) = template.get_mut("spec").and_then(Value::as_object_mut) else { return (template, dropped) };
    for list in CONTAINERS {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for (index, container) in containers.into_iter().flatten().enumerate() {
            let malformed = malformed_amounts(container);
            if let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) {
                resources.retain(|amounts, _| !malformed.contains(&amounts.as_str()));
            }
            let field = |amounts: &&str| format!("spec.{list}[{index}].resources.{amounts}");
            dropped.extend(malformed.iter().map(field));
        }
    }
    let ephemeral = spec.get(EPHEMERAL).and_then(Value::as_array);
    if ephemeral.into_iter().flatten().any(|container| !malformed_amounts(container).is_empty()) {
        spec.remove(EPHEMERAL);
        dropped.push(format!("spec.{EPHEMERAL}"));
    }
    (template, dropped)
}

/// Which of `requests` and `limits` have an amount that is none.
fn malformed_amounts(container: &Value) -> Vec<&'static str> {
    let is_malformed = |amounts: &&str| {
        let amounts = container.pointer(&format!("/resources/{amounts}")).and_then(Value::as_object);
        amounts.is_some_and(|amounts| !amounts.values().all(is_quantity))
    };
    AMOUNTS.into_iter().filter(is_malformed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn malformed_resources_are_left_out_and_named() {
        let container = |resources: Value| json!({"name": "web", "resources": resources});
        let template = json!({"spec": {
            "containers": [container(json!({"requests": {"memory": "invalid", "cpu": 1}, "limits": {"cpu": "0.5"}}))],
            "initContainers": [container(json!({"limits": {"memory": true}})), {"name": "plain"}],
            "ephemeralContainers": [{"name": "plain"}, container(json!({"requests": {"memory": "12 Mi"}}))],
        }});
        let (template, dropped) = tolerated(template);
        let wanted = json!({"spec": {
            "containers": [container(json!({"limits": {"cpu": "0.5"}}))],
            "initContainers": [container(json!({})), {"name": "plain"}],
        }});
        assert_eq!(template, wanted);
        let fields = [
            "spec.containers[0].resources.requests",
            "spec.initContainers[0].resources.limits",
            "spec.ephemeralContainers",
        ];
        assert_eq!(dropped, fields);
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for template in [
            json!(null),
            json!({"spec": 1}),
            json!({"spec": {"containers": [{"resources": {"requests": {
                "cpu": "100m", "memory": "1.5Gi", "a": "1e3", "b": 0.1, "c": "+5", "d": "-.5E", "e": "2E2", "f": "1E",
            }}}]}}),
        ] {
            assert_eq!(tolerated(template.clone()), (template, Vec::new()));
        }
    }
}
