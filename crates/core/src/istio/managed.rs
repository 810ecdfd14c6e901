//! Managed routes: HTTP routes that header and mirror steps make out of a route that carries weights.
//!
//! A managed route is the route that it derives from, with other matches and, for headers, the canary as its only
//! destination: timeouts, retries, rewrites, CORS and whatever else is written there hold for it too. It stands directly
//! before that route and takes none of the requests that would not have come there.

use serde_json::{Value, json};
use serin_api::labels::MANAGED_ROUTES;

use crate::field_error::FieldError;

use super::matching;
use super::routes::{Protocol, RouteAt, name};
use super::virtual_service::{RouteWeights, Sides, canary_destination, observed_weights};
use super::{patch, record};

/// A route that a step asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct ManagedRoute {
    /// Its name, one of `managedRoutes`.
    pub name: String,
    /// Which requests it takes, as an `HTTPMatchRequest` of Istio each; never empty.
    pub matches: Vec<Value>,
    /// What becomes of them.
    pub kind: ManagedKind,
}

/// What a managed route does with its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagedKind {
    /// All of them go to the canary.
    Header,
    /// They are split by weight as ever, and some are copied to the canary.
    Mirror {
        /// Share of the requests that is copied, from 0 to 100.
        percentage: i32,
    },
}

/// The managed routes that a VirtualService should have.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Namespace and name of the Rollout, as `namespace/name`.
    pub owner: &'a str,
    /// All names that are the Rollout's to use, in the order in which their routes come.
    pub names: &'a [String],
    /// The routes, in any order.
    pub routes: &'a [ManagedRoute],
}

/// The managed routes of a VirtualService as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Existing {
    /// Those that split their requests by weight, as mirror routes do, with their weights.
    pub splitting: Vec<RouteWeights>,
    /// Whether any sends all of its requests to the canary.
    pub to_canary: bool,
}

/// Reads the routes of some names.
#[must_use]
pub fn existing(vs: &Value, names: &[String], sides: &Sides) -> Existing {
    let mut found = Existing::default();
    for route in places(vs, names) {
        match observed_weights(vs, &[route], sides) {
            Ok(weights) => found.splitting.extend(weights),
            Err(_) => found.to_canary |= canary_destination(vs, route, sides).is_some(),
        }
    }
    found
}

/// The VirtualService without the routes of some names, and without the record of them.
#[must_use]
pub fn without(vs: &Value, names: &[String]) -> Value {
    let mut vs = vs.clone();
    if let Some(routes) = vs.pointer_mut("/spec/http").and_then(Value::as_array_mut) {
        routes.retain(|route| !bears_one_of(route, names));
    }
    record::forget(&mut vs, MANAGED_ROUTES);
    vs
}

/// The operations that give a VirtualService its managed routes before each of the `base` routes, and take away all
/// others that bear one of the names; none if everything is as it should be. The caller tests the version.
///
/// # Errors
/// Every base route without a canary destination.
pub fn changes(vs: &Value, base: &[RouteAt], wanted: Wanted<'_>, sides: &Sides) -> Result<Vec<Value>, Vec<FieldError>> {
    let present = http(vs);
    let mut after: Vec<Value> = Vec::new();
    for (index, route) in present.iter().enumerate() {
        if bears_one_of(route, wanted.names) {
            continue;
        }
        let at = RouteAt { protocol: Protocol::Http, index };
        if base.contains(&at) {
            after.extend(derived(vs, at, wanted, sides)?);
        }
        after.push(route.clone());
    }
    let mut operations = if after == present { Vec::new() } else { replace(present, &after, wanted.names) };
    let made: Vec<&str> = after.iter().filter(|r| bears_one_of(r, wanted.names)).filter_map(name).collect();
    operations.extend(record::record(vs, MANAGED_ROUTES, wanted.owner, &made));
    Ok(operations)
}

/// The Rollouts that a VirtualService says have managed routes in it, as `namespace/name`, with the names of those.
#[must_use]
pub fn recorded(vs: &Value) -> Vec<(String, Vec<String>)> {
    record::recorded(vs, MANAGED_ROUTES)
}

