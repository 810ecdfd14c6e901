//! At rest: what differs between git and the cluster, and whether the guide names it.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::kit::{Place, text};

/// The fields that docs/guides/gitops.md names: kind, and path with `*` for the index in a list.
const KNOWN: [(&str, &str); 6] = [
    ("Rollout", "/metadata/annotations/rollout.argoproj.io~1revision"),
    ("Rollout", "/metadata/annotations/rollout.argoproj.io~1workload-generation"),
    ("DestinationRule", "/metadata/annotations/argo-rollouts.argoproj.io~1managed-by-rollouts"),
    ("DestinationRule", "/spec/subsets/*/labels/rollouts-pod-template-hash"),
    // A default of the definition, without which ports could not be told apart.
    ("Rollout", "/spec/template/spec/containers/*/ports/*/protocol"),
    // What `kubectl apply` itself keeps.
    ("*", "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration"),
];

/// Fails if an object in the cluster is not as git says but for the known fields. Kubernetes completes objects of its
/// own kinds, so of these only the fields that git names are compared, and those that Serin owns.
pub(super) async fn agrees(place: &Place, git: &[Value]) -> Result<BTreeSet<String>> {
    let mut seen = BTreeSet::new();
    for wanted in git {
        let (kind, name) = (text(wanted, "/kind"), text(wanted, "/metadata/name"));
        let live = place.get(text(wanted, "/apiVersion"), kind, name).await?;
        let mut paths = BTreeSet::new();
        for part in ["/metadata/labels", "/metadata/annotations", "/spec"] {
            let none = Value::Null;
            let (wanted, live) = (wanted.pointer(part).unwrap_or(&none), live.pointer(part).unwrap_or(&none));
            compare(wanted, live, part, &mut paths);
        }
        let is_completed = matches!(kind, "Service" | "Deployment");
        for (path, is_extra) in paths {
            let is_known = KNOWN.iter().any(|(of, known)| (*of == kind || *of == "*") && *known == path);
            let is_kubernetes = is_completed && is_extra && !path.starts_with("/metadata/labels");
            ensure!(is_known || is_kubernetes, "{kind} {name} differs from git at {path}");
            if is_known {
                seen.insert(format!("{kind} {path}"));
            }
        }
        ensure!(!is_completed || !is_owned(&live), "Serin wrote {kind} {name}, which the guide does not say");
    }
    Ok(seen)
}

/// Paths at which two values differ, each with whether git says nothing there.
fn compare(git: &Value, live: &Value, path: &str, found: &mut BTreeSet<(String, bool)>) {
    match (git, live) {
        (Value::Object(_) | Value::Null, Value::Object(live)) => {
            for (key, value) in live {
                let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
                compare(git.get(key).unwrap_or(&Value::Null), value, &path, found);
            }
            let gone = git.as_object().into_iter().flatten().filter(|(key, _)| !live.contains_key(*key));
            // An empty map is the same as none.
            let gone = gone.filter(|(_, value)| !value.as_object().is_some_and(serde_json::Map::is_empty));
            found.extend(gone.map(|(key, _)| (format!("{path}/{key}"), false)));
        }
        (Value::Array(git), Value::Array(live)) if git.len() == live.len() => {
            git.iter().zip(live).for_each(|(git, live)| compare(git, live, &format!("{path}/*"), found));
        }
        (git, live) if git == live || (live.is_null() && git.as_object().is_some_and(serde_json::Map::is_empty)) => {}
        (git, _) => {
            found.insert((path.to_owned(), git.is_null()));
        }
    }
}

fn is_owned(live: &Value) -> bool {
    let entries = live.pointer("/metadata/managedFields").and_then(Value::as_array);
    entries.into_iter().flatten().any(|entry| text(entry, "/manager") == "serin")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_difference_has_its_path() {
        let git = json!({"host": "a", "subsets": [{"name": "x", "labels": {"app": "a"}}], "gone": 1, "empty": {}});
        let live =
            json!({"host": "b", "subsets": [{"name": "x", "labels": {"app": "a", "ours/": "h"}}], "new": {"deep": 1}});
        let mut found = BTreeSet::new();
        compare(&git, &live, "/spec", &mut found);
        let found: Vec<(&str, bool)> = found.iter().map(|(path, extra)| (path.as_str(), *extra)).collect();
        let expected = [
            ("/spec/gone", false),
            ("/spec/host", false),
            ("/spec/new/deep", true),
            ("/spec/subsets/*/labels/ours~1", true),
        ];
        assert_eq!(found, expected);
    }
}
