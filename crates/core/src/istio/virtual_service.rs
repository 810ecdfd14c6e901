//! The weights of a VirtualService: reading them, and the patch that changes them and nothing else.

use serde_json::{Value, json};

use crate::field_error::FieldError;

use super::host::Host;
use super::patch;
use super::routes::{self, RouteAt};

/// What a route's destinations are compared with to tell canary, stable and foreign ones apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides {
    /// The destination that gets the canary's weight.
    pub canary: Side,
    /// The destination that gets the rest.
    pub stable: Side,
    /// Namespace of the Rollout, in which its Services and its DestinationRule are.
    pub rollout_namespace: String,
}

/// One side of a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// Destinations whose host is this Service of the Rollout's namespace.
    Service(String),
    /// Destinations of this subset; besides, those without any subset whose host is the side's Service, if it has one.
    Subset {
        /// Host of the DestinationRule as written there; `None` if the DestinationRule is not known.
        host: Option<String>,
        /// Name of the subset.
        name: String,
        /// The side's Service, where the Rollout names both.
        service: Option<String>,
    },
}

/// The weights of one route as the mesh would read them, in its own units; they should sum to 100.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteWeights {
    /// Which route.
    pub route: RouteAt,
    /// Weight of the canary's destination.
    pub canary: i32,
    /// Weight of the stable destination.
    pub stable: i32,
    /// Sum of the weights of all other destinations.
    pub foreign: i32,
}

impl RouteWeights {
    /// The canary's share in percent of the route, whatever the weights sum to.
    #[must_use]
    pub fn canary_percent(&self) -> i32 {
        let total = self.total();
        if total == 0 {
            return 0;
        }
        let share = (i64::from(self.canary) * 100 + total / 2) / total;
        i32::try_from(share).unwrap_or(100)
    }

    /// Whether this is what [`set_weights`] would write for a canary weight.
    #[must_use]
    pub fn carries(&self, canary_weight: i32) -> bool {
        self.total() == 100 && self.canary == self.room_for(canary_weight)
    }

    /// The canary weight that there is room for beside the foreign destinations, which are never changed.
    #[must_use]
    pub fn room_for(&self, canary_weight: i32) -> i32 {
        canary_weight.clamp(0, 100).min((100 - self.foreign).max(0))
    }

    fn total(&self) -> i64 {
        i64::from(self.canary) + i64::from(self.stable) + i64::from(self.foreign)
    }
}

/// The least and the greatest canary share among some routes, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightRange {
    /// The least.
    pub min: i32,
    /// The greatest.
    pub max: i32,
}

impl WeightRange {
    /// The share that all routes agree on.
    #[must_use]
    pub fn agreed(self) -> Option<i32> {
        (self.min == self.max).then_some(self.min)
    }
}

/// The range of canary shares among routes, of one or several VirtualServices; `None` for no routes.
#[must_use]
pub fn weight_range(weights: &[RouteWeights]) -> Option<WeightRange> {
    let percents = || weights.iter().map(RouteWeights::canary_percent);
    Some(WeightRange { min: percents().min()?, max: percents().max()? })
}

/// The canary share in percent that all routes agree on; `None` if they do not, or if there are none.
#[must_use]
pub fn observed_canary_weight(weights: &[RouteWeights]) -> Option<i32> {
    weight_range(weights).and_then(WeightRange::agreed)
}

/// Reads the weights of the selected routes.
///
/// # Errors
/// Every route that is not there, lacks the canary or stable destination, or has a weight that is no number.
pub fn observed_weights(vs: &Value, routes: &[RouteAt], sides: &Sides) -> Result<Vec<RouteWeights>, Vec<FieldError>> {
    each(routes, |route| {
        let split = split(vs, route, sides)?;
        let weight = |index: usize| split.weight(vs, index).ok_or_else(|| no_weight(route, index));
        let weights = RouteWeights {
            route,
            canary: weight(split.canary)?,
            stable: weight(split.stable)?,
            foreign: split.foreign_weight(vs)?,
        };
        Ok(weights)
    })
}

/// The JSON Patch that gives the canary its weight in percent, and stable what is left; empty if they have it already.
///
/// Foreign destinations are never removed or changed: where they leave less than `canary_weight`, the canary gets what
/// there is (see [`RouteWeights::room_for`]) and stable nothing. The patch begins with a test of `version`; each weight
/// is preceded by tests of the route's name and of the destination.
///
/// # Errors
/// Every route that is not there, lacks the canary or stable destination, or whose foreign destinations take everything.
pub fn set_weights(
    vs: &Value,
    version: &str,
    routes: &[RouteAt],
    sides: &Sides,
    canary_weight: i32,
) -> Result<Vec<Value>, Vec<FieldError>> {
    let changes: Vec<Value> =
        each(routes, |route| route_changes(vs, route, sides, canary_weight))?.into_iter().flatten().collect();
    if changes.is_empty() {
        return Ok(changes);
    }
    Ok(std::iter::once(patch::test_version(version)).chain(changes).collect())
}

