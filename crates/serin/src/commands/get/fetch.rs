//! Reads a Rollout or an Experiment and everything that belongs to it from a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, bail};
use chrono::Utc;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::error::DiscoveryError;
use kube::{Client, discovery};
use serde_json::Value;
use serin_controller::{Kind, ObjectName};
use serin_core::rollout::Observed;
use serin_core::rollout::observed::Found;

use crate::cluster::in_words;
use crate::observed::Objects;

/// How deep templates may include one another before we stop to look for them.
const ROUNDS_MAX: usize = 6;
/// The kinds whose objects belong to a Rollout.
const BELONGING: [Kind; 4] = [Kind::ReplicaSet, Kind::Pod, Kind::AnalysisRun, Kind::Experiment];
/// Why a kind is not shown whose definition is not installed.
const NOT_SERVED: &str = "there is no such kind in this cluster";

/// What was read.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) name: ObjectName,
    /// The Rollout or the Experiment itself.
    pub(super) subject: Arc<Value>,
    pub(super) objects: Objects,
    /// The kinds of which not all was shown to us, and why.
    pub(super) unseen: BTreeMap<Kind, String>,
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

    /// Reads it, and as much of what belongs to it as we may see.
    ///
    /// # Errors
    /// There is no such object, it may not be read, or the API server fails.
    pub(super) async fn fetch(&self) -> anyhow::Result<Fetched> {
        let now = Utc::now();
        let (mut objects, mut unseen) = (Objects::default(), BTreeMap::new());
        let (kind, name) = (self.kind, &self.name);
        let subject = self.read(kind, name).await.map_err(in_words);
        let Some(subject) = subject.with_context(|| format!("{kind} {name} cannot be read"))? else {
            bail!("there is no {kind} {} in namespace {}", name.name, name.namespace);
        };
        objects.add(kind, Arc::clone(&subject), now);
        for kind in self.belonging() {
            let listed = shown(kind, self.list(kind).await, &mut unseen);
            let listed = listed.with_context(|| format!("objects of kind {kind} cannot be read"))?;
            listed.into_iter().flatten().for_each(|object| objects.add(kind, object, now));
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
                let found = shown(kind, self.read(kind, &name).await, &mut unseen);
                let found = found.with_context(|| format!("{kind} {name} cannot be read"))?;
                found.flatten().into_iter().for_each(|object| objects.add(kind, object, now));
            }
        }
        Ok(Fetched { name: self.name.clone(), subject, objects, unseen })
    }

    /// Kinds of what belongs to the object; an Experiment has no Experiments.
    pub(super) fn belonging(&self) -> impl Iterator<Item = Kind> + use<> {
        let own = self.kind;
        BELONGING.into_iter().filter(move |kind| *kind != own)
    }

    /// The API of a kind in a namespace.
    pub(super) async fn api(&self, kind: Kind, namespace: &str) -> kube::Result<Api<DynamicObject>> {
        let resource = self.resource(kind).await?;
        Ok(if kind.is_namespaced() {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        })
    }

    async fn resource(&self, kind: Kind) -> kube::Result<ApiResource> {
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
                let group = discovery::group(&self.client, serin_api::istio::GROUP).await?;
                let absent = || kube::Error::Discovery(DiscoveryError::MissingKind(kind.name().to_owned()));
                return Ok(group.recommended_kind(kind.name()).ok_or_else(absent)?.0);
            }
        };
        Ok(ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind.name())))
    }

    async fn read(&self, kind: Kind, name: &ObjectName) -> kube::Result<Option<Arc<Value>>> {
        let found = self.api(kind, &name.namespace).await?.get_opt(&name.name).await?;
        found.map(raw).transpose()
    }

    async fn list(&self, kind: Kind) -> kube::Result<Vec<Arc<Value>>> {
        let params = kind.selector().map_or_else(ListParams::default, |all| ListParams::default().labels(&all));
        let found = self.api(kind, &self.name.namespace).await?.list(&params).await?;
        found.items.into_iter().map(raw).collect()
    }
}

