//! Keeps the engine's caches like the cluster: one watch for each kind, each failing and recovering by itself.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::core::{ApiResource, DynamicResourceScope};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::caches::istiod::SERVICE_NAME;
use crate::change::{Change, Kind, ObjectName};
use crate::engine::Engine;

/// Time between two looks for Istio where it is not installed.
const ISTIO_RETRY: Duration = Duration::from_secs(30);
/// Time between two tries where a kind is not served, such as before the CRDs are installed.
const NOT_FOUND_RETRY: Duration = Duration::from_secs(3);
/// Versions of Istio's API, the best first.
const ISTIO_VERSIONS: [&str; 3] = ["v1", "v1beta1", "v1alpha3"];

/// What to watch.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// The only namespace; all, and the cluster's own objects, if absent.
    pub namespace: Option<String>,
    /// Version of Istio's API; the best that the cluster serves if absent.
    pub istio_version: Option<String>,
    /// The Service of istiod, whose EndpointSlices are watched; none are if absent.
    pub istiod: Option<ObjectName>,
}

impl Scope {
    fn covers(&self, kind: Kind) -> bool {
        match kind {
            Kind::EndpointSlice => self.istiod.is_some(),
            Kind::ClusterAnalysisTemplate => self.namespace.is_none(),
            Kind::Rollout
            | Kind::ReplicaSet
            | Kind::Pod
            | Kind::Deployment
            | Kind::PodTemplate
            | Kind::WorkloadReplicaSet
            | Kind::Service
            | Kind::VirtualService
            | Kind::DestinationRule
            | Kind::AnalysisTemplate
            | Kind::AnalysisRun
            | Kind::Experiment
            | Kind::Job
            | Kind::JobPod => true,
        }
    }
}

/// Starts all watches; they end when `stop` is cancelled. The receiver becomes true when each kind has been listed once.
pub fn start(engine: &Engine, scope: &Scope, stop: &CancellationToken) -> (JoinSet<()>, watch::Receiver<bool>) {
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| scope.covers(*kind)).collect();
    let (synced, is_synced) = watch::channel(false);
    let missing = Arc::new(Missing { kinds: Mutex::new(kinds.iter().copied().collect()), synced });
    let mut watches = JoinSet::new();
    for kind in kinds {
        let watch = Watch { kind, engine: engine.clone(), scope: scope.clone(), missing: missing.clone() };
        let stop = stop.clone();
        watches.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = watch.run() => {}
            }
        });
    }
    (watches, is_synced)
}

/// The kinds that have not been listed yet.
struct Missing {
    kinds: Mutex<BTreeSet<Kind>>,
    synced: watch::Sender<bool>,
}

impl Missing {
    fn listed(&self, kind: Kind) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.remove(&kind) && kinds.is_empty() {
            tracing::info!("all caches are filled");
            self.synced.send_replace(true);
        }
    }
}

/// What the API server says of one of Istio's kinds.
enum Istio {
    /// It is served in this version.
    Served(String),
    /// It is not served, or not for us to see.
    Absent,
    /// The API server did not answer: what is known of the kind stays.
    Unknown,
}

impl Istio {
    /// A refusal is an answer, which asking again soon does not change; everything else may pass.
    fn after(self, error: &kube::Error) -> Self {
        let is_refused = matches!(error, kube::Error::Api(status) if status.code == 403);
        if is_refused { self } else { Istio::Unknown }
    }
}

struct Watch {
    kind: Kind,
    engine: Engine,
    scope: Scope,
    missing: Arc<Missing>,
}

impl Watch {
    async fn run(&self) {
        match self.kind {
            Kind::VirtualService | Kind::DestinationRule => self.run_istio().await,
            Kind::Rollout
            | Kind::ReplicaSet
            | Kind::Pod
            | Kind::Deployment
            | Kind::PodTemplate
            | Kind::WorkloadReplicaSet
            | Kind::Service
            | Kind::AnalysisTemplate
            | Kind::ClusterAnalysisTemplate
            | Kind::AnalysisRun
            | Kind::Experiment
            | Kind::Job
            | Kind::JobPod
            | Kind::EndpointSlice => {
                // The stream has no end; should it have one, it begins again.
                loop {
                    self.follow().await;
                }
            }
        }
    }

    /// Istio may be absent, may come later, and may change its API version.
    async fn run_istio(&self) {
        loop {
            match self.find_istio().await {
                Istio::Served(version) => {
                    self.engine.cluster().set_istio_version(&version);
                    tracing::info!(kind = %self.kind, version, "found Istio");
                    self.follow().await;
                }
                Istio::Absent => {
                    tracing::debug!(kind = %self.kind, "Istio is not installed; looking again in 30 s");
                    self.engine.apply(Change::Replaced(self.kind, Vec::new()));
                    self.missing.listed(self.kind);
                }
                Istio::Unknown => {
                    tokio::time::sleep(NOT_FOUND_RETRY).await;
                    continue;
                }
            }
            tokio::time::sleep(ISTIO_RETRY).await;
        }
    }

