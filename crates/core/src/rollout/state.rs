//! Where a Rollout stands: the one reader and the one writer of its flat wire status.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serin_api::{HandledCommand, RolloutStatus};

use crate::plan::Event;
use crate::rollout::observed::ReplicaSet;
use crate::rollout::parse::Spec;
use crate::rollout::step::Step;
use crate::rollout::template::step_hash;

use super::blue_green::Progress;
use super::ping_pong::Turn;
use super::rollback::is_within_window;
use super::scene::Scene;

/// Where an update stands, past the wire's optional fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    /// Hash of the revision that people rely on; none before the first deployment is complete.
    pub(crate) stable_hash: Option<String>,
    /// Hash of the revision that the spec asks for.
    pub(crate) current_hash: String,
    /// Fingerprint of the steps, so that an edit of them starts the update anew.
    pub(crate) step_hash: String,
    /// Index of the step under way; the number of steps once all are done.
    pub(crate) step: usize,
    /// When the step under way began.
    pub(crate) step_started_at: Option<DateTime<Utc>>,
    /// Since when the update is aborted.
    pub(crate) aborted: Option<DateTime<Utc>>,
    /// Why it was aborted, for people; empty for a manual abort.
    pub(crate) abort_cause: Option<String>,
    /// Whether somebody asked to skip everything that is left.
    pub(crate) promote_full: bool,
    /// Pauses under way.
    pub(crate) pauses: Vec<Pause>,
    /// Whether the controller began a pause that is not over: with no pause left, a client has ended it.
    pub(crate) controller_pause: bool,
    /// The background analysis.
    pub(crate) background: Option<RunRef>,
    /// The analysis of the step under way.
    pub(crate) step_run: Option<RunRef>,
    /// Name of the Experiment of the step under way.
    pub(crate) experiment: Option<String>,
    /// What only a blue-green update knows.
    pub(crate) blue_green: Progress,
    /// Since when the step clock stands still.
    pub(crate) holding_since: Option<DateTime<Utc>>,
    /// How long it stood still before, in this step.
    pub(crate) held: TimeDelta,
    /// The most pods that were ever available in this revision.
    pub(crate) available_max: i32,
    /// When the update last made progress.
    pub(crate) progressed_at: Option<DateTime<Utc>>,
    /// The `restartAt` up to which all pods have been restarted.
    pub(crate) restarted_at: Option<DateTime<Utc>>,
    /// Whether the Deployment that the Rollout takes over from has given its pods away; unknown without one.
    pub(crate) workload_replaced: Option<bool>,
    /// Which of the ping-pong Services is stable; none before the first promotion.
    pub(crate) stable_turn: Option<Turn>,
    /// Commands from annotations that were handled, by annotation key.
    pub(crate) handled: BTreeMap<String, HandledCommand>,
    /// What to tell of the changes made since the state was read.
    pub(crate) events: Vec<Event>,
}

/// A pause, as it stands in `status.pauseConditions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Upstream's reason: one of the `*_PAUSE` below, or [`INCONCLUSIVE_EXPERIMENT`].
    pub(crate) reason: String,
    /// When it began.
    pub(crate) since: DateTime<Utc>,
}

/// The pause of a step.
pub(crate) const STEP_PAUSE: &str = "CanaryPauseStep";
/// The pause before a blue-green switch.
pub(crate) const SWITCH_PAUSE: &str = "BlueGreenPause";
/// The pause that an inconclusive analysis causes.
pub(crate) const INCONCLUSIVE_PAUSE: &str = "InconclusiveAnalysisRun";

/// The pause that an inconclusive experiment causes.
pub(crate) const INCONCLUSIVE_EXPERIMENT: &str = "InconclusiveExperiment";

/// An AnalysisRun that the Rollout started, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunRef {
    /// Name of the run.
    pub(crate) name: String,
    /// Its phase; empty until it reported one.
    pub(crate) phase: String,
    /// Its message.
    pub(crate) message: String,
}

