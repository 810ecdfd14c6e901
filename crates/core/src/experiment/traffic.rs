//! Whether requests may still be on their way to the pods of an Experiment.

use chrono::{DateTime, Utc};

use crate::istio::experiments::sends_to;
use crate::plan::{Effect, Event};

use super::templates::services_of;
use super::{Observed, Plan};

/// What keeps a Service and the pods behind it in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Nobody is sent there, and the mesh has had the time to know.
    Released,
    /// A route sends requests there.
    Carries,
    /// No route does any more; by then every proxy knows.
    Fades(DateTime<Utc>),
}

/// What the routes of the Rollout send to a Service of the Experiment.
pub(super) fn of(observed: &Observed, service: &str) -> Traffic {
    let namespace = observed.namespace();
    if observed.virtual_services.iter().any(|vs| sends_to(&vs.object, service, namespace)) {
        return Traffic::Carries;
    }
    let last = observed.virtual_services.iter().map(|vs| vs.seen_at).max();
    let spread = last.and_then(|seen| seen.checked_add_signed(observed.settings.propagation));
    match spread.and_then(|spread| observed.control_plane.spread_at(spread, observed.now)) {
        Some(spread) => Traffic::Fades(spread),
        None => Traffic::Released,
    }
}

/// The last word: no Service goes, and no ReplicaSet loses its last pod, while requests may be on their way there.
pub(super) fn guard(observed: &Observed, plan: Plan) -> Plan {
    let Some(rule) = violation(observed, &plan) else { return plan };
    debug_assert!(false, "unsafe plan: {rule}: {plan:#?}");
    without_effects(plan, &rule)
}

/// A plan that changes nothing, and says why.
pub(super) fn without_effects(plan: Plan, rule: &str) -> Plan {
    let mut plan = Plan { effects: Vec::new(), unsafe_plan: true, ..plan };
    plan.events.push(Event::warning("UnsafePlan", format!("The next change would be unsafe: {rule}")));
    plan
}

pub(super) fn violation(observed: &Observed, plan: &Plan) -> Option<String> {
    let is_held = |service: &str| of(observed, service) != Traffic::Released;
    plan.effects.iter().find_map(|planned| match &planned.effect {
        Effect::DeleteService { name, .. } => {
            is_held(name).then(|| format!("Service {name} may get requests and would be deleted"))
        }
        Effect::ScaleReplicaSet { name, replicas: 0, .. } => {
            let rs = observed.replica_sets.iter().find(|rs| rs.name == *name)?;
            let held = rs.replicas > 0 && services_of(observed, rs).iter().any(|(service, _)| is_held(service));
            held.then(|| format!("ReplicaSet {name} may get requests and would lose its pods"))
        }
        Effect::SetRolloutReplicas { .. }
        | Effect::AnnotateRollout { .. }
        | Effect::CreateReplicaSet { .. }
        | Effect::AdoptReplicaSet { .. }
        | Effect::ScaleReplicaSet { .. }
        | Effect::PatchReplicaSet { .. }
        | Effect::DeleteReplicaSet { .. }
        | Effect::RelabelPod { .. }
        | Effect::EvictPod { .. }
        | Effect::ScaleDeployment { .. }
        | Effect::ClaimAnalysisRun { .. }
        | Effect::ApplyRoutes { .. }
        | Effect::ApplySubsets { .. }
        | Effect::SwitchService { .. }
        | Effect::CreateService { .. }
        | Effect::CreateExperiment { .. }
        | Effect::ClaimExperiment { .. }
        | Effect::TerminateExperiment { .. }
        | Effect::DeleteExperiment { .. }
        | Effect::CreateAnalysisRun { .. }
        | Effect::TerminateAnalysisRun { .. }
        | Effect::DeleteAnalysisRun { .. }
        | Effect::DeleteJob { .. } => None,
    })
}
