//! Returns to an earlier revision: which of them need no steps and no analysis.

use super::blue_green;
use super::scene::Scene;
use super::state::State;

/// Whether the update returns to a revision that is older than the stable one, and so near to it that the spec's
/// `rollbackWindow` lets it skip steps and analyses: fewer revisions than the window has lie between the two.
pub(crate) fn is_within_window(scene: &Scene<'_>, state: &State) -> bool {
    let (Some(new), Some(stable)) = (scene.new_replica_set(), scene.stable(state)) else { return false };
    let Some(window) = scene.spec.rollback_window else { return false };
    if !state.is_updating() || new.created >= stable.created {
        return false;
    }
    let between = scene.owned().filter(|rs| new.created < rs.created && rs.created < stable.created).count();
    between < window
}

/// Whether the update returns to the stable revision or to one that is older.
pub(crate) fn is_rollback(scene: &Scene<'_>, state: &State) -> bool {
    let is_older = |stable: &str| {
        let both = scene.new_replica_set().zip(scene.by_hash(stable));
        both.is_some_and(|(new, stable)| new.created < stable.created)
    };
    state.stable_hash.as_deref().is_some_and(|stable| stable == state.current_hash || is_older(stable))
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
