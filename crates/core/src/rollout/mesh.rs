//! The routes and subsets as they are: who carries how much traffic, and which pods stand behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;
use serin_api::labels::POD_TEMPLATE_HASH;

use crate::istio::destination_rule::{host, subset_hash, subset_selects};
use crate::istio::managed::existing;
use crate::istio::routes::{RouteAt, Selection, select};
use crate::istio::service::{selector_hash, selects};
use crate::istio::virtual_service::{RouteWeights, Side, Sides, observed_weights};
use crate::rollout::Hold;
use crate::rollout::observed::{Observed, Pod, Raw, VirtualServiceKey};
use crate::rollout::parse::{Routing, Spec};

use super::extras;

/// The traffic routing of a Rollout, as read.
#[derive(Debug)]
pub(crate) struct Mesh<'a> {
    pub(crate) sides: Sides,
    pub(crate) canary: End<'a>,
    pub(crate) stable: End<'a>,
    pub(crate) routed: Vec<Routed<'a>>,
    /// The DestinationRule, with subset-level routing.
    pub(crate) destination_rule: Option<&'a Raw>,
    /// Names of the Services that are destinations of experiments, or may become ones.
    pub(crate) experiments: BTreeSet<String>,
}

/// A VirtualService, the routes in it that are ours, and their weights.
#[derive(Debug)]
pub(crate) struct Routed<'a> {
    pub(crate) key: &'a VirtualServiceKey,
    pub(crate) raw: &'a Raw,
    /// What its routes are picked by.
    pub(crate) selection: Selection,
    /// The routes that the spec names.
    pub(crate) base: Vec<RouteAt>,
    /// The weights of those, and behind them of the managed routes that split their requests alike.
    pub(crate) weights: Vec<RouteWeights>,
    /// Whether a managed route sends requests to the canary, whatever its weight.
    pub(crate) to_canary: bool,
}

impl<'a> Routed<'a> {
    /// Reads the routes out of a VirtualService; `None` if they are not there or their weights cannot be read.
    pub(crate) fn read(
        (key, raw): (&'a VirtualServiceKey, &'a Raw),
        selection: Selection,
        sides: &Sides,
    ) -> Option<Self> {
        let base = select(&raw.object, &selection).ok()?;
        let mut weights = observed_weights(&raw.object, &base, sides).ok()?;
        let managed = existing(&raw.object, &selection.managed, sides);
        weights.extend(managed.splitting);
        Some(Routed { key, raw, selection, base, weights, to_canary: managed.to_canary })
    }

    /// The places of all routes that carry weights.
    pub(crate) fn routes(&self) -> Vec<RouteAt> {
        self.weights.iter().map(|weights| weights.route).collect()
    }
}

/// What stands behind one side of the split: a subset, a Service, or both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End<'a> {
    pub(crate) subset: Option<(&'a Raw, &'a str)>,
    pub(crate) service: Option<(&'a Raw, &'a str)>,
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Canary,
    Stable,
}

impl Role {
    /// The other one.
    pub(crate) fn other(self) -> Self {
        match self {
            Role::Canary => Role::Stable,
            Role::Stable => Role::Canary,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Canary => "canary",
            Role::Stable => "stable",
        })
    }
}

impl<'a> Mesh<'a> {
    /// Reads the objects that the spec names; `None` without traffic routing, or if one of them is not there, which
    /// the parser has already refused.
    pub(crate) fn read(observed: &'a Observed, spec: &'a Spec) -> Option<Self> {
        let routing = spec.canary.routing.as_ref()?;
        let destination_rule = observed.destination_rule.as_ref().and_then(|found| found.present());
        let sides = sides(observed, spec, routing, destination_rule);
        let mut routed = Vec::new();
        for reference in &routing.virtual_services {
            let (key, found) = observed.virtual_services.get_key_value(&reference.key)?;
            let raw = found.present()?;
            routed.push(Routed::read((key, raw), reference.selection(&routing.managed_routes), &sides)?);
        }
        let end = |subset: Option<&'a str>, service: &'a Option<String>| End {
            subset: destination_rule.zip(subset),
            service: service.as_deref().and_then(|name| Some((observed.services.get(name)?.present()?, name))),
        };
        let rule = routing.destination_rule.as_ref();
        Some(Mesh {
            canary: end(rule.map(|rule| rule.canary_subset.as_str()), &spec.canary.canary_service),
            stable: end(rule.map(|rule| rule.stable_subset.as_str()), &spec.canary.stable_service),
            experiments: extras::names(observed, &routed, &[&spec.canary.canary_service, &spec.canary.stable_service]),
            sides,
            routed,
            destination_rule,
        })
    }

