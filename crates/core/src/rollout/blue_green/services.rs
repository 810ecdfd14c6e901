//! The two Services of a blue-green Rollout: at which revision they point, and at which they should.

use chrono::{DateTime, Utc};

use crate::istio::service::selector_hash;
use crate::plan::Planned;
use crate::rollout::Hold;
use crate::rollout::mesh::spread_at;
use crate::rollout::observed::{Observed, Raw};
use crate::rollout::parse::{BlueGreen, Spec};
use crate::rollout::replicas::is_fully_available;
use crate::rollout::scene::Scene;
use crate::rollout::service_switch;
use crate::rollout::state::State;

/// The Services as read, with the strategy that names them.
#[derive(Debug)]
pub(crate) struct Services<'a> {
    pub(crate) spec: &'a BlueGreen,
    pub(crate) active: &'a Raw,
    pub(crate) preview: Option<&'a Raw>,
}

impl<'a> Services<'a> {
    /// Reads the Services that the spec names; `None` for a canary, or if the active one is not there, which the parser
    /// has already refused.
    pub(crate) fn read(observed: &'a Observed, spec: &'a Spec) -> Option<Self> {
        let blue_green = spec.blue_green.as_ref()?;
        let raw = |name: &String| observed.services.get(name).and_then(|found| found.present());
        let preview = blue_green.preview_service.as_ref().and_then(raw);
        Some(Services { spec: blue_green, active: raw(&blue_green.active_service)?, preview })
    }

    /// Hash of the revision that production traffic goes to; `None` if the active Service is not restricted yet.
    pub(crate) fn active_hash(&self) -> Option<&'a str> {
        selector_hash(&self.active.object)
    }

    /// Hash of the revision that the preview Service stands for.
    pub(crate) fn preview_hash(&self) -> Option<&'a str> {
        self.preview.and_then(|raw| selector_hash(&raw.object))
    }

    /// Whether production traffic goes to pods of a hash alone.
    pub(crate) fn is_active(&self, hash: &str) -> bool {
        self.active_hash() == Some(hash)
    }

    /// Whether production traffic may reach pods of a hash.
    pub(crate) fn reaches(&self, hash: &str) -> bool {
        self.active_hash().is_none_or(|active| active == hash)
    }

    /// When the last change of the active Service will have spread; `None` if it has.
    pub(crate) fn quiet_at(&self, observed: &Observed) -> Option<DateTime<Utc>> {
        spread_at(self.active.seen_at, observed)
    }
}

/// Points the preview Service at the revision of the spec, and the active one at the revision that should serve; says so
/// where that has to wait.
pub(crate) fn switch(scene: &Scene<'_>, state: &State, services: &Services<'_>) -> (Vec<Planned>, Vec<Hold>) {
    if scene.spec.paused && state.aborted.is_none() {
        return (Vec::new(), Vec::new());
    }
    let mut effects = Vec::new();
    if let (Some(raw), Some(name)) = (services.preview, &services.spec.preview_service) {
        effects.extend(service_switch::point(scene, raw, name, &state.current_hash));
    }
    let name = &services.spec.active_service;
    let Some(hash) = wanted(scene, state, services) else { return (effects, Vec::new()) };
    if can_serve(scene, services, hash) {
        effects.extend(service_switch::point(scene, services.active, name, hash));
    }
    let pending = !services.is_active(hash);
    let hold = Hold::SideNotSwitched { side: format!("the active Service {name}"), hash: hash.to_owned() };
    (effects, pending.then_some(hold).into_iter().collect())
}

/// The revision that should serve; `None` if whoever serves now is to go on.
fn wanted<'s>(scene: &Scene<'_>, state: &'s State, services: &Services<'_>) -> Option<&'s str> {
    let stable = state.stable_hash.as_deref();
    if state.is_promoted() || state.aborted.is_some() {
        return stable;
    }
    if state.blue_green.check_point && is_fully_available(scene.spec, scene.new_replica_set()) {
        return Some(&state.current_hash);
    }
    // A revision that was passed over after its switch serves until the next one can.
    let serving = services.active_hash().and_then(|hash| scene.by_hash(hash));
    if serving.is_some_and(|rs| rs.replicas_available > 0) { None } else { stable }
}

/// Whether a revision has as many pods as there should be, or at least as many as the one that serves now.
fn can_serve(scene: &Scene<'_>, services: &Services<'_>, hash: &str) -> bool {
    let available = |hash: &str| scene.by_hash(hash).map_or(0, |rs| rs.replicas_available);
    let serving = services.active_hash().map_or(0, available);
    // The pods themselves may be seen later than the count of them.
    let name = scene.by_hash(hash).map(|rs| rs.name.as_str());
    let is_seen = scene.observed.pods.iter().any(|pod| Some(pod.replica_set.as_str()) == name && pod.is_serving());
    scene.spec.replicas == 0 || (is_seen && available(hash) >= serving.clamp(1, scene.spec.replicas))
}
