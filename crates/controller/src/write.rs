//! Makes one write, and says what the API server's answer to it means.

use serde_json::Value;
use serin_api::labels;
use serin_core::plan::{Verb, Write};

use crate::change::{Key, Kind, ObjectName};
use crate::cluster::kind_of;
use crate::decision::Subject;
use crate::error::Error;
use crate::execute::{Executor, Outcome, Written};
use crate::ledger::Mark;

impl Executor {
    pub(crate) async fn write_status(&self, subject: &Subject, patch: &Value) -> Result<Written, Outcome> {
        self.check_leadership()?;
        let (kind, name) = (subject.key.kind(), subject.key.object());
        // Only Rollouts have a status subresource.
        let subresource = match subject.key {
            Key::Rollout(_) => "/status",
            Key::AnalysisRun(_) | Key::Experiment(_) => "",
        };
        let resource = self.cluster.resource(kind);
        let error = match self.cluster.merge_patch(&resource, name, subresource, patch).await {
            Ok(object) => return Ok(written(kind, name, "patch", &object)),
            Err(error) => error,
        };
        let is_stale = match error.code() {
            Some(409) => true,
            // Of an object that is there, it is the subresource that is not.
            Some(404) => !self.is_there(kind, name, "/metadata/uid", &subject.uid).await,
            Some(_) | None => false,
        };
        Err(if is_stale {
            Outcome::Conflict { operation: format!("patch status of {kind} {name}") }
        } else {
            Outcome::Failed(error)
        })
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
            // A failed `test` of a JSON patch is answered with 422, and so is an object that would not be valid.
            (Verb::JsonPatch(patch), Some(422)) => Err(match tested_version(patch) {
                Some(version) if self.is_there(kind, &name, "/metadata/resourceVersion", version).await => {
                    Outcome::Failed(error)
                }
                Some(_) | None => conflict(),
            }),
            (_, Some(_) | None) => Err(Outcome::Failed(error)),
        }
    }

    /// Whether the API server has the object with this text at a place; not if it does not say.
    async fn is_there(&self, kind: Kind, name: &ObjectName, place: &str, text: &str) -> bool {
        let found = self.cluster.get(&self.cluster.resource(kind), name).await;
        found.is_ok_and(|object| object.pointer(place).and_then(Value::as_str) == Some(text))
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

/// The version of its object that a JSON patch begins by testing.
fn tested_version(patch: &[Value]) -> Option<&str> {
    let is_test = |operation: &&Value| operation["op"] == "test" && operation["path"] == "/metadata/resourceVersion";
    patch.iter().find(is_test)?["value"].as_str()
}

fn controller(object: &Value) -> Option<&Value> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))
}

fn template_hash(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("labels")?.get(labels::POD_TEMPLATE_HASH)?.as_str()
}

fn verb_name(verb: &Verb) -> &'static str {
    match verb {
        Verb::Create(_) => "create",
        Verb::MergePatch(_) | Verb::JsonPatch(_) | Verb::Scale { .. } => "patch",
        Verb::Delete { .. } => "delete",
        Verb::Evict { .. } => "evict",
    }
}

pub(crate) fn written(kind: Kind, name: &ObjectName, verb: &'static str, object: &Value) -> Written {
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default();
    Written { kind, name: name.clone(), verb, mark: Mark::Version(version.to_owned()) }
}

pub(crate) fn deleted(kind: Kind, name: &ObjectName, uid: &str) -> Written {
    Written { kind, name: name.clone(), verb: "delete", mark: Mark::Gone(uid.to_owned()) }
}
