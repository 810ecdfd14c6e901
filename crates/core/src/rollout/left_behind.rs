//! Objects that the Rollout set once and does not name any more: what it had restricted there is lifted again.

use crate::istio::farewell;
use crate::istio::service::selector_hash;
use crate::plan::{Effect, Event, Planned};
use crate::rollout::observed::LeftBehind;

use super::scene::Scene;

/// What takes our label, our annotation and our routes off objects that the spec names no longer, for instance after a
/// change of the strategy. Whoever is reached through them reaches all pods again.
pub(crate) fn lift(scene: &Scene<'_>) -> Vec<Planned> {
    scene.observed.left_behind.iter().map(|object| lift_one(scene, object)).collect()
}

fn lift_one(scene: &Scene<'_>, object: &LeftBehind) -> Planned {
    match object {
        LeftBehind::Service { name, raw } => {
            let before = selector_hash(&raw.object).unwrap_or_default();
            Planned {
                event: Some(Event::normal(
                    "SwitchService",
                    format!("Switched selector for service '{name}' from '{before}' to ''"),
                )),
                effect: Effect::SwitchService { name: name.clone(), patch: farewell::from_service(&raw.version) },
            }
        }
        LeftBehind::DestinationRule { name, raw } => Planned {
            event: Some(Event::normal("UpdatedDestinationRule", format!("DestinationRule {name} is set no longer"))),
            effect: Effect::ApplySubsets {
                name: name.clone(),
                patch: farewell::from_destination_rule(&raw.object, &raw.version),
            },
        },
        LeftBehind::VirtualService { key, raw } => Planned {
            event: Some(Event::normal(
                "ManagedRoutesUpdated",
                format!("VirtualService {} has no managed routes", key.name),
            )),
            effect: Effect::ApplyRoutes {
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                patch: farewell::from_virtual_service(&raw.object, &raw.version, &scene.owner()),
            },
        },
    }
}
