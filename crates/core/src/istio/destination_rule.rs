//! The subsets of a DestinationRule: reading them, and the patch that changes our label in them and nothing else.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use serin_api::labels::POD_TEMPLATE_HASH;

use crate::field_error::FieldError;

use super::patch;

/// The host that the DestinationRule is for, as written.
#[must_use]
pub fn host(dr: &Value) -> Option<&str> {
    dr.pointer("/spec/host").and_then(Value::as_str)
}

/// The pod template hash that a subset is restricted to; `None` if it has none or is not there.
#[must_use]
pub fn subset_hash<'a>(dr: &'a Value, name: &str) -> Option<&'a str> {
    labels(find(dr, name)?.1)?.get(POD_TEMPLATE_HASH)?.as_str().filter(|hash| !hash.is_empty())
}

/// The labels of a subset; `None` if it is not there.
#[must_use]
pub fn subset_labels(dr: &Value, name: &str) -> Option<BTreeMap<String, String>> {
    let (_, subset) = find(dr, name)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Some(labels(subset).into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect())
}

/// Whether a pod with these labels belongs to a subset, as far as the subset decides; the Service of the host selects too.
#[must_use]
pub fn subset_selects(dr: &Value, name: &str, pod_labels: &BTreeMap<String, String>) -> bool {
    subset_labels(dr, name).is_some_and(|labels| labels.iter().all(|(key, value)| pod_labels.get(key) == Some(value)))
}

/// Name of the Rollout that the DestinationRule says it is set by.
#[must_use]
pub fn managed_by(dr: &Value) -> Option<&str> {
    dr.get("metadata")?.get("annotations")?.get(serin_api::labels::MANAGED_BY_ROLLOUTS)?.as_str()
}

