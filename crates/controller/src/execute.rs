//! Brings a decision about: the status first, then the effects in order, Jobs, and at last the events.

use chrono::{DateTime, TimeDelta, Utc};
use serin_core::analysis::sample::Sample;
use serin_core::plan::{Event, Target, Verb, Wake};

use crate::change::{Kind, ObjectName};
use crate::cluster::Cluster;
use crate::decision::{Order, Orders};
use crate::error::Error;
use crate::events::{self, Note};
use crate::job::Start;
use crate::lease::Leadership;
use crate::ledger::Mark;
use crate::queue::{Backoff, Next};

/// The least time between a decision and a wake-up that it asks for although it is due already.
const WAKE_AFTER_MIN: TimeDelta = TimeDelta::seconds(1);

/// Requests that the API server may leave without an answer before no further effect is tried: each takes its time, and
/// other objects wait.
const UNANSWERED_MAX: usize = 2;

/// Refused writes of one decision that are told in events; the log has all.
const REFUSALS_TOLD_MAX: usize = 3;

/// What came of a decision.
#[derive(Debug, Default)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Failures besides the one that [`Report::outcome`] may name.
    pub more_failures: Vec<Error>,
    /// Whether the status was written.
    pub status_written: bool,
    /// Whether the status could not be written, and so the whole decision was dropped.
    pub dropped: bool,
    /// The writes that were made, in order, the status among them.
    pub writes: Vec<Written>,
    /// What became of Jobs that the API server will not have, as the ends of their measurements.
    pub refused: Vec<Sample>,
    /// Names of ReplicaSets that could not be created because somebody else has them.
    pub names_taken: Vec<String>,
    /// The events that were published.
    pub events: Vec<Event>,
}

/// How the execution of a decision ended.
#[derive(Debug, Default)]
pub enum Outcome {
    /// Everything was done.
    #[default]
    Done,
    /// Somebody else wrote first. What follows was dropped; it has to be observed and decided again.
    Conflict {
        /// Verb, kind and name.
        operation: String,
    },
    /// A write failed, the first of several perhaps. If it was that of the status, what follows was dropped; otherwise what
    /// has to wait for it.
    Failed(Error),
    /// We are not the leader any more; nothing further was written.
    Fenced,
}

/// A write that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Kind of the object.
    pub kind: Kind,
    /// Namespace and name.
    pub name: ObjectName,
    /// `create`, `patch`, `delete` or `evict`.
    pub verb: &'static str,
    /// What the caches have to show before the next decision.
    pub mark: Mark,
}

impl Report {
    /// When the key has to be worked on again, after a decision that was made at `now` and asked for `wake`.
    #[must_use]
    pub fn next(&self, wake: Option<&Wake>, now: DateTime<Utc>) -> Next {
        match &self.outcome {
            // A wake-up that was due already would lead to the same decision at once, and so for ever.
            Outcome::Done => {
                wake.map_or(Next::OnChange, |wake| Next::At(if wake.at > now { wake.at } else { now + WAKE_AFTER_MIN }))
            }
            Outcome::Conflict { .. } => Next::Retry(Backoff::Conflict),
            // The next decision takes another name.
            Outcome::Failed(_) if !self.names_taken.is_empty() => Next::Retry(Backoff::Conflict),
            Outcome::Failed(_) => {
                let soonest = self.failures().map(Error::backoff).min().unwrap_or(Backoff::Refused);
                match wake.filter(|wake| wake.at > now) {
                    Some(wake) => Next::RetryBy(soonest, wake.at),
                    None => Next::Retry(soonest),
                }
            }
            Outcome::Fenced => Next::Retry(Backoff::Unavailable),
        }
    }

    /// All writes that failed, conflicts aside, in order.
    pub fn failures(&self) -> impl Iterator<Item = &Error> {
        let last = match &self.outcome {
            Outcome::Failed(error) => Some(error),
            Outcome::Done | Outcome::Conflict { .. } | Outcome::Fenced => None,
        };
        last.into_iter().chain(&self.more_failures)
    }

    /// Takes in what a write came to that was not made; the first failure is kept as the outcome, unless something ends
    /// the execution.
    fn note(&mut self, outcome: Outcome) {
        match (std::mem::take(&mut self.outcome), outcome) {
            (Outcome::Failed(first), Outcome::Failed(error)) => {
                self.more_failures.push(error);
                self.outcome = Outcome::Failed(first);
            }
            (Outcome::Failed(first), last) => {
                self.more_failures.insert(0, first);
                self.outcome = last;
            }
            (Outcome::Done | Outcome::Conflict { .. } | Outcome::Fenced, last) => self.outcome = last,
        }
    }