fn raw(object: DynamicObject) -> kube::Result<Arc<Value>> {
    serde_json::to_value(object).map(Arc::new).map_err(kube::Error::SerdeError)
}

/// What was read; nothing, with a note, where the API server keeps the kind from us: the rest is worth showing without.
fn shown<T>(kind: Kind, read: kube::Result<T>, unseen: &mut BTreeMap<Kind, String>) -> anyhow::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) => {
            let Some(why) = refusal(&error) else { return Err(in_words(error)) };
            unseen.insert(kind, why);
            Ok(None)
        }
    }
}

/// The answer of an API server that does not let us see a kind, or has none of that name; `None` for other errors.
fn refusal(error: &kube::Error) -> Option<String> {
    if let kube::Error::Api(status) = error
        && status.code == 403
    {
        return Some(status.message.clone());
    }
    let is_absent = matches!(
        error,
        kube::Error::Api(status) if status.code == 404
    ) || matches!(
        error,
        kube::Error::Discovery(
            DiscoveryError::MissingApiGroup(_) | DiscoveryError::EmptyApiGroup(_) | DiscoveryError::MissingKind(_)
        )
    );
    is_absent.then(|| NOT_SERVED.to_owned())
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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serin_sim::clock::SimClock;
    use serin_sim::cluster::Cluster;
    use serin_sim::faults::{Failure, Rule};

    use super::*;

    const NAME: &str = "reviews";

    /// A cluster with a canary over Istio that has an experiment.
    fn cluster() -> Cluster {
        let cluster = Cluster::new(Arc::new(SimClock::new(Utc::now())));
        let strategy = json!({"canary": {
            "trafficRouting": {"istio": {"virtualService": {"name": NAME}}},
            "steps": [{"setWeight": 20}],
        }});
        for (kind, spec) in [("Rollout", json!({"strategy": strategy})), ("Experiment", json!({"templates": []}))] {
            let manifest = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "spec": spec,
                "metadata": {"name": NAME, "namespace": "default"}});
            cluster.apply_manifest(manifest).expect("it is accepted");
        }
        cluster
    }

    /// What is not shown after every request of this verb and kind has met a failure.
    async fn unseen_after(verb: &str, plural: &str, failure: Failure) -> anyhow::Result<BTreeMap<Kind, String>> {
        let cluster = cluster();
        cluster.faults().add(Rule::next(failure).on(verb, plural).after(0, u64::MAX));
        let fetcher = Fetcher::new(cluster.client(), Kind::Rollout, ObjectName::new("default", NAME));
        Ok(fetcher.fetch().await?.unseen)
    }

    #[tokio::test]
    async fn what_we_may_not_see_is_named_and_the_rest_is_shown() {
        let cases = [
            ("list", "experiments", Failure::Forbidden, Kind::Experiment, "experiments is forbidden: no right to it"),
            ("list", "experiments", Failure::NotServed, Kind::Experiment, NOT_SERVED),
            ("list", "analysisruns", Failure::NotServed, Kind::AnalysisRun, NOT_SERVED),
            (
                "get",
                "virtualservices",
                Failure::Forbidden,
                Kind::VirtualService,
                "virtualservices is forbidden: no right to it",
            ),
        ];
        for (verb, plural, failure, kind, why) in cases {
            let unseen = unseen_after(verb, plural, failure).await.expect(plural);
            assert_eq!(unseen, BTreeMap::from([(kind, why.to_owned())]), "{verb} {plural}: {failure:?}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_known_is_an_error() {
        let cases = [
            ("get", "rollouts", Failure::Forbidden, "Rollout default/reviews cannot be read"),
            ("list", "experiments", Failure::Internal, "objects of kind Experiment cannot be read"),
            ("get", "virtualservices", Failure::Internal, "VirtualService default/reviews cannot be read"),
        ];
        for (verb, plural, failure, message) in cases {
            let error = unseen_after(verb, plural, failure).await.expect_err(plural);
            assert_eq!(error.to_string(), message, "{verb} {plural}: {failure:?}");
        }
    }
}
