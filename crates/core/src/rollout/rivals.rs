//! Rollouts that set the same routes or subsets: each would undo what the other does, so people are told.

use std::collections::BTreeSet;

use crate::istio::routes::{RouteAt, select};
use crate::plan::Event;
use crate::rollout::observed::Rival;

use super::conditions::{Statement, say};
use super::mesh::{Mesh, Routed};
use super::scene::Scene;

/// Type of the condition; it is absent where nobody is in the way.
const CONDITION: &str = "RoutesContested";

/// What to say about them in the status.
pub(crate) fn condition(scene: &Scene<'_>) -> Option<Statement> {
    let message = message(scene)?;
    Some(say(CONDITION, "True", "SharedRoutes", message))
}

/// An event when the first of them appears.
pub(crate) fn news(scene: &Scene<'_>) -> Option<Event> {
    let status = scene.observed.rollout.status.as_ref();
    let is_known = status.is_some_and(|status| status.conditions.iter().any(|c| c.kind == CONDITION));
    message(scene).filter(|_| !is_known).map(|message| Event::warning("SharedRoutes", message))
}

fn message(scene: &Scene<'_>) -> Option<String> {
    let mesh = scene.mesh.as_ref()?;
    let all: Vec<String> = scene.observed.rivals.iter().flat_map(|rival| contested(scene, mesh, rival)).collect();
    (!all.is_empty()).then(|| format!("{}; let one of the two Rollouts name others", all.join("; ")))
}

/// What a rival sets that this Rollout sets too.
fn contested(scene: &Scene<'_>, mesh: &Mesh<'_>, rival: &Rival) -> Vec<String> {
    let routes = |routed: &&Routed<'_>| {
        let theirs = rival.routes.get(routed.key).and_then(|theirs| select(&routed.raw.object, theirs).ok());
        theirs.is_some_and(|theirs: Vec<RouteAt>| theirs.iter().any(|route| routed.base.contains(route)))
    };
    let routed = mesh.routed.iter().filter(routes);
    let mut all: Vec<String> = routed
        .map(|routed| format!("Rollout {} sets the same routes of VirtualService {}", rival.name, routed.key.name))
        .collect();
    let rule = scene.spec.canary.routing.as_ref().and_then(|routing| routing.destination_rule.as_ref());
    if let Some(rule) = rule {
        let ours = BTreeSet::from([rule.canary_subset.clone(), rule.stable_subset.clone()]);
        if let Some(subset) = rival.subsets.intersection(&ours).next() {
            all.push(format!("Rollout {} sets the same subset {subset} of DestinationRule {}", rival.name, rule.name));
        }
    }
    all
}
