//! The basic canary: without traffic routing, weights are approximated by numbers of pods.

use crate::rollout::observed::ReplicaSet;
use crate::rollout::parse::Spec;

use super::replicas::{Size, canary_wanted};
use super::rollback::is_hurried;
use super::scene::Scene;
use super::state::State;

/// Pods of canary and stable that together come closest to a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    canary: i32,
    stable: i32,
}

/// Pods that the canary should have for a weight in percent.
pub(crate) fn canary_share(spec: &Spec, weight: i32) -> i32 {
    closest(spec.replicas, surge_max(spec), weight).canary
}

/// The sizes of all ReplicaSets: first whatever grows within `maxSurge`, then whatever shrinks within `maxUnavailable`.
pub(crate) fn sizes(scene: &Scene<'_>, state: &State) -> Vec<Size> {
    let counts = wanted(scene, state);
    let mut sizes: Vec<(&ReplicaSet, i32)> = scene.owned().map(|rs| (rs, rs.replicas)).collect();
    grow(&mut sizes, scene, state, counts);
    shrink(&mut sizes, scene, state, counts);
    sizes.into_iter().map(|(rs, replicas)| Size { name: rs.name.clone(), replicas, deadline: None }).collect()
}

/// A ReplicaSet that has not the number of pods to end with at the present step; none with traffic routing.
pub(crate) fn not_settled<'a>(scene: &Scene<'a>, state: &State) -> Option<&'a ReplicaSet> {
    if scene.spec.canary.routing.is_some() {
        return None;
    }
    let counts = wanted(scene, state);
    scene.owned().find(|rs| rs.replicas != goal(state, rs, counts) || !rs.settled)
}

/// The numbers to end with at the present step.
fn wanted(scene: &Scene<'_>, state: &State) -> Counts {
    let spec = scene.spec;
    if state.is_initial() || state.is_promoted() {
        return Counts { canary: spec.replicas, stable: spec.replicas };
    }
    if state.aborted.is_some() {
        return Counts { canary: 0, stable: spec.replicas };
    }
    if is_hurried(scene, state) {
        return Counts { canary: spec.replicas, stable: 0 };
    }
    let counts = closest(spec.replicas, surge_max(spec), state.weight_of_step(spec));
    Counts { canary: canary_wanted(scene, state), stable: counts.stable }
}

fn grow(sizes: &mut [(&ReplicaSet, i32)], scene: &Scene<'_>, state: &State, counts: Counts) {
    let total: i32 = sizes.iter().map(|(rs, replicas)| (*replicas).max(rs.replicas_actual)).sum();
    let mut room = (scene.spec.replicas + surge_max(scene.spec) - total).max(0);
    for stable_turn in [true, false] {
        for (rs, replicas) in sizes.iter_mut() {
            let is_stable = state.stable_hash.as_deref() == Some(rs.hash.as_str());
            if is_stable != stable_turn || !state.is_current_or_stable(rs) {
                continue;
            }
            let goal = goal(state, rs, counts);
            let more = (goal - *replicas).clamp(0, room);
            *replicas += more;
            room -= more;
        }
    }
}

fn shrink(sizes: &mut [(&ReplicaSet, i32)], scene: &Scene<'_>, state: &State, counts: Counts) {
    let available: i32 = sizes.iter().map(|(rs, _)| rs.replicas_available.min(rs.replicas)).sum();
    let mut budget = (available - (scene.spec.replicas - unavailable_max(scene.spec))).max(0);
    sizes.sort_by_key(|(rs, _)| (state.is_current_or_stable(rs), rs.created, rs.name.clone()));
    let mut replaceable = replaceable(sizes, scene, state);
    for (rs, replicas) in sizes.iter_mut() {
        let is_new = rs.hash == state.current_hash;
        let surplus = (*replicas - goal(state, rs, counts)).max(0).min(if is_new { i32::MAX } else { replaceable });
        // Pods that are not available serve nobody, and Kubernetes removes them first.
        let free = (rs.replicas - rs.replicas_available).max(0);
        let fewer = surplus.min(free + budget);
        *replicas -= fewer;
        replaceable -= if is_new { 0 } else { fewer };
        budget -= (fewer - free).max(0);
    }
}

