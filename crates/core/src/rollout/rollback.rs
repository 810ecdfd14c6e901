//! Returns to an earlier revision: which of them need no steps and no analysis.

use chrono::{DateTime, Utc};
use serin_api::labels;

use crate::rollout::observed::ReplicaSet;

use super::blue_green;
use super::scene::Scene;
use super::state::State;

/// Whether the update returns to a revision that is older than the stable one, and so near to it that the spec's
/// `rollbackWindow` lets it skip steps and analyses: fewer revisions than the window has lie between the two.
pub(crate) fn is_within_window(scene: &Scene<'_>, state: &State) -> bool {
    let (Some(new), Some(stable)) = (scene.new_replica_set(), scene.stable(state)) else { return false };
    let Some(window) = scene.spec.rollback_window else { return false };
    if !state.is_updating() || birth(new) >= birth(stable) {
        return false;
    }
    let between = scene.owned().filter(|rs| birth(new) < birth(rs) && birth(rs) < birth(stable)).count();
    between < window
}

/// Whether the update returns to the stable revision or to one that is older.
pub(crate) fn is_rollback(scene: &Scene<'_>, state: &State) -> bool {
    let is_older = |stable: &str| {
        let both = scene.new_replica_set().zip(scene.by_hash(stable));
        both.is_some_and(|(new, stable)| birth(new) < birth(stable))
    };
    state.stable_hash.as_deref().is_some_and(|stable| stable == state.current_hash || is_older(stable))
}

/// What orders ReplicaSets by age: when they were made, and among those of the same second, the first number that they had.
fn birth(rs: &ReplicaSet) -> (DateTime<Utc>, i64) {
    let history = rs.annotations.get(labels::REVISION_HISTORY);
    let first = history.and_then(|history| history.split(',').next()?.trim().parse().ok());
    (rs.created, first.unwrap_or_else(|| rs.revision()))
}

/// Whether a return to an earlier revision skips everything that an update waits for but pods.
pub(crate) fn is_fast(scene: &Scene<'_>, state: &State) -> bool {
    is_rollback(scene, state)
        && (state.is_promoted()
            || is_within_window(scene, state)
            || (scene.blue_green.is_some() && blue_green::is_fast_rollback(scene, state)))
}

/// Whether steps, pauses and analyses are skipped: somebody asked for that, or the spec does for this revision.
pub(crate) fn is_hurried(scene: &Scene<'_>, state: &State) -> bool {
    state.promote_full || is_within_window(scene, state)
}
