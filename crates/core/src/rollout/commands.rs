//! What people ask for by annotation: promote, promote-full, abort, retry; each token acts once.
//!
//! The value of an annotation is a token. It acts once for the revision that it meets: any text, or `HASH`, or
//! `HASH:STEP` (steps count from 1, as people see them) to name the revision and the step that it is meant for. That a token
//! disappears means nothing: Flux removes annotations that kubectl wrote.

use std::collections::BTreeMap;

use serin_api::{HandledCommand, Time, labels};

use crate::plan::Event;

use super::conditions::abort_message;
use super::experiments;
use super::scene::Scene;
use super::state::State;

/// What a command annotation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Promote,
    PromoteFull,
    Abort,
    Retry,
}

/// Commands in the order in which they are carried out: who says go and stop at once is stopped.
const COMMANDS: [(&str, Command); 4] = [
    (labels::RETRY, Command::Retry),
    (labels::PROMOTE, Command::Promote),
    (labels::PROMOTE_FULL, Command::PromoteFull),
    (labels::ABORT, Command::Abort),
];

/// Completes what clients began by patching status, as `kubectl argo rollouts` does: an abort gets its time and goes
/// back to the first step, a retry starts anew, a step that was skipped leaves its analysis behind.
///
/// What clients said of another revision is gone by now, and so is what they ask of one that is complete.
pub(crate) fn heed_clients(scene: &Scene<'_>, state: &mut State) {
    let Some(status) = scene.observed.rollout.status.as_ref() else { return };
    let now = scene.observed.now;
    if state.is_promoted() || state.is_initial() {
        state.aborted = None;
        state.abort_cause = None;
        state.promote_full = false;
        state.end_pauses();
        return;
    }
    if !scene.is_recorded_revision() {
        return;
    }
    // An abort takes a promotion in full back with it: one that stands beside a recorded abort was asked for after it.
    let taken_up = !status.abort || state.promote_full;
    if status.abort && status.aborted_at.is_none() {
        state.abort(now, None);
    } else if taken_up && status.aborted_at.is_some() {
        state.retry(now);
    }
    if state.aborted.is_some() {
        state.promote_full = false;
    }
    let has_old_experiment =
        state.experiment.as_ref().is_some_and(|experiment| !experiments::is_of_step(scene, experiment, state.step));
    if has_old_experiment || state.step_run.as_ref().is_some_and(|run| !run.is_of_step(state.step)) {
        state.enter_step(state.step, now);
    }
}

/// Tells of an abort once, whoever asked for it.
pub(crate) fn announce_abort(scene: &Scene<'_>, state: &mut State) {
    let recorded = scene.observed.rollout.status.as_ref().and_then(|status| status.aborted_at);
    if state.aborted.is_some() && (recorded.is_none() || !scene.is_recorded_revision()) {
        state.events.push(Event::warning("RolloutAborted", abort_message(scene, state)));
    }
}

/// Carries out the commands that were not handled before, and remembers them.
pub(crate) fn carry_out(scene: &Scene<'_>, state: &mut State) {
    if !remembers(scene) {
        return;
    }
    let annotations = scene.observed.rollout.metadata.annotations.clone().unwrap_or_default();
    forget_old(state, &annotations);
    for (key, command) in COMMANDS {
        let Some(token) = annotations.get(key).map(|token| token.trim()).filter(|token| !token.is_empty()) else {
            continue;
        };
        if state.handled.get(&record_key(key, token)).is_some_and(|handled| is_final(state, token, handled)) {
            continue;
        }
        let outcome = match address(scene, state, token) {
            Address::Here => act(scene, state, command),
            Address::Later => continue,
            Address::Elsewhere(why) => {
                let message = format!("{key}: {token} is ignored: {why}");
                state.events.push(Event::warning("CommandIgnored", message));
                format!("ignored: {why}")
            }
        };
        let handled = HandledCommand {
            token: token.to_owned(),
            revision: state.current_hash.clone(),
            at: Some(Time(scene.observed.now)),
            outcome,
        };
        state.handled.insert(record_key(key, token), handled);
    }
}

/// Whether a token has had its turn. One that names this revision was not meant for the one that it met before.
fn is_final(state: &State, token: &str, handled: &HandledCommand) -> bool {
    let (hash, _) = token.split_once(':').unwrap_or((token, ""));
    handled.revision == state.current_hash || hash != state.current_hash
}

