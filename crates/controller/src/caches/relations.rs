//! Where Rollouts are in each other's way, and in the way of others.

use std::collections::{BTreeMap, BTreeSet};

use serin_api::Rollout;
use serin_core::istio::Selection;
use serin_core::rollout::observed::Rival;

use super::Caches;
use super::references::{Reference, References, virtual_service_key};
use crate::change::{Key, Kind, ObjectName};

impl Caches {
    /// The other Rollouts that name a VirtualService or the DestinationRule of this one.
    pub(crate) fn rivals_of(&self, rollout: &ObjectName) -> Vec<Rival> {
        let Some(entry) = self.rollouts.get(rollout) else { return Vec::new() };
        let mut names: BTreeSet<ObjectName> = BTreeSet::new();
        for reference in entry.references.iter(&rollout.namespace).filter(is_istio) {
            names.extend(self.referrers.get(&reference).filter(|other| *other != rollout).cloned());
        }
        let rule = entry.references.destination_rule.as_deref();
        let rival = |name: &ObjectName| {
            let other = self.rollouts.get(name)?;
            Some(rival(name, &other.rollout, rule.filter(|_| name.namespace == rollout.namespace)))
        };
        names.iter().filter_map(rival).collect()
    }

    /// Names of ReplicaSets that this Rollout wanted and somebody else has.
    pub(crate) fn names_taken(&self, rollout: &ObjectName) -> BTreeSet<String> {
        self.taken.get(&Key::Rollout(rollout.clone())).cloned().collect()
    }

    /// Notes that somebody else has a ReplicaSet of this name, which a Rollout or an Experiment wanted.
    pub(crate) fn note_taken(&mut self, wanted_by: &Key, name: &str) {
        self.taken.insert(wanted_by.clone(), name.to_owned());
    }

    /// The other Rollouts that name an Istio object which this one names, or named.
    pub(super) fn concerned_by_rival(&self, name: &ObjectName, references: &References, keys: &mut BTreeSet<Key>) {
        for reference in references.iter(&name.namespace).filter(is_istio) {
            keys.extend(self.referrers.get(&reference).filter(|other| *other != name).cloned().map(Key::Rollout));
        }
    }
}

fn is_istio(reference: &Reference) -> bool {
    matches!(reference.0, Kind::VirtualService | Kind::DestinationRule)
}

fn rival(name: &ObjectName, rollout: &Rollout, rule: Option<&str>) -> Rival {
    let routing = rollout.spec.strategy.canary.as_ref().and_then(|canary| canary.traffic_routing.as_ref());
    let istio = routing.and_then(|routing| routing.istio.as_ref());
    let managed: Vec<String> =
        routing.into_iter().flat_map(|routing| &routing.managed_routes).map(|route| route.name.clone()).collect();
    let mut routes = BTreeMap::new();
    for vs in istio.into_iter().flat_map(|istio| istio.virtual_service.iter().chain(&istio.virtual_services)) {
        let selection = Selection {
            routes: vs.routes.clone(),
            tls_routes: vs.tls_routes.clone(),
            tcp_routes: vs.tcp_routes.clone(),
            managed: managed.clone(),
        };
        routes.insert(virtual_service_key(&vs.name, &name.namespace), selection);
    }
    let theirs =
        istio.and_then(|istio| istio.destination_rule.as_ref()).filter(|theirs| Some(theirs.name.as_str()) == rule);
    let subsets = theirs.map(|rule| BTreeSet::from([rule.canary_subset_name.clone(), rule.stable_subset_name.clone()]));
    Rival { name: format!("{}/{}", name.namespace, name.name), routes, subsets: subsets.unwrap_or_default() }
}
