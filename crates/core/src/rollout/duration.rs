//! How long an update takes, without the time for which it waited for people: `status.duration`.
//!
//! An update begins with a new revision, new steps or a retry, and ends when its revision is stable and available, when
//! it is aborted, or when another one takes its place. A return to an earlier revision in the middle of an update goes on
//! with the clock of the update that it ends.

use chrono::{DateTime, Utc};
use serin_api::{RolloutDurationStatus, RolloutStatus, Time};

use crate::rollout::step::Step;

use super::replicas::is_fully_available;
use super::rollback::{is_fast, is_rollback};
use super::scene::Scene;
use super::state::{INCONCLUSIVE_EXPERIMENT, INCONCLUSIVE_PAUSE, STEP_PAUSE, SWITCH_PAUSE, State};

/// What became of an update, in upstream's words.
mod outcome {
    pub(super) const PROMOTED: &str = "Promoted";
    pub(super) const FAST_PROMOTED: &str = "FastPromoted";
    pub(super) const ABORTED: &str = "Aborted";
    pub(super) const ROLLED_BACK: &str = "RolledBack";
    pub(super) const FAST_ROLLED_BACK: &str = "FastRolledBack";
}

/// The clock of the update under way, or of the last one; `before` is the status as it was.
pub(crate) fn compute(scene: &Scene<'_>, state: &State, before: &RolloutStatus) -> Option<RolloutDurationStatus> {
    let now = scene.observed.now;
    let is_new = before.current_pod_hash.as_deref() != Some(&state.current_hash)
        || before.current_step_hash.clone().unwrap_or_default() != state.step_hash;
    let is_complete = state.is_promoted() && is_fully_available(scene.spec, scene.new_replica_set());
    let mut clock = before.duration.clone();
    if let Some(running) = clock.as_mut().filter(|clock| is_running(clock)) {
        if is_new && is_rollback(scene, state) {
            let fast = is_fast(scene, state);
            running.completion_status =
                Some(if fast { outcome::FAST_ROLLED_BACK } else { outcome::ROLLED_BACK }.to_owned());
        } else if is_new {
            clock = Some(begun(now));
        }
    }
    let is_retried = state.is_updating() && was_aborted(before);
    let begins = (is_new && !is_complete) || is_retried;
    let mut clock = clock.filter(|clock| is_running(clock) || !begins).or_else(|| begins.then(|| begun(now)))?;
    if !is_running(&clock) {
        return Some(clock);
    }
    if state.is_promoted() && clock.completion_status.is_none() {
        let word = if before.promote_full { outcome::FAST_PROMOTED } else { outcome::PROMOTED };
        clock.completion_status = Some(word.to_owned());
    }
    if is_complete || state.aborted.is_some() {
        end_pause(&mut clock, now);
        clock.completion_status.get_or_insert_with(|| outcome::ABORTED.to_owned());
        clock.finished_at = Some(Time(now));
    } else if waits_for_people(scene, state) {
        clock.manual_pause_started_at = clock.manual_pause_started_at.or(Some(Time(now)));
    } else {
        end_pause(&mut clock, now);
    }
    Some(clock)
}

fn begun(now: DateTime<Utc>) -> RolloutDurationStatus {
    RolloutDurationStatus { rollout_started_at: Some(Time(now)), ..RolloutDurationStatus::default() }
}

fn is_running(clock: &RolloutDurationStatus) -> bool {
    clock.rollout_started_at.is_some() && clock.finished_at.is_none()
}

/// The abort stands in the condition even if a client has taken it out of the status by now.
fn was_aborted(before: &RolloutStatus) -> bool {
    before.conditions.iter().any(|c| c.kind == "Progressing" && c.reason == "RolloutAborted")
}

fn end_pause(clock: &mut RolloutDurationStatus, now: DateTime<Utc>) {
    if let Some(since) = clock.manual_pause_started_at.take() {
        let seconds = (now - since.0).num_seconds().max(0);
        let before = clock.total_manual_pause_duration_seconds.unwrap_or(0);
        clock.total_manual_pause_duration_seconds = Some(before.saturating_add(seconds));
    }
}

/// Whether nothing but a person's word lets the update go on.
fn waits_for_people(scene: &Scene<'_>, state: &State) -> bool {
    let endless_step = matches!(state.current_step(scene.spec), Some(Step::Pause(None)));
    let endless_switch = scene.spec.blue_green.as_ref().is_some_and(|spec| !spec.auto_promotion);
    scene.spec.paused
        || state.pauses.iter().any(|pause| match pause.reason.as_str() {
            STEP_PAUSE => endless_step,
            SWITCH_PAUSE => endless_switch,
            reason => [INCONCLUSIVE_PAUSE, INCONCLUSIVE_EXPERIMENT].contains(&reason),
        })
}
