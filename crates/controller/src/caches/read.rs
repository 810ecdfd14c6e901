//! Reading the caches: what one decision needs, found by index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use serin_api::{AnalysisRun, Rollout, labels};
use serin_core::analysis::job::Job;
use serin_core::rollout::ControlPlane;
use serin_core::rollout::observed::{
    Found, LeftBehind, Pod, Raw, ReplicaSet, Template, TemplateKey, VirtualServiceKey, Workload,
};

use super::references::{Reference, template_key, template_reference};
use super::{Caches, RolloutEntry, View};
use crate::change::{Kind, ObjectName};
use crate::ledger::Shown;

/// An object that is decided about, with its status as it really is.
#[derive(Clone, Debug)]
pub(crate) struct Subject<T> {
    pub(crate) object: Arc<T>,
    pub(crate) status: Arc<Value>,
}

impl RolloutEntry {
    /// Whether the Rollout's selector, or that of its workload, selects these labels.
    pub(super) fn selects(&self, labels: &BTreeMap<String, String>, caches: &Caches) -> bool {
        let own = self.rollout.spec.selector.as_ref().and_then(|selector| serde_json::to_value(selector).ok());
        let selector = own.or_else(|| match self.references.workload.as_ref().and_then(|r| caches.view(r))? {
            View::Workload(found) => found.present().map(|workload| workload.selector.clone()),
            View::Raw(_) | View::Template(_) => None,
        });
        selector.is_some_and(|selector| matches_selector(&selector, labels))
    }
}

