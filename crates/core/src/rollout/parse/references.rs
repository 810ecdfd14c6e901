//! The Services, VirtualServices and the DestinationRule that a Rollout refers to.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::istio::destination_rule::{host, missing_subset, subset_labels};
use crate::istio::routes::{RouteError, select};
use crate::istio::service::conflicts;
use crate::istio::virtual_service::{Side, Sides, check_destinations};
use crate::rollout::observed::{Found, Observed, Raw};

use super::ping_pong;
use super::report::Report;
use super::routing::{FIELD, name_field};
use super::workload::Workload;
use super::{BlueGreen, Canary, DestinationRuleRef, Routing, VirtualServiceRef};

/// Checks every object that the canary refers to, except analysis templates.
pub(super) fn check(observed: &Observed, canary: &Canary, workload: Option<&Workload>, report: &mut Report) {
    let pod_labels = workload.map(Workload::labels);
    for (field, service) in service_fields(observed, canary) {
        check_service(observed, service, &field, pod_labels.as_ref(), report);
    }
    let Some(routing) = &canary.routing else { return };
    if let Some(reference) = &routing.destination_rule {
        check_destination_rule(observed, reference, report);
    }
    let sides = sides(observed, canary, routing);
    let istio = observed.rollout.spec.strategy.canary.as_ref();
    let istio = istio.and_then(|canary| canary.traffic_routing.as_ref()).and_then(|routing| routing.istio.as_ref());
    for (index, reference) in routing.virtual_services.iter().enumerate() {
        let reference = (reference, routing.managed_routes.as_slice());
        check_virtual_service(observed, reference, &name_field(istio, index), &sides, report);
    }
}

/// The Services of both sides, with the fields that name them.
fn service_fields<'c>(observed: &Observed, canary: &'c Canary) -> Vec<(String, &'c String)> {
    let wire = observed.rollout.spec.strategy.canary.as_ref().and_then(|canary| canary.ping_pong.as_ref());
    let field = |name: &str, service: &String| match wire {
        Some(both) if both.ping_service == *service => format!("{}.pingService", ping_pong::FIELD),
        Some(_) => format!("{}.pongService", ping_pong::FIELD),
        None => format!("spec.strategy.canary.{name}"),
    };
    let sides = [("canaryService", &canary.canary_service), ("stableService", &canary.stable_service)];
    sides.into_iter().filter_map(|(name, service)| Some((field(name, service.as_ref()?), service.as_ref()?))).collect()
}

/// Checks the Services of a blue-green strategy: whatever role its pods have, both must select them.
pub(super) fn check_blue_green(
    observed: &Observed,
    (blue_green, roles): (&BlueGreen, &Canary),
    workload: Option<&Workload>,
    report: &mut Report,
) {
    let active = ("activeService", Some(&blue_green.active_service).filter(|name| !name.is_empty()));
    for (name, service) in [active, ("previewService", blue_green.preview_service.as_ref())] {
        let Some(service) = service else { continue };
        let field = format!("spec.strategy.blueGreen.{name}");
        for role in [&roles.canary_metadata, &roles.stable_metadata] {
            let pod_labels = workload.map(|workload| {
                let mut labels = workload.labels();
                labels.extend(role.labels.clone());
                labels
            });
            check_service(observed, service, &field, pod_labels.as_ref(), report);
        }
    }
}

/// What the destinations of canary and stable are recognised by.
fn sides(observed: &Observed, canary: &Canary, routing: &Routing) -> Sides {
    let rule = observed.destination_rule.as_ref().and_then(Found::present);
    let rule_host = rule.and_then(|rule| host(&rule.object)).map(str::to_owned);
    let side = |subset: Option<&String>, service: &Option<String>| match subset {
        Some(name) => Side::Subset { host: rule_host.clone(), name: name.clone(), service: service.clone() },
        None => Side::Service(service.clone().unwrap_or_default()),
    };
    let reference = routing.destination_rule.as_ref();
    Sides {
        canary: side(reference.map(|rule| &rule.canary_subset), &canary.canary_service),
        stable: side(reference.map(|rule| &rule.stable_subset), &canary.stable_service),
        rollout_namespace: observed.rollout.metadata.namespace.clone().unwrap_or_default(),
    }
}

fn check_service(
    observed: &Observed,
    service: &str,
    field: &str,
    pod_labels: Option<&BTreeMap<String, String>>,
    report: &mut Report,
) {
    let Some(raw) = present(observed.services.get(service), field, ("services", service), report) else { return };
    let rollout = observed.rollout.metadata.name.as_deref().unwrap_or_default();
    if let Some(pod_labels) = pod_labels {
        for conflict in conflicts(&raw.object, rollout, pod_labels) {
            report.invalid(field, service, conflict);
        }
    }
    if raw.object.pointer("/spec/selector").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty) {
        report.invalid(
            field,
            service,
            format!("Service {service:?} has no selector; give it one that selects the pods"),
        );
    }
}

fn check_destination_rule(observed: &Observed, reference: &DestinationRuleRef, report: &mut Report) {
    let field = format!("{FIELD}.destinationRule");
    let what = ("destinationrules.networking.istio.io", reference.name.as_str());
    let found = present(observed.destination_rule.as_ref(), &format!("{field}.name"), what, report);
    let Some(raw) = found else { return };
    let subsets = [("canarySubsetName", &reference.canary_subset), ("stableSubsetName", &reference.stable_subset)];
    for (name, subset) in subsets {
        if subset_labels(&raw.object, subset).is_none() {
            report.invalid(format!("{field}.{name}"), subset.as_str(), missing_subset(&raw.object, subset));
        }
    }
}

fn check_virtual_service(
    observed: &Observed,
    (reference, managed): (&VirtualServiceRef, &[String]),
    field: &str,
    sides: &Sides,
    report: &mut Report,
) {
    let name = reference.key.name.as_str();
    let what = ("virtualservices.networking.istio.io", name);
    let Some(raw) = present(observed.virtual_services.get(&reference.key), field, what, report) else { return };
    match select(&raw.object, &reference.selection(managed)) {
        Err(errors) => {
            for error in errors {
                report.invalid(field, name, in_upstreams_words(&error));
            }
        }
        Ok(routes) => {
            for route in routes {
                for error in check_destinations(&raw.object, &[route], sides) {
                    let error = RouteError { protocol: Some(route.protocol), message: error.message };
                    report.invalid(field, name, in_upstreams_words(&error));
                }
            }
        }
    }
}

fn in_upstreams_words(error: &RouteError) -> String {
    match error.protocol {
        Some(protocol) => format!("Istio VirtualService has invalid {protocol} routes. Error: {}", error.message),
        None => error.message.clone(),
    }
}

/// The object, or an error that says why it cannot be used; `what` is its resource and name.
fn present<'a>(
    found: Option<&'a Found<Raw>>,
    field: &str,
    (resource, name): (&str, &str),
    report: &mut Report,
) -> Option<&'a Raw> {
    match found {
        Some(Found::Present(raw)) => Some(raw),
        Some(Found::Malformed(why)) => {
            report.invalid(field, name, format!("{resource} {name:?} cannot be read: {why}"));
            None
        }
        Some(Found::Missing) | None => {
            report.invalid(field, name, format!("{resource} {name:?} not found"));
            None
        }
    }
}
