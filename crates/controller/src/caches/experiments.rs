//! Experiments, and what belongs to them: entered, found by owner and by what they name, and read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use serin_api::{Experiment, labels};
use serin_core::experiment::service_name;
use serin_core::rollout::observed::{Found, Pod, Raw, ReplicaSet, Template, TemplateKey};

use super::decode::{self, Identity};
use super::read::Subject;
use super::references::{Index, Reference, template_reference};
use super::{Caches, View};
use crate::change::{Key, Kind, ObjectName};

/// All Experiments, and the indexes to them.
#[derive(Debug, Default)]
pub(super) struct Experiments {
    entries: BTreeMap<ObjectName, Entry>,
    /// Experiments by the UID of the Rollout that controls them.
    by_owner: Index<String, ObjectName>,
    by_uid: BTreeMap<String, ObjectName>,
    /// Experiments by the templates and Services that they name.
    referrers: Index<Reference, ObjectName>,
    /// Services by the UID of their controller.
    services_by_owner: Index<String, ObjectName>,
}

#[derive(Debug)]
struct Entry {
    experiment: Arc<Experiment>,
    status: Arc<Value>,
    uid: String,
    owner: Option<String>,
    version: String,
    references: BTreeSet<Reference>,
}

impl Experiments {
    /// Version and UID of an Experiment.
    pub(super) fn shown(&self, name: &ObjectName) -> Option<(&String, &String)> {
        self.entries.get(name).map(|entry| (&entry.version, &entry.uid))
    }

    /// Names of all Experiments.
    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.entries.keys()
    }

    /// The Experiment of a UID.
    pub(super) fn of_uid(&self, uid: &str) -> Option<&ObjectName> {
        self.by_uid.get(uid)
    }

    /// UID of what controls the Experiment of a UID.
    pub(super) fn owner_of(&self, uid: &str) -> Option<&String> {
        self.entries.get(self.by_uid.get(uid)?)?.owner.as_ref()
    }

    /// Keys of the Experiments that a Rollout controls.
    pub(super) fn keys_of(&self, rollout_uid: &str) -> impl Iterator<Item = Key> + use<'_> {
        self.by_owner.get(&rollout_uid.to_owned()).cloned().map(Key::Experiment)
    }

    /// Keys of the Experiments that name an object.
    pub(super) fn naming(&self, reference: &Reference) -> impl Iterator<Item = Key> {
        self.referrers.get(reference).cloned().map(Key::Experiment)
    }

    /// Keeps the index of Services by their controller.
    pub(super) fn service_entered(&mut self, name: &ObjectName, object: &Value) {
        if let Some(owner) = decode::owner(object) {
            self.services_by_owner.insert(owner.uid, name.clone());
        }
    }

    /// Takes a Service out of the index.
    pub(super) fn service_left(&mut self, name: &ObjectName, object: &Value) {
        if let Some(owner) = decode::owner(object) {
            self.services_by_owner.remove(&owner.uid, name);
        }
    }
}

impl Caches {
    pub(super) fn experiment_applied(&mut self, identity: Identity, object: &Value, keys: &mut BTreeSet<Key>) {
        let (experiment, dropped) = match decode::experiment(object) {
            Ok(read) => read,
            Err(error) => {
                let name = identity.name;
                tracing::warn!(experiment = %name, %error, "the Experiment cannot be read; its last state is kept");
                return;
            }
        };
        for field in dropped {
            tracing::warn!(experiment = %identity.name, %field, "a malformed field was left out");
        }
        let name = identity.name;
        self.forget_experiment(&name, keys);
        let owner = decode::owner(object).map(|owner| owner.uid);
        let references = references_of(&experiment, &name.namespace);
        for reference in &references {
            self.experiments.referrers.insert(reference.clone(), name.clone());
        }
        if let Some(owner) = &owner {
            self.experiments.by_owner.insert(owner.clone(), name.clone());
        }
        self.experiments.by_uid.insert(identity.uid.clone(), name.clone());
        let status = Arc::new(object.get("status").cloned().unwrap_or(Value::Null));
        let (uid, version) = (identity.uid, identity.version);
        keys.extend(self.rollout_of_uid(owner.as_ref()));
        keys.insert(Key::Experiment(name.clone()));
        let entry = Entry { experiment: Arc::new(experiment), status, uid, owner, version, references };
        self.experiments.entries.insert(name, entry);
    }