    /// The side of a role.
    pub(crate) fn end(&self, role: Role) -> &End<'a> {
        match role {
            Role::Canary => &self.canary,
            Role::Stable => &self.stable,
        }
    }

    /// The greatest weight that any of our routes gives a side, in percent; at least 1 where a managed route sends
    /// requests there.
    pub(crate) fn carried(&self, role: Role) -> i32 {
        let managed = role == Role::Canary && self.routed.iter().any(|routed| routed.to_canary);
        self.weight(role).max(i32::from(managed))
    }

    /// The greatest weight that any of our routes gives a side, in percent, whatever managed routes send there.
    pub(crate) fn weight(&self, role: Role) -> i32 {
        let pick = |weights: &RouteWeights| match role {
            Role::Canary => weights.canary,
            Role::Stable => weights.stable,
        };
        self.weights().map(pick).max().unwrap_or(0)
    }

    /// Whether a side carries traffic and nobody is behind it.
    pub(crate) fn is_deserted(&self, role: Role, observed: &Observed) -> bool {
        self.carried(role) > 0 && self.end(role).ready(observed).is_empty()
    }

    /// The canary's weight, if all our routes agree on it.
    pub(crate) fn canary_weight(&self) -> Option<i32> {
        let first = self.weights().next()?.canary;
        self.weights().all(|weights| weights.canary == first).then_some(first)
    }

    /// Why the routes do not carry a canary weight; `None` if they do.
    pub(crate) fn differs_from(&self, desired: i32) -> Option<Hold> {
        // Foreign destinations that leave no room at all would otherwise let a version pass that nobody ever called.
        let carries =
            |weights: &RouteWeights| weights.carries(desired) && (desired == 0 || weights.room_for(desired) > 0);
        if self.weights().all(carries) {
            return None;
        }
        let observed = self.weights().find(|w| !carries(w)).map_or(desired, |w| w.canary);
        Some(Hold::WeightNotObserved { desired, observed })
    }

    /// The greatest weight, in percent, that reaches pods of a hash; at least 1 where a managed route does.
    pub(crate) fn weight_carried_by(&self, hash: &str) -> i32 {
        self.sum(hash, |role| self.carried(role))
    }

    /// As [`Mesh::weight_carried_by`], whatever managed routes send there: nobody may ever send what they match.
    pub(crate) fn weight_of(&self, hash: &str) -> i32 {
        self.sum(hash, |role| self.weight(role))
    }

    fn sum(&self, hash: &str, of: impl Fn(Role) -> i32) -> i32 {
        let reaching = [Role::Canary, Role::Stable].into_iter().filter(|role| self.end(*role).reaches(hash));
        reaching.map(of).sum::<i32>().min(100)
    }

    /// Whether pods of a hash carry nothing, and the mesh has had the time to know.
    pub(crate) fn has_released(&self, hash: &str, observed: &Observed) -> bool {
        self.weight_carried_by(hash) == 0 && self.quiet_at(observed).is_none()
    }

    /// When the last change of routes and subsets will have spread; `None` if it has.
    pub(crate) fn quiet_at(&self, observed: &Observed) -> Option<DateTime<Utc>> {
        let services = [self.canary.service, self.stable.service].into_iter().flatten().map(|(raw, _)| raw);
        let sides = self.destination_rule.into_iter().chain(services).map(|raw| raw.seen_at).max();
        let sides = sides.and_then(|seen_at| spread_at(seen_at, observed));
        self.routes_quiet_at(observed).max(sides)
    }

    /// When the last change of weights will have spread; `None` if it has.
    pub(crate) fn routes_quiet_at(&self, observed: &Observed) -> Option<DateTime<Utc>> {
        let last = self.routed.iter().map(|routed| routed.raw.seen_at).max()?;
        spread_at(last, observed)
    }

    /// Whether the canary side is restricted to a hash.
    pub(crate) fn canary_stands_for(&self, hash: &str) -> bool {
        self.canary.hash() == Some(hash)
    }

    /// When the mesh will know pods behind a side that carries nothing yet; `None` if it does.
    pub(crate) fn served_at(&self, role: Role, observed: &Observed) -> Option<DateTime<Utc>> {
        let end = self.end(role);
        let pods = end.ready(observed).iter().map(|pod| pod.seen_at).min()?;
        let sides = [end.subset, end.service].into_iter().flatten().map(|(raw, _)| raw.seen_at).max()?;
        spread_at(pods.max(sides), observed)
    }

    fn weights(&self) -> impl Iterator<Item = &RouteWeights> {
        self.routed.iter().flat_map(|routed| &routed.weights)
    }
}