impl Caches {
    /// The version and UID of an object as the caches have it.
    pub(crate) fn shown(&self, kind: Kind, name: &ObjectName) -> Option<Shown<'_>> {
        let (version, uid) = match kind {
            Kind::Rollout => self.rollouts.get(name).map(|e| (&e.version, &e.uid)),
            Kind::ReplicaSet => self.replica_sets.get(name).map(|e| (&e.version, &e.view.uid)),
            Kind::Pod => self.pods.get(name).map(|e| (&e.version, &e.view.uid)),
            Kind::AnalysisRun => self.runs.get(name).map(|e| (&e.version, &e.uid)),
            Kind::Experiment => self.experiments.shown(name),
            Kind::Job | Kind::JobPod => self.jobs.shown(kind, name),
            Kind::EndpointSlice => self.istiod.shown(name),
            Kind::Deployment
            | Kind::PodTemplate
            | Kind::WorkloadReplicaSet
            | Kind::Service
            | Kind::VirtualService
            | Kind::DestinationRule
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate => self.others.get(&(kind, name.clone())).map(|e| (&e.version, &e.uid)),
        }?;
        Some(Shown { version, uid })
    }

    /// All objects of a kind, by name.
    pub(super) fn names(&self, kind: Kind) -> Box<dyn Iterator<Item = ObjectName> + '_> {
        match kind {
            Kind::Rollout => Box::new(self.rollouts.keys().cloned()),
            Kind::ReplicaSet => Box::new(self.replica_sets.keys().cloned()),
            Kind::Pod => Box::new(self.pods.keys().cloned()),
            Kind::AnalysisRun => Box::new(self.runs.keys().cloned()),
            Kind::Experiment => Box::new(self.experiments.names().cloned()),
            Kind::Job | Kind::JobPod => self.jobs.names(kind),
            Kind::EndpointSlice => Box::new(self.istiod.names().cloned()),
            Kind::Deployment
            | Kind::PodTemplate
            | Kind::WorkloadReplicaSet
            | Kind::Service
            | Kind::VirtualService
            | Kind::DestinationRule
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate => {
                Box::new(self.others.keys().filter(move |(k, _)| *k == kind).map(|(_, name)| name.clone()))
            }
        }
    }

    pub(super) fn rollouts_in(&self, namespace: &str) -> impl Iterator<Item = (&ObjectName, &RolloutEntry)> {
        let first = ObjectName::new(namespace, "");
        let owned = namespace.to_owned();
        self.rollouts.range(first..).take_while(move |(name, _)| name.namespace == owned)
    }

    /// What is known of Istio's control plane.
    pub(crate) fn control_plane(&self, now: DateTime<Utc>) -> ControlPlane {
        self.istiod.control_plane(now, self.filter.reconnect)
    }

    /// The Rollout of this name.
    pub(crate) fn rollout(&self, name: &ObjectName) -> Option<Subject<Rollout>> {
        let entry = self.rollouts.get(name)?;
        Some(Subject { object: entry.rollout.clone(), status: entry.status.clone() })
    }

    /// The AnalysisRun of this name, if it is this instance that measures for it.
    pub(crate) fn analysis_run(&self, name: &ObjectName) -> Option<Subject<AnalysisRun>> {
        let entry = self.runs.get(name)?;
        let label = entry.run.metadata.labels.as_ref().and_then(|all| all.get(labels::INSTANCE_ID));
        if label != self.filter.instance_id.as_ref() {
            return None;
        }
        Some(Subject { object: entry.run.clone(), status: entry.status.clone() })
    }

    /// The Jobs that an AnalysisRun owns, by name.
    pub(crate) fn jobs_of(&self, name: &ObjectName) -> BTreeMap<String, Job> {
        self.runs.get(name).map(|entry| self.jobs.of_run(&entry.uid)).unwrap_or_default()
    }

    /// The object that the Rollout's `workloadRef` names.
    pub(crate) fn workload_of(&self, name: &ObjectName) -> Option<Found<Workload>> {
        let references = &self.rollouts.get(name)?.references;
        if !references.has_workload {
            return None;
        }
        Some(match &references.workload {
            None => Found::Malformed("kind must be Deployment, ReplicaSet or PodTemplate".to_owned()),
            Some(reference) => match self.view(reference) {
                Some(View::Workload(found)) => found.clone(),
                Some(View::Raw(_) | View::Template(_)) | None => Found::Missing,
            },
        })
    }

    /// The ReplicaSets that the Rollout controls and the orphans that it may adopt, by name.
    pub(crate) fn replica_sets_of(&self, name: &ObjectName) -> Vec<ReplicaSet> {
        let Some(rollout) = self.rollouts.get(name) else {
            return Vec::new();
        };
        let owned = self.replica_sets_by_owner.get(&rollout.uid).filter_map(|name| self.replica_sets.get(name));
        let owned = owned.map(|entry| ReplicaSet { owned: true, ..entry.view.clone() });
        let orphans = self.orphans.get(&name.namespace).filter_map(|name| self.replica_sets.get(name));
        let orphans = orphans.filter(|entry| rollout.selects(&entry.view.labels, self)).map(|entry| entry.view.clone());
        let mut all: Vec<ReplicaSet> = owned.chain(orphans).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The pods of some ReplicaSets.
    #[must_use]
    pub fn pods_of(&self, replica_sets: &[ReplicaSet]) -> Vec<Pod> {
        let names = replica_sets.iter().flat_map(|replica_set| self.pods_by_owner.get(&replica_set.uid));
        names.filter_map(|name| self.pods.get(name)).map(|entry| entry.view.clone()).collect()
    }

    /// The AnalysisRuns that the Rollout controls, by name.
    pub(crate) fn runs_of(&self, name: &ObjectName) -> Vec<Arc<AnalysisRun>> {
        let Some(rollout) = self.rollouts.get(name) else {
            return Vec::new();
        };
        self.runs_of_uid(&rollout.uid)
    }

    pub(super) fn runs_of_uid(&self, uid: &str) -> Vec<Arc<AnalysisRun>> {
        let names = self.runs_by_owner.get(&uid.to_owned());
        names.filter_map(|name| self.runs.get(name)).map(|entry| entry.run.clone()).collect()
    }

    /// The Services that the Rollout names.
    pub(crate) fn services_of(&self, name: &ObjectName) -> BTreeMap<String, Found<Raw>> {
        let Some(rollout) = self.rollouts.get(name) else {
            return BTreeMap::new();
        };
        let found = |service: &String| self.raw(&(Kind::Service, ObjectName::new(&name.namespace, service)));
        rollout.references.services.iter().map(|service| (service.clone(), found(service))).collect()
    }

    /// The VirtualServices that the Rollout names.
    pub(crate) fn virtual_services_of(&self, name: &ObjectName) -> BTreeMap<VirtualServiceKey, Found<Raw>> {
        let Some(rollout) = self.rollouts.get(name) else {
            return BTreeMap::new();
        };
        let found =
            |key: &VirtualServiceKey| self.raw(&(Kind::VirtualService, ObjectName::new(&key.namespace, &key.name)));
        rollout.references.virtual_services.iter().map(|key| (key.clone(), found(key))).collect()
    }

    /// The DestinationRule that the Rollout names.
    pub(crate) fn destination_rule_of(&self, name: &ObjectName) -> Option<Found<Raw>> {
        let rule = self.rollouts.get(name)?.references.destination_rule.as_ref()?;
        Some(self.raw(&(Kind::DestinationRule, ObjectName::new(&name.namespace, rule))))
    }

    /// The templates that the Rollout names, and those that these include, however indirectly.
    pub(crate) fn templates_of(&self, name: &ObjectName) -> BTreeMap<TemplateKey, Found<Template>> {
        let Some(rollout) = self.rollouts.get(name) else {
            return BTreeMap::new();
        };
        self.templates_from(rollout.references.templates.iter().cloned().collect(), &name.namespace)
    }

    /// Some templates, seen from a namespace, and those that they include, however indirectly.
    pub(super) fn templates_from(
        &self,
        mut open: Vec<TemplateKey>,
        namespace: &str,
    ) -> BTreeMap<TemplateKey, Found<Template>> {
        let mut templates = BTreeMap::new();
        while let Some(key) = open.pop() {
            if templates.contains_key(&key) {
                continue;
            }
            let found = match self.view(&template_reference(&key, namespace)) {
                Some(View::Template(found)) => found.clone(),
                Some(View::Raw(_) | View::Workload(_)) | None => Found::Missing,
            };
            if let Found::Present(template) = &found {
                open.extend(template.spec.templates.iter().map(template_key));
            }
            templates.insert(key, found);
        }
        templates
    }

    /// Objects that say that this Rollout set them: in its namespace, but for VirtualServices, which may be anywhere.
    pub(crate) fn left_behind(&self, rollout: &ObjectName) -> Vec<(Kind, ObjectName, Raw)> {
        let raw = |(kind, name): &Reference| match self.view(&(*kind, name.clone())) {
            Some(View::Raw(raw)) => Some((*kind, name.clone(), raw.clone())),
            Some(View::Workload(_) | View::Template(_)) | None => None,
        };
        self.set_by.get(rollout).filter_map(raw).collect()
    }

    /// Those of them that the Rollout, which is there, does not name.
    pub(crate) fn left_behind_by(&self, rollout: &ObjectName) -> Vec<LeftBehind> {
        let Some(entry) = self.rollouts.get(rollout) else { return Vec::new() };
        let named: BTreeSet<Reference> = entry.references.iter(&rollout.namespace).collect();
        let all = self.left_behind(rollout).into_iter();
        let unnamed = all.filter(|(kind, name, _)| !named.contains(&(*kind, name.clone())));
        unnamed
            .filter_map(|(kind, ObjectName { namespace, name }, raw)| match kind {
                Kind::Service => Some(LeftBehind::Service { name, raw }),
                Kind::DestinationRule => Some(LeftBehind::DestinationRule { name, raw }),
                Kind::VirtualService => {
                    Some(LeftBehind::VirtualService { key: VirtualServiceKey { namespace, name }, raw })
                }
                Kind::Rollout
                | Kind::ReplicaSet
                | Kind::Pod
                | Kind::Deployment
                | Kind::PodTemplate
                | Kind::WorkloadReplicaSet
                | Kind::AnalysisTemplate
                | Kind::ClusterAnalysisTemplate
                | Kind::Experiment
                | Kind::AnalysisRun
                | Kind::Job
                | Kind::JobPod
                | Kind::EndpointSlice => None,
            })
            .collect()
    }

    fn raw(&self, reference: &Reference) -> Found<Raw> {
        match self.view(reference) {
            Some(View::Raw(raw)) => Found::Present(raw.clone()),
            Some(View::Workload(_) | View::Template(_)) | None => Found::Missing,
        }
    }

    pub(super) fn view(&self, reference: &Reference) -> Option<&View> {
        self.others.get(reference).map(|entry| &entry.view)
    }
}

