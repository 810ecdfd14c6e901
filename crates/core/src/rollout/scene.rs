//! What a decision looks at: the observation, the parsed spec, and the revisions and routes found in it.

use crate::rollout::observed::{Observed, ReplicaSet};
use crate::rollout::parse::Spec;

use super::blue_green::Services;
use super::mesh::Mesh;
use super::revision::Revision;
use super::state::State;

/// Everything that is true before the decision; nothing here changes while it is made.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) observed: &'a Observed,
    pub(crate) spec: &'a Spec,
    pub(crate) revision: Revision<'a>,
    /// The routes as they are; `None` without traffic routing.
    pub(crate) mesh: Option<Mesh<'a>>,
    /// The Services of a blue-green Rollout; `None` for a canary.
    pub(crate) blue_green: Option<Services<'a>>,
}

impl<'a> Scene<'a> {
    /// Reads the revisions and routes out of an observation.
    pub(crate) fn new(observed: &'a Observed, spec: &'a Spec) -> Self {
        Scene {
            observed,
            spec,
            revision: Revision::find(observed, spec),
            mesh: Mesh::read(observed, spec),
            blue_green: Services::read(observed, spec),
        }
    }

    /// ReplicaSets that the Rollout controls and that are not going away, oldest first.
    pub(crate) fn owned(&self) -> impl Iterator<Item = &'a ReplicaSet> + use<'a> {
        let mut owned: Vec<&ReplicaSet> =
            self.observed.replica_sets.iter().filter(|rs| rs.owned && !rs.deleting).collect();
        owned.sort_by(|a, b| (a.created, &a.name).cmp(&(b.created, &b.name)));
        owned.into_iter()
    }

    /// The ReplicaSet of the revision that the spec asks for.
    pub(crate) fn new_replica_set(&self) -> Option<&'a ReplicaSet> {
        self.revision.replica_set.filter(|rs| rs.owned)
    }

    /// The ReplicaSet of a hash.
    pub(crate) fn by_hash(&self, hash: &str) -> Option<&'a ReplicaSet> {
        self.owned().find(|rs| rs.hash == hash)
    }

    /// The stable ReplicaSet.
    pub(crate) fn stable(&self, state: &State) -> Option<&'a ReplicaSet> {
        state.stable_hash.as_deref().and_then(|hash| self.by_hash(hash))
    }

    /// Name of the new ReplicaSet, whether it exists or not.
    pub(crate) fn new_name(&self) -> String {
        self.revision
            .replica_set
            .map_or_else(|| format!("{}-{}", self.rollout_name(), self.revision.hash), |rs| rs.name.clone())
    }

    /// Whether the status speaks of the revision that the spec asks for.
    pub(crate) fn is_recorded_revision(&self) -> bool {
        let recorded = self.observed.rollout.status.as_ref().and_then(|status| status.current_pod_hash.as_deref());
        recorded == Some(self.revision.hash.as_str())
    }

    /// Name of the Rollout.
    pub(crate) fn rollout_name(&self) -> &'a str {
        self.observed.rollout.metadata.name.as_deref().unwrap_or_default()
    }

    /// Whether no request reaches a ReplicaSet any more, and has not for as long as the mesh needs to know. Where the
    /// stable side points, a tool that applies git may send all traffic at any moment.
    pub(crate) fn is_released(&self, rs: &ReplicaSet) -> bool {
        let released = |mesh: &Mesh<'_>| {
            mesh.has_released(&rs.hash, self.observed) && mesh.stable.hash() != Some(rs.hash.as_str())
        };
        self.mesh.as_ref().is_none_or(released)
    }

    /// What a VirtualService calls this Rollout: `namespace/name`.
    pub(crate) fn owner(&self) -> String {
        let namespace = self.observed.rollout.metadata.namespace.as_deref().unwrap_or_default();
        format!("{namespace}/{}", self.rollout_name())
    }

    /// Whether an old ReplicaSet still waits for its scale-down deadline.
    pub(crate) fn has_draining(&self) -> bool {
        self.owned().any(|rs| rs.replicas > 0 && rs.deadline().is_some() && rs.hash != self.revision.hash)
    }
}
