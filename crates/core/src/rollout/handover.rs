//! The hand-over of traffic from the canary side to the stable side after a promotion, when pods change their role.
//!
//! Where subset labels are role labels (`version: canary`, set by `canaryMetadata`), a promoted pod stands behind the
//! canary side until it is relabelled, and behind the stable side after. To relabel all pods at once would leave one
//! side with traffic and without pods. So pods and weight move in turns, a quarter of the pods at a time, each turn
//! only after the mesh had time to take over the one before: in the first half pods go ahead of the weight, in the
//! second half the weight goes ahead of the pods, so that no pod gets more than about twice its share. A lone pod
//! gets a second one beside it for as long as that takes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::plan::{Effect, Planned};
use crate::rollout::Hold;
use crate::rollout::observed::{Pod, ReplicaSet};

use super::mesh::{Mesh, Role, spread_at};
use super::metadata::{relabel_pod, wanted};
use super::scene::Scene;
use super::state::State;

/// Pods that change their role in one turn, as a divisor of all pods.
const TURNS: usize = 4;

/// The next turn.
#[derive(Debug)]
pub(crate) enum Handover {
    /// The canary side carries nothing of stable's.
    NotNeeded,
    /// Set this canary weight.
    Weight(i32),
    /// Relabel these pods.
    Relabel(Vec<Planned>),
    /// Wait for this.
    Wait(Hold),
}

/// What to do next about traffic that reaches the stable revision through the canary side.
pub(crate) fn next(scene: &Scene<'_>, state: &State, mesh: &Mesh<'_>) -> Handover {
    let weight = mesh.carried(Role::Canary);
    let Some(stable) = scene.stable(state).filter(|rs| is_behind_canary_side(mesh, rs)) else {
        return Handover::NotNeeded;
    };
    if let Some(refuge) = refuge(scene, mesh) {
        return Handover::Weight(refuge);
    }
    if weight == 0 {
        return Handover::NotNeeded;
    }
    let serving: Vec<&Pod> = pods_of(scene, stable).filter(|pod| pod.is_serving()).collect();
    let moved = serving.iter().filter(|pod| mesh.stable.would_select(&pod.labels)).count();
    // The first pods take their role before the stable side is pointed at them, so that it has pods at any moment:
    // somebody else may give it all traffic.
    if mesh.stable.hash() != Some(stable.hash.as_str()) && (moved > 0 || serving.is_empty()) {
        return Handover::Wait(Hold::SideNotSwitched { side: "the stable side".to_owned(), hash: stable.hash.clone() });
    }
    if let Some(until) = turn_spread_at(scene, mesh, stable) {
        return Handover::Wait(scene.observed.control_plane.hold("the last turn of the hand-over", until));
    }
    if moved == serving.len() && moved > 0 {
        return Handover::Weight(0);
    }
    turn(scene, state, stable, (&serving, moved, weight))
}

/// The weight that takes all traffic off a side that has lost its last pod, while the other side still has some. Between
/// two turns a side may have a single pod, and anybody may delete it; that cannot wait for the next turn.
fn refuge(scene: &Scene<'_>, mesh: &Mesh<'_>) -> Option<i32> {
    let flees_from =
        |role: Role| mesh.is_deserted(role, scene.observed) && !mesh.end(role.other()).ready(scene.observed).is_empty();
    if flees_from(Role::Stable) {
        return Some(100);
    }
    flees_from(Role::Canary).then_some(0)
}

fn turn(
    scene: &Scene<'_>,
    state: &State,
    rs: &ReplicaSet,
    (serving, moved, weight): (&[&Pod], usize, i32),
) -> Handover {
    let all = serving.len();
    let step = (all / TURNS).max(1);
    let pods_lead = moved * 2 < all;
    let left_behind = if pods_lead { all - moved } else { all - (moved + step).min(all) };
    let goal = percent(left_behind, all);
    if weight > goal {
        return Handover::Weight(goal);
    }
    if all < 2 {
        return Handover::Wait(Hold::CanaryNotAvailable { available: i32::from(all == 1), desired: 2 });
    }
    let metadata = wanted(scene, state, rs);
    let effects = serving
        .iter()
        .filter_map(|pod| relabel_pod(scene, rs, metadata, pod))
        .take(step)
        .map(|effect| Planned { effect, event: None })
        .collect();
    Handover::Relabel(effects)
}

