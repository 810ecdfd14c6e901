//! The share of the traffic that goes to Services of Experiments: destinations of their own beside canary and stable.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use serin_api::labels::{EXPERIMENT_SERVICES, POD_TEMPLATE_HASH};

use super::host::Host;
use super::routes::{Protocol, RouteAt};
use super::{patch, record};

/// What the Service of an Experiment gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Weight in percent.
    pub weight: i32,
    /// Port to name in the destination; needed where the Service has several.
    pub port: Option<i64>,
}

/// The destinations that the routes should have beside canary, stable and foreign ones.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Namespace and name of the Rollout, as `namespace/name`.
    pub owner: &'a str,
    /// All Services that are experiments' of the Rollout, whether they get anything or not.
    pub known: &'a Services<'a>,
    /// What they get; a Service that is not named here gets nothing.
    pub shares: &'a BTreeMap<String, Share>,
}

/// Services of Experiments.
#[derive(Clone, Copy, Debug)]
pub struct Services<'a> {
    /// Namespace that they are in.
    pub namespace: &'a str,
    /// Their names.
    pub names: &'a BTreeSet<String>,
}

impl Services<'_> {
    /// The Service that a destination names, if it is one of these.
    fn named_by(&self, vs: &Value, destination: &Value) -> Option<&str> {
        let host = destination.pointer("/destination/host").and_then(Value::as_str)?;
        let host = Host::read(host, namespace_of(vs).unwrap_or(self.namespace))?;
        self.names.iter().find(|name| host.is_service(name, self.namespace)).map(String::as_str)
    }
}

/// Whether any route sends requests, or copies of them, to a Service.
#[must_use]
pub fn sends_to(vs: &Value, service: &str, namespace: &str) -> bool {
    let own = namespace_of(vs).unwrap_or(namespace);
    let is_it = |destination: &Value| {
        let host = destination.get("host").and_then(Value::as_str).and_then(|host| Host::read(host, own));
        host.is_some_and(|host| host.is_service(service, namespace))
    };
    let routes = Protocol::ALL.into_iter().flat_map(|protocol| list(vs, protocol));
    routes.into_iter().any(|route| {
        let destinations = destinations(route);
        let carries = |d: &Value| destinations.len() == 1 || weight(d) > 0;
        let mirrors = route.get("mirrors").and_then(Value::as_array).into_iter().flatten();
        destinations.iter().any(|d| carries(d) && is_it(&d["destination"]))
            || route.get("mirror").is_some_and(is_it)
            || mirrors.into_iter().any(|mirror| is_it(&mirror["destination"]))
    })
}

/// What each of the Services gets in one route.
#[must_use]
pub fn weights(vs: &Value, route: RouteAt, known: &Services<'_>) -> BTreeMap<String, i32> {
    let mut weights = BTreeMap::new();
    for destination in route.of(vs).map_or(&[][..], destinations) {
        if let Some(name) = known.named_by(vs, destination) {
            *weights.entry(name.to_owned()).or_insert(0) += weight(destination);
        }
    }
    weights
}

/// The Services that a VirtualService says a Rollout's experiments have in it.
#[must_use]
pub fn recorded(vs: &Value, owner: &str) -> BTreeSet<String> {
    record::of_owner(vs, EXPERIMENT_SERVICES, owner).into_iter().collect()
}

/// The Rollouts that a VirtualService says have experiments in it, as `namespace/name`.
#[must_use]
pub fn owners(vs: &Value) -> Vec<String> {
    record::recorded(vs, EXPERIMENT_SERVICES).into_iter().map(|(owner, _)| owner).collect()
}

/// The operations that add, change and remove the destinations of Experiments in the `base` routes; none if all is as it
/// should be. What they take or leave is for the caller to settle between canary and stable, and the version to test.
#[must_use]
pub fn changes(vs: &Value, base: &[RouteAt], wanted: Wanted<'_>) -> Vec<Value> {
    let mut operations: Vec<Value> = base.iter().flat_map(|route| route_changes(vs, *route, wanted)).collect();
    let names: Vec<&str> = wanted.shares.keys().map(String::as_str).collect();
    operations.extend(record::record(vs, EXPERIMENT_SERVICES, wanted.owner, &names));
    operations
}

/// The last destination comes first, so that no index moves.
fn route_changes(vs: &Value, route: RouteAt, wanted: Wanted<'_>) -> Vec<Value> {
    let present = route.of(vs).map_or(&[][..], destinations);
    let (mut operations, mut found) = (Vec::new(), BTreeSet::new());
    for (index, destination) in present.iter().enumerate().rev() {
        let Some(name) = wanted.known.named_by(vs, destination) else { continue };
        let place = format!("{}/route/{index}", route.pointer());
        let share = wanted.shares.get(name).filter(|_| found.insert(name.to_owned()));
        let test = || patch::test(&format!("{place}/destination"), &destination["destination"]);
        match share {
            None => operations.extend([test(), patch::remove(&place)]),
            Some(share) if weight(destination) != share.weight => {
                operations.extend([test(), patch::add(&format!("{place}/weight"), &json!(share.weight))]);
            }
            Some(_) => {}
        }
    }
    for (name, share) in wanted.shares.iter().filter(|(name, _)| !found.contains(*name)) {
        let destination = destination(vs, name, wanted.known.namespace, *share);
        operations.push(patch::add(&format!("{}/route/-", route.pointer()), &destination));
    }
    operations
}