impl RunRef {
    /// Whether the run was made for a step, as far as its name tells: it ends in the step's index, and perhaps in a dot
    /// and the number of the attempt.
    pub(crate) fn is_of_step(&self, step: usize) -> bool {
        let last = self.name.rsplit('-').next().and_then(|last| last.split('.').next());
        last.and_then(|index| index.parse::<usize>().ok()).is_none_or(|index| index == step)
    }
}

impl State {
    /// Reads the status, and starts the update anew if the template or the steps are others than it speaks of.
    pub(crate) fn read(scene: &Scene<'_>) -> Self {
        let empty = RolloutStatus::default();
        let status = scene.observed.rollout.status.as_ref().unwrap_or(&empty);
        let mut state = super::wire::from_status(status);
        let steps = &scene.spec.canary.steps;
        let current_hash = scene.revision.hash.clone();
        // Blue-green has no steps, and upstream no fingerprint of them then.
        let step_hash = scene.blue_green.as_ref().map_or_else(|| step_hash(steps), |_| String::new());
        if state.current_hash != current_hash || state.step_hash != step_hash {
            let is_other_revision = state.current_hash != current_hash;
            let is_known = !state.current_hash.is_empty();
            state.restart();
            state.current_hash = current_hash;
            state.step_hash = step_hash;
            state.step_started_at = Some(scene.observed.now);
            state.progressed_at = Some(scene.observed.now);
            state.choose_first_step(scene);
            // Pods of a new revision are new.
            if is_other_revision {
                state.restarted_at =
                    scene.spec.restart_at.filter(|at| *at <= scene.observed.now).or(state.restarted_at);
            }
            if is_other_revision && (is_known || state.is_initial()) {
                state.announce_revision(scene);
            }
        }
        state.step = state.step.min(steps.len());
        state
    }

    /// No revision was ever complete.
    pub(crate) fn is_initial(&self) -> bool {
        self.stable_hash.is_none()
    }

    /// The revision that the spec asks for is the stable one.
    pub(crate) fn is_promoted(&self) -> bool {
        self.stable_hash.as_deref() == Some(self.current_hash.as_str())
    }

    /// An update runs: neither the first deployment, nor complete, nor aborted.
    pub(crate) fn is_updating(&self) -> bool {
        !self.is_initial() && !self.is_promoted() && self.aborted.is_none()
    }

    /// Whether a ReplicaSet is that of the current or the stable revision.
    pub(crate) fn is_current_or_stable(&self, rs: &ReplicaSet) -> bool {
        rs.hash == self.current_hash || self.stable_hash.as_deref() == Some(rs.hash.as_str())
    }

    /// Canary weight that the step under way asks for, in percent.
    pub(crate) fn weight_of_step(&self, spec: &Spec) -> i32 {
        if self.aborted.is_some() {
            0
        } else if self.step >= spec.canary.steps.len() {
            100
        } else {
            spec.canary.steps.weight_at(self.step).unwrap_or(0)
        }
    }

    /// Canary weight that the steps before the present one asked for, in percent.
    pub(crate) fn weight_before_step(&self, spec: &Spec) -> i32 {
        match self.step.checked_sub(1) {
            Some(before) => spec.canary.steps.weight_at(before).unwrap_or(0),
            None => 0,
        }
    }

