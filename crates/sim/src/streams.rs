//! Who calls what: one stream of requests for each Rollout, through the routes that it steps.

use serde_json::Value;

use crate::cluster::{Cluster, SERVICES, VIRTUAL_SERVICES};
use crate::mesh::Traffic;
use crate::rollout_object::{routes_of, workload};

/// The stream that reaches a Rollout: the first host of its first VirtualService, or its active Service; without either,
/// the first Service that selects its pods. `None` if nobody could call it.
#[must_use]
pub fn stream_to(cluster: &Cluster, rollout: &Value, requests_per_second: f64) -> Option<Traffic> {
    let namespace = rollout["metadata"]["namespace"].as_str().unwrap_or("default");
    let through_routes = routes_of(rollout, namespace).into_iter().find_map(|(namespace, name)| {
        let vs = cluster.get(&VIRTUAL_SERVICES, &namespace, &name).ok()?;
        let host = vs.pointer("/spec/hosts/0")?.as_str()?;
        let mut traffic = Traffic::to(&namespace, host);
        traffic.gateway = gateway_of(&vs, &namespace);
        Some(traffic)
    });
    let through_switch = || {
        let active = rollout.pointer("/spec/strategy/blueGreen/activeService")?.as_str()?;
        Some(Traffic::to(namespace, active))
    };
    let traffic = through_routes.or_else(through_switch).or_else(|| {
        let labels = pod_labels(cluster, rollout, namespace);
        let services = cluster.list(&SERVICES, Some(namespace));
        let service = services.iter().find(|service| selects(service, &labels))?;
        Some(Traffic::to(namespace, service["metadata"]["name"].as_str()?))
    })?;
    Some(traffic.at_rate(requests_per_second))
}

/// The gateway through which requests come; `None` if sidecars call.
fn gateway_of(vs: &Value, namespace: &str) -> Option<String> {
    let gateways: Vec<&str> = vs.pointer("/spec/gateways")?.as_array()?.iter().filter_map(Value::as_str).collect();
    let first = gateways.first()?;
    if gateways.contains(&"mesh") {
        return None;
    }
    Some(if first.contains('/') { (*first).to_owned() } else { format!("{namespace}/{first}") })
}

fn pod_labels(cluster: &Cluster, rollout: &Value, namespace: &str) -> Value {
    let own = rollout.pointer("/spec/template/metadata/labels").cloned();
    own.or_else(|| {
        let workload = workload(rollout)?;
        let object = cluster.get(workload.resource, namespace, workload.name).ok()?;
        object.pointer(&format!("{}/metadata/labels", workload.template)).cloned()
    })
    .unwrap_or_default()
}

fn selects(service: &Value, labels: &Value) -> bool {
    let selector = service.pointer("/spec/selector").and_then(Value::as_object);
    selector.is_some_and(|selector| {
        !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
    })
}
