//! Entering one object into the caches, and taking it out again: views, indexes, and the keys that it concerns.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use serin_core::rollout::observed::Found;

use super::decode::{self, Identity};
use super::references::{self, Reference};
use super::{Caches, OtherEntry, PodEntry, ReplicaSetEntry, RolloutEntry, RunEntry, View};
use crate::change::{Key, Kind, ObjectName};
use crate::farewell::setters;

impl Caches {
    pub(super) fn rollout_applied(&mut self, identity: Identity, object: &Value, keys: &mut BTreeSet<Key>) {
        let (rollout, dropped) = match decode::rollout(object) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(rollout = %identity.name, %error, "the Rollout cannot be read; its last state is kept");
                return;
            }
        };
        for field in dropped {
            tracing::warn!(rollout = %identity.name, %field, "a malformed field was left out");
        }
        let name = identity.name;
        let references = references::references_of(&rollout);
        if self.rollouts.get(&name).is_none_or(|old| old.references != references) {
            self.forget_rollout(&name, keys);
            self.concerned_by_rival(&name, &references, keys);
        } else {
            self.forget_rollout(&name, &mut BTreeSet::new());
        }
        for reference in references.iter(&name.namespace) {
            self.referrers.insert(reference, name.clone());
        }
        self.rollouts_by_uid.insert(identity.uid.clone(), name.clone());
        let status = Arc::new(object.get("status").cloned().unwrap_or(Value::Null));
        let (uid, version) = (identity.uid, identity.version);
        let entry = RolloutEntry { rollout: Arc::new(rollout), status, uid, version, references };
        self.rollouts.insert(name.clone(), entry);
        keys.insert(Key::Rollout(name));
    }

    pub(super) fn forget_rollout(&mut self, name: &ObjectName, keys: &mut BTreeSet<Key>) {
        if let Some(old) = self.rollouts.remove(name) {
            self.concerned_by_rival(name, &old.references, keys);
            for reference in old.references.iter(&name.namespace) {
                self.referrers.remove(&reference, name);
            }
            self.rollouts_by_uid.remove(&old.uid);
        }
    }

    pub(super) fn replica_set_applied(&mut self, identity: Identity, object: &Value, keys: &mut BTreeSet<Key>) {
        let name = identity.name;
        let view = decode::replica_set(object);
        let owner = decode::owner(object);
        self.forget_replica_set(&name, keys);
        self.replica_sets_by_uid.insert(view.uid.clone(), name.clone());
        match &owner {
            Some(owner) => self.replica_sets_by_owner.insert(owner.uid.clone(), name.clone()),
            None => self.orphans.insert(name.namespace.clone(), name.clone()),
        }
        let entry = ReplicaSetEntry { view, owner, version: identity.version };
        self.concerned_by_replica_set(&name, &entry, keys);
        self.replica_sets.insert(name, entry);
    }

    pub(super) fn forget_replica_set(&mut self, name: &ObjectName, keys: &mut BTreeSet<Key>) {
        let Some(old) = self.replica_sets.remove(name) else {
            return;
        };
        self.concerned_by_replica_set(name, &old, keys);
        self.replica_sets_by_uid.remove(&old.view.uid);
        match &old.owner {
            Some(owner) => self.replica_sets_by_owner.remove(&owner.uid, name),
            None => self.orphans.remove(&name.namespace, name),
        }
    }

    /// The owner of a ReplicaSet; for an orphan every Rollout that may adopt it, since orphans are few and short-lived.
    pub(super) fn concerned_by_replica_set(
        &self,
        name: &ObjectName,
        entry: &ReplicaSetEntry,
        keys: &mut BTreeSet<Key>,
    ) {
        match &entry.owner {
            Some(owner) => keys.extend(self.rollouts_by_uid.get(&owner.uid).cloned().map(Key::Rollout)),
            None => {
                let adopters =
                    self.rollouts_in(&name.namespace).filter(|(_, rollout)| rollout.selects(&entry.view.labels, self));
                keys.extend(adopters.map(|(rollout, _)| Key::Rollout(rollout.clone())));
            }
        }
    }

    pub(super) fn pod_applied(
        &mut self,
        identity: Identity,
        object: &Value,
        now: DateTime<Utc>,
        keys: &mut BTreeSet<Key>,
    ) {
        let owner = decode::owner(object).filter(|owner| owner.kind == "ReplicaSet");
        let replica_set = owner.as_ref().map(|owner| owner.name.clone()).unwrap_or_default();
        let mut view = decode::pod(object, replica_set, now);
        if let Some(old) = self.pods.get_mut(&identity.name) {
            if (&old.view.labels, old.view.ready) == (&view.labels, view.ready) {
                view.seen_at = old.view.seen_at;
            }
            if old.view == view && old.owner.as_ref() == owner.as_ref().map(|owner| &owner.uid) {
                old.version = identity.version;
                return;
            }
        }
        let name = identity.name;
        self.forget_pod(&name, keys);
        if let Some(owner) = &owner {
            self.pods_by_owner.insert(owner.uid.clone(), name.clone());
        }
        let entry = PodEntry { view, owner: owner.map(|owner| owner.uid), version: identity.version };
        self.concerned_by_pod(&entry, keys);
        self.pods.insert(name, entry);
    }

    pub(super) fn forget_pod(&mut self, name: &ObjectName, keys: &mut BTreeSet<Key>) {
        let Some(old) = self.pods.remove(name) else {
            return;
        };
        self.concerned_by_pod(&old, keys);
        if let Some(owner) = &old.owner {
            self.pods_by_owner.remove(owner, name);
        }
    }

    pub(super) fn concerned_by_pod(&self, entry: &PodEntry, keys: &mut BTreeSet<Key>) {
        let replica_set = entry.owner.as_ref().and_then(|uid| self.replica_sets_by_uid.get(uid));
        let owner = replica_set.and_then(|name| self.replica_sets.get(name)?.owner.as_ref());
        let rollout = owner.and_then(|owner| self.rollouts_by_uid.get(&owner.uid));
        keys.extend(rollout.cloned().map(Key::Rollout));
    }

    pub(super) fn run_applied(&mut self, identity: Identity, object: &Value, keys: &mut BTreeSet<Key>) {
        let (run, dropped) = match decode::analysis_run(object) {
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(run = %identity.name, %error, "the AnalysisRun cannot be read; its last state is kept");
                return;
            }
        };
        for field in dropped {
            tracing::warn!(run = %identity.name, %field, "a malformed field was left out");
        }
        let name = identity.name;
        self.forget_run(&name, keys);
        let owner = decode::owner(object).map(|owner| owner.uid);
        if let Some(owner) = &owner {
            self.runs_by_owner.insert(owner.clone(), name.clone());
        }
        let status = Arc::new(object.get("status").cloned().unwrap_or(Value::Null));
        let (uid, version) = (identity.uid, identity.version);
        self.runs_by_uid.insert(uid.clone(), name.clone());
        let entry = RunEntry { run: Arc::new(run), status, uid, owner, version };
        self.concerned_by_run(&name, &entry, keys);
        self.runs.insert(name, entry);
    }

    pub(super) fn forget_run(&mut self, name: &ObjectName, keys: &mut BTreeSet<Key>) {
        let Some(old) = self.runs.remove(name) else {
            return;
        };
        self.concerned_by_run(name, &old, keys);
        self.runs_by_uid.remove(&old.uid);
        if let Some(owner) = &old.owner {
            self.runs_by_owner.remove(owner, name);
        }
    }

    pub(super) fn concerned_by_run(&self, name: &ObjectName, entry: &RunEntry, keys: &mut BTreeSet<Key>) {
        keys.insert(Key::AnalysisRun(name.clone()));
        let rollout = entry.owner.as_ref().and_then(|uid| self.rollouts_by_uid.get(uid));
        keys.extend(rollout.cloned().map(Key::Rollout));
    }

    /// The AnalysisRun with the UID that the owner of a Job has.
    pub(super) fn concerned_by_job(&self, run: Option<String>, keys: &mut BTreeSet<Key>) {
        let run = run.and_then(|uid| self.runs_by_uid.get(&uid));
        keys.extend(run.cloned().map(Key::AnalysisRun));
    }

    pub(super) fn other_applied(&mut self, kind: Kind, identity: Identity, view: View, keys: &mut BTreeSet<Key>) {
        let reference = (kind, identity.name);
        let (uid, version) = (identity.uid, identity.version);
        if let Some(old) = self.others.get_mut(&reference) {
            // The status of a Deployment changes all the time, its template seldom.
            if old.view == view {
                old.version = version;
                return;
            }
        }
        self.forget_included(&reference);
        for included in included_by(&reference, &view) {
            self.including.insert(included, reference.clone());
        }
        self.forget_set(&reference);
        for setter in setters_of(&reference, &view) {
            self.set_by.insert(setter, reference.clone());
        }
        self.others.insert(reference.clone(), OtherEntry { view, uid, version });
        self.concerned_by_other(&reference, keys);
    }

    pub(super) fn forget_included(&mut self, reference: &Reference) {
        let included = self.others.get(reference).map(|old| included_by(reference, &old.view));
        for included in included.into_iter().flatten() {
            self.including.remove(&included, reference);
        }
    }

    pub(super) fn forget_set(&mut self, reference: &Reference) {
        let setters = self.others.get(reference).map(|old| setters_of(reference, &old.view));
        for setter in setters.into_iter().flatten() {
            self.set_by.remove(&setter, reference);
        }
    }

    /// The Rollouts that name an object, or a template that includes it, however indirectly; and those that the object
    /// says it was set by, whether they still name it, or are still there, or not.
    pub(super) fn concerned_by_other(&self, reference: &Reference, keys: &mut BTreeSet<Key>) {
        let setters = self.view(reference).map(|view| setters_of(reference, view));
        keys.extend(setters.into_iter().flatten().map(Key::Rollout));
        let mut seen = BTreeSet::from([reference.clone()]);
        let mut open = vec![reference.clone()];
        while let Some(reference) = open.pop() {
            keys.extend(self.referrers.get(&reference).cloned().map(Key::Rollout));
            // A cluster template that includes a namespaced one is entered without the namespace.
            let anywhere = (reference.0, ObjectName::new("", &reference.1.name));
            let including = self.including.get(&reference).chain(self.including.get(&anywhere));
            let including: Vec<Reference> = including.cloned().collect();
            open.extend(including.into_iter().filter(|r| seen.insert(r.clone())));
        }
    }
}

/// The Rollouts that an object says it is set by.
fn setters_of(reference: &Reference, view: &View) -> Vec<ObjectName> {
    match view {
        View::Raw(raw) => setters(reference.0, &reference.1, raw),
        View::Workload(_) | View::Template(_) => Vec::new(),
    }
}

/// The templates that a template includes, seen from its own namespace.
fn included_by(reference: &Reference, view: &View) -> Vec<Reference> {
    let View::Template(Found::Present(template)) = view else {
        return Vec::new();
    };
    let keys = template.spec.templates.iter().map(references::template_key);
    keys.map(|key| references::template_reference(&key, &reference.1.namespace)).collect()
}
