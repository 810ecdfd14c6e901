//! From a destination to the pods that may answer, by Services, DestinationRules and pod readiness.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::json::{age, at, has_labels, list, namespace, strings, text};
use super::route::{Target, precision, qualified};
use super::view::Seen;

/// What a proxy has for a destination.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Endpoints {
    /// It knows no such Service or subset.
    Unknown,
    /// It knows the destination, but no pod of it is ready.
    NoneReady,
    /// It has addresses, but none of these pods is there any more: connections are refused, and so are the retries.
    Gone,
    /// These pods answer; never empty.
    Pods(Vec<Arc<Value>>),
}

/// The pods behind `target`, as seen, and as far as they still exist. A pod that has gone meanwhile is passed over, because
/// Istio's default retry policy tries another endpoint when a connection is refused.
pub(super) fn resolve(target: &Target, caller_namespace: &str, seen: &Seen) -> Endpoints {
    let Some(service) = seen.endpoints.services.iter().find(|service| address(service) == target.host) else {
        return Endpoints::Unknown;
    };
    let labels = match &target.subset {
        None => BTreeMap::new(),
        Some(subset) => match subset_labels(seen, &target.host, subset, [caller_namespace, namespace(service)]) {
            Some(labels) => labels,
            None => return Endpoints::Unknown,
        },
    };
    let selector = strings(service, &["spec", "selector"]);
    let ready: Vec<&Arc<Value>> = seen
        .endpoints
        .pods
        .iter()
        .filter(|pod| !selector.is_empty() && namespace(pod) == namespace(service))
        .filter(|pod| has_labels(pod, &selector) && has_labels(pod, &labels) && serves(pod))
        .collect();
    if ready.is_empty() {
        return Endpoints::NoneReady;
    }
    let alive: Vec<Arc<Value>> =
        ready.into_iter().filter_map(|pod| seen.truth.pods.iter().find(|real| same(pod, real))).cloned().collect();
    if alive.is_empty() { Endpoints::Gone } else { Endpoints::Pods(alive) }
}

/// The Service's fully qualified name.
fn address(service: &Value) -> String {
    format!("{}.{}.svc.cluster.local", text(service, &["metadata", "name"]), namespace(service))
}

/// The labels of a subset. DestinationRules count in the caller's namespace first, then the Service's, then anywhere; those of
/// one namespace are merged, the oldest first.
fn subset_labels(seen: &Seen, host: &str, subset: &str, homes: [&str; 2]) -> Option<BTreeMap<String, String>> {
    let mut rules: Vec<&Value> = seen
        .subsets
        .destination_rules
        .iter()
        .map(Arc::as_ref)
        .filter(|rule| precision(&qualified(text(rule, &["spec", "host"]), namespace(rule)), host).is_some())
        .collect();
    let rank = |rule: &Value| homes.iter().position(|home| *home == namespace(rule)).unwrap_or(homes.len());
    let nearest = rules.iter().map(|rule| rank(rule)).min()?;
    rules.retain(|rule| rank(rule) == nearest);
    rules.sort_by_key(|rule| age(rule));
    rules
        .iter()
        .flat_map(|rule| list(rule, &["spec", "subsets"]))
        .find(|candidate| text(candidate, &["name"]) == subset)
        .map(|found| strings(found, &["labels"]))
}

/// Ready and not terminating: what Kubernetes puts into the endpoints of a Service.
fn serves(pod: &Value) -> bool {
    let ready = list(pod, &["status", "conditions"])
        .iter()
        .any(|condition| text(condition, &["type"]) == "Ready" && text(condition, &["status"]) == "True");
    ready && at(pod, &["metadata", "deletionTimestamp"]).is_none_or(Value::is_null)
}

/// The same pod, perhaps at another moment. Pods without uid are told apart by name.
fn same(left: &Value, right: &Value) -> bool {
    let identity = |pod: &Value| ["namespace", "name", "uid"].map(|field| text(pod, &["metadata", field]).to_owned());
    identity(left) == identity(right)
}
