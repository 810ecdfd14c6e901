//! What proxies may still believe: any mixture of the routes, and of the subsets, Services and pods, of the last moments.

use chrono::{DateTime, Utc};

use crate::istio::service::selects;
use crate::rollout::Observed;
use crate::rollout::blue_green::Services;
use crate::rollout::extras::ready_behind;
use crate::rollout::mesh::{Mesh, Role};
use crate::rollout::parse::{Spec, parse};

/// Observations of the last moments, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Lag {
    seen: Vec<(Observed, Spec)>,
    /// Since when proxies learn of nothing: what they know may be as old as that.
    pub(super) cut_off: Option<DateTime<Utc>>,
    /// Whether nobody looks.
    pub(super) ignored: bool,
}

impl Lag {
    /// Takes in what there is now, and fails if a side could carry traffic that nobody answers: whichever routes and
    /// whichever endpoints of the last moments a proxy knows, one of these endpoints must serve now.
    #[track_caller]
    pub(super) fn see(&mut self, now: &Observed) {
        if self.ignored || now.rollout.status.as_ref().is_none_or(|status| status.stable_rs.is_none()) {
            return;
        }
        let Ok(spec) = parse(now) else { return };
        if spec.replicas == 0 {
            // Nobody is asked to serve.
            self.seen.clear();
            return;
        }
        if !self.is_known(now) {
            self.seen.push((now.clone(), spec));
        }
        let oldest = self.cut_off.unwrap_or(now.now).min(now.now) - now.settings.propagation;
        // The newest of those that are too old is still in force at the beginning of the window.
        while self.seen.len() > 1 && self.seen[1].0.now <= oldest {
            self.seen.remove(0);
        }
        for routes in &self.seen {
            for endpoints in &self.seen {
                if let Some(role) = unserved(routes, endpoints, now) {
                    panic!("at {} nobody may answer for the {role} side", now.now);
                }
            }
            if let Some(service) = unserved_experiment(&self.seen, routes, now) {
                panic!("at {} nobody may answer for Service {service} of an experiment", now.now);
            }
            assert!(!is_deserted(routes, now), "at {} nobody may answer for the active Service", now.now);
        }
    }
}

impl Lag {
    /// Whether the mesh is as it was when it was looked at last, in a time that nothing ages in.
    fn is_known(&self, now: &Observed) -> bool {
        let Some((last, _)) = self.seen.last().filter(|_| self.cut_off.is_some()) else { return false };
        last.pods == now.pods
            && last.virtual_services == now.virtual_services
            && last.destination_rule == now.destination_rule
            && last.services == now.services
            && last.experiment_pods == now.experiment_pods
            && last.experiment_services == now.experiment_services
    }
}

/// A side that has weight in some routes, and behind which nobody of some endpoints serves now.
fn unserved(routes: &(Observed, Spec), endpoints: &(Observed, Spec), now: &Observed) -> Option<Role> {
    let (routed, known) = (Mesh::read(&routes.0, &routes.1)?, Mesh::read(&endpoints.0, &endpoints.1)?);
    [Role::Canary, Role::Stable].into_iter().find(|role| {
        let ready = known.end(*role).ready(&endpoints.0);
        let serves = |name: &str| now.pods.iter().any(|pod| pod.name == name && pod.is_serving());
        routed.carried(*role) > 0 && !ready.iter().any(|pod| serves(&pod.name))
    })
}

/// A Service of an experiment that has weight in some routes, and behind which nobody of some endpoints serves now.
fn unserved_experiment(seen: &[(Observed, Spec)], routes: &(Observed, Spec), now: &Observed) -> Option<String> {
    let mesh = Mesh::read(&routes.0, &routes.1)?;
    let serves = |name: &str| now.experiment_pods.iter().any(|pod| pod.name == name && pod.is_serving());
    let is_served = |service: &String, known: &Observed| {
        let raw = known.experiment_services.get(service).filter(|_| now.experiment_services.contains_key(service));
        raw.is_some_and(|raw| ready_behind(known, service, raw).iter().any(|pod| serves(&pod.name)))
    };
    let mut with_weight = mesh.experiments.iter().filter(|service| mesh.share_of(service) > 0);
    with_weight.find(|service| !seen.iter().all(|(known, _)| is_served(service, known))).cloned()
}

/// Whether of the pods behind the active Service, as known at some moment, none serves now.
fn is_deserted((known, spec): &(Observed, Spec), now: &Observed) -> bool {
    let Some(services) = Services::read(known, spec) else { return false };
    let behind = |labels| selects(&services.active.object, labels);
    let serves = |name: &str| now.pods.iter().any(|pod| pod.name == name && pod.is_serving());
    !known.pods.iter().any(|pod| pod.is_serving() && behind(&pod.labels) && serves(&pod.name))
}
