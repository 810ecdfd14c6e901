//! The canary weight that the routes carry now.

use serin_core::istio::destination_rule::host;
use serin_core::istio::routes::{Selection, select};
use serin_core::istio::virtual_service::{RouteWeights, Side, Sides, observed_canary_weight, observed_weights};
use serin_core::rollout::Observed;
use serin_core::rollout::observed::Found;
use serin_core::rollout::parse::{Canary, Routing};

/// The weight in percent that all routes agree on; `None` if they do not, or cannot be read.
pub(super) fn canary_weight(observed: &Observed, canary: &Canary) -> Option<i32> {
    let routing = canary.routing.as_ref()?;
    let sides = sides(observed, canary, routing);
    let mut weights: Vec<RouteWeights> = Vec::new();
    for reference in &routing.virtual_services {
        let raw = observed.virtual_services.get(&reference.key)?.present()?;
        let selection = Selection {
            routes: reference.routes.clone(),
            tls_routes: reference.tls_routes.clone(),
            tcp_routes: reference.tcp_routes.clone(),
            managed: Vec::new(),
        };
        let routes = select(&raw.object, &selection).ok()?;
        weights.extend(observed_weights(&raw.object, &routes, &sides).ok()?);
    }
    observed_canary_weight(&weights)
}

fn sides(observed: &Observed, canary: &Canary, routing: &Routing) -> Sides {
    let rule = observed.destination_rule.as_ref().and_then(Found::present);
    let host = rule.and_then(|rule| host(&rule.object)).map(str::to_owned);
    let side = |subset: Option<&String>, service: &Option<String>| match subset {
        Some(name) => Side::Subset { host: host.clone(), name: name.clone(), service: service.clone() },
        None => Side::Service(service.clone().unwrap_or_default()),
    };
    let reference = routing.destination_rule.as_ref();
    Sides {
        canary: side(reference.map(|rule| &rule.canary_subset), &canary.canary_service),
        stable: side(reference.map(|rule| &rule.stable_subset), &canary.stable_service),
        rollout_namespace: observed.rollout.metadata.namespace.clone().unwrap_or_default(),
    }
}
