//! Header and mirror steps, and the names that their routes may have.

use serde_json::{Value, json};
use serin_api::TrafficRouting;
use serin_api::{HeaderRoutingMatch, ManagedRoute as Name, RouteMatch, SetHeaderRoute, SetMirrorRoute, StringMatch};

use crate::istio::{ManagedKind, ManagedRoute};
use crate::rollout::step::RouteStep;

use super::report::Report;

/// Where the names stand in the Rollout.
const FIELD: &str = "spec.strategy.canary.trafficRouting.managedRoutes";

/// The names of managed routes; those in error are left out.
pub(super) fn names(wire: &[Name], report: &mut Report) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (index, Name { name }) in wire.iter().enumerate() {
        let field = format!("{FIELD}[{index}].name");
        if name.is_empty() {
            report.required(field, "a managed route needs a name");
        } else if names.contains(name) {
            report.invalid(field, name.as_str(), "the name is listed twice");
        } else {
            names.push(name.clone());
        }
    }
    names
}

/// Reads a header step.
pub(super) fn header(
    wire: &SetHeaderRoute,
    field: &str,
    routing: Option<&TrafficRouting>,
    report: &mut Report,
) -> Option<RouteStep> {
    if routing.is_none() {
        report.invalid(field, "", "SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix");
    }
    let name = wire.name.clone().unwrap_or_default();
    check_name(&name, field, routing, report);
    let matches: Option<Vec<Value>> = wire
        .matches
        .iter()
        .enumerate()
        .map(|(index, one)| header_match(one, &format!("{field}.match[{index}]"), report))
        .collect();
    Some(route_step(name, matches?, ManagedKind::Header))
}

/// Reads a mirror step.
pub(super) fn mirror(
    wire: &SetMirrorRoute,
    field: &str,
    routing: Option<&TrafficRouting>,
    report: &mut Report,
) -> Option<RouteStep> {
    if routing.is_none() {
        report.invalid(field, "", "SetMirrorRoute requires TrafficRouting, supports Istio and Plugins");
    }
    check_name(&wire.name, field, routing, report);
    let percentage = wire.percentage.unwrap_or(100);
    if !(0..=100).contains(&percentage) {
        report.invalid(format!("{field}.percentage"), percentage, "percentage needs to be between 0 and 100");
    }
    let matches: Option<Vec<Value>> = wire
        .matches
        .iter()
        .enumerate()
        .map(|(index, one)| request_match(one, &format!("{field}.match[{index}]"), report))
        .collect();
    Some(route_step(wire.name.clone(), matches?, ManagedKind::Mirror { percentage }))
}

/// Without matches, a step removes its route.
fn route_step(name: String, matches: Vec<Value>, kind: ManagedKind) -> RouteStep {
    let route = (!matches.is_empty()).then(|| ManagedRoute { name: name.clone(), matches, kind });
    RouteStep { name, route }
}

fn check_name(name: &str, field: &str, routing: Option<&TrafficRouting>, report: &mut Report) {
    let Some(routing) = routing else { return };
    if routing.managed_routes.is_empty() {
        let detail = "Rollout has missing field 'spec.strategy.canary.trafficRouting.managedRoutes'";
        report.invalid(field, name, detail);
    } else if !routing.managed_routes.iter().any(|managed| managed.name == name) {
        let detail = "Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes";
        report.invalid(field, name, detail);
    }
}

fn header_match(wire: &HeaderRoutingMatch, field: &str, report: &mut Report) -> Option<Value> {
    if wire.header_name.is_empty() {
        report.required(format!("{field}.headerName"), "a header match needs the name of a header");
        return None;
    }
    let value = string_match(wire.header_value.as_ref(), &format!("{field}.headerValue"), report)?;
    Some(json!({"headers": {&wire.header_name: value}}))
}

fn request_match(wire: &RouteMatch, field: &str, report: &mut Report) -> Option<Value> {
    let mut one = json!({});
    for (part, key, value) in [("method", "method", &wire.method), ("path", "uri", &wire.path)] {
        if value.is_some() {
            one[key] = string_match(value.as_ref(), &format!("{field}.{part}"), report)?;
        }
    }
    for (name, value) in &wire.headers {
        one["headers"][name] = string_match(Some(value), &format!("{field}.headers[{name}]"), report)?;
    }
    if one == json!({}) {
        report.required(field, "a match needs a method, a path or headers");
        return None;
    }
    Some(one)
}

fn string_match(wire: Option<&StringMatch>, field: &str, report: &mut Report) -> Option<Value> {
    let wire = wire.cloned().unwrap_or_default();
    let kinds = [("exact", wire.exact), ("prefix", wire.prefix), ("regex", wire.regex)];
    let given: Vec<(&str, String)> =
        kinds.into_iter().filter_map(|(kind, text)| Some((kind, text.filter(|text| !text.is_empty())?))).collect();
    match given.as_slice() {
        [(kind, text)] => Some(json!({*kind: text})),
        [] => {
            let detail = "StringMatch value missed, match value must have one of the following: exact, regex, prefix";
            report.invalid(field, "", detail);
            None
        }
        _ => {
            let detail = "StringMatch match value must have exactly one of the following: exact, regex, prefix";
            report.invalid(field, "", detail);
            None
        }
    }
}