    async fn find_istio(&self) -> Istio {
        let wanted: Vec<&str> = match &self.scope.istio_version {
            Some(version) => vec![version],
            None => ISTIO_VERSIONS.to_vec(),
        };
        let plural = self.engine.cluster().resource(self.kind).plural;
        let mut not_found = Istio::Absent;
        for version in wanted {
            let group = format!("{}/{version}", serin_api::istio::GROUP);
            let resources = self.engine.cluster().client().list_api_group_resources(&group).await;
            match resources {
                Ok(list) if list.resources.iter().any(|resource| resource.name == plural) => {
                    return Istio::Served(version.to_owned());
                }
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    tracing::warn!(%group, %error, "the API server did not say whether Istio is installed");
                    not_found = not_found.after(&error);
                }
            }
        }
        not_found
    }

    /// Follows the watch of this kind; returns if the kind is not served (any more).
    async fn follow(&self) {
        let mut config = watcher::Config::default();
        if let Some(selector) = self.kind.selector() {
            config = config.labels(&selector);
        }
        if let Some(service) = self.scope.istiod.as_ref().filter(|_| self.kind == Kind::EndpointSlice) {
            config = config.labels(&format!("{SERVICE_NAME}={}", service.name));
        }
        let events = watcher::watcher(self.api(), config.page_size(500)).default_backoff();
        let mut events = std::pin::pin!(events);
        let (mut fresh, mut told) = (Vec::new(), false);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => fresh.clear(),
                Ok(Event::InitApply(object)) => fresh.push(object.value),
                Ok(Event::InitDone) => {
                    self.engine.apply(Change::Replaced(self.kind, std::mem::take(&mut fresh)));
                    self.missing.listed(self.kind);
                }
                Ok(Event::Apply(object)) => self.engine.apply(Change::Applied(self.kind, object.value)),
                Ok(Event::Delete(object)) => self.engine.apply(Change::Deleted(self.kind, object.value)),
                Err(error) if self.kind == Kind::EndpointSlice && is_refused(&error) => {
                    self.do_without(&error, &mut told);
                }
                Err(error) => {
                    let hint = self.hint(&error);
                    tracing::warn!(kind = %self.kind, %error, hint, "a watch failed; trying again, others go on");
                    if is_not_found(&error) {
                        return tokio::time::sleep(NOT_FOUND_RETRY).await;
                    }
                }
            }
        }
    }

    /// What is known of istiod is worth having, and nothing else depends on it.
    fn do_without(&self, error: &watcher::Error, told: &mut bool) {
        if !std::mem::replace(told, true) {
            let namespace = self.scope.istiod.as_ref().map_or("", |service| &service.namespace);
            tracing::warn!(
                %error,
                namespace,
                "whether istiod is away cannot be seen, and the propagation delay is all there is to go by; \
                 allow get, list and watch of endpointslices.discovery.k8s.io in its namespace, or say --istiod="
            );
        }
        self.engine.apply(Change::Replaced(self.kind, Vec::new()));
        self.missing.listed(self.kind);
    }

    fn hint(&self, error: &watcher::Error) -> &'static str {
        let is_ours = self.engine.cluster().resource(self.kind).root.contains(serin_api::labels::GROUP);
        if is_not_found(error) && is_ours { "install the CRDs: serin crds | kubectl apply -f -" } else { "" }
    }

    fn api(&self) -> Api<RawObject> {
        let resource = self.engine.cluster().resource(self.kind);
        let (group, version) = match resource.root.trim_start_matches("apis/").rsplit_once('/') {
            Some(("api", version)) => ("", version),
            Some((group, version)) => (group, version),
            None => ("", "v1"),
        };
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        let api_resource = ApiResource {
            group: group.to_owned(),
            version: version.to_owned(),
            api_version,
            kind: self.kind.name().to_owned(),
            plural: resource.plural.to_owned(),
        };
        let client = self.engine.cluster().client().clone();
        let of_istiod = self.scope.istiod.as_ref().filter(|_| self.kind == Kind::EndpointSlice);
        let own = self.scope.namespace.as_ref().filter(|_| self.kind.is_namespaced());
        match of_istiod.map(|service| &service.namespace).or(own) {
            Some(namespace) => Api::namespaced_with(client, namespace, &api_resource),
            None => Api::all_with(client, &api_resource),
        }
    }
}

fn is_not_found(error: &watcher::Error) -> bool {
    code(error) == Some(404)
}

/// Whether asking again soon would get the same answer.
fn is_refused(error: &watcher::Error) -> bool {
    matches!(code(error), Some(401 | 403 | 404))
}

/// What the API server answered, if it did.
fn code(error: &watcher::Error) -> Option<u16> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status.code),
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => None,
    }
}

/// A whole object as raw JSON, with as much typed metadata as the client library needs. Clones share the JSON.
#[derive(Clone)]
struct RawObject {
    metadata: ObjectMeta,
    value: Arc<Value>,
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = |key: &str| Some(value.get("metadata")?.get(key)?.as_str()?.to_owned());
        let metadata = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            uid: text("uid"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(RawObject { metadata, value: Arc::new(value) })
    }
}

impl kube::Resource for RawObject {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl fmt::Debug for RawObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            self.metadata.namespace.as_deref().unwrap_or_default(),
            self.metadata.name.as_deref().unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests;