    pub(super) fn forget_experiment(&mut self, name: &ObjectName, keys: &mut BTreeSet<Key>) {
        let Some(old) = self.experiments.entries.remove(name) else {
            return;
        };
        keys.insert(Key::Experiment(name.clone()));
        keys.extend(self.rollout_of_uid(old.owner.as_ref()));
        for reference in &old.references {
            self.experiments.referrers.remove(reference, name);
        }
        if let Some(owner) = &old.owner {
            self.experiments.by_owner.remove(owner, name);
        }
        self.experiments.by_uid.remove(&old.uid);
    }

    /// Whoever decides about what the owner of a UID has: a Rollout or an Experiment.
    pub(super) fn concerned_by_owner(&self, uid: &str, keys: &mut BTreeSet<Key>) {
        keys.extend(self.rollouts_by_uid.get(uid).cloned().map(Key::Rollout));
        keys.extend(self.experiments.of_uid(uid).cloned().map(Key::Experiment));
    }

    /// The Rollout that an Experiment of a UID belongs to: it sends requests to its pods.
    pub(super) fn concerned_by_experiment(&self, uid: &str, keys: &mut BTreeSet<Key>) {
        keys.extend(self.rollout_of_uid(self.experiments.owner_of(uid)));
    }

    fn rollout_of_uid(&self, uid: Option<&String>) -> Option<Key> {
        uid.and_then(|uid| self.rollouts_by_uid.get(uid)).cloned().map(Key::Rollout)
    }

    /// The Experiment of this name, if it is this instance that serves it.
    pub(crate) fn experiment(&self, name: &ObjectName) -> Option<Subject<Experiment>> {
        let entry = self.experiments.entries.get(name)?;
        let label = entry.experiment.metadata.labels.as_ref().and_then(|all| all.get(labels::INSTANCE_ID));
        if label != self.filter.instance_id.as_ref() {
            return None;
        }
        Some(Subject { object: entry.experiment.clone(), status: entry.status.clone() })
    }

    /// The Experiments that a Rollout controls, by name.
    pub(crate) fn experiments_of(&self, rollout: &ObjectName) -> Vec<Arc<Experiment>> {
        self.entries_of(rollout).map(|entry| entry.experiment.clone()).collect()
    }

    /// The Services that the Experiments of a Rollout control, by name.
    pub(crate) fn experiment_services_of(&self, rollout: &ObjectName) -> BTreeMap<String, Raw> {
        self.entries_of(rollout).flat_map(|entry| self.services_of_uid(&entry.uid)).collect()
    }

    /// The pods of the ReplicaSets that the Experiments of a Rollout control.
    pub(crate) fn experiment_pods_of(&self, rollout: &ObjectName) -> Vec<Pod> {
        self.entries_of(rollout).flat_map(|entry| self.pods_of(&self.replica_sets_of_uid(&entry.uid))).collect()
    }

    /// The ReplicaSets that an Experiment controls, by name.
    pub(crate) fn replica_sets_of_experiment(&self, name: &ObjectName) -> Vec<ReplicaSet> {
        let entry = self.experiments.entries.get(name);
        entry.map(|entry| self.replica_sets_of_uid(&entry.uid)).unwrap_or_default()
    }

    /// Names of ReplicaSets beside an Experiment that begin with its name and that it does not control, and of those that
    /// it could not make since somebody else has them.
    pub(crate) fn taken_from_experiment(&self, name: &ObjectName) -> BTreeSet<String> {
        let Some(entry) = self.experiments.entries.get(name) else { return BTreeSet::new() };
        let prefix = format!("{}-", name.name);
        let first = ObjectName::new(&name.namespace, &prefix);
        let beside = self
            .replica_sets
            .range(first..)
            .take_while(|(other, _)| other.namespace == name.namespace && other.name.starts_with(&prefix));
        let foreign = beside.filter(|(_, rs)| rs.owner.as_ref().is_none_or(|owner| owner.uid != entry.uid));
        let noted = self.taken.get(&Key::Experiment(name.clone())).cloned();
        foreign.map(|(other, _)| other.name.clone()).chain(noted).collect()
    }