/// Whether a label selector, as JSON, selects some labels. An empty selector selects nothing here, since it would adopt
/// every ReplicaSet of the namespace.
fn matches_selector(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    let is_empty = wanted.is_none_or(serde_json::Map::is_empty) && expressions.is_none_or(Vec::is_empty);
    !is_empty
        && wanted.into_iter().flatten().all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str())
        && expressions.into_iter().flatten().all(|expression| matches_expression(expression, labels))
}

fn matches_expression(expression: &Value, labels: &BTreeMap<String, String>) -> bool {
    let key = expression.get("key").and_then(Value::as_str).unwrap_or_default();
    let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
    let mut values = values.filter_map(Value::as_str);
    let label = labels.get(key);
    match expression.get("operator").and_then(Value::as_str).unwrap_or_default() {
        "In" => label.is_some_and(|label| values.any(|value| value == label)),
        "NotIn" => label.is_none_or(|label| values.all(|value| value != label)),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_select_as_kubernetes_does() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        let cases = [
            (json!({"matchLabels": {"app": "web"}}), true),
            (json!({"matchLabels": {"app": "api"}}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}), true),
            (json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}), false),
            (json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), true),
            (json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}), false),
            (json!({"matchExpressions": [{"key": "app", "operator": "Like"}]}), false),
            (json!({}), false),
        ];
        for (selector, selected) in cases {
            assert_eq!(matches_selector(&selector, &labels), selected, "{selector}");
        }
    }
}
