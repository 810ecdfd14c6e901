//! Between the flat status on the wire and [`State`]: the only place that reads or writes those fields.

use chrono::{DateTime, TimeDelta, Utc};
use serin_api::{AnalysisRunRef, BlueGreenStatus, PauseCondition, RolloutStatus, SerinStatus, Time};

use super::blue_green::Progress;
use super::ping_pong::Turn;
use super::state::{Pause, RunRef, State};

/// Reads the fields that say where an update stands. Unreadable ones count as absent.
pub(crate) fn from_status(status: &RolloutStatus) -> State {
    let own = status.serin.clone().unwrap_or_default();
    State {
        stable_hash: status.stable_rs.clone().filter(|hash| !hash.is_empty()),
        current_hash: status.current_pod_hash.clone().unwrap_or_default(),
        step_hash: status.current_step_hash.clone().unwrap_or_default(),
        step: status.current_step_index.and_then(|index| usize::try_from(index).ok()).unwrap_or(0),
        step_started_at: instant(own.step_started_at),
        aborted: status.abort.then(|| instant(status.aborted_at).unwrap_or(DateTime::UNIX_EPOCH)),
        abort_cause: own.abort_cause.or_else(|| abort_cause(status)),
        promote_full: status.promote_full,
        pauses: status.pause_conditions.iter().map(pause_from).collect(),
        controller_pause: status.controller_pause,
        background: status.canary.current_background_analysis_run_status.as_ref().map(run_from),
        step_run: status.canary.current_step_analysis_run_status.as_ref().map(run_from),
        experiment: status.canary.current_experiment.clone().filter(|name| !name.is_empty()),
        blue_green: Progress {
            check_point: status.blue_green.scale_up_preview_check_point,
            before_switch: status.blue_green.pre_promotion_analysis_run_status.as_ref().map(run_from),
            after_switch: status.blue_green.post_promotion_analysis_run_status.as_ref().map(run_from),
            retired: own.retired_revisions,
        },
        workload_replaced: own.workload_replaced,
        holding_since: instant(own.holding_since),
        held: TimeDelta::try_seconds(own.held_seconds.unwrap_or(0)).unwrap_or_default(),
        available_max: own.progress_available_max.unwrap_or(0),
        progressed_at: progressed_at(status),
        restarted_at: instant(status.restarted_at),
        stable_turn: status.canary.stable_ping_pong.as_deref().and_then(Turn::read),
        handled: own.handled_commands,
        events: Vec::new(),
    }
}

/// Writes them into a status, leaving every other field as it is.
pub(crate) fn to_status(state: &State, status: &mut RolloutStatus) {
    status.stable_rs = state.stable_hash.clone();
    status.current_pod_hash = Some(state.current_hash.clone());
    let has_steps = !state.step_hash.is_empty();
    status.current_step_hash = has_steps.then(|| state.step_hash.clone());
    status.current_step_index = i32::try_from(state.step).ok().filter(|_| has_steps);
    status.abort = state.aborted.is_some();
    status.aborted_at = state.aborted.map(Time);
    status.restarted_at = state.restarted_at.map(Time);
    status.canary.stable_ping_pong = state.stable_turn.map(|turn| turn.word().to_owned());
    status.promote_full = state.promote_full;
    status.pause_conditions = state.pauses.iter().map(pause_to).collect();
    status.controller_pause = state.controller_pause;
    status.canary.current_background_analysis_run_status = state.background.as_ref().map(run_to);
    status.canary.current_step_analysis_run_status = state.step_run.as_ref().map(run_to);
    status.canary.current_experiment = state.experiment.clone();
    status.blue_green = BlueGreenStatus {
        scale_up_preview_check_point: state.blue_green.check_point,
        pre_promotion_analysis_run_status: state.blue_green.before_switch.as_ref().map(run_to),
        post_promotion_analysis_run_status: state.blue_green.after_switch.as_ref().map(run_to),
        ..BlueGreenStatus::default()
    };
    let mut own = SerinStatus {
        handled_commands: state.handled.clone(),
        holding_since: state.holding_since.map(Time),
        held_seconds: Some(state.held.num_seconds()).filter(|seconds| *seconds != 0),
        step_started_at: state.step_started_at.map(Time),
        progress_available_max: Some(state.available_max).filter(|max| *max != 0),
        abort_cause: state.abort_cause.clone(),
        retired_revisions: state.blue_green.retired.clone(),
        workload_replaced: state.workload_replaced,
        holds: Vec::new(),
    };
    if let Some(before) = status.serin.take() {
        own.holds = before.holds;
    }
    status.serin = Some(own);
}

fn instant(time: Option<Time>) -> Option<DateTime<Utc>> {
    time.map(|time| time.0)
}

fn pause_from(pause: &PauseCondition) -> Pause {
    Pause { reason: pause.reason.clone(), since: instant(pause.start_time).unwrap_or(DateTime::UNIX_EPOCH) }
}

fn pause_to(pause: &Pause) -> PauseCondition {
    PauseCondition { reason: pause.reason.clone(), start_time: Some(Time(pause.since)) }
}

fn run_from(run: &AnalysisRunRef) -> RunRef {
    RunRef { name: run.name.clone(), phase: run.status.clone(), message: run.message.clone().unwrap_or_default() }
}

fn run_to(run: &RunRef) -> AnalysisRunRef {
    AnalysisRunRef {
        name: run.name.clone(),
        status: run.phase.clone(),
        message: Some(run.message.clone()).filter(|message| !message.is_empty()),
    }
}

/// Another controller keeps the cause of an abort in the message of condition `Progressing` alone.
fn abort_cause(status: &RolloutStatus) -> Option<String> {
    let aborted = status.conditions.iter().find(|c| c.kind == "Progressing" && c.reason == "RolloutAborted")?;
    let after = aborted.message.strip_prefix("Rollout aborted update to revision ")?;
    after.split_once(": ").filter(|_| status.abort).map(|(_, cause)| cause.to_owned())
}

/// The progress clock is kept where upstream keeps it: the update time of condition `Progressing`.
fn progressed_at(status: &RolloutStatus) -> Option<DateTime<Utc>> {
    status.conditions.iter().find(|c| c.kind == "Progressing").and_then(|c| instant(c.last_update_time))
}