/// Whether the status keeps what was handled. Definitions of another controller cut our field off, and then a token would
/// act again at every look; a status that was never written by us shows after one write which it is.
fn remembers(scene: &Scene<'_>) -> bool {
    scene.observed.rollout.status.as_ref().is_some_and(|status| status.serin.is_some())
}

/// A token that stays in git after its revision is gone must not promote the next one: it counts as handled for as
/// long as the annotation still carries it. What speaks of older revisions otherwise is forgotten.
fn forget_old(state: &mut State, annotations: &BTreeMap<String, String>) {
    let current = state.current_hash.clone();
    let still_set = |record: &str| annotations.iter().any(|(key, token)| record_key(key, token.trim()) == record);
    state.handled.retain(|record, handled| handled.revision == current || still_set(record));
}

/// Commands are remembered by annotation and token.
fn record_key(key: &str, token: &str) -> String {
    format!("{key}={token}")
}

/// Whom a token is meant for.
enum Address {
    /// The present revision and step.
    Here,
    /// A later step of this revision: it acts when that step is reached.
    Later,
    /// Another revision, or a step that is over.
    Elsewhere(String),
}

/// Reads `HASH` and `HASH:STEP`; any other text is meant for whatever it meets.
fn address(scene: &Scene<'_>, state: &State, token: &str) -> Address {
    let (hash, step) = match token.split_once(':') {
        Some((hash, step)) => (hash, step.parse::<usize>().ok()),
        None => (token, None),
    };
    if hash != state.current_hash {
        let names_another = looks_like_hash(hash) || scene.observed.replica_sets.iter().any(|rs| rs.hash == hash);
        return if names_another {
            Address::Elsewhere(format!("it names revision {hash}, this is {}", state.current_hash))
        } else {
            Address::Here
        };
    }
    match step {
        None => Address::Here,
        Some(step) if step == state.step + 1 => Address::Here,
        Some(step) if step > state.step + 1 && step <= scene.spec.canary.steps.len() => Address::Later,
        Some(step) => Address::Elsewhere(format!("it names step {step}, this is step {}", state.step + 1)),
    }
}

/// Pod template hashes are short and use neither vowels nor the digits 0, 1 and 3; words and dates do.
fn looks_like_hash(text: &str) -> bool {
    (6..=10).contains(&text.len()) && text.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c))
}

/// Carries out a command and says what came of it.
fn act(scene: &Scene<'_>, state: &mut State, command: Command) -> String {
    let now = scene.observed.now;
    if state.is_promoted() || state.is_initial() {
        return "nothing to do: no update is in progress".to_owned();
    }
    match command {
        Command::Abort if state.aborted.is_some() => "nothing to do: already aborted".to_owned(),
        Command::Abort => {
            state.abort(now, None);
            "aborted".to_owned()
        }
        Command::Retry if state.aborted.is_none() => "nothing to do: not aborted".to_owned(),
        Command::Retry => {
            state.retry(now);
            "retried".to_owned()
        }
        Command::Promote | Command::PromoteFull if state.aborted.is_some() => {
            "nothing to do: the update is aborted; retry first".to_owned()
        }
        Command::Promote => promote(scene, state),
        Command::PromoteFull => {
            state.promote_full = true;
            "promoted in full".to_owned()
        }
    }
}

/// Leaves the step under way, as `kubectl argo rollouts promote` does.
fn promote(scene: &Scene<'_>, state: &mut State) -> String {
    if scene.blue_green.is_some() {
        return end_blue_green_pause(state);
    }
    let steps = scene.spec.canary.steps.len();
    if state.step >= steps {
        if state.pauses.is_empty() {
            return "nothing to do: all steps are done".to_owned();
        }
        state.end_pauses();
        return "ended the pause after the last step".to_owned();
    }
    let left = state.step;
    state.end_pauses();
    state.enter_step(left + 1, scene.observed.now);
    format!("promoted past step {} of {steps}", left + 1)
}

/// Ends a pause as clients do, so that an inconclusive analysis is made again, and the switch comes after the other pause.
fn end_blue_green_pause(state: &mut State) -> String {
    if state.pauses.is_empty() {
        return "nothing to do: the update is not paused".to_owned();
    }
    state.pauses.clear();
    "ended the pause".to_owned()
}
