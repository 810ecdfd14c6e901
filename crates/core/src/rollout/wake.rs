//! When a Rollout is looked at again although nothing changed.

use chrono::{DateTime, Utc};

use crate::plan::Wake;
use crate::rollout::Hold;

use super::control_plane::comes;
use super::deadline::Deadline;
use super::restart;
use super::scene::Scene;
use super::state::State;

/// The earliest of: the end of a pause, of a propagation, of a drain, of the progress deadline.
pub(crate) fn compute(scene: &Scene<'_>, state: &State, deadline: &Deadline, holds: &[Hold]) -> Option<Wake> {
    let mut due: Vec<Wake> = holds.iter().filter_map(of_hold).collect();
    if let Deadline::At(at) = deadline {
        due.push(wake(*at, "progress deadline"));
    }
    for size in super::replicas::sizes(scene, state) {
        if let Some(at) = size.deadline {
            due.push(wake(at, "scale-down deadline"));
        }
    }
    if let Some(at) = scene.mesh.as_ref().and_then(|mesh| mesh.quiet_at(scene.observed)) {
        due.push(wake(at, "a change of routes has spread"));
    }
    if let Some(at) = scene.blue_green.as_ref().and_then(|services| services.quiet_at(scene.observed)) {
        due.push(wake(at, "a switch has spread"));
    }
    if let Some(at) = super::handover::all_quiet_at(scene, state) {
        due.push(wake(at, "a change of pods has spread"));
    }
    due.extend(restart::wake(scene, state));
    due.extend(scene.observed.control_plane.reconnected_at().map(|at| wake(at, "the proxies have found istiod again")));
    // What was due already waits for something else, which will be seen when it changes.
    let ahead = |wake: &Wake| wake.at > scene.observed.now && comes(wake.at);
    due.into_iter().filter(ahead).map(Some).fold(None, Wake::earlier)
}

fn of_hold(hold: &Hold) -> Option<Wake> {
    match hold {
        Hold::PauseRunning { until, .. } => Some(wake(*until, "end of the pause")),
        Hold::Propagating { until, .. } => Some(wake(*until, "a change has spread")),
        Hold::PausedBeforeSwitch { until } => until.map(|until| wake(until, "end of the pause")),
        Hold::PausedBySpec
        | Hold::WaitingForPromotion { .. }
        | Hold::Inconclusive { .. }
        | Hold::CanaryNotAvailable { .. }
        | Hold::PreviewNotAvailable { .. }
        | Hold::StableNotAvailable { .. }
        | Hold::WeightNotObserved { .. }
        | Hold::RoutesNotObserved { .. }
        | Hold::SideNotSwitched { .. }
        | Hold::MeshNotListening { .. }
        | Hold::AnalysisRunning { .. }
        | Hold::ExperimentRunning { .. }
        | Hold::NoData { .. }
        | Hold::SourceDown { .. }
        | Hold::Restarting { .. }
        | Hold::MissingObject { .. }
        | Hold::NotMade { .. }
        | Hold::ReplicaSetNotSettled { .. }
        | Hold::UnsafePlan { .. } => None,
    }
}

fn wake(at: DateTime<Utc>, why: &str) -> Wake {
    Wake { at, why: why.to_owned() }
}