    /// The Services that an Experiment asks for, and those that it controls, by name.
    pub(crate) fn services_of_experiment(&self, name: &ObjectName) -> BTreeMap<String, Raw> {
        let Some(entry) = self.experiments.entries.get(name) else { return BTreeMap::new() };
        let wanted = entry.references.iter().filter(|(kind, _)| *kind == Kind::Service);
        let wanted = wanted.filter_map(|reference| Some((reference.1.name.clone(), self.raw_of(reference)?)));
        wanted.chain(self.services_of_uid(&entry.uid)).collect()
    }

    /// The AnalysisRuns that an Experiment controls, by name.
    pub(crate) fn runs_of_experiment(&self, name: &ObjectName) -> Vec<Arc<serin_api::AnalysisRun>> {
        self.experiments.entries.get(name).map(|entry| self.runs_of_uid(&entry.uid)).unwrap_or_default()
    }

    /// The templates that an Experiment names, and those that these include.
    pub(crate) fn templates_of_experiment(&self, name: &ObjectName) -> BTreeMap<TemplateKey, Found<Template>> {
        let Some(entry) = self.experiments.entries.get(name) else { return BTreeMap::new() };
        self.templates_from(template_keys(&entry.experiment), &name.namespace)
    }

    /// The VirtualServices of the Rollout that controls an Experiment.
    pub(crate) fn virtual_services_of_experiment(&self, name: &ObjectName) -> Vec<Raw> {
        let owner = self.experiments.entries.get(name).and_then(|entry| entry.owner.as_ref());
        let Some(rollout) = owner.and_then(|uid| self.rollouts_by_uid.get(uid)) else { return Vec::new() };
        self.virtual_services_of(rollout).into_values().filter_map(|found| found.present().cloned()).collect()
    }

    fn entries_of(&self, rollout: &ObjectName) -> impl Iterator<Item = &Entry> {
        let uid = self.rollouts.get(rollout).map(|entry| entry.uid.clone());
        let names = uid.into_iter().flat_map(|uid| self.experiments.by_owner.get(&uid).cloned().collect::<Vec<_>>());
        names.filter_map(|name| self.experiments.entries.get(&name))
    }

    fn replica_sets_of_uid(&self, uid: &str) -> Vec<ReplicaSet> {
        let names = self.replica_sets_by_owner.get(&uid.to_owned());
        let entries = names.filter_map(|name| self.replica_sets.get(name));
        entries.map(|entry| ReplicaSet { owned: true, ..entry.view.clone() }).collect()
    }

    fn services_of_uid(&self, uid: &str) -> BTreeMap<String, Raw> {
        let names = self.experiments.services_by_owner.get(&uid.to_owned());
        let raw = |name: &ObjectName| Some((name.name.clone(), self.raw_of(&(Kind::Service, name.clone()))?));
        names.filter_map(raw).collect()
    }

    fn raw_of(&self, reference: &Reference) -> Option<Raw> {
        match self.view(reference)? {
            View::Raw(raw) => Some(raw.clone()),
            View::Workload(_) | View::Template(_) => None,
        }
    }
}

/// The templates and Services that an Experiment names.
fn references_of(experiment: &Experiment, namespace: &str) -> BTreeSet<Reference> {
    let templates = template_keys(experiment).into_iter().map(|key| template_reference(&key, namespace));
    let own = experiment.metadata.name.as_deref().unwrap_or_default();
    let with_service =
        experiment.spec.templates.iter().filter_map(|template| Some((template, template.service.as_ref()?)));
    let services = with_service.map(|(template, service)| {
        let name = service.name.clone().filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| service_name(own, &template.name));
        (Kind::Service, ObjectName::new(namespace, name))
    });
    templates.chain(services).collect()
}

fn template_keys(experiment: &Experiment) -> Vec<TemplateKey> {
    let keys = experiment.spec.analyses.iter().map(|analysis| TemplateKey {
        cluster_scope: analysis.cluster_scope == Some(true),
        name: analysis.template_name.clone(),
    });
    keys.collect()
}