impl Mesh<'_> {
    /// Whether the stable ReplicaSet needs one pod more while its lone pod changes its role.
    pub(crate) fn handover_needs_surge(&self, scene: &Scene<'_>, state: &State, rs: &ReplicaSet) -> bool {
        if scene.spec.replicas != 1 || !is_behind_canary_side(self, rs) || state.stable_hash.as_ref() != Some(&rs.hash)
        {
            return false;
        }
        let unmoved = pods_of(scene, rs).any(|pod| pod.is_serving() && !self.stable.would_select(&pod.labels));
        let surged = rs.replicas > 1;
        (unmoved && (surged || self.carried(Role::Canary) > 0))
            || (surged && (self.carried(Role::Canary) > 0 || turn_spread_at(scene, self, rs).is_some()))
    }

    /// Whether pods of the stable ReplicaSet change their role, or did so a moment ago.
    pub(crate) fn handover_needs_every_pod(&self, scene: &Scene<'_>, rs: &ReplicaSet) -> bool {
        let under_way = is_behind_canary_side(self, rs) && self.carried(Role::Canary) > 0;
        let is_served = pods_of(scene, rs).any(Pod::is_serving);
        is_served && (under_way || turn_spread_at(scene, self, rs).is_some())
    }
}

/// When the last change of routes, subsets or of the pods behind them will have spread; `None` if it has.
pub(crate) fn all_quiet_at(scene: &Scene<'_>, state: &State) -> Option<DateTime<Utc>> {
    let mesh = scene.mesh.as_ref()?;
    let sets = [scene.stable(state), scene.new_replica_set()].into_iter().flatten();
    sets.filter_map(|rs| turn_spread_at(scene, mesh, rs)).max()
}

/// Whether a relabelling takes a pod out of no side that carries traffic, nor out of one that did a moment ago.
pub(crate) fn is_free(scene: &Scene<'_>, pod: &Pod, effect: &Effect) -> bool {
    let (Some(mesh), Effect::RelabelPod { labels, .. }) = (&scene.mesh, effect) else { return true };
    if !pod.is_serving() {
        return true;
    }
    let after = relabelled(&pod.labels, labels);
    let quiet = mesh.quiet_at(scene.observed).is_none();
    [Role::Canary, Role::Stable].into_iter().all(|role| {
        let end = mesh.end(role);
        let stays = !end.selects(&pod.labels) || end.selects(&after);
        // The stable side keeps the pods that it is pointed at, even without traffic: see `next`.
        let may_leave = role == Role::Canary || end.serves_besides(&pod.replica_set, scene.observed);
        stays || (mesh.carried(role) == 0 && quiet && may_leave)
    })
}

/// Labels after a change.
pub(crate) fn relabelled(
    labels: &BTreeMap<String, String>,
    changes: &BTreeMap<String, Option<String>>,
) -> BTreeMap<String, String> {
    let mut after = labels.clone();
    for (key, value) in changes {
        match value {
            Some(value) => after.insert(key.clone(), value.clone()),
            None => after.remove(key),
        };
    }
    after
}

fn is_behind_canary_side(mesh: &Mesh<'_>, rs: &ReplicaSet) -> bool {
    mesh.canary.hash() == Some(rs.hash.as_str())
}

fn pods_of<'s>(scene: &'s Scene<'_>, rs: &'s ReplicaSet) -> impl Iterator<Item = &'s Pod> {
    scene.observed.pods.iter().filter(|pod| pod.replica_set == rs.name)
}

/// When the last change of routes, subsets or of these pods will have spread; `None` if it has.
fn turn_spread_at(scene: &Scene<'_>, mesh: &Mesh<'_>, rs: &ReplicaSet) -> Option<DateTime<Utc>> {
    let pods = pods_of(scene, rs).map(|pod| pod.seen_at).max();
    mesh.quiet_at(scene.observed).max(pods.and_then(|seen_at| spread_at(seen_at, scene.observed)))
}

/// A share of the pods in percent, rounded up so that what is left behind keeps its traffic.
fn percent(part: usize, all: usize) -> i32 {
    i32::try_from((part * 100).div_ceil(all.max(1))).unwrap_or(100)
}
