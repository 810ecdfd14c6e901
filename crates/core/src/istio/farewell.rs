//! What a Rollout that is gone leaves behind on objects that outlive it: our label, our annotation and our routes, and how
//! to take them away.

use serde_json::{Value, json};
use serin_api::labels::{MANAGED_BY_ROLLOUTS, POD_TEMPLATE_HASH};

use super::patch;

/// The JSON Patch (RFC 6902) that takes our label off every subset of a DestinationRule, and our annotation off the
/// object; `version` is the precondition.
#[must_use]
pub fn from_destination_rule(dr: &Value, version: &str) -> Vec<Value> {
    let subsets = dr.pointer("/spec/subsets").and_then(Value::as_array);
    let restricted = subsets
        .into_iter()
        .flatten()
        .enumerate()
        .filter(|(_, subset)| subset.get("labels").is_some_and(|labels| labels.get(POD_TEMPLATE_HASH).is_some()));
    let mut patch = vec![patch::test_version(version)];
    for (index, subset) in restricted {
        patch.push(patch::test(&format!("/spec/subsets/{index}/name"), &subset["name"]));
        patch.push(patch::remove(&format!("/spec/subsets/{index}/labels/{}", patch::escape(POD_TEMPLATE_HASH))));
    }
    patch.push(patch::remove(&format!("/metadata/annotations/{}", patch::escape(MANAGED_BY_ROLLOUTS))));
    patch
}

/// The JSON merge patch (RFC 7386) that takes our label out of a Service's selector, and our annotation off the object;
/// `version` is the precondition.
#[must_use]
pub fn from_service(version: &str) -> Value {
    json!({
        "metadata": {"resourceVersion": version, "annotations": {MANAGED_BY_ROLLOUTS: null}},
        "spec": {"selector": {POD_TEMPLATE_HASH: null}},
    })
}

/// The JSON Patch (RFC 6902) that takes the managed routes of a Rollout and the destinations of its experiments out of a
/// VirtualService, and the record of them;
/// `owner` is `namespace/name` of the Rollout, `version` the precondition.
#[must_use]
pub fn from_virtual_service(vs: &Value, version: &str, owner: &str) -> Vec<Value> {
    let experiments = super::experiments::farewell(vs, owner);
    let after = patch::patched(vs, &experiments).unwrap_or_else(|_| vs.clone());
    std::iter::once(patch::test_version(version))
        .chain(experiments)
        .chain(super::managed::farewell(&after, owner))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::istio::patch::apply;

    #[test]
    fn only_our_label_and_annotation_go() {
        let rule = |hash: Option<&str>| {
            let mut labels = json!({"app": "web"});
            let mut annotations = json!({"keep": "me"});
            if let Some(hash) = hash {
                labels[POD_TEMPLATE_HASH] = json!(hash);
                annotations[MANAGED_BY_ROLLOUTS] = json!("web");
            }
            json!({
                "metadata": {"name": "web", "resourceVersion": "7", "annotations": annotations},
                "spec": {"host": "web", "subsets": [
                    {"name": "other", "labels": {"app": "other"}},
                    {"name": "stable", "labels": labels, "trafficPolicy": {"tls": {"mode": "DISABLE"}}},
                ]},
            })
        };
        let before = rule(Some("abc"));
        assert_eq!(apply(&before, &from_destination_rule(&before, "7")), rule(None));
    }

    #[test]
    fn a_service_selects_as_its_author_wrote_it() {
        let mut service = json!({
            "metadata": {"name": "web", "resourceVersion": "7", "annotations": {MANAGED_BY_ROLLOUTS: "web"}},
            "spec": {"selector": {"app": "web", POD_TEMPLATE_HASH: "abc"}},
        });
        json_patch::merge(&mut service, &from_service("7"));
        assert_eq!(service["spec"]["selector"], json!({"app": "web"}));
        assert_eq!(service["metadata"]["annotations"], json!({}));
    }
}