/// Every way in which the selected routes do not have both destinations, each exactly once.
#[must_use]
pub fn check_destinations(vs: &Value, routes: &[RouteAt], sides: &Sides) -> Vec<FieldError> {
    routes.iter().filter_map(|&route| split(vs, route, sides).err()).flatten().collect()
}

/// The destination of the canary in a route with its weight and headers, whether or not the route has a stable one;
/// `None` if there is not exactly one.
#[must_use]
pub fn canary_destination<'a>(vs: &'a Value, route: RouteAt, sides: &Sides) -> Option<&'a Value> {
    let at = Place { namespace: vs.pointer("/metadata/namespace").and_then(Value::as_str), sides };
    let destinations = route.of(vs)?.get("route").and_then(Value::as_array)?;
    let mut found = destinations.iter().filter(|destination| at.matches(&sides.canary, destination));
    let first = found.next();
    if found.next().is_some() { None } else { first }
}

/// The operations for one route.
fn route_changes(vs: &Value, route: RouteAt, sides: &Sides, canary_weight: i32) -> Result<Vec<Value>, Vec<FieldError>> {
    let split = split(vs, route, sides)?;
    let foreign = split.foreign_weight(vs)?;
    if foreign >= 100 {
        let message = format!(
            "destinations that are neither canary nor stable have a weight of {foreign}, which leaves nothing to split; \
             lower it below 100"
        );
        return Err(vec![FieldError::new(format!("{route}.route"), message)]);
    }
    let canary = RouteWeights { route, canary: 0, stable: 0, foreign }.room_for(canary_weight);
    let mut changes = Vec::new();
    for (index, weight) in [(split.canary, canary), (split.stable, 100 - foreign - canary)] {
        if split.weight(vs, index) != Some(weight) {
            changes.push(weight_change(vs, route, index, weight));
        }
    }
    let mut changes: Vec<Value> = changes.into_iter().flatten().collect();
    if let Some(name) = route.of(vs).and_then(routes::name)
        && !changes.is_empty()
    {
        changes.insert(0, patch::test(&format!("{}/name", route.pointer()), &json!(name)));
    }
    Ok(changes)
}

fn weight_change(vs: &Value, route: RouteAt, index: usize, weight: i32) -> [Value; 2] {
    let path = format!("{}/route/{index}", route.pointer());
    let destination = vs.pointer(&format!("{path}/destination")).unwrap_or(&Value::Null);
    let has_weight = vs.pointer(&format!("{path}/weight")).is_some();
    let set = if has_weight { patch::replace } else { patch::add };
    [patch::test(&format!("{path}/destination"), destination), set(&format!("{path}/weight"), &json!(weight))]
}

/// Indexes of a route's destinations.
struct Split {
    route: RouteAt,
    canary: usize,
    stable: usize,
    foreign: Vec<usize>,
}

impl Split {
    /// The weight of a destination; one that is absent is 0, as Istio reads it in a route of several destinations.
    fn weight(&self, vs: &Value, index: usize) -> Option<i32> {
        match vs.pointer(&format!("{}/route/{index}/weight", self.route.pointer())) {
            None | Some(Value::Null) => Some(0),
            Some(weight) => weight.as_i64().and_then(|weight| i32::try_from(weight).ok()).filter(|weight| *weight >= 0),
        }
    }

    fn foreign_weight(&self, vs: &Value) -> Result<i32, Vec<FieldError>> {
        let mut sum = 0_i32;
        for &index in &self.foreign {
            let weight = self.weight(vs, index).ok_or_else(|| no_weight(self.route, index))?;
            sum = sum.saturating_add(weight);
        }
        Ok(sum)
    }
}

fn no_weight(route: RouteAt, index: usize) -> Vec<FieldError> {
    vec![FieldError::new(format!("{route}.route[{index}].weight"), "must be a whole number from 0 to 100")]
}

