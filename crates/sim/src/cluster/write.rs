//! Creating, replacing and deleting: everything that the API server adds to what a client sent.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

use super::admit;
use super::error::{ApiError, Cause};
use super::managed;
use super::meta;
use super::owned::Owners;
use super::registry::{Kind, KindId};
use super::store::{Place, Store, place_of};

/// Which half of an object a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the status, for kinds that have a status path.
    Main,
    /// Only the status.
    Status,
    /// Both: for actors inside the cluster.
    Whole,
}

/// How one write is carried out.
#[derive(Clone, Debug)]
pub(crate) struct Write<'a> {
    pub now: DateTime<Utc>,
    pub part: Part,
    /// Decide and answer, but store nothing.
    pub dry_run: bool,
    /// Who writes, for the book of field owners.
    pub writer: &'a str,
    /// `Apply` or `Update`, as managedFields calls it.
    pub operation: &'static str,
}

/// What becomes of the dependents of a deleted object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They go after it.
    Background,
    /// They go before it.
    Foreground,
    /// They stay, without the owner.
    Orphan,
}

impl Store {
    /// Stores a new object and returns it as it is then.
    pub(crate) fn create(
        &mut self,
        kind: KindId,
        mut object: Value,
        write: &Write<'_>,
    ) -> Result<Arc<Value>, ApiError> {
        let known = Arc::clone(self.registry.kind(kind));
        if meta::name(&object).is_empty() && !meta::text(&object, "generateName").is_empty() {
            let name = format!("{}{}", meta::text(&object, "generateName"), self.suffix());
            meta::assign(&mut object, "name", Some(json!(name)));
        }
        admit::name(&known, &object)?;
        let place = place_of(&object);
        if known.resource.namespaced && !self.namespace_exists(&place.0) {
            return Err(self.no_namespace(&place.0));
        }
        if self.stored(kind, &place).is_some() {
            return Err(ApiError::already_exists(&known, &place.1));
        }
        if !meta::text(&object, "resourceVersion").is_empty() {
            return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let uid = self.identify();
        seal(&known, &mut object, &uid, write);
        admit::defaults(&known, &mut object);
        admit::check(&known, &object, None)?;
        managed::note(&known, &mut object, None, write);
        if write.dry_run {
            return Ok(Arc::new(object));
        }
        let stored = self.put(kind, object, Owners::default());
        self.after_create(kind, &place, &stored);
        Ok(stored)
    }

    /// Stores `new` in place of what is there; a resourceVersion in it is a precondition.
    pub(crate) fn replace(
        &mut self,
        kind: KindId,
        place: &Place,
        new: Value,
        write: &Write<'_>,
    ) -> Result<Arc<Value>, ApiError> {
        let owners = match self.stored(kind, place) {
            Some(stored) => stored.owners.clone(),
            None => Owners::default(),
        };
        self.replace_with(kind, place, (new, owners), write)
    }

    /// The same, with a new book of field owners.
    pub(crate) fn replace_with(
        &mut self,
        kind: KindId,
        place: &Place,
        (new, mut owners): (Value, Owners),
        write: &Write<'_>,
    ) -> Result<Arc<Value>, ApiError> {
        let known = Arc::clone(self.registry.kind(kind));
        let old = Arc::clone(self.get(kind, place)?);
        check_preconditions(&known, &old, &new)?;
        let mut next = merge_parts(&known, &old, new, write.part);
        if write.part != Part::Status {
            admit::defaults(&known, &mut next);
        }
        admit::check(&known, &next, Some(&old))?;
        if spec_differs(&known, &old, &next) {
            let generation = meta::generation(&old) + 1;
            meta::assign(&mut next, "generation", Some(json!(generation)));
        }
        owners.note_write(write.writer, &old, &next);
        if next == *old {
            if !write.dry_run {
                self.set_owners(kind, place, owners);
            }
            return Ok(old);
        }
        managed::note(&known, &mut next, Some(&old), write);
        if write.dry_run {
            return Ok(Arc::new(next));
        }
        if meta::deleting(&next) && meta::finalizers(&next).is_empty() {
            let last = self.put(kind, next, owners);
            return Ok(self.finish(kind, place, write.now).unwrap_or(last));
        }
        let stored = self.put(kind, next, owners);
        self.after_write(kind, &stored);
        Ok(stored)
    }

    /// Deletes the object, or marks it where finalizers hold it up; returns it as it was last.
    pub(crate) fn delete(
        &mut self,
        kind: KindId,
        place: &Place,
        propagation: Propagation,
        now: DateTime<Utc>,
    ) -> Result<Arc<Value>, ApiError> {
        let object = Arc::clone(self.get(kind, place)?);
        let mut next = (*object).clone();
        let finalizer = match propagation {
            Propagation::Background => None,
            Propagation::Foreground => Some("foregroundDeletion"),
            Propagation::Orphan => Some("orphan"),
        };
        if let Some(finalizer) = finalizer {
            let mut held: Vec<&str> = meta::finalizers(&object);
            if !held.contains(&finalizer) {
                held.push(finalizer);
            }
            meta::assign(&mut next, "finalizers", Some(json!(held)));
        }
        if meta::finalizers(&next).is_empty() {
            return self
                .finish(kind, place, now)
                .ok_or_else(|| ApiError::not_found(self.registry.kind(kind), &place.1));
        }
        if !meta::deleting(&object) {
            meta::assign(&mut next, "deletionTimestamp", Some(json!(meta::stamp(now))));
            meta::assign(&mut next, "deletionGracePeriodSeconds", Some(json!(0)));
            let generation = meta::generation(&object) + 1;
            if self.registry.kind(kind).custom {
                meta::assign(&mut next, "generation", Some(json!(generation)));
            }
        }
        let stored = if next == *object {
            object
        } else {
            let owners = self.owners(kind, place);
            self.put(kind, next, owners)
        };
        self.collect(kind, place, now);
        Ok(self.stored(kind, place).map_or(stored, |stored| Arc::clone(&stored.object)))
    }

    fn no_namespace(&self, name: &str) -> ApiError {
        match self.registry.by_plural("", "namespaces") {
            Some(namespaces) => ApiError::not_found(self.registry.kind(namespaces), name),
            None => ApiError::unknown_path(),
        }
    }
}

/// The fields of the metadata that only the server writes.
fn seal(kind: &Kind, object: &mut Value, uid: &str, write: &Write<'_>) {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(1);
    meta::assign(object, "uid", Some(json!(uid)));
    meta::assign(object, "creationTimestamp", Some(json!(meta::stamp(write.now))));
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink"] {
        meta::assign(object, field, None);
    }
    if counts_generations(kind) {
        let first = if write.part == Part::Whole { generation } else { 1 };
        meta::assign(object, "generation", Some(json!(first)));
    }
    if !kind.resource.namespaced {
        meta::assign(object, "namespace", None);
    }
    if kind.status && write.part != Part::Whole {
        meta::map(object).remove("status");
    }
    if let Some(labels) = object["metadata"].get("labels")
        && labels.is_null()
    {
        meta::assign(object, "labels", None);
    }
}