/// How many pods of other revisions may go. As long as none was ever complete, they are kept as if they were good: replaced
/// one by one as the new ones come up, and not at one stroke by something that may be worse.
fn replaceable(sizes: &[(&ReplicaSet, i32)], scene: &Scene<'_>, state: &State) -> i32 {
    if !state.is_initial() {
        return i32::MAX;
    }
    let others: i32 = sizes.iter().filter(|(rs, _)| rs.hash != state.current_hash).map(|(_, replicas)| replicas).sum();
    let available = scene.new_replica_set().map_or(0, |rs| rs.replicas_available);
    let kept = (scene.spec.replicas - unavailable_max(scene.spec) - available).max(0);
    (others - kept).max(0)
}

fn goal(state: &State, rs: &ReplicaSet, counts: Counts) -> i32 {
    if rs.hash == state.current_hash {
        counts.canary
    } else if state.stable_hash.as_deref() == Some(rs.hash.as_str()) {
        counts.stable
    } else {
        0
    }
}

/// The best of rounding up and down, with and without one surge pod; the first wins a tie. A weight of 1 to 99 % never
/// leaves one side without a pod if there are two to share.
fn closest(replicas: i32, surge_max: i32, weight: i32) -> Counts {
    if weight <= 0 {
        return Counts { canary: 0, stable: replicas };
    }
    if weight >= 100 {
        return Counts { canary: replicas, stable: 0 };
    }
    let mut totals = vec![replicas];
    if surge_max > 0 {
        totals.push(replicas + 1);
    }
    let pods_max = *totals.last().unwrap_or(&replicas);
    let candidates = totals.iter().flat_map(|&total| {
        let exact = f64::from(total) * f64::from(weight) / 100.0;
        #[expect(clippy::cast_possible_truncation, reason = "between 0 and total, which is an i32")]
        [exact.ceil() as i32, exact.floor() as i32].map(|canary| Counts { canary, stable: total - canary })
    });
    candidates
        .filter(|c| pods_max < 2 || (c.canary > 0 && c.stable > 0))
        .map(|c| (c, deviation(c, weight)))
        .reduce(|best, next| if next.1 < best.1 { next } else { best })
        .map_or(Counts { canary: replicas.min(1), stable: (replicas - 1).max(0) }, |(counts, _)| counts)
}

/// Distance of the share that the counts give from the weight, in percent points.
fn deviation(counts: Counts, weight: i32) -> f64 {
    let total = counts.canary + counts.stable;
    if total == 0 { 0.0 } else { (f64::from(counts.canary) * 100.0 / f64::from(total) - f64::from(weight)).abs() }
}

fn surge_max(spec: &Spec) -> i32 {
    spec.canary.surge_max.round_up(spec.replicas)
}

fn unavailable_max(spec: &Spec) -> i32 {
    let unavailable = spec.canary.unavailable_max.round_down(spec.replicas);
    if unavailable == 0 && surge_max(spec) == 0 { 1 } else { unavailable.min(spec.replicas) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(case: &str, (replicas, surge, weight): (i32, i32, i32), (canary, stable): (i32, i32)) {
        assert_eq!(closest(replicas, surge, weight), Counts { canary, stable }, "{case}");
    }

    #[test]
    fn weights_become_the_closest_numbers_of_pods() {
        check("nothing at 0 %", (5, 1, 0), (0, 5));
        check("everything at 100 %", (5, 1, 100), (5, 0));
        check("10 % of 5 rounds up to one, with one surge pod", (5, 1, 10), (1, 5));
        check("10 % of 5 without surge takes one from stable", (5, 0, 10), (1, 4));
        check("40 % of 5 is exact", (5, 1, 40), (2, 3));
        check("50 % of 1 with surge is one of each", (1, 1, 50), (1, 1));
        check("1 % of 2 still gives the canary a pod", (2, 0, 1), (1, 1));
        check("99 % of 2 still leaves stable a pod", (2, 0, 99), (1, 1));
        check("none of none", (0, 0, 50), (0, 0));
    }
}
