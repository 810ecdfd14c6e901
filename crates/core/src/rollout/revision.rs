//! Which ReplicaSet carries which revision: the new one, the stable one, and the others.

use crate::rollout::observed::{Observed, ReplicaSet};
use crate::rollout::parse::Spec;
use crate::rollout::template::{pod_hash, same_template, same_template_but};

use super::metadata::Injected;

/// The revision that the spec asks for, and its place among the others.
#[derive(Debug)]
pub(crate) struct Revision<'a> {
    /// Pod template hash of the revision; that of the ReplicaSet that carries it, if there is one.
    pub(crate) hash: String,
    /// Its ReplicaSet, if it exists.
    pub(crate) replica_set: Option<&'a ReplicaSet>,
    /// Its number, counting from 1.
    pub(crate) number: i64,
    /// How many times a hash was taken by another template.
    pub(crate) collisions: Option<i32>,
}

impl<'a> Revision<'a> {
    /// Finds the revision of the spec's template: by hash, else by template equality, else as a new one.
    ///
    /// Equality comes to the rescue of ReplicaSets whose hash was computed by another controller or version:
    /// they are adopted as they are, and nothing is redeployed. Where such versions left two of the same template, the
    /// one that the status names stays what it is.
    pub(crate) fn find(observed: &'a Observed, spec: &Spec) -> Self {
        let (hash, collisions) = free_or_own_hash(observed, spec);
        let recorded = observed.rollout.status.as_ref().and_then(|status| status.current_pod_hash.as_ref());
        let replica_set = observed
            .replica_sets
            .iter()
            .filter(|rs| !rs.deleting)
            .filter(|rs| rs.hash == hash || carries(rs, spec))
            .max_by_key(|rs| {
                let is_recorded = recorded.is_some_and(|recorded| *recorded == rs.hash);
                (rs.owned, is_recorded, rs.hash == hash, rs.replicas, std::cmp::Reverse(rs.created))
            });
        let hash = replica_set.map_or(hash, |rs| rs.hash.clone());
        let number_others_max = observed
            .replica_sets
            .iter()
            .filter(|rs| rs.owned && rs.hash != hash)
            .map(ReplicaSet::revision)
            .max()
            .unwrap_or(0);
        let number = match replica_set.map(ReplicaSet::revision) {
            Some(own) if own > number_others_max => own,
            Some(_) | None => number_others_max + 1,
        };
        Revision { hash, replica_set, number, collisions }
    }
}

/// The hash of the template, with as many collisions counted as there are ReplicaSets of another template in its way.
fn free_or_own_hash(observed: &Observed, spec: &Spec) -> (String, Option<i32>) {
    let mut collisions = observed.rollout.status.as_ref().and_then(|status| status.collision_count);
    loop {
        let hash = pod_hash(&spec.template, collisions);
        let ours = observed.replica_sets.iter().find(|rs| rs.hash == hash);
        let taken = ours.map_or_else(|| is_taken(observed, &hash), |rs| !carries(rs, spec));
        if !taken {
            return (hash, collisions);
        }
        collisions = Some(collisions.unwrap_or(0) + 1);
    }
}

/// Whether somebody else has the name that the ReplicaSet of a hash would have.
fn is_taken(observed: &Observed, hash: &str) -> bool {
    let rollout = observed.rollout.metadata.name.as_deref().unwrap_or_default();
    observed.names_taken.contains(&format!("{rollout}-{hash}"))
}

/// Whether a ReplicaSet runs the spec's pod template, apart from metadata that a controller injected.
///
/// Another controller records what it injected, and not what stood there before: then the injected keys say nothing
/// about the template, and are left out of the comparison. Clients that undo an update put the template back as the
/// ReplicaSet has it, with all that was injected.
fn carries(rs: &ReplicaSet, spec: &Spec) -> bool {
    let injected = Injected::of(rs);
    if same_template(&spec.template, &rs.template) {
        return true;
    }
    match injected.unrestorable() {
        Some(keys) => same_template_but(&spec.template, &rs.template, keys),
        None => same_template(&spec.template, &injected.restored_template(rs)),
    }
}

impl ReplicaSet {
    /// Revision number from its annotation; 0 if it has none.
    pub(crate) fn revision(&self) -> i64 {
        self.annotations.get(serin_api::labels::REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}