/// The JSON Patch that restricts subsets to pods of a hash, or with `None` lifts the restriction, and annotates the
/// object with the name of the Rollout; empty if all of that is so already.
///
/// The patch begins with a test of `version`; each label is preceded by a test of the subset's name.
///
/// # Errors
/// Every subset that is not there, or is there more than once.
pub fn set_hashes(
    dr: &Value,
    version: &str,
    rollout: &str,
    subsets: &[(&str, Option<&str>)],
) -> Result<Vec<Value>, Vec<FieldError>> {
    let mut changes = Vec::new();
    let mut errors = Vec::new();
    for (name, hash) in subsets {
        match find(dr, name) {
            Some((index, subset)) => changes.extend(hash_change(index, name, labels(subset), *hash)),
            None => errors.push(FieldError::new("spec.subsets", missing_subset(dr, name))),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    changes.extend(patch::annotate_owner(dr, rollout));
    if changes.is_empty() {
        return Ok(changes);
    }
    Ok(std::iter::once(patch::test_version(version)).chain(changes).collect())
}

/// Says that a subset is not there exactly once, and which ones are.
#[must_use]
pub fn missing_subset(dr: &Value, name: &str) -> String {
    let names: Vec<&str> = subsets(dr).iter().filter_map(name_of).collect();
    if names.contains(&name) {
        return format!("there are several subsets named '{name}'; a name must be unique");
    }
    format!("there is no subset named '{name}'; the DestinationRule has [{}]", names.join(", "))
}

fn hash_change(index: usize, name: &str, labels: Option<&Map<String, Value>>, hash: Option<&str>) -> Vec<Value> {
    let subset = format!("/spec/subsets/{index}");
    let label = format!("{subset}/labels/{}", patch::escape(POD_TEMPLATE_HASH));
    let present = labels.and_then(|labels| labels.get(POD_TEMPLATE_HASH));
    let change = match (labels, present, hash) {
        (_, Some(present), Some(hash)) if present.as_str() == Some(hash) => None,
        (_, Some(_), Some(hash)) => Some(patch::replace(&label, &json!(hash))),
        (Some(_), None, Some(hash)) => Some(patch::add(&label, &json!(hash))),
        (None, None, Some(hash)) => Some(patch::add(&format!("{subset}/labels"), &json!({POD_TEMPLATE_HASH: hash}))),
        (_, Some(_), None) => Some(patch::remove(&label)),
        (_, None, None) => None,
    };
    let test = patch::test(&format!("{subset}/name"), &json!(name));
    change.map(|change| vec![test, change]).unwrap_or_default()
}

/// The one subset of a name, with its index; `None` if there is none, or more than one.
fn find<'a>(dr: &'a Value, name: &str) -> Option<(usize, &'a Value)> {
    let mut found = subsets(dr).iter().enumerate().filter(|(_, subset)| name_of(subset) == Some(name));
    let first = found.next();
    if found.next().is_some() { None } else { first }
}

fn subsets(dr: &Value) -> &[Value] {
    dr.pointer("/spec/subsets").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn name_of(subset: &Value) -> Option<&str> {
    subset.get("name").and_then(Value::as_str)
}

fn labels(subset: &Value) -> Option<&Map<String, Value>> {
    subset.get("labels").and_then(Value::as_object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::istio::patch::apply;
    use proptest::prelude::*;

    fn rule(subsets: &Value) -> Value {
        json!({
            "metadata": {"name": "reviews", "resourceVersion": "3", "annotations": {"keep": "me"}},
            "spec": {"host": "reviews", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}, "subsets": subsets},
        })
    }

    #[track_caller]
    fn check(case: &str, subsets: &Value, hashes: &[(&str, Option<&str>)], wanted: Result<Value, &[&str]>) {
        let before = rule(subsets);
        let got = set_hashes(&before, "3", "reviews-rollout", hashes).map(|patch| {
            let after = apply(&before, &patch);
            assert_eq!(
                set_hashes(&after, "4", "reviews-rollout", hashes),
                Ok(Vec::new()),
                "{case}: again, and nothing"
            );
            assert_eq!(managed_by(&after), Some("reviews-rollout"), "{case}");
            for (name, hash) in hashes {
                assert_eq!(subset_hash(&after, name), *hash, "{case}");
            }
            let mut wanted = rule(&after["spec"]["subsets"]);
            wanted["metadata"]["annotations"][serin_api::labels::MANAGED_BY_ROLLOUTS] = json!("reviews-rollout");
            assert_eq!(after, wanted, "{case}: nothing else changes");
            after["spec"]["subsets"].clone()
        });
        let got = got.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>());
        let wanted = wanted.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(got, wanted, "{case}");
    }

    #[test]
    fn hashes_are_set_and_removed() {
        let both = [("stable", Some("aaa")), ("canary", Some("bbb"))];
        check(
            "labels of the user stay, and so do other subsets",
            &json!([{"name": "v9", "labels": {"version": "v9"}}, {"name": "stable", "labels": {"app": "reviews"}},
                    {"name": "canary", "labels": {"app": "reviews", POD_TEMPLATE_HASH: "old"}, "trafficPolicy": {"x": 1}}]),
            &both,
            Ok(json!([{"name": "v9", "labels": {"version": "v9"}},
                    {"name": "stable", "labels": {"app": "reviews", POD_TEMPLATE_HASH: "aaa"}},
                    {"name": "canary", "labels": {"app": "reviews", POD_TEMPLATE_HASH: "bbb"}, "trafficPolicy": {"x": 1}}])),
        );
        check(
            "a subset without labels gets some",
            &json!([{"name": "stable"}, {"name": "canary", "labels": null}]),
            &both,
            Ok(json!([{"name": "stable", "labels": {POD_TEMPLATE_HASH: "aaa"}},
                      {"name": "canary", "labels": {POD_TEMPLATE_HASH: "bbb"}}])),
        );
        check(
            "a hash is removed",
            &json!([{"name": "stable", "labels": {"app": "reviews", POD_TEMPLATE_HASH: "aaa"}}]),
            &[("stable", None)],
            Ok(json!([{"name": "stable", "labels": {"app": "reviews"}}])),
        );
        check(
            "a missing subset is named",
            &json!([{"name": "stable"}]),
            &both,
            Err(&["spec.subsets: there is no subset named 'canary'; the DestinationRule has [stable]"]),
        );
        check(
            "so is one that is there twice",
            &json!([{"name": "stable"}, {"name": "stable"}]),
            &[("stable", None)],
            Err(&["spec.subsets: there are several subsets named 'stable'; a name must be unique"]),
        );
    }

    #[test]
    fn the_patch_tests_what_it_relies_on() {
        let mut object = rule(&json!([{"name": "stable", "labels": {}}]));
        object["metadata"].as_object_mut().expect("metadata").remove("annotations");
        let patch = set_hashes(&object, "3", "r", &[("stable", Some("aaa"))]).expect("a patch");
        assert_eq!(
            json!(patch),
            json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": "3"},
                {"op": "test", "path": "/spec/subsets/0/name", "value": "stable"},
                {"op": "add", "path": "/spec/subsets/0/labels/rollouts-pod-template-hash", "value": "aaa"},
                {"op": "add", "path": "/metadata/annotations", "value": {"argo-rollouts.argoproj.io/managed-by-rollouts": "r"}},
            ])
        );
    }

    #[test]
    fn a_subset_selects_pods_that_have_all_of_its_labels() {
        let dr =
            rule(&json!([{"name": "canary", "labels": {"app": "reviews", POD_TEMPLATE_HASH: "bbb"}}, {"name": "all"}]));
        let pod = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        assert!(subset_selects(&dr, "canary", &pod(&[("app", "reviews"), (POD_TEMPLATE_HASH, "bbb"), ("x", "y")])));
        assert!(!subset_selects(&dr, "canary", &pod(&[("app", "reviews"), (POD_TEMPLATE_HASH, "aaa")])));
        assert!(!subset_selects(&dr, "canary", &pod(&[("app", "reviews")])));
        assert!(subset_selects(&dr, "all", &pod(&[])));
        assert!(!subset_selects(&dr, "none", &pod(&[])));
    }

    proptest! {
        #[test]
        fn nothing_but_our_label_changes(
            others in proptest::collection::vec(("[a-z]{1,6}", proptest::collection::btree_map("[a-z/.]{1,8}", "[a-z]{0,4}", 0..3)), 0..4),
            labels in proptest::option::of(proptest::collection::btree_map("[a-z]{1,8}", "[a-z]{0,4}", 0..3)),
            hash in proptest::option::of("[a-z0-9]{1,10}"),
            at in 0..5_usize,
        ) {
            let mut subsets: Vec<Value> = others
                .iter()
                .enumerate()
                .map(|(i, (name, labels))| json!({"name": format!("{name}-{i}"), "labels": labels, "trafficPolicy": {"a": [i]}}))
                .collect();
            let mut ours = json!({"name": "canary", "newer": {"field": null}});
            if let Some(labels) = &labels {
                ours["labels"] = json!(labels);
            }
            subsets.insert(at.min(subsets.len()), ours);
            let before = rule(&json!(subsets));
            let patch = set_hashes(&before, "3", "r", &[("canary", hash.as_deref())]).expect("a patch");
            let mut after = apply(&before, &patch);
            prop_assert_eq!(subset_hash(&after, "canary"), hash.as_deref());
            let undo = set_hashes(&after, "3", "r", &[("canary", None)]).expect("a patch");
            after = if undo.is_empty() { after } else { apply(&after, &undo) };
            after["metadata"]["annotations"].as_object_mut().expect("annotations").remove(serin_api::labels::MANAGED_BY_ROLLOUTS);
            if labels.is_none() {
                let subset = after["spec"]["subsets"].as_array_mut().expect("subsets").iter_mut().find(|s| s["name"] == "canary");
                subset.and_then(Value::as_object_mut).expect("a subset").remove("labels");
            }
            prop_assert_eq!(before, after);
        }
    }
}
