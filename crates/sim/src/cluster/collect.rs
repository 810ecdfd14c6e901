//! What follows from a write: garbage collection, namespaces that empty, kinds that appear.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::definition;
use super::meta;
use super::owned::Owners;
use super::registry::KindId;
use super::store::{Place, Store};
use super::write::Propagation;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

impl Store {
    /// The owners of the fields of an object; empty if there is none.
    pub(crate) fn owners(&self, kind: KindId, place: &Place) -> Owners {
        self.stored(kind, place).map(|stored| stored.owners.clone()).unwrap_or_default()
    }

    /// What a new object brings about.
    pub(crate) fn after_create(&mut self, kind: KindId, place: &Place, object: &Arc<Value>) {
        self.after_write(kind, object);
        let owners = meta::owners(object);
        let orphaned = !owners.is_empty() && owners.iter().all(|uid| self.by_uid(uid).is_none());
        if orphaned && let Some(now) = parse_time(meta::text(object, "creationTimestamp")) {
            self.delete_quietly(kind, place, now);
        }
    }

    /// What a changed object brings about: a definition registers its kind.
    pub(crate) fn after_write(&mut self, kind: KindId, object: &Arc<Value>) {
        if self.registry.kind(kind).resource.plural == "customresourcedefinitions"
            && let Some(defined) = definition::kind(object)
        {
            self.registry.register(defined);
            if let Some(established) = definition::establish(object) {
                self.put(kind, established, Owners::default());
            }
        }
    }

    /// Removes the object for good, and then what depended on it.
    pub(crate) fn finish(&mut self, kind: KindId, place: &Place, now: DateTime<Utc>) -> Option<Arc<Value>> {
        let gone = self.remove(kind, place)?;
        match self.registry.kind(kind).resource.plural.as_ref() {
            "customresourcedefinitions" => self.undefine(&gone, now),
            "namespaces" => self.empty_namespace(&place.1, now),
            _ => {}
        }
        for (dependent, place) in self.dependents(meta::uid(&gone)) {
            self.lose_owner(dependent, &place, meta::uid(&gone), now);
        }
        self.release_waiting_owners(&gone, now);
        Some(gone)
    }

    /// Carries a deletion on that waits for dependents, as far as it can go now.
    pub(crate) fn collect(&mut self, kind: KindId, place: &Place, now: DateTime<Utc>) {
        let Some(object) = self.stored(kind, place).map(|stored| Arc::clone(&stored.object)) else {
            return;
        };
        let uid = meta::uid(&object);
        if meta::finalizers(&object).contains(&ORPHAN) {
            for (dependent, place) in self.dependents(uid) {
                self.drop_owner(dependent, &place, uid);
            }
            self.drop_finalizer(kind, place, ORPHAN, now);
        } else if meta::finalizers(&object).contains(&FOREGROUND) {
            for (dependent, place) in self.dependents(uid) {
                self.lose_owner(dependent, &place, uid, now);
            }
            if self.dependents(uid).is_empty() {
                self.drop_finalizer(kind, place, FOREGROUND, now);
            }
        }
    }

    /// A dependent whose owner goes: it stays only if another owner is left.
    fn lose_owner(&mut self, kind: KindId, place: &Place, uid: &str, now: DateTime<Utc>) {
        let Some(object) = self.stored(kind, place).map(|stored| Arc::clone(&stored.object)) else {
            return;
        };
        let others = meta::owners(&object).into_iter().any(|owner| owner != uid && self.by_uid(owner).is_some());
        if others {
            self.drop_owner(kind, place, uid);
        } else if !meta::deleting(&object) {
            self.delete_quietly(kind, place, now);
        }
    }

    fn drop_owner(&mut self, kind: KindId, place: &Place, uid: &str) {
        let Some(stored) = self.stored(kind, place).cloned() else {
            return;
        };
        let mut next = (*stored.object).clone();
        if let Some(owners) = meta::metadata(&mut next).get_mut("ownerReferences").and_then(Value::as_array_mut) {
            owners.retain(|owner| owner["uid"] != uid);
            if owners.is_empty() {
                meta::assign(&mut next, "ownerReferences", None);
            }
        }
        self.put(kind, next, stored.owners);
    }

    fn drop_finalizer(&mut self, kind: KindId, place: &Place, name: &str, now: DateTime<Utc>) {
        let Some(stored) = self.stored(kind, place).cloned() else {
            return;
        };
        let mut left = meta::finalizers(&stored.object);
        left.retain(|finalizer| *finalizer != name);
        if left.is_empty() {
            self.finish(kind, place, now);
            return;
        }
        let mut next = (*stored.object).clone();
        meta::assign(&mut next, "finalizers", Some(json!(left)));
        self.put(kind, next, stored.owners);
    }

    /// Owners that are deleted in the foreground may go once their last dependent has gone.
    fn release_waiting_owners(&mut self, gone: &Value, now: DateTime<Utc>) {
        for owner in meta::owners(gone) {
            if let Some((kind, place)) = self.by_uid(owner).cloned() {
                let waits = self.stored(kind, &place).is_some_and(|stored| {
                    meta::deleting(&stored.object) && meta::finalizers(&stored.object).contains(&FOREGROUND)
                });
                if waits {
                    self.collect(kind, &place, now);
                }
            }
        }
    }

    fn undefine(&mut self, definition: &Value, now: DateTime<Utc>) {
        let group = definition["spec"]["group"].as_str().unwrap_or_default();
        let plural = definition["spec"]["names"]["plural"].as_str().unwrap_or_default();
        if let Some(kind) = self.registry.by_plural(group, plural) {
            let places: Vec<Place> = self.list(kind, None).map(|(place, _)| place.clone()).collect();
            for place in places {
                self.delete_quietly(kind, &place, now);
            }
        }
        self.registry.retire(group, plural);
    }

    fn empty_namespace(&mut self, name: &str, now: DateTime<Utc>) {
        let kinds: Vec<KindId> = self.registry.iter().map(|(id, _)| id).collect();
        for kind in kinds {
            let places: Vec<Place> = self.list(kind, Some(name)).map(|(place, _)| place.clone()).collect();
            for place in places {
                self.delete_quietly(kind, &place, now);
            }
        }
    }

    /// Deletes something that may be gone already: then there is nothing left to do.
    fn delete_quietly(&mut self, kind: KindId, place: &Place, now: DateTime<Utc>) {
        match self.delete(kind, place, Propagation::Background, now) {
            Ok(_) => {}
            Err(gone) => debug_assert!(gone.is_not_found(), "a deletion is refused only if nothing is there"),
        }
    }
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}
