//! From a host to weighted destinations, by the VirtualServices as written.

use std::sync::Arc;

use serde_json::Value;

use super::Traffic;
use super::json::{age, list, namespace, text};
use super::matching::{gateways_include, rule_takes};

/// Where a stream of like requests goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// No VirtualService speaks about the host: to its Service.
    Plain(Target),
    /// To one of these, by weight; at least one has a weight above 0.
    Split {
        targets: Vec<Target>,
        /// Who gets copies of the requests, each with a weight in percent of them.
        mirrors: Vec<Target>,
    },
    /// The proxy answers itself (`redirect`, `directResponse`) with this status.
    Answer(u16),
    /// A VirtualService takes the host, but none of its rules takes the request.
    NoRoute,
}

/// One destination of a rule.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    /// Fully qualified.
    pub(super) host: String,
    pub(super) subset: Option<String>,
    pub(super) weight: u64,
}

/// Decides for all requests of `traffic` at once, since they are alike.
pub(super) fn decide(virtual_services: &[Arc<Value>], traffic: &Traffic) -> Decision {
    let host = qualified(&traffic.host, &traffic.namespace);
    let Some(chosen) = virtual_service_of(virtual_services, &host, traffic) else {
        return Decision::Plain(Target { host, subset: None, weight: 1 });
    };
    let http = list(chosen, &["spec", "http"]);
    if !http.is_empty() {
        return first_match(virtual_services, chosen, traffic, DELEGATIONS_MAX);
    }
    // Connection routes cannot look at a request; the first one takes all.
    ["tls", "tcp"]
        .iter()
        .find_map(|protocol| list(chosen, &["spec", protocol]).first())
        .map_or(Decision::Plain(Target { host, subset: None, weight: 1 }), |rule| split(rule, namespace(chosen)))
}

/// The fully qualified name of a host as it is meant in `namespace`. `name.namespace` and `name.namespace.svc` are accepted as
/// the cluster's DNS does.
pub(super) fn qualified(host: &str, namespace: &str) -> String {
    let parts: Vec<&str> = host.split('.').collect();
    if host.contains('*') {
        return host.to_owned();
    }
    match parts.as_slice() {
        [_] => format!("{host}.{namespace}.svc.cluster.local"),
        [_, _] => format!("{host}.svc.cluster.local"),
        [_, _, "svc"] => format!("{host}.cluster.local"),
        _more => host.to_owned(),
    }
}

/// Istio delegates one level; a bound keeps a cycle from looping.
const DELEGATIONS_MAX: u8 = 2;

/// The VirtualService that rules over the host: an exact host before a wildcard, the longest wildcard first, then the oldest.
fn virtual_service_of<'a>(all: &'a [Arc<Value>], host: &str, traffic: &Traffic) -> Option<&'a Value> {
    all.iter()
        .map(Arc::as_ref)
        .filter(|candidate| gateways_include(list(candidate, &["spec", "gateways"]), traffic, namespace(candidate)))
        .filter_map(|candidate| {
            let best = list(candidate, &["spec", "hosts"])
                .iter()
                .filter_map(Value::as_str)
                .filter_map(|pattern| precision(&qualified(pattern, namespace(candidate)), host))
                .max()?;
            Some((std::cmp::Reverse(best), age(candidate), candidate))
        })
        .min_by(|left, right| (left.0, left.1).cmp(&(right.0, right.1)))
        .map(|(_, _, candidate)| candidate)
}

/// How precisely a host pattern names the host; `None` if it does not.
pub(super) fn precision(pattern: &str, host: &str) -> Option<usize> {
    if pattern == host {
        return Some(usize::MAX);
    }
    let suffix = pattern.strip_prefix('*')?;
    host.ends_with(suffix).then_some(suffix.len())
}

fn first_match(all: &[Arc<Value>], chosen: &Value, traffic: &Traffic, delegations: u8) -> Decision {
    let home = namespace(chosen);
    let Some(rule) = list(chosen, &["spec", "http"]).iter().find(|rule| rule_takes(rule, traffic, home)) else {
        return Decision::NoRoute;
    };
    if let Some(answer) = own_answer(rule) {
        return Decision::Answer(answer);
    }
    let delegate = text(rule, &["delegate", "name"]);
    if delegate.is_empty() {
        return split(rule, home);
    }
    let delegate_home = match text(rule, &["delegate", "namespace"]) {
        "" => home,
        other => other,
    };
    let found =
        all.iter().find(|other| text(other, &["metadata", "name"]) == delegate && namespace(other) == delegate_home);
    match found {
        Some(other) if delegations > 0 => first_match(all, other, traffic, delegations - 1),
        Some(_) | None => Decision::NoRoute,
    }
}

/// The status of a rule that answers without a destination.
fn own_answer(rule: &Value) -> Option<u16> {
    let status = |key: &str, field: &str| rule.get(key).map(|answer| answer.get(field).and_then(Value::as_u64));
    let number = match (status("directResponse", "status"), status("redirect", "redirectCode")) {
        (Some(direct), _) => direct.unwrap_or(200),
        (None, Some(redirect)) => redirect.unwrap_or(301),
        (None, None) => return None,
    };
    Some(u16::try_from(number).unwrap_or(500))
}

/// The destinations with weight. A single destination takes everything, whatever its weight says; among several, those
/// without weight take nothing.
fn split(rule: &Value, namespace: &str) -> Decision {
    let routes = list(rule, &["route"]);
    let target = |destination: &Value, weight: u64| Target {
        host: qualified(text(destination, &["host"]), namespace),
        subset: Some(text(destination, &["subset"])).filter(|subset| !subset.is_empty()).map(str::to_owned),
        weight,
    };
    let targets: Vec<Target> = match routes {
        [only] => vec![target(&only["destination"], 1)],
        several => several
            .iter()
            .map(|route| target(&route["destination"], route.get("weight").and_then(Value::as_u64).unwrap_or(0)))
            .filter(|target| target.weight > 0)
            .collect(),
    };
    // A mirror without a percentage gets everything.
    let share = |percentage: &Value| percentage["value"].as_f64().map_or(100, |percent| percent.round() as u64);
    let mut mirrors: Vec<Target> = Vec::new();
    if rule["mirror"].is_object() {
        mirrors.push(target(&rule["mirror"], share(&rule["mirrorPercentage"])));
    }
    mirrors.extend(list(rule, &["mirrors"]).iter().map(|one| target(&one["destination"], share(&one["percentage"]))));
    if targets.is_empty() { Decision::NoRoute } else { Decision::Split { targets, mirrors } }
}