impl End<'_> {
    /// The hash that the side is restricted to; `None` if it is restricted to none, or to two.
    pub(crate) fn hash(&self) -> Option<&str> {
        let subset = self.subset.map(|(raw, name)| subset_hash(&raw.object, name));
        let service = self.service.map(|(raw, _)| selector_hash(&raw.object));
        match (subset, service) {
            (Some(subset), Some(service)) => subset.filter(|hash| Some(*hash) == service),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => None,
        }
    }

    /// Whether there is nothing that could restrict this side.
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.subset.is_none() && self.service.is_none()
    }

    /// Whether requests to this side may reach pods of a hash.
    pub(crate) fn reaches(&self, hash: &str) -> bool {
        let subset = self.subset.and_then(|(raw, name)| subset_hash(&raw.object, name));
        let service = self.service.and_then(|(raw, _)| selector_hash(&raw.object));
        [subset, service].into_iter().flatten().all(|own| own == hash)
    }

    /// Whether a pod with these labels stands behind this side.
    pub(crate) fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.subset.is_none_or(|(raw, name)| subset_selects(&raw.object, name, labels))
            && self.service.is_none_or(|(raw, _)| selects(&raw.object, labels))
    }

    /// Whether a pod with these labels would stand behind this side if it were restricted to the pod's own hash.
    pub(crate) fn would_select(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut relabelled = labels.clone();
        let own_hash = |hash: Option<&str>| hash.map(str::to_owned);
        let mut set = |hash: Option<String>| {
            if let Some(hash) = hash {
                relabelled.insert(POD_TEMPLATE_HASH.to_owned(), hash);
            }
            relabelled.clone()
        };
        self.subset
            .is_none_or(|(raw, name)| subset_selects(&raw.object, name, &set(own_hash(subset_hash(&raw.object, name)))))
            && self.service.is_none_or(|(raw, _)| selects(&raw.object, &set(own_hash(selector_hash(&raw.object)))))
    }

    /// Whether ready pods of other ReplicaSets stand behind this side, too.
    pub(crate) fn serves_besides(&self, replica_set: &str, observed: &Observed) -> bool {
        self.ready(observed).iter().any(|pod| pod.replica_set != replica_set)
    }

    /// Ready pods that stand behind this side.
    pub(crate) fn ready<'p>(&self, observed: &'p Observed) -> Vec<&'p Pod> {
        observed.pods.iter().filter(|pod| pod.is_serving() && self.selects(&pod.labels)).collect()
    }
}

impl Pod {
    /// Ready, and not on its way out.
    pub(crate) fn is_serving(&self) -> bool {
        self.ready && !self.terminating
    }
}

fn sides(observed: &Observed, spec: &Spec, routing: &Routing, rule: Option<&Raw>) -> Sides {
    let dr_host = rule.and_then(|raw: &Raw| host(as_value(raw))).map(str::to_owned);
    let side = |subset: Option<&String>, service: &Option<String>| match subset {
        Some(name) => Side::Subset { host: dr_host.clone(), name: name.clone(), service: service.clone() },
        None => Side::Service(service.clone().unwrap_or_default()),
    };
    let subsets = routing.destination_rule.as_ref();
    Sides {
        canary: side(subsets.map(|rule| &rule.canary_subset), &spec.canary.canary_service),
        stable: side(subsets.map(|rule| &rule.stable_subset), &spec.canary.stable_service),
        rollout_namespace: observed.rollout.metadata.namespace.clone().unwrap_or_default(),
    }
}

/// When a change that was seen at some moment will have spread; `None` if it has.
pub(crate) fn spread_at(seen_at: DateTime<Utc>, observed: &Observed) -> Option<DateTime<Utc>> {
    let spread = seen_at.checked_add_signed(observed.settings.propagation)?;
    observed.control_plane.spread_at(spread, observed.now)
}

fn as_value(raw: &Raw) -> &Value {
    &raw.object
}
