//! The traffic routing without the objects that it refers to.

use serin_api::{IstioDestinationRule, IstioTrafficRouting, IstioVirtualService, TrafficRouting};

use crate::istio::reference::virtual_service;
use crate::rollout::observed::Observed;

use super::managed;
use super::report::Report;
use super::{DestinationRuleRef, Routing, VirtualServiceRef};

/// Where Istio's settings stand in the Rollout.
pub(super) const FIELD: &str = "spec.strategy.canary.trafficRouting.istio";

/// Reads the routing; `None` if it does not say which objects to set.
pub(super) fn read(observed: &Observed, wire: &TrafficRouting, report: &mut Report) -> Option<Routing> {
    let Some(istio) = &wire.istio else {
        report.required(FIELD, "trafficRouting needs istio; remove trafficRouting to split by numbers of pods");
        return None;
    };
    let destination_rule = istio.destination_rule.as_ref().map(|wire| destination_rule(wire, report));
    let managed_routes = managed::names(&wire.managed_routes, report);
    if let Some(weight) = wire.max_traffic_weight {
        let detail = "Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins";
        report.invalid("spec.strategy.canary.trafficRouting.maxTrafficWeight", weight, detail);
    }
    let virtual_services = virtual_services(observed, istio, report)?;
    match destination_rule {
        None => Some(Routing { virtual_services, destination_rule: None, managed_routes }),
        Some(rule) => Some(Routing { virtual_services, destination_rule: Some(rule?), managed_routes }),
    }
}

/// The field that a VirtualService of the list is named in.
pub(super) fn name_field(istio: Option<&IstioTrafficRouting>, index: usize) -> String {
    if istio.is_some_and(|istio| istio.virtual_service.is_some()) {
        format!("{FIELD}.virtualService.name")
    } else {
        format!("{FIELD}.virtualServices[{index}].name")
    }
}

fn virtual_services(
    observed: &Observed,
    istio: &IstioTrafficRouting,
    report: &mut Report,
) -> Option<Vec<VirtualServiceRef>> {
    let wire: Vec<&IstioVirtualService> = match (&istio.virtual_service, istio.virtual_services.as_slice()) {
        (Some(one), []) => vec![one],
        (None, several) if !several.is_empty() => several.iter().collect(),
        (Some(_), _) => {
            report.invalid(
                format!("{FIELD}.virtualServices"),
                "virtualService, virtualServices",
                "either VirtualService or VirtualServices must be configured, not both",
            );
            return None;
        }
        (None, _) => {
            let detail = "either VirtualService or VirtualServices must be configured";
            report.required(format!("{FIELD}.virtualService"), detail);
            return None;
        }
    };
    let namespace = observed.rollout.metadata.namespace.as_deref().unwrap_or_default();
    let mut all: Vec<VirtualServiceRef> = Vec::new();
    let mut is_whole = true;
    for (index, wire) in wire.into_iter().enumerate() {
        let field = name_field(Some(istio), index);
        match virtual_service(&wire.name, namespace) {
            Ok(key) if all.iter().any(|other| other.key == key) => {
                report.invalid(
                    field,
                    wire.name.as_str(),
                    "the VirtualService is listed twice; list all of its routes once",
                );
                is_whole = false;
            }
            Ok(key) => all.push(VirtualServiceRef {
                key,
                routes: wire.routes.clone(),
                tls_routes: wire.tls_routes.clone(),
                tcp_routes: wire.tcp_routes.clone(),
            }),
            Err(detail) => {
                report.invalid(field, wire.name.as_str(), detail);
                is_whole = false;
            }
        }
    }
    is_whole.then_some(all)
}

fn destination_rule(wire: &IstioDestinationRule, report: &mut Report) -> Option<DestinationRuleRef> {
    let field = format!("{FIELD}.destinationRule");
    let parts = [
        ("name", &wire.name),
        ("canarySubsetName", &wire.canary_subset_name),
        ("stableSubsetName", &wire.stable_subset_name),
    ];
    let missing = parts.iter().filter(|(_, value)| value.is_empty());
    let mut is_whole = true;
    for (name, _) in missing {
        report.required(format!("{field}.{name}"), "a destinationRule needs its name and the names of two subsets");
        is_whole = false;
    }
    if is_whole && wire.canary_subset_name == wire.stable_subset_name {
        let detail = "canary and stable need two different subsets";
        report.invalid(format!("{field}.stableSubsetName"), wire.stable_subset_name.as_str(), detail);
        is_whole = false;
    }
    for (index, name) in wire.additional_subset_names.iter().enumerate() {
        if *name == wire.canary_subset_name || *name == wire.stable_subset_name {
            let detail = "the canary and the stable subset are no additional ones; remove the name here";
            report.invalid(format!("{field}.additionalSubsetNames[{index}]"), name.as_str(), detail);
        }
    }
    is_whole.then(|| DestinationRuleRef {
        name: wire.name.clone(),
        canary_subset: wire.canary_subset_name.clone(),
        stable_subset: wire.stable_subset_name.clone(),
    })
}