fn destination(vs: &Value, service: &str, namespace: &str, share: Share) -> Value {
    let is_here = namespace_of(vs).is_none_or(|own| own == namespace);
    let host = if is_here { service.to_owned() } else { format!("{service}.{namespace}.svc.cluster.local") };
    let mut destination = json!({"host": host});
    if let Some(port) = share.port {
        destination["port"] = json!({"number": port});
    }
    json!({"destination": destination, "weight": share.weight})
}

/// The VirtualService without the destinations of some Services, and without the record of them.
#[must_use]
pub fn without(vs: &Value, known: &Services<'_>) -> Value {
    let mut after = vs.clone();
    for protocol in Protocol::ALL {
        let routes = after.pointer_mut(&format!("/spec/{}", protocol.key())).and_then(Value::as_array_mut);
        for route in routes.into_iter().flatten() {
            if let Some(destinations) = route.get_mut("route").and_then(Value::as_array_mut) {
                destinations.retain(|destination| known.named_by(vs, destination).is_none());
            }
        }
    }
    record::forget(&mut after, EXPERIMENT_SERVICES);
    after
}

/// The operations that take away the destinations of the experiments of a Rollout that is gone, and the record of them;
/// their weight goes to the heaviest of the others.
#[must_use]
pub fn farewell(vs: &Value, owner: &str) -> Vec<Value> {
    let names = recorded(vs, owner);
    let namespace = owner.split_once('/').map_or("", |(namespace, _)| namespace);
    let known = Services { namespace, names: &names };
    let mut operations = Vec::new();
    for protocol in Protocol::ALL {
        for (index, route) in list(vs, protocol).iter().enumerate() {
            operations.extend(leave(vs, (RouteAt { protocol, index }, route), &known));
        }
    }
    operations.extend(record::record(vs, EXPERIMENT_SERVICES, owner, &[]));
    operations
}

fn leave(vs: &Value, (at, route): (RouteAt, &Value), known: &Services<'_>) -> Vec<Value> {
    let present = destinations(route);
    let is_ours = |destination: &&Value| known.named_by(vs, destination).is_some();
    let freed: i32 = present.iter().filter(is_ours).map(weight).sum();
    let heir = present.iter().enumerate().filter(|(_, d)| !is_ours(d)).max_by_key(|(_, d)| weight(d));
    let Some((heir, destination)) = heir.filter(|_| present.iter().any(|d| is_ours(&d))) else { return Vec::new() };
    let place = |index: usize| format!("{}/route/{index}", at.pointer());
    let mut operations = vec![
        patch::test(&format!("{}/destination", place(heir)), &destination["destination"]),
        patch::add(&format!("{}/weight", place(heir)), &json!(weight(destination) + freed)),
    ];
    for (index, destination) in present.iter().enumerate().rev().filter(|(_, d)| is_ours(d)) {
        operations.push(patch::test(&format!("{}/destination", place(index)), &destination["destination"]));
        operations.push(patch::remove(&place(index)));
    }
    operations
}

/// The operations that give a DestinationRule a subset for each Service that gets traffic, by the hash of its pods, and
/// take away all others that were made so. The caller tests the version.
#[must_use]
pub fn subset_changes(dr: &Value, names: &BTreeSet<String>, hashes: &BTreeMap<String, String>) -> Vec<Value> {
    let (mut operations, mut found) = (Vec::new(), BTreeSet::new());
    for (index, subset) in subsets(dr).iter().enumerate().rev() {
        let Some(name) = made_subset(subset, names) else { continue };
        if hashes.get(name).is_some_and(|hash| subset["labels"][POD_TEMPLATE_HASH] == **hash) && found.insert(name) {
            continue;
        }
        let place = format!("/spec/subsets/{index}");
        operations.push(patch::test(&format!("{place}/name"), &subset["name"]));
        operations.push(patch::remove(&place));
    }
    for (name, hash) in hashes.iter().filter(|(name, _)| !found.contains(name.as_str())) {
        operations.push(patch::add("/spec/subsets/-", &json!({"name": name, "labels": {POD_TEMPLATE_HASH: hash}})));
    }
    operations
}

/// The DestinationRule without the subsets that were made for Experiments.
#[must_use]
pub fn without_subsets(dr: &Value, names: &BTreeSet<String>) -> Value {
    let mut dr = dr.clone();
    if let Some(subsets) = dr.pointer_mut("/spec/subsets").and_then(Value::as_array_mut) {
        subsets.retain(|subset| made_subset(subset, names).is_none());
    }
    dr
}

/// The name of a subset that says no more than one of ours would.
fn made_subset<'a>(subset: &'a Value, names: &BTreeSet<String>) -> Option<&'a str> {
    let labels = subset.get("labels").and_then(Value::as_object)?;
    let is_plain = labels.len() == 1 && labels.contains_key(POD_TEMPLATE_HASH) && subset.as_object()?.len() == 2;
    subset.get("name").and_then(Value::as_str).filter(|name| is_plain && names.contains(*name))
}

fn subsets(dr: &Value) -> &[Value] {
    dr.pointer("/spec/subsets").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn namespace_of(vs: &Value) -> Option<&str> {
    vs.pointer("/metadata/namespace").and_then(Value::as_str)
}

fn list(vs: &Value, protocol: Protocol) -> &[Value] {
    vs.get("spec").and_then(|spec| spec.get(protocol.key())).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn destinations(route: &Value) -> &[Value] {
    route.get("route").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn weight(destination: &Value) -> i32 {
    destination.get("weight").and_then(Value::as_i64).and_then(|weight| i32::try_from(weight).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
