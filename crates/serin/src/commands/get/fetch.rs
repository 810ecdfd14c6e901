//! Reads a Rollout or an Experiment and everything that belongs to it from a cluster.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, bail};
use chrono::Utc;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::{Client, discovery};
use serde_json::Value;
use serin_api::labels::{ANALYSIS_RUN_UID, POD_TEMPLATE_HASH};
use serin_controller::{Kind, ObjectName};
use serin_core::rollout::Observed;
use serin_core::rollout::observed::Found;

use crate::cluster::in_words;
use crate::observed::Objects;

/// How deep templates may include one another before we stop to look for them.
const ROUNDS_MAX: usize = 6;

/// What was read.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) name: ObjectName,
    /// The Rollout or the Experiment itself.
    pub(super) subject: Arc<Value>,
    pub(super) objects: Objects,
}

/// Reads one Rollout or Experiment, as often as one likes.
pub(super) struct Fetcher {
    client: Client,
    kind: Kind,
    name: ObjectName,
}

impl Fetcher {
    /// `kind` is that of the object which is shown.
    pub(super) fn new(client: Client, kind: Kind, name: ObjectName) -> Self {
        Fetcher { client, kind, name }
    }

    /// Kind of what is shown.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Name of what is shown.
    pub(super) fn name(&self) -> &ObjectName {
        &self.name
    }

    /// Reads it.
    ///
    /// # Errors
    /// There is no such object, or something cannot be read.
    pub(super) async fn fetch(&self) -> anyhow::Result<Fetched> {
        let now = Utc::now();
        let mut objects = Objects::default();
        let Some(subject) = self.read(self.kind, &self.name).await? else {
            bail!("there is no {} {} in namespace {}", self.kind, self.name.name, self.name.namespace);
        };
        objects.add(self.kind, Arc::clone(&subject), now);
        for kind in self.parts() {
            for object in self.list(*kind).await? {
                objects.add(*kind, object, now);
            }
        }
        // What it refers to; templates may refer to others in turn.
        let mut asked = BTreeSet::new();
        for _ in 0..ROUNDS_MAX {
            let missing = objects.observe(&self.name, now).map(|seen| missing(&seen, &self.name.namespace));
            let fresh: Vec<(Kind, ObjectName)> =
                missing.unwrap_or_default().into_iter().filter(|one| asked.insert(one.clone())).collect();
            if fresh.is_empty() {
                break;
            }
            for (kind, name) in fresh {
                if let Some(object) = self.read(kind, &name).await? {
                    objects.add(kind, object, now);
                }
            }
        }
        Ok(Fetched { name: self.name.clone(), subject, objects })
    }

    /// Kinds of what belongs to the object; an Experiment has no Experiments.
    pub(super) fn parts(&self) -> &'static [Kind] {
        const ALL: [Kind; 4] = [Kind::ReplicaSet, Kind::Pod, Kind::AnalysisRun, Kind::Experiment];
        if self.kind == Kind::Experiment { &ALL[..3] } else { &ALL }
    }

    /// The API of a kind in a namespace.
    pub(super) async fn api(&self, kind: Kind, namespace: &str) -> anyhow::Result<Api<DynamicObject>> {
        let resource = self.resource(kind).await?;
        Ok(if kind.is_namespaced() {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        })
    }

    async fn resource(&self, kind: Kind) -> anyhow::Result<ApiResource> {
        let (group, version) = match kind {
            Kind::Rollout
            | Kind::AnalysisRun
            | Kind::Experiment
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate => (serin_api::labels::GROUP, "v1alpha1"),
            Kind::ReplicaSet | Kind::WorkloadReplicaSet | Kind::Deployment => ("apps", "v1"),
            Kind::Pod | Kind::JobPod | Kind::Service | Kind::PodTemplate => ("", "v1"),
            Kind::Job => ("batch", "v1"),
            Kind::EndpointSlice => ("discovery.k8s.io", "v1"),
            Kind::VirtualService | Kind::DestinationRule => {
                let group = discovery::group(&self.client, serin_api::istio::GROUP).await;
                let group = group.map_err(in_words).context("Istio's API cannot be found in this cluster")?;
                let (resource, _) = group
                    .recommended_kind(kind.name())
                    .with_context(|| format!("Istio's API in this cluster has no {}", kind.name()))?;
                return Ok(resource);
            }
        };
        Ok(ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind.name())))
    }

    async fn read(&self, kind: Kind, name: &ObjectName) -> anyhow::Result<Option<Arc<Value>>> {
        let api = self.api(kind, &name.namespace).await?;
        let found = api.get_opt(&name.name).await.map_err(in_words);
        let found = found.with_context(|| format!("{} {name} cannot be read", kind.name()))?;
        Ok(found.map(|object| serde_json::to_value(object).map(Arc::new)).transpose()?)
    }

    async fn list(&self, kind: Kind) -> anyhow::Result<Vec<Arc<Value>>> {
        let api = self.api(kind, &self.name.namespace).await?;
        let params = params(kind);
        let found = api.list(&params).await.map_err(in_words);
        let found = found.with_context(|| format!("objects of kind {} cannot be read", kind.name()))?;
        found.items.into_iter().map(|object| Ok(Arc::new(serde_json::to_value(object)?))).collect()
    }
}

