//! Weights that somebody else wrote over ours: on which route, and who it was.

use crate::plan::Event;
use crate::rollout::observed::Writer;

use super::mesh::Routed;
use super::scene::Scene;
use super::state::State;
use super::traffic::desired_weight;

/// Who is named where the API server does not say who wrote; Kubernetes uses the word in the same case.
const UNKNOWN: &str = "unknown";

/// A VirtualService whose weights somebody else changed since the last decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overwritten {
    /// Name of the VirtualService.
    pub name: String,
    /// Field manager that wrote, such as `kustomize-controller`; `unknown` if the API server does not say.
    pub manager: String,
    /// `Apply` or `Update`, as in managedFields; empty if the API server does not say.
    pub operation: String,
    /// The canary's weight before, in percent.
    pub from: i32,
    /// The canary's weight that was written, in percent.
    pub to: i32,
}

/// The VirtualServices whose weights are not those that the status says were last seen on the routes, and that were
/// last written by somebody else. The status that is written with this decision says what is seen now, so each
/// overwrite is found once.
pub(crate) fn find(scene: &Scene<'_>, state: &State) -> Vec<Overwritten> {
    let recorded = scene.observed.rollout.status.as_ref().and_then(|status| status.canary.weights.as_ref());
    let (Some(mesh), Some(recorded), false) = (&scene.mesh, recorded, state.is_initial()) else { return Vec::new() };
    if recorded.canary.service_name != scene.spec.canary.canary_service {
        // The Services have swapped their roles.
        return Vec::new();
    }
    let (from, desired) = (recorded.canary.weight, desired_weight(scene, state));
    let in_one = |routed: &Routed<'_>| {
        let changed = routed
            .weights
            .iter()
            .find(|weights| weights.canary != weights.room_for(from) || (from == desired && !weights.carries(from)))?;
        let (manager, operation) = match &routed.raw.writer {
            Writer::Own => return None,
            // Without a name, only a weight that was as wanted tells that it was not us.
            Writer::Unknown if from == desired => (UNKNOWN, ""),
            Writer::Unknown => return None,
            Writer::Other { manager, operation } => (manager.as_str(), operation.as_str()),
        };
        Some(Overwritten {
            name: routed.key.name.clone(),
            manager: manager.to_owned(),
            operation: operation.to_owned(),
            from,
            to: changed.canary,
        })
    };
    mesh.routed.iter().filter_map(in_one).collect()
}

/// The events that name who it was.
pub(crate) fn events(scene: &Scene<'_>, state: &State, all: &[Overwritten]) -> Vec<Event> {
    let desired = desired_weight(scene, state);
    let event = |one: &Overwritten| {
        let Overwritten { name, manager, operation, from, to } = one;
        let who = if operation.is_empty() { manager.clone() } else { format!("{manager} ({operation})") };
        let wanted = if *to == desired { String::new() } else { format!("; {desired} is wanted") };
        let message = format!("{who} set the canary's weight in VirtualService {name} from {from} to {to}{wanted}");
        Event::warning("TrafficOverwritten", message)
    };
    all.iter().map(event).collect()
}
