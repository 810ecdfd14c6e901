//! The Deployment that a Rollout takes over from: when it gives its pods away, as `workloadRef.scaleDown` asks for.

use crate::plan::{Effect, Event, Planned};
use crate::rollout::parse::ScaleDown;

use super::scene::Scene;
use super::state::State;

/// The change of the Deployment's size that is due, if any; remembers whether there is none to come.
///
/// The Rollout replaces the Deployment once. One that has no pods is left so: whoever took them away wanted that; and one
/// that got pods again afterwards keeps them.
pub(crate) fn scale_down(scene: &Scene<'_>, state: &mut State) -> Option<Planned> {
    let Some(reference) = &scene.observed.rollout.spec.workload_ref else {
        state.workload_replaced = None;
        return None;
    };
    let found = scene.observed.workload.as_ref()?.present()?;
    let has = found.replicas?;
    let is_replaced = has == 0 && state.is_promoted();
    let was_replaced = *state.workload_replaced.get_or_insert_with(|| is_later(scene));
    state.workload_replaced = Some(was_replaced || is_replaced);
    if was_replaced || has == 0 {
        return None;
    }
    let is_healthy = state.is_promoted() && scene.mesh.as_ref().is_none_or(|mesh| mesh.differs_from(0).is_none());
    let wanted = match scene.spec.scale_down {
        ScaleDown::OnSuccess | ScaleDown::Progressively if is_healthy => 0,
        ScaleDown::Progressively => left_to_do(scene)?,
        ScaleDown::Never | ScaleDown::OnSuccess => return None,
    };
    let name = reference.name.clone()?;
    let event = Event::normal("ScalingWorkload", format!("Scaled Deployment {name} from {has} to {wanted}"));
    let effect = Effect::ScaleDeployment { name, replicas: wanted };
    (has != wanted).then_some(Planned { effect, event: Some(event) })
}

/// Whether a status that does not tell speaks of a later update than the first deployment.
fn is_later(scene: &Scene<'_>) -> bool {
    let stable = scene.observed.rollout.status.as_ref().and_then(|status| status.stable_rs.as_deref());
    scene.revision.number != 1 && stable.is_some_and(|hash| !hash.is_empty())
}

/// Pods that the Deployment should have beside those of the Rollout; `None` as long as there are none of these.
fn left_to_do(scene: &Scene<'_>) -> Option<i32> {
    let ready: i32 = scene.owned().map(|rs| rs.replicas_ready).sum();
    (ready > 0).then(|| (scene.spec.replicas - ready).max(0))
}