    /// The step under way.
    pub(crate) fn current_step<'s>(&self, spec: &'s Spec) -> Option<&'s Step> {
        spec.canary.steps.get(self.step)
    }

    /// Whether a pause of this reason is under way.
    pub(crate) fn pause(&self, reason: &str) -> Option<&Pause> {
        self.pauses.iter().find(|pause| pause.reason == reason)
    }

    /// Whether the update waits for time, people or an analysis rather than for pods.
    pub(crate) fn waits_on_purpose(&self, spec: &Spec) -> bool {
        let on_waiting_step = match self.current_step(spec) {
            Some(Step::Pause(_) | Step::Analysis(_) | Step::Experiment(_)) => true,
            Some(Step::SetWeight(_) | Step::SetCanaryScale(_) | Step::SetHeaderRoute(_) | Step::SetMirrorRoute(_))
            | None => false,
        };
        let runs = [&self.blue_green.before_switch, &self.blue_green.after_switch];
        let on_run = runs.into_iter().flatten().any(|run| run.phase != "Successful");
        !self.pauses.is_empty() || (self.is_updating() && (on_waiting_step || on_run)) || self.aborted.is_some()
    }

    /// Ends the update: everything goes back to stable.
    pub(crate) fn abort(&mut self, now: DateTime<Utc>, cause: Option<String>) {
        self.aborted = Some(now);
        self.abort_cause = cause;
        self.end_pauses();
        self.promote_full = false;
        self.enter_step(0, now);
    }

    /// Takes up an aborted update from its first step.
    pub(crate) fn retry(&mut self, now: DateTime<Utc>) {
        self.aborted = None;
        self.abort_cause = None;
        self.background = None;
        self.blue_green = std::mem::take(&mut self.blue_green).anew();
        self.available_max = 0;
        self.end_pauses();
        self.enter_step(0, now);
    }

    /// Makes a step the one under way, with a fresh clock.
    pub(crate) fn enter_step(&mut self, step: usize, now: DateTime<Utc>) {
        self.step = step;
        self.step_started_at = Some(now);
        self.step_run = None;
        self.experiment = None;
        self.holding_since = None;
        self.held = TimeDelta::zero();
        self.progressed_at = Some(now);
    }

    /// Enters a pause and tells of it.
    pub(crate) fn begin_pause(&mut self, reason: &str, now: DateTime<Utc>) {
        self.pauses.push(Pause { reason: reason.to_owned(), since: now });
        self.controller_pause = true;
        self.events.push(Event::normal("RolloutPaused", format!("Rollout is paused ({reason})")));
    }

    /// Forgets all pauses, as if there had been none.
    pub(crate) fn end_pauses(&mut self) {
        self.pauses.clear();
        self.controller_pause = false;
    }

    /// How long the step clock has stood still in this step, up to now.
    pub(crate) fn held_until(&self, now: DateTime<Utc>) -> TimeDelta {
        self.held + self.holding_since.map_or(TimeDelta::zero(), |since| now - since)
    }

    fn restart(&mut self) {
        let kept = std::mem::take(self);
        self.stable_hash = kept.stable_hash;
        self.handled = kept.handled;
        self.restarted_at = kept.restarted_at;
        self.workload_replaced = kept.workload_replaced;
        self.stable_turn = kept.stable_turn;
        self.blue_green = kept.blue_green.anew();
    }

    /// A first deployment has nobody to protect, and a return to the stable revision nothing to try.
    fn choose_first_step(&mut self, scene: &Scene<'_>) {
        if self.is_initial() || self.is_promoted() {
            self.step = scene.spec.canary.steps.len();
        }
    }

    fn announce_revision(&mut self, scene: &Scene<'_>) {
        // As upstream has it, a first deployment is told of only where there are steps to come.
        if self.is_updating() || (self.is_initial() && scene.blue_green.is_none()) {
            let number = scene.revision.number;
            let message = format!("Rollout not completed, started update to revision {number} ({})", self.current_hash);
            self.events.push(Event::normal("RolloutNotCompleted", message));
            if is_within_window(scene, self) && !scene.spec.canary.steps.is_empty() {
                let message = "Rollback to active ReplicaSets within RollbackWindow";
                self.events.push(Event::normal("SkipSteps", message));
            }
        } else if self.is_promoted() && !scene.spec.canary.steps.is_empty() {
            self.events.push(Event::normal("SkipSteps", "Rollback to stable ReplicaSets"));
        }
    }
}
