//! The Deployment that a Rollout takes over from: when it gives its pods away, as `workloadRef.scaleDown` asks for.

use crate::plan::{Effect, Event, Planned};
use crate::rollout::parse::ScaleDown;

use super::scene::Scene;
use super::state::State;

/// The change of the Deployment's size that is due, if any.
///
/// Only the first deployment of a Rollout replaces the Deployment. One that has no pods is left so: whoever took them
/// away wanted that.
pub(crate) fn scale_down(scene: &Scene<'_>, state: &State) -> Option<Planned> {
    let found = scene.observed.workload.as_ref()?.present()?;
    let has = found.replicas.filter(|has| *has > 0)?;
    let is_healthy = state.is_promoted() && scene.mesh.as_ref().is_none_or(|mesh| mesh.differs_from(0).is_none());
    let is_first = scene.revision.number == 1 || was_never_stable(scene);
    let wanted = match scene.spec.scale_down {
        ScaleDown::OnSuccess | ScaleDown::Progressively if is_first && is_healthy => 0,
        ScaleDown::Progressively if is_first => left_to_do(scene)?,
        ScaleDown::Never | ScaleDown::OnSuccess | ScaleDown::Progressively => return None,
    };
    let name = scene.observed.rollout.spec.workload_ref.as_ref()?.name.clone()?;
    let event = Event::normal("ScalingWorkload", format!("Scaled Deployment {name} from {has} to {wanted}"));
    let effect = Effect::ScaleDeployment { name, replicas: wanted };
    (has != wanted).then_some(Planned { effect, event: Some(event) })
}

/// Whether no revision was stable when this decision began.
fn was_never_stable(scene: &Scene<'_>) -> bool {
    let stable = scene.observed.rollout.status.as_ref().and_then(|status| status.stable_rs.as_deref());
    stable.is_none_or(str::is_empty)
}

/// Pods that the Deployment should have beside those of the Rollout; `None` as long as there are none of these.
fn left_to_do(scene: &Scene<'_>) -> Option<i32> {
    let ready: i32 = scene.owned().map(|rs| rs.replicas_ready).sum();
    (ready > 0).then(|| (scene.spec.replicas - ready).max(0))
}
