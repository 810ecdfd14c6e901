//! Which header and mirror routes there should be now.
//!
//! They are for an update under way alone: a promotion, an abort and a newer revision take them away. A header route
//! sends its requests to the canary whatever the weight is, so it is made only where the mesh knows ready canary pods,
//! and goes when there are none.

use serde_json::Value;

use crate::istio::ManagedRoute;
use crate::istio::managed::{Wanted, changes};
use crate::istio::patch::{patched, test_version};
use crate::plan::Event;
use crate::rollout::Hold;

use super::mesh::{Mesh, Role, Routed};
use super::replicas::canary_wanted;
use super::rollback::is_hurried;
use super::scene::Scene;
use super::state::State;
use super::traffic::is_stripped;

/// What is wanted of managed routes.
#[derive(Debug, Default)]
pub(crate) struct Managed {
    /// The routes; `None` leaves everything as it is.
    routes: Option<Vec<ManagedRoute>>,
    /// Why the routes of the step cannot be made yet.
    pub(crate) hold: Option<Hold>,
}

/// The routes that the steps ask for, as far as the canary can answer what they bring.
pub(crate) fn wanted(scene: &Scene<'_>, state: &State, mesh: &Mesh<'_>) -> Managed {
    let routes = asked_for(scene, state);
    if routes.is_empty() || not_possible(scene, state, mesh).is_some() {
        return Managed { routes: Some(Vec::new()), hold: None };
    }
    let first = mesh.carried(Role::Canary) == 0;
    match mesh.served_at(Role::Canary, scene.observed).filter(|_| first) {
        Some(until) => {
            let hold = scene.observed.control_plane.hold("the first endpoint of the canary side", until);
            Managed { routes: None, hold: Some(hold) }
        }
        None => Managed { routes: Some(routes), hold: None },
    }
}

/// The routes of the steps so far; none without an update under way.
fn asked_for(scene: &Scene<'_>, state: &State) -> Vec<ManagedRoute> {
    let is_under_way = state.is_updating() && !is_hurried(scene, state);
    // Whoever wants no canary pods at all wants nobody to be sent to them.
    if !is_under_way || canary_wanted(scene, state) == 0 {
        return Vec::new();
    }
    scene.spec.canary.steps.routes_at(state.step)
}

/// Why nobody can be sent to the canary: its side stands for another revision, such as one that was passed over with its own
/// routes, or has nobody to answer.
fn not_possible(scene: &Scene<'_>, state: &State, mesh: &Mesh<'_>) -> Option<Hold> {
    if !mesh.canary_stands_for(&state.current_hash) && !is_stripped(scene, state, mesh) {
        return Some(Hold::SideNotSwitched { side: "the canary side".to_owned(), hash: state.current_hash.clone() });
    }
    mesh.canary.ready(scene.observed).is_empty().then(|| Hold::CanaryNotAvailable {
        available: scene.new_replica_set().map_or(0, |rs| rs.replicas_available),
        desired: canary_wanted(scene, state),
    })
}

impl Managed {
    /// What to tell once the routes of a VirtualService are as they should be.
    pub(crate) fn event(&self, virtual_service: &str) -> Event {
        let names: Vec<&str> = self.routes.iter().flatten().map(|route| route.name.as_str()).collect();
        let routes = if names.is_empty() { "no managed routes".to_owned() } else { names.join(", ") };
        Event::normal("ManagedRoutesUpdated", format!("VirtualService {virtual_service} has {routes}"))
    }
}

/// A patch of weights, which may be empty, with the changes of managed routes behind it.
pub(crate) fn behind(
    weights: Vec<Value>,
    scene: &Scene<'_>,
    mesh: &Mesh<'_>,
    routed: &Routed<'_>,
    managed: &Managed,
) -> Vec<Value> {
    let Some(routes) = &managed.routes else { return weights };
    let Ok(object) = patched(&routed.raw.object, &weights) else { return weights };
    let names = &routed.selection.managed;
    if names.is_empty() {
        return weights;
    }
    let owner = scene.owner();
    let more = changes(&object, &routed.base, Wanted { owner: &owner, names, routes }, &mesh.sides).unwrap_or_default();
    let mut patch = weights;
    if patch.is_empty() && !more.is_empty() {
        patch.push(test_version(&routed.raw.version));
    }
    patch.extend(more);
    patch
}

/// Why a step that asks for managed routes is not complete: routes are missing, or there are some too many.
pub(crate) fn not_observed(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    let mesh = scene.mesh.as_ref()?;
    if !asked_for(scene, state).is_empty()
        && let Some(hold) = not_possible(scene, state, mesh)
    {
        return Some(hold);
    }
    let managed = wanted(scene, state, mesh);
    if managed.hold.is_some() {
        return managed.hold;
    }
    let is_open = |routed: &&Routed<'_>| !behind(Vec::new(), scene, mesh, routed, &managed).is_empty();
    let open = mesh.routed.iter().find(is_open)?;
    Some(Hold::RoutesNotObserved { virtual_service: open.key.name.clone() })
}