/// Tells the destinations of a route apart.
fn split(vs: &Value, route: RouteAt, sides: &Sides) -> Result<Split, Vec<FieldError>> {
    let field = format!("{route}.route");
    let destinations = route
        .of(vs)
        .map(|route| route.get("route").and_then(Value::as_array).map_or(&[][..], Vec::as_slice))
        .ok_or_else(|| vec![FieldError::new(route.to_string(), "does not exist")])?;
    let at = Place { namespace: vs.pointer("/metadata/namespace").and_then(Value::as_str), sides };
    let indexes = |side: &Side| -> Vec<usize> {
        (0..destinations.len()).filter(|&index| at.matches(side, &destinations[index])).collect()
    };
    let (canary, stable) = (indexes(&sides.canary), indexes(&sides.stable));
    match (canary.as_slice(), stable.as_slice()) {
        (&[canary], &[stable]) if canary != stable => {
            let foreign = (0..destinations.len()).filter(|index| ![canary, stable].contains(index)).collect();
            Ok(Split { route, canary, stable, foreign })
        }
        _ => {
            let messages = [("Canary", &sides.canary, &canary), ("Stable", &sides.stable, &stable)]
                .map(|(role, side, found)| at.complaint(role, side, found.len(), destinations));
            let mut errors: Vec<FieldError> =
                messages.into_iter().flatten().map(|message| FieldError::new(&field, message)).collect();
            if errors.is_empty() {
                errors.push(FieldError::new(field, "canary and stable are the same destination; they must differ"));
            }
            Err(errors)
        }
    }
}

/// Where hosts are compared: short names in the VirtualService are relative to its own namespace.
struct Place<'a> {
    namespace: Option<&'a str>,
    sides: &'a Sides,
}

impl Place<'_> {
    fn matches(&self, side: &Side, destination: &Value) -> bool {
        match side {
            Side::Service(service) => self.is_service(destination, service),
            Side::Subset { host, name, service } => match subset(destination) {
                Some(subset) => subset == name && self.host_agrees(destination, host.as_deref()),
                None => service.as_ref().is_some_and(|service| self.is_service(destination, service)),
            },
        }
    }

    fn is_service(&self, destination: &Value, service: &str) -> bool {
        self.host(destination).is_some_and(|host| host.is_service(service, &self.sides.rollout_namespace))
    }

    fn host_agrees(&self, destination: &Value, rule_host: Option<&str>) -> bool {
        let Some(rule_host) = rule_host.and_then(|host| Host::read(host, &self.sides.rollout_namespace)) else {
            return true;
        };
        self.host(destination).is_some_and(|host| rule_host.covers(&host))
    }

    fn host(&self, destination: &Value) -> Option<Host> {
        let host = destination.pointer("/destination/host").and_then(Value::as_str)?;
        Host::read(host, self.namespace.unwrap_or(&self.sides.rollout_namespace))
    }

    /// What is wrong with a side that matches `found` destinations; nothing if that is one.
    fn complaint(&self, role: &str, side: &Side, found: usize, destinations: &[Value]) -> Option<String> {
        let what = match side {
            Side::Service(service) => format!("{role} Service '{service}'"),
            Side::Subset { name, .. } => format!("{role} DestinationRule subset '{name}'"),
        };
        match found {
            0 => Some(format!("{what} not found in route{}", self.near_miss(side, destinations))),
            1 => None,
            _ => Some(format!("{what} found {found} times in route; one destination must carry its weight")),
        }
    }

    /// A hint where only the host keeps a destination from matching.
    fn near_miss(&self, side: &Side, destinations: &[Value]) -> String {
        let Side::Subset { host: Some(rule_host), name, .. } = side else {
            return String::new();
        };
        let other = destinations
            .iter()
            .find(|destination| subset(destination) == Some(name) && !self.host_agrees(destination, Some(rule_host)));
        other
            .and_then(|destination| destination.pointer("/destination/host"))
            .and_then(Value::as_str)
            .map(|host| format!(": its destination has host '{host}', the DestinationRule is for host '{rule_host}'"))
            .unwrap_or_default()
    }
}

fn subset(destination: &Value) -> Option<&str> {
    destination.pointer("/destination/subset").and_then(Value::as_str).filter(|subset| !subset.is_empty())
}

/// Collects the results of all routes, or all of their errors.
fn each<T>(
    routes: &[RouteAt],
    mut one: impl FnMut(RouteAt) -> Result<T, Vec<FieldError>>,
) -> Result<Vec<T>, Vec<FieldError>> {
    let mut done = Vec::new();
    let mut errors = Vec::new();
    for &route in routes {
        match one(route) {
            Ok(result) => done.push(result),
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() { Ok(done) } else { Err(errors) }
}

#[cfg(test)]
mod tests;
