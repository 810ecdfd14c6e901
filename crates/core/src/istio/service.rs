//! The selector of a Service: reading it, and the patch that points it at the pods of a revision.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use serin_api::labels::{MANAGED_BY_ROLLOUTS, POD_TEMPLATE_HASH};

/// The pod template hash that a Service is restricted to; `None` if it is not restricted.
#[must_use]
pub fn selector_hash(service: &Value) -> Option<&str> {
    selector(service)?.get(POD_TEMPLATE_HASH)?.as_str().filter(|hash| !hash.is_empty())
}

/// Whether a Service selects a pod with these labels; one without a selector selects none.
#[must_use]
pub fn selects(service: &Value, pod_labels: &BTreeMap<String, String>) -> bool {
    selector(service).is_some_and(|selector| {
        !selector.is_empty()
            && selector.iter().all(|(key, value)| pod_labels.get(key).map(String::as_str) == value.as_str())
    })
}

/// Name of the Rollout that the Service says it is set by.
#[must_use]
pub fn managed_by(service: &Value) -> Option<&str> {
    service.get("metadata")?.get("annotations")?.get(MANAGED_BY_ROLLOUTS)?.as_str()
}

/// The JSON merge patch that restricts the Service to pods of a hash, or with `None` lifts the restriction, and
/// annotates it with the name of the Rollout; `None` if all of that is so already. `version` is the precondition.
#[must_use]
pub fn switch(service: &Value, version: &str, rollout: &str, hash: Option<&str>) -> Option<Value> {
    if selector_hash(service) == hash && managed_by(service) == Some(rollout) {
        return None;
    }
    Some(json!({
        "metadata": {"resourceVersion": version, "annotations": {MANAGED_BY_ROLLOUTS: rollout}},
        "spec": {"selector": {POD_TEMPLATE_HASH: hash}},
    }))
}

/// What keeps a Rollout from using a Service: it belongs to another Rollout, or selects by labels that the pods lack.
#[must_use]
pub fn conflicts(service: &Value, rollout: &str, pod_labels: &BTreeMap<String, String>) -> Vec<String> {
    let name = service.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let mut conflicts = Vec::new();
    if managed_by(service).is_some_and(|owner| owner != rollout) {
        conflicts.push(format!("Service {name:?} is managed by another Rollout"));
    }
    for (key, value) in selector(service).into_iter().flatten() {
        if key != POD_TEMPLATE_HASH && pod_labels.get(key).map(String::as_str) != value.as_str() {
            conflicts.push(format!("Service {name:?} has unmatch label {key:?} in rollout"));
        }
    }
    conflicts
}

fn selector(service: &Value) -> Option<&Map<String, Value>> {
    service.pointer("/spec/selector").and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(selector: &Value, owner: Option<&str>) -> Value {
        let annotations = owner.map(|owner| json!({MANAGED_BY_ROLLOUTS: owner}));
        json!({"metadata": {"name": "reviews", "resourceVersion": "5", "annotations": annotations},
               "spec": {"selector": selector, "clusterIP": "10.0.0.1"}})
    }

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_service_is_switched() {
        let before = service(&json!({"app": "reviews"}), None);
        let patch = switch(&before, "5", "r", Some("aaa")).expect("a patch");
        let mut after = before.clone();
        json_patch::merge(&mut after, &patch);
        let mut wanted = service(&json!({"app": "reviews", POD_TEMPLATE_HASH: "aaa"}), Some("r"));
        assert_eq!(after, wanted, "only the hash and the annotation change");
        assert_eq!(selector_hash(&after), Some("aaa"));
        assert_eq!(switch(&after, "6", "r", Some("aaa")), None, "again, and nothing happens");
        json_patch::merge(&mut after, &switch(&wanted, "5", "r", None).expect("a patch"));
        wanted["spec"]["selector"] = json!({"app": "reviews"});
        assert_eq!(after, wanted, "the hash is removed");
    }

    #[test]
    fn a_service_selects_pods_that_have_all_of_its_labels() {
        #[track_caller]
        fn check(case: &str, selector: &Value, pod: &[(&str, &str)], wanted: bool) {
            assert_eq!(selects(&service(selector, None), &labels(pod)), wanted, "{case}");
        }
        check("all labels agree", &json!({"app": "a"}), &[("app", "a"), ("x", "y")], true);
        check("one differs", &json!({"app": "a"}), &[("app", "b")], false);
        check("one is missing", &json!({"app": "a", "x": "y"}), &[("app", "a")], false);
        check("no selector selects nothing", &json!({}), &[("app", "a")], false);
        check("a value that is no text selects nothing", &json!({"app": 1}), &[("app", "1")], false);
    }

    #[test]
    fn conflicts_are_told() {
        #[track_caller]
        fn check(case: &str, selector: &Value, owner: Option<&str>, wanted: &[&str]) {
            assert_eq!(conflicts(&service(selector, owner), "r", &labels(&[("app", "reviews")])), wanted, "{case}");
        }
        check("ours", &json!({"app": "reviews", POD_TEMPLATE_HASH: "x"}), Some("r"), &[]);
        check("nobody's", &json!({"app": "reviews"}), None, &[]);
        check(
            "another's",
            &json!({"app": "reviews"}),
            Some("q"),
            &["Service \"reviews\" is managed by another Rollout"],
        );
        check(
            "a label that the pods lack",
            &json!({"tier": "web"}),
            None,
            &["Service \"reviews\" has unmatch label \"tier\" in rollout"],
        );
    }
}