fn check_preconditions(kind: &Kind, old: &Value, new: &Value) -> Result<(), ApiError> {
    let name = meta::name(old);
    let version = meta::text(new, "resourceVersion");
    let uid = meta::uid(new);
    if !version.is_empty() && version.parse::<u64>().is_err() {
        return Err(ApiError::invalid(
            kind,
            name,
            &[Cause {
                field: "metadata.resourceVersion".to_owned(),
                reason: "FieldValueInvalid",
                message: format!("Invalid value: \"{version}\": must be the number that a read returned"),
            }],
        ));
    }
    if !version.is_empty() && version != meta::text(old, "resourceVersion") {
        return Err(ApiError::modified(kind, name));
    }
    if !uid.is_empty() && uid != meta::uid(old) {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            kind.resource.plural,
            meta::uid(old)
        );
        return Err(ApiError::conflict(kind, name, &why));
    }
    Ok(())
}

/// Takes from `new` only what this write may change; the rest comes from `old`.
fn merge_parts(kind: &Kind, old: &Value, new: Value, part: Part) -> Value {
    let mut next = if part == Part::Status {
        let mut next = old.clone();
        match new.get("status") {
            Some(status) => next["status"] = status.clone(),
            None => {
                meta::map(&mut next).remove("status");
            }
        }
        return next;
    } else {
        new
    };
    if part == Part::Main && kind.status {
        let map = meta::map(&mut next);
        match old.get("status") {
            Some(status) => map.insert("status".to_owned(), status.clone()),
            None => map.remove("status"),
        };
    }
    for field in ["apiVersion", "kind"] {
        next[field] = old[field].clone();
    }
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "managedFields",
        "selfLink",
    ] {
        meta::assign(&mut next, field, old["metadata"].get(field).cloned());
    }
    next
}

fn counts_generations(kind: &Kind) -> bool {
    let (group, plural) = (kind.resource.group.as_ref(), kind.resource.plural.as_ref());
    kind.custom
        || matches!(plural, "deployments" | "replicasets" | "jobs") && !group.is_empty()
        || is_pod_template(kind)
}

fn is_pod_template(kind: &Kind) -> bool {
    kind.resource.plural == "podtemplates" && kind.resource.group.is_empty()
}

fn spec_differs(kind: &Kind, old: &Value, new: &Value) -> bool {
    if !counts_generations(kind) {
        return false;
    }
    if !kind.custom {
        let spec = if is_pod_template(kind) { "template" } else { "spec" };
        return old[spec] != new[spec];
    }
    let relevant = |object: &Value| -> Vec<(String, Value)> {
        let fields = object.as_object().into_iter().flatten();
        fields
            .filter(|(field, _)| *field != "metadata" && !(kind.status && *field == "status"))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect()
    };
    relevant(old) != relevant(new)
}
