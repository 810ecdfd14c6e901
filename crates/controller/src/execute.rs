//! Brings a decision about: the status first, then the effects in order, Jobs, and at last the events.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use serin_api::labels;
use serin_core::analysis::sample::Sample;
use serin_core::plan::{Event, Target, Verb, Wake, Write};

use crate::change::{Key, Kind, ObjectName};
use crate::cluster::{Cluster, kind_of};
use crate::decision::{Orders, Subject};
use crate::error::Error;
use crate::events;
use crate::job::Start;
use crate::lease::Leadership;
use crate::ledger::Mark;
use crate::queue::{Backoff, Next};

/// The least time between a decision and a wake-up that it asks for although it is due already.
const WAKE_AFTER_MIN: TimeDelta = TimeDelta::seconds(1);

/// What came of a decision.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Whether the status was written.
    pub status_written: bool,
    /// The writes that were made, in order, the status among them.
    pub writes: Vec<Written>,
    /// What became of Jobs that the API server will not have, as the ends of their measurements.
    pub refused: Vec<Sample>,
    /// Names of ReplicaSets that could not be created because somebody else has them.
    pub names_taken: Vec<String>,
    /// Number of events published.
    pub events: usize,
}

/// How the execution of a decision ended.
#[derive(Debug)]
pub enum Outcome {
    /// Everything was done.
    Done,
    /// Somebody else wrote first. What follows was dropped; it has to be observed and decided again.
    Conflict {
        /// Verb, kind and name.
        operation: String,
    },
    /// A write failed. What follows was dropped.
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
            Outcome::Failed(error) => match wake.filter(|wake| wake.at > now) {
                Some(wake) => Next::RetryBy(error.backoff(), wake.at),
                None => Next::Retry(error.backoff()),
            },
            Outcome::Fenced => Next::Retry(Backoff::Unavailable),
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
        let mut report = Report {
            outcome: Outcome::Done,
            status_written: false,
            writes: Vec::new(),
            refused: Vec::new(),
            names_taken: Vec::new(),
            events: 0,
        };
        if let Some(patch) = &orders.status {
            match self.write_status(&orders.subject, patch).await {
                Ok(written) => {
                    report.status_written = true;
                    report.writes.push(written);
                }
                Err(outcome) => return Report { outcome, ..report },
            }
        }
        let mut told = Vec::new();
        for order in &orders.effects {
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
                    report.outcome = outcome;
                    break;
                }
            }
        }
        if matches!(report.outcome, Outcome::Done) {
            self.start_jobs(orders, now, &mut report).await;
        }
        // The status is written even where an effect failed, so its events are told in any case.
        for event in Event::in_order(&orders.events, told) {
            if !self.leadership.may_write() {
                break;
            }
            match events::publish(&self.cluster, &orders.subject, event, now).await {
                Ok(()) => report.events += 1,
                Err(error) => {
                    tracing::warn!(object = %orders.subject.key, %error, "an event was lost");
                }
            }
        }
        report
    }

    async fn write_status(&self, subject: &Subject, patch: &Value) -> Result<Written, Outcome> {
        self.check_leadership()?;
        let (kind, name) = (subject.key.kind(), subject.key.object());
        // Only Rollouts have a status subresource.
        let subresource = match subject.key {
            Key::Rollout(_) => "/status",
            Key::AnalysisRun(_) => "",
        };
        let resource = self.cluster.resource(kind);
        match self.cluster.merge_patch(&resource, name, subresource, patch).await {
            Ok(object) => Ok(written(kind, name, "patch", &object)),
            Err(error) => Err(match error.code() {
                Some(404 | 409) => Outcome::Conflict { operation: format!("patch status of {kind} {name}") },
                Some(_) | None => Outcome::Failed(error),
            }),
        }
    }

    async fn start_jobs(&self, orders: &Orders, now: DateTime<Utc>, report: &mut Report) {
        for job in &orders.jobs {
            match self.start_job(&orders.subject, job, now).await {
                Ok(Start::Created(written)) => report.writes.push(written),
                Ok(Start::Refused(sample)) => report.refused.push(sample),
                Err(outcome) => {
                    report.outcome = outcome;
                    break;
                }
            }
        }
    }

    /// Makes the request that a [`Write`] stands for.
    pub(crate) async fn bring_about(&self, subject: &Subject, write: &Write) -> Result<Written, Outcome> {
        self.check_leadership()?;
        let namespace = write.namespace.as_ref().unwrap_or(&subject.key.object().namespace);
        let (kind, name) = (kind_of(write.target), ObjectName::new(namespace, &write.name));
        let verb = verb_name(&write.verb);
        let error = match self.cluster.write(write, &name).await {
            Ok(object) => {
                return Ok(match &write.verb {
                    Verb::Delete { uid } | Verb::Evict { uid } => deleted(kind, &name, uid),
                    Verb::Create(_) | Verb::MergePatch(_) | Verb::JsonPatch(_) | Verb::Scale { .. } => {
                        written(kind, &name, verb, &object)
                    }
                });
            }
            Err(error) => error,
        };
        let conflict = || Outcome::Conflict { operation: format!("{verb} {kind} {name}") };
        match (&write.verb, error.code()) {
            (Verb::Delete { uid }, Some(404 | 409)) => Ok(deleted(kind, &name, uid)),
            (Verb::Create(object), Some(409)) => self.already_exists(write, &name, object).await,
            (Verb::MergePatch(_) | Verb::JsonPatch(_) | Verb::Scale { .. }, Some(404 | 409)) => Err(conflict()),
            // A failed `test` of a JSON patch is answered with 422.
            (Verb::JsonPatch(_), Some(422)) => Err(conflict()),
            (_, Some(_) | None) => Err(Outcome::Failed(error)),
        }
    }

    /// An object that exists counts as created if it has the controller that ours would have; a ReplicaSet only if it is
    /// for the same pod template too, since pods of another one would be taken for the update.
    async fn already_exists(&self, write: &Write, name: &ObjectName, wanted: &Value) -> Result<Written, Outcome> {
        let kind = kind_of(write.target);
        let existing = self.cluster.get(&self.cluster.resource(kind), name).await;
        let existing = existing.map_err(|error| match error.code() {
            Some(404) => Outcome::Conflict { operation: format!("create {kind} {name}") },
            Some(_) | None => Outcome::Failed(error),
        })?;
        let (theirs, ours) = (controller(&existing), controller(wanted));
        let is_ours = theirs.map(|owner| &owner["uid"]) == ours.map(|owner| &owner["uid"]);
        let fits = kind != Kind::ReplicaSet || template_hash(&existing) == template_hash(wanted);
        if is_ours && fits {
            return Ok(written(kind, name, "create", &existing));
        }
        let mut owner = theirs.map_or("nobody".to_owned(), |owner| {
            let text = |key: &str| owner[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("kind"), text("name"))
        });
        if is_ours {
            let hash = template_hash(&existing).unwrap_or_default();
            owner.push_str(&format!(" for another pod template ({}: \"{hash}\")", labels::POD_TEMPLATE_HASH));
        }
        Err(Outcome::Failed(Error::NameTaken { operation: format!("create {kind} {name}"), owner }))
    }

    pub(crate) fn check_leadership(&self) -> Result<(), Outcome> {
        if self.leadership.may_write() { Ok(()) } else { Err(Outcome::Fenced) }
    }
}

fn controller(object: &Value) -> Option<&Value> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))
}

fn template_hash(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("labels")?.get(labels::POD_TEMPLATE_HASH)?.as_str()
}

pub(crate) fn written(kind: Kind, name: &ObjectName, verb: &'static str, object: &Value) -> Written {
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
    Written { kind, name: name.clone(), verb, mark: Mark::Version(version.to_owned()) }
}

pub(crate) fn deleted(kind: Kind, name: &ObjectName, uid: &str) -> Written {
    Written { kind, name: name.clone(), verb: "delete", mark: Mark::Gone(uid.to_owned()) }
}

fn verb_name(verb: &Verb) -> &'static str {
    match verb {
        Verb::Create(_) => "create",
        Verb::MergePatch(_) | Verb::JsonPatch(_) | Verb::Scale { .. } => "patch",
        Verb::Delete { .. } => "delete",
        Verb::Evict { .. } => "evict",
    }
}

#[cfg(test)]
mod tests;
