//! The state of an update survives its way over the wire.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::option;
use proptest::prelude::*;
use serin_api::{Condition, HandledCommand, RolloutStatus, Time};

use crate::rollout::blue_green::Progress;
use crate::rollout::ping_pong::Turn;
use crate::rollout::state::{INCONCLUSIVE_PAUSE, Pause, RunRef, STEP_PAUSE, SWITCH_PAUSE, State};
use crate::rollout::wire::{from_status, to_status};

/// Whole seconds, as the wire has them.
fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (0..4_000_000_000_i64).prop_map(|seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds))
}

fn run() -> impl Strategy<Value = RunRef> {
    ("[a-z0-9.-]{1,20}", "(|Running|Successful|Inconclusive)", "[ -~]{0,20}")
        .prop_map(|(name, phase, message)| RunRef { name, phase, message })
}

fn pause() -> impl Strategy<Value = Pause> {
    (prop_oneof![Just(STEP_PAUSE), Just(SWITCH_PAUSE), Just(INCONCLUSIVE_PAUSE)], instant())
        .prop_map(|(reason, since)| Pause { reason: reason.to_owned(), since })
}

fn handled() -> impl Strategy<Value = BTreeMap<String, HandledCommand>> {
    let command = ("[a-z]{1,8}", "[a-z]{1,8}", instant(), "[a-z ]{1,12}")
        .prop_map(|(token, revision, at, outcome)| HandledCommand { token, revision, at: Some(Time(at)), outcome });
    proptest::collection::btree_map("[a-z/.=]{1,12}", command, 0..3)
}

prop_compose! {
    fn progress()(
        check_point in any::<bool>(),
        (before_switch, after_switch) in (option::of(run()), option::of(run())),
        retired in proptest::collection::vec("[a-z]{1,10}", 0..3),
    ) -> Progress {
        Progress { check_point, before_switch, after_switch, retired }
    }
}

prop_compose! {
    fn state()(
        (stable_hash, current_hash, step_hash) in (option::of("[a-z]{1,10}"), "[a-z]{0,10}", "[a-z]{1,10}"),
        (step, step_started_at, aborted) in (0..100_usize, option::of(instant()), option::of(instant())),
        (abort_cause, promote_full, controller_pause) in (option::of("[a-z]{1,10}"), any::<bool>(), any::<bool>()),
        pauses in proptest::collection::vec(pause(), 0..3),
        (background, step_run, experiment) in (option::of(run()), option::of(run()), option::of("[a-z]{1,10}")),
        blue_green in progress(),
        (holding_since, held, restarted_at) in
            (option::of(instant()), (0..100_000_i64).prop_map(TimeDelta::seconds), option::of(instant())),
        (stable_turn, workload_replaced) in
            (proptest::sample::select(vec![None, Some(Turn::Ping), Some(Turn::Pong)]), option::of(any::<bool>())),
        (available_max, progressed_at, handled) in (0..1000, option::of(instant()), handled()),
    ) -> State {
        State {
            stable_hash, current_hash, step_hash, step, step_started_at, aborted, abort_cause, promote_full, pauses,
            controller_pause, background, step_run, experiment, blue_green, holding_since, held, available_max, progressed_at,
            handled, restarted_at, stable_turn, workload_replaced, events: Vec::new(),
        }
    }
}

proptest! {
    #[test]
    fn a_state_comes_back_from_the_wire_as_it_went(state in state()) {
        let mut status = RolloutStatus::default();
        to_status(&state, &mut status);
        // The progress clock is written with the condition that upstream keeps it in.
        status.conditions = vec![Condition {
            kind: "Progressing".to_owned(),
            last_update_time: state.progressed_at.map(Time),
            ..Condition::default()
        }];
        let wire = serde_json::to_value(&status).expect("JSON");
        let status: RolloutStatus = serde_json::from_value(wire).expect("a status");
        prop_assert_eq!(from_status(&status), state);
    }

    #[test]
    fn a_state_is_read_from_anything(text in "[ -~]{0,10}", index in any::<i32>(), seconds in any::<i64>()) {
        let status = serde_json::json!({
            "stableRS": text, "currentPodHash": text, "currentStepIndex": index, "abort": true,
            "pauseConditions": [{"reason": text}], "serin": {"heldSeconds": seconds},
        });
        let status: RolloutStatus = serde_json::from_value(status).expect("a status");
        let state = from_status(&status);
        prop_assert_eq!(state.pauses.len(), 1);
        prop_assert!(state.aborted.is_some());
    }
}