/// Which objects of a kind can belong to a Rollout.
pub(super) fn params(kind: Kind) -> ListParams {
    match kind {
        Kind::ReplicaSet | Kind::Pod => ListParams::default().labels(POD_TEMPLATE_HASH),
        Kind::Job | Kind::JobPod => ListParams::default().labels(ANALYSIS_RUN_UID),
        Kind::Rollout
        | Kind::Deployment
        | Kind::PodTemplate
        | Kind::WorkloadReplicaSet
        | Kind::Service
        | Kind::VirtualService
        | Kind::DestinationRule
        | Kind::AnalysisTemplate
        | Kind::ClusterAnalysisTemplate
        | Kind::AnalysisRun
        | Kind::Experiment
        | Kind::EndpointSlice => ListParams::default(),
    }
}

/// Everything that the Rollout refers to and that has not been read.
fn missing(observed: &Observed, namespace: &str) -> Vec<(Kind, ObjectName)> {
    let mut all = Vec::new();
    let spec = &observed.rollout.spec;
    if let (Some(Found::Missing), Some(reference)) = (&observed.workload, &spec.workload_ref) {
        let kind = match reference.kind.as_deref() {
            Some("PodTemplate") => Kind::PodTemplate,
            Some("ReplicaSet") => Kind::WorkloadReplicaSet,
            Some(_) | None => Kind::Deployment,
        };
        all.push((kind, ObjectName::new(namespace, reference.name.clone().unwrap_or_default())));
    }
    for (name, _) in observed.services.iter().filter(|(_, found)| **found == Found::Missing) {
        all.push((Kind::Service, ObjectName::new(namespace, name)));
    }
    for (key, _) in observed.virtual_services.iter().filter(|(_, found)| **found == Found::Missing) {
        all.push((Kind::VirtualService, ObjectName::new(&key.namespace, &key.name)));
    }
    let routing = spec.strategy.canary.as_ref().and_then(|canary| canary.traffic_routing.as_ref());
    let rule = routing.and_then(|routing| routing.istio.as_ref()).and_then(|istio| istio.destination_rule.as_ref());
    if let (Some(Found::Missing), Some(rule)) = (&observed.destination_rule, rule) {
        all.push((Kind::DestinationRule, ObjectName::new(namespace, &rule.name)));
    }
    for (key, _) in observed.templates.iter().filter(|(_, found)| **found == Found::Missing) {
        all.push(if key.cluster_scope {
            (Kind::ClusterAnalysisTemplate, ObjectName::new("", &key.name))
        } else {
            (Kind::AnalysisTemplate, ObjectName::new(namespace, &key.name))
        });
    }
    all.retain(|(_, name)| !name.name.is_empty());
    all
}