    /// Whether nothing further is to be tried now.
    fn is_over(&self) -> bool {
        match &self.outcome {
            Outcome::Conflict { .. } | Outcome::Fenced => true,
            Outcome::Done | Outcome::Failed(_) => {
                self.failures().filter(|error| error.is_unanswered()).count() >= UNANSWERED_MAX
            }
        }
    }
}

/// What is needed to write.
#[derive(Clone, Debug)]
pub struct Executor {
    /// The API server.
    pub cluster: Cluster,
    /// Whether we may write.
    pub leadership: Leadership,
}

impl Executor {
    /// Carries out orders that were decided at `now`. A failed event is logged and fails nothing.
    pub async fn execute(&self, orders: &Orders, now: DateTime<Utc>) -> Report {
        let mut report = Report::default();
        if let Some(patch) = &orders.status {
            match self.write_status(&orders.subject, patch).await {
                Ok(written) => {
                    report.status_written = true;
                    report.writes.push(written);
                }
                Err(outcome) => {
                    report.dropped = true;
                    report.note(outcome);
                }
            }
        }
        let mut told = Vec::new();
        if !report.dropped {
            told = self.bring_all_about(orders, &mut report).await;
            self.start_jobs(orders, now, &mut report).await;
            // The status is written even where an effect failed, so its events are told in any case.
            told = Event::in_order(&orders.events, told);
        }
        self.tell(orders, told, now, &mut report).await;
        report
    }

    /// Brings about the effects in order, and answers with the events that tell of them. One that fails holds up those
    /// that must not go past it, and no others: whoever cannot be helped must not be in the way of a retreat.
    async fn bring_all_about<'o>(&self, orders: &'o Orders, report: &mut Report) -> Vec<&'o Event> {
        let (mut told, mut failed): (_, Vec<&Order>) = (Vec::new(), Vec::new());
        for order in &orders.effects {
            if report.is_over() {
                break;
            }
            if failed.iter().any(|before| order.waits_for(before)) {
                continue;
            }
            let done = match &order.write.verb {
                Verb::Evict { uid } => self.evict(&orders.subject, &order.write, uid).await,
                Verb::Create(_)
                | Verb::MergePatch(_)
                | Verb::JsonPatch(_)
                | Verb::Scale { .. }
                | Verb::Delete { .. } => self.bring_about(&orders.subject, &order.write).await.map(Some),
            };
            match done {
                Ok(Some(written)) => {
                    report.writes.push(written);
                    told.extend(&order.event);
                }
                Ok(None) => {}
                Err(outcome) => {
                    if order.write.target == Target::ReplicaSet
                        && matches!(outcome, Outcome::Failed(Error::NameTaken { .. }))
                    {
                        report.names_taken.push(order.write.name.clone());
                    }
                    failed.push(order);
                    report.note(outcome);
                }
            }
        }
        told
    }

    async fn start_jobs(&self, orders: &Orders, now: DateTime<Utc>, report: &mut Report) {
        for job in &orders.jobs {
            if report.is_over() {
                break;
            }
            match self.start_job(&orders.subject, job, now).await {
                Ok(Start::Created(written)) => report.writes.push(written),
                Ok(Start::Refused(sample)) => report.refused.push(sample),
                Err(outcome) => report.note(outcome),
            }
        }
    }

    /// Publishes events about what was done, and about what people have to help with.
    async fn tell(&self, orders: &Orders, told: Vec<&Event>, now: DateTime<Utc>, report: &mut Report) {
        let mut notes: Vec<Note> = told.into_iter().cloned().map(Note::from).collect();
        notes.extend(report.failures().filter(|error| error.needs_help()).map(refusal).take(REFUSALS_TOLD_MAX));
        for note in notes {
            if !self.leadership.may_write() {
                break;
            }
            match events::publish(&self.cluster, &orders.subject, &note, now).await {
                Ok(()) => report.events.push(note.event),
                Err(error) => {
                    tracing::warn!(object = %orders.subject.key, reason = note.event.reason, %error, "an event was lost");
                }
            }
        }
    }
}

/// What people have to hear of a write that fails until somebody helps. Whatever the API server says of it may differ from
/// try to try, so it is known by what was tried.
fn refusal(error: &Error) -> Note {
    let event = Event::warning("WriteRefused", format!("{error}; it is tried again"));
    Note { event, topic: error.topic() }
}

#[cfg(test)]
mod tests;
