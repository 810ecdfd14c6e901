//! Which objects a Rollout names, so that a change of one of them finds the Rollouts it concerns.

use std::collections::{BTreeMap, BTreeSet};

use serin_api::{AnalysisTemplateRef, CanaryStrategy, Rollout};
use serin_core::rollout::observed::{TemplateKey, VirtualServiceKey};

use crate::change::{Kind, ObjectName};

/// An object that somebody names: kind, namespace (empty for the whole cluster) and name.
pub(crate) type Reference = (Kind, ObjectName);

/// What a Rollout names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct References {
    /// Kind and name of the workload, if the kind is one that we know.
    pub(crate) workload: Option<Reference>,
    /// Whether there is a workload reference, known kind or not.
    pub(crate) has_workload: bool,
    /// Names of Services.
    pub(crate) services: BTreeSet<String>,
    /// VirtualServices, in whatever namespace.
    pub(crate) virtual_services: BTreeSet<VirtualServiceKey>,
    /// Name of the DestinationRule.
    pub(crate) destination_rule: Option<String>,
    /// Templates that the spec names itself.
    pub(crate) templates: BTreeSet<TemplateKey>,
}

/// All that a Rollout's spec names.
pub(crate) fn references_of(rollout: &Rollout) -> References {
    let namespace = rollout.metadata.namespace.clone().unwrap_or_default();
    let mut references = References::default();
    if let Some(workload) = &rollout.spec.workload_ref {
        references.has_workload = true;
        let name = workload.name.clone().unwrap_or_default();
        let kind = workload_kind(workload.kind.as_deref().unwrap_or_default());
        references.workload = kind.map(|kind| (kind, ObjectName::new(&namespace, name)));
    }
    if let Some(canary) = &rollout.spec.strategy.canary {
        canary_references(canary, &namespace, &mut references);
    }
    if let Some(blue_green) = &rollout.spec.strategy.blue_green {
        let services = [Some(blue_green.active_service.clone()), blue_green.preview_service.clone()];
        references.services.extend(services.into_iter().flatten().filter(|name| !name.is_empty()));
        let analyses = [&blue_green.pre_promotion_analysis, &blue_green.post_promotion_analysis];
        for analysis in analyses.into_iter().flatten() {
            references.templates.extend(analysis.templates.iter().map(template_key));
        }
    }
    references
}

fn canary_references(canary: &CanaryStrategy, namespace: &str, references: &mut References) {
    let mut services: Vec<Option<String>> = vec![canary.canary_service.clone(), canary.stable_service.clone()];
    if let Some(ping_pong) = &canary.ping_pong {
        services.push(Some(ping_pong.ping_service.clone()));
        services.push(Some(ping_pong.pong_service.clone()));
    }
    references.services.extend(services.into_iter().flatten().filter(|name| !name.is_empty()));
    if let Some(istio) = canary.traffic_routing.as_ref().and_then(|routing| routing.istio.as_ref()) {
        let named = istio.virtual_service.iter().chain(&istio.virtual_services);
        references.virtual_services.extend(named.map(|vs| virtual_service_key(&vs.name, namespace)));
        references.destination_rule =
            istio.destination_rule.as_ref().map(|rule| rule.name.clone()).filter(|name| !name.is_empty());
    }
    let background = canary.analysis.as_ref().map(|background| &background.analysis);
    let steps = canary.steps.iter().filter_map(|step| step.analysis.as_ref());
    for analysis in background.into_iter().chain(steps) {
        references.templates.extend(analysis.templates.iter().map(template_key));
    }
    let experiments = canary.steps.iter().filter_map(|step| step.experiment.as_ref());
    references.templates.extend(experiments.flat_map(|experiment| &experiment.analyses).map(|analysis| TemplateKey {
        cluster_scope: analysis.cluster_scope.unwrap_or(false),
        name: analysis.template_name.clone(),
    }));
}

/// Reads `name`, `name.namespace` or either with `.cluster.local` behind it.
pub(crate) fn virtual_service_key(reference: &str, namespace: &str) -> VirtualServiceKey {
    let short = reference.strip_suffix(".cluster.local").unwrap_or(reference);
    match short.rsplit_once('.') {
        Some((name, namespace)) => VirtualServiceKey { namespace: namespace.to_owned(), name: name.to_owned() },
        None => VirtualServiceKey { namespace: namespace.to_owned(), name: short.to_owned() },
    }
}

/// The key of a template that a spec names.
pub(crate) fn template_key(reference: &AnalysisTemplateRef) -> TemplateKey {
    TemplateKey { cluster_scope: reference.cluster_scope.unwrap_or(false), name: reference.template_name.clone() }
}

/// Where the template of a key is, seen from a namespace.
pub(crate) fn template_reference(key: &TemplateKey, namespace: &str) -> Reference {
    if key.cluster_scope {
        (Kind::ClusterAnalysisTemplate, ObjectName::new("", &key.name))
    } else {
        (Kind::AnalysisTemplate, ObjectName::new(namespace, &key.name))
    }
}

fn workload_kind(kind: &str) -> Option<Kind> {
    match kind {
        "Deployment" => Some(Kind::Deployment),
        "ReplicaSet" => Some(Kind::WorkloadReplicaSet),
        "PodTemplate" => Some(Kind::PodTemplate),
        _ => None,
    }
}

impl References {
    /// Every object named, seen from the Rollout's namespace.
    pub(crate) fn iter(&self, namespace: &str) -> impl Iterator<Item = Reference> {
        let workload = self.workload.clone();
        let services = self.services.iter().map(move |name| (Kind::Service, ObjectName::new(namespace, name)));
        let virtual_services =
            self.virtual_services.iter().map(|vs| (Kind::VirtualService, ObjectName::new(&vs.namespace, &vs.name)));
        let rule = self.destination_rule.iter().map(move |n| (Kind::DestinationRule, ObjectName::new(namespace, n)));
        let templates = self.templates.iter().map(move |key| template_reference(key, namespace));
        workload.into_iter().chain(services).chain(virtual_services).chain(rule).chain(templates)
    }
}

/// Who names whom: a multimap from the named to those that name it.
#[derive(Clone, Debug)]
pub(crate) struct Index<K, V> {
    entries: BTreeMap<K, BTreeSet<V>>,
}

impl<K, V> Default for Index<K, V> {
    fn default() -> Self {
        Index { entries: BTreeMap::new() }
    }
}

impl<K: Ord + Clone, V: Ord + Clone> Index<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.entries.entry(key).or_default().insert(value);
    }

    pub(crate) fn remove(&mut self, key: &K, value: &V) {
        if let Some(values) = self.entries.get_mut(key) {
            values.remove(value);
            if values.is_empty() {
                self.entries.remove(key);
            }
        }
    }

    pub(crate) fn remove_all(&mut self, key: &K) {
        self.entries.remove(key);
    }

    pub(crate) fn get<'i>(&'i self, key: &K) -> impl Iterator<Item = &'i V> + use<'i, K, V> {
        self.entries.get(key).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_service_may_be_named_with_its_namespace() {
        let cases = [
            ("reviews", "shop", "reviews"),
            ("reviews.mesh", "mesh", "reviews"),
            ("reviews.mesh.cluster.local", "mesh", "reviews"),
            ("reviews.mesh.svc", "svc", "reviews.mesh"),
        ];
        for (reference, namespace, name) in cases {
            let key = virtual_service_key(reference, "shop");
            assert_eq!((key.namespace.as_str(), key.name.as_str()), (namespace, name), "{reference}");
        }
    }
}