/// The operations that take away the managed routes of a Rollout that is gone, and the record of them.
#[must_use]
pub fn farewell(vs: &Value, owner: &str) -> Vec<Value> {
    let mut operations = removals(http(vs), &record::of_owner(vs, MANAGED_ROUTES, owner));
    operations.extend(record::record(vs, MANAGED_ROUTES, owner, &[]));
    operations
}

fn http(vs: &Value) -> &[Value] {
    vs.pointer("/spec/http").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn bears_one_of(route: &Value, names: &[String]) -> bool {
    name(route).is_some_and(|name| names.iter().any(|one| one == name))
}

fn places(vs: &Value, names: &[String]) -> impl Iterator<Item = RouteAt> {
    let is_one = |(_, route): &(usize, &Value)| bears_one_of(route, names);
    http(vs).iter().enumerate().filter(is_one).map(|(index, _)| RouteAt { protocol: Protocol::Http, index })
}

/// The managed routes that come before a route, in the order of their names.
fn derived(vs: &Value, at: RouteAt, wanted: Wanted<'_>, sides: &Sides) -> Result<Vec<Value>, Vec<FieldError>> {
    let base = at.of(vs).unwrap_or(&Value::Null);
    let canary = canary_destination(vs, at, sides)
        .ok_or_else(|| vec![FieldError::new(at.to_string(), "has no canary destination to make a managed route of")])?;
    let in_order = wanted.names.iter().filter_map(|name| wanted.routes.iter().find(|route| route.name == *name));
    Ok(in_order.filter_map(|route| derive(base, canary, route)).collect())
}

/// A managed route made of `base`; `None` if no request that comes to `base` could match it.
fn derive(base: &Value, canary: &Value, managed: &ManagedRoute) -> Option<Value> {
    let matches = matching::within(base, &managed.matches);
    if matches.is_empty() {
        return None;
    }
    let mut route = base.clone();
    route["name"] = json!(managed.name);
    route["match"] = json!(matches);
    match managed.kind {
        ManagedKind::Header => {
            let mut only = canary.clone();
            only["weight"] = json!(100);
            route["route"] = json!([only]);
        }
        ManagedKind::Mirror { percentage } => add_mirror(&mut route, &canary["destination"], percentage),
    }
    Some(route)
}

/// Beside the mirrors that the route has already, where Istio's single `mirror` must become a list.
fn add_mirror(route: &mut Value, destination: &Value, percentage: i32) {
    let share = json!({"value": percentage});
    let Some(fields) = route.as_object_mut() else { return };
    let before = fields.remove("mirror").map(|destination| {
        let mut mirror = json!({"destination": destination});
        if let Some(percentage) = fields.remove("mirrorPercentage") {
            mirror["percentage"] = percentage;
        }
        mirror
    });
    let mut mirrors: Vec<Value> = fields.get("mirrors").and_then(Value::as_array).cloned().unwrap_or_default();
    mirrors.extend(before);
    if mirrors.is_empty() {
        fields.insert("mirror".to_owned(), destination.clone());
        fields.insert("mirrorPercentage".to_owned(), share);
    } else {
        mirrors.push(json!({"destination": destination, "percentage": share}));
        fields.insert("mirrors".to_owned(), json!(mirrors));
    }
}

/// Out with all managed routes, in with the new ones: one patch, so that no request comes in between.
fn replace(present: &[Value], after: &[Value], names: &[String]) -> Vec<Value> {
    let mut operations = removals(present, names);
    for (index, route) in after.iter().enumerate().filter(|(_, route)| bears_one_of(route, names)) {
        operations.push(patch::add(&format!("/spec/http/{index}"), route));
    }
    operations
}

/// The last comes first, so that no index moves.
fn removals(present: &[Value], names: &[String]) -> Vec<Value> {
    let mut operations = Vec::new();
    for (index, route) in present.iter().enumerate().rev().filter(|(_, route)| bears_one_of(route, names)) {
        let place = format!("/spec/http/{index}");
        operations.push(patch::test(&format!("{place}/name"), &route["name"]));
        operations.push(patch::remove(&place));
    }
    operations
}

#[cfg(test)]
mod tests;
