//! How an effect bears on those who serve, and so which effects have to wait where another one failed.

use crate::plan::Effect;

/// How an effect bears on those who serve.
///
/// Every effect is decided from what is observed, and none from what another one of its plan will bring about. What is left
/// is a margin: nothing is taken away from those who serve, in the same breath, where a change of direction failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearing {
    /// It directs requests: routes, subsets, Services, labels of pods.
    Directs,
    /// It says how pods will be born.
    Shapes,
    /// It sets how many pods there are; those that grow come before whatever directs, those that shrink after it.
    Sizes,
    /// It takes a pod away, and another one is born in its place.
    Replaces,
    /// It bears on nobody: records, analyses, what is left over.
    Aside,
}

impl Bearing {
    /// Whether such an effect is left out after one before it has failed, until the next try.
    ///
    /// Two effects on the same object never go past each other, whatever they bear on.
    #[must_use]
    pub fn waits_for(self, failed: Bearing) -> bool {
        match (self, failed) {
            (Bearing::Sizes | Bearing::Replaces, Bearing::Directs) | (Bearing::Replaces, Bearing::Shapes) => true,
            (
                Bearing::Directs | Bearing::Shapes | Bearing::Sizes | Bearing::Replaces | Bearing::Aside,
                Bearing::Directs | Bearing::Shapes | Bearing::Sizes | Bearing::Replaces | Bearing::Aside,
            ) => false,
        }
    }
}

impl Effect {
    /// How this effect bears on those who serve.
    #[must_use]
    pub fn bearing(&self) -> Bearing {
        match self {
            Effect::RelabelPod { .. }
            | Effect::ApplyRoutes { .. }
            | Effect::ApplySubsets { .. }
            | Effect::SwitchService { .. }
            | Effect::DeleteService { .. } => Bearing::Directs,
            Effect::PatchReplicaSet { .. } => Bearing::Shapes,
            Effect::ScaleReplicaSet { .. } | Effect::ScaleDeployment { .. } | Effect::DeleteReplicaSet { .. } => {
                Bearing::Sizes
            }
            Effect::EvictPod { .. } => Bearing::Replaces,
            Effect::SetRolloutReplicas { .. }
            | Effect::AnnotateRollout { .. }
            | Effect::CreateReplicaSet { .. }
            | Effect::AdoptReplicaSet { .. }
            | Effect::CreateService { .. }
            | Effect::CreateExperiment { .. }
            | Effect::TerminateExperiment { .. }
            | Effect::DeleteExperiment { .. }
            | Effect::CreateAnalysisRun { .. }
            | Effect::ClaimAnalysisRun { .. }
            | Effect::ClaimExperiment { .. }
            | Effect::TerminateAnalysisRun { .. }
            | Effect::DeleteAnalysisRun { .. }
            | Effect::DeleteJob { .. } => Bearing::Aside,
        }
    }
}
