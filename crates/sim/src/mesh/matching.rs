//! Which rule of a VirtualService a request meets.

use regex::Regex;
use serde_json::Value;

use super::Traffic;
use super::json::{list, strings, text};

/// Whether an `http` rule takes this traffic: it has no `match`, or one of its conditions holds.
pub(super) fn rule_takes(rule: &Value, traffic: &Traffic, namespace: &str) -> bool {
    let conditions = list(rule, &["match"]);
    conditions.is_empty() || conditions.iter().any(|condition| holds(condition, traffic, namespace))
}

/// Whether a gateway list (of a VirtualService or of one condition) includes where the traffic comes from. Without a list it
/// means all sidecars, "mesh".
pub(super) fn gateways_include(gateways: &[Value], traffic: &Traffic, namespace: &str) -> bool {
    match &traffic.gateway {
        None => gateways.is_empty() || gateways.iter().any(|name| name.as_str() == Some("mesh")),
        Some(wanted) => gateways.iter().filter_map(Value::as_str).any(|name| {
            let full = if name.contains('/') { name.to_owned() } else { format!("{namespace}/{name}") };
            name == wanted || full == *wanted
        }),
    }
}

/// All parts of one condition hold. A condition on `port` always holds, since traffic does not say its port.
fn holds(condition: &Value, traffic: &Traffic, namespace: &str) -> bool {
    let (path, query) = traffic.path.split_once('?').unwrap_or((&traffic.path, ""));
    let uri = condition.get("uri").is_none_or(|uri| {
        if condition.get("ignoreUriCase").and_then(Value::as_bool) == Some(true) {
            matches_ignoring_case(uri, path)
        } else {
            matches(uri, path)
        }
    });
    let gateways = list(condition, &["gateways"]);
    uri && condition.get("method").is_none_or(|method| matches(method, &traffic.method))
        && condition.get("authority").is_none_or(|authority| matches(authority, &traffic.host))
        && condition.get("scheme").is_none_or(|scheme| matches(scheme, "http"))
        && headers_hold(condition, traffic)
        && query_holds(condition, query)
        && strings(condition, &["sourceLabels"])
            .iter()
            .all(|(key, value)| traffic.source_labels.get(key) == Some(value))
        && ["", traffic.namespace.as_str()].contains(&text(condition, &["sourceNamespace"]))
        && (gateways.is_empty() || gateways_include(gateways, traffic, namespace))
}

fn headers_hold(condition: &Value, traffic: &Traffic) -> bool {
    let header = |name: &str| {
        traffic.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    };
    let entries = |key: &str| condition.get(key).and_then(Value::as_object).into_iter().flatten();
    entries("headers").all(|(name, wanted)| header(name).is_some_and(|value| matches(wanted, value)))
        && entries("withoutHeaders").all(|(name, unwanted)| !header(name).is_some_and(|value| matches(unwanted, value)))
}

fn query_holds(condition: &Value, query: &str) -> bool {
    let parameter = |name: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('=').or(Some((pair, ""))))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    condition
        .get("queryParams")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .all(|(name, wanted)| parameter(name).is_some_and(|value| matches(wanted, value)))
}

/// Istio's StringMatch: exact, prefix, or a regular expression over the whole value; an empty object asks for presence only.
fn matches(wanted: &Value, value: &str) -> bool {
    if let Some(exact) = wanted.get("exact").and_then(Value::as_str) {
        value == exact
    } else if let Some(prefix) = wanted.get("prefix").and_then(Value::as_str) {
        value.starts_with(prefix)
    } else if let Some(pattern) = wanted.get("regex").and_then(Value::as_str) {
        Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|pattern| pattern.is_match(value))
    } else {
        true
    }
}

/// The same without regard to case, which Istio offers for exact and prefix only.
fn matches_ignoring_case(wanted: &Value, value: &str) -> bool {
    if let Some(exact) = wanted.get("exact").and_then(Value::as_str) {
        value.eq_ignore_ascii_case(exact)
    } else if let Some(prefix) = wanted.get("prefix").and_then(Value::as_str) {
        value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    } else {
        matches(wanted, value)
    }
}
