//! The API server, spoken to in raw JSON so that fields newer than us survive.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request};
use serde_json::{Value, json};
use serin_core::plan::{Target, Verb, Write};

use crate::change::{Kind, ObjectName};
use crate::error::Error;
use crate::metrics::Metrics;

/// The field manager under which the API server records what this controller writes.
pub const FIELD_MANAGER: &str = "serin";

/// A client for whole objects as raw JSON; counts its requests and bounds their time.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    istio_version: Arc<Mutex<String>>,
    time_limit: Option<Duration>,
    metrics: Metrics,
}

/// A place in the API: group, version and plural.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Kind, for messages and metrics.
    pub kind: &'static str,
    /// `api/v1`, or `apis/GROUP/VERSION`.
    pub root: String,
    /// Plural name.
    pub plural: &'static str,
}

impl Cluster {
    /// A client with a limit for the time of each request; without limit it needs no timer.
    #[must_use]
    pub fn new(client: kube::Client, time_limit: Option<Duration>, metrics: Metrics) -> Self {
        Cluster { client, istio_version: Arc::new(Mutex::new("v1".to_owned())), time_limit, metrics }
    }

    /// The client that requests go through.
    #[must_use]
    pub fn client(&self) -> &kube::Client {
        &self.client
    }

    /// Sets the version of Istio's API that is used from now on; `v1` at first.
    pub fn set_istio_version(&self, version: &str) {
        version.clone_into(&mut self.istio_version.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Where objects of a kind are.
    #[must_use]
    pub fn resource(&self, kind: Kind) -> Resource {
        let argo = || "apis/argoproj.io/v1alpha1".to_owned();
        let istio = || {
            let version = self.istio_version.lock().unwrap_or_else(PoisonError::into_inner);
            format!("apis/networking.istio.io/{version}")
        };
        let (root, plural) = match kind {
            Kind::Rollout => (argo(), "rollouts"),
            Kind::AnalysisRun => (argo(), "analysisruns"),
            Kind::Experiment => (argo(), "experiments"),
            Kind::AnalysisTemplate => (argo(), "analysistemplates"),
            Kind::ClusterAnalysisTemplate => (argo(), "clusteranalysistemplates"),
            Kind::ReplicaSet | Kind::WorkloadReplicaSet => ("apis/apps/v1".to_owned(), "replicasets"),
            Kind::Deployment => ("apis/apps/v1".to_owned(), "deployments"),
            Kind::Pod | Kind::JobPod => ("api/v1".to_owned(), "pods"),
            Kind::Job => ("apis/batch/v1".to_owned(), "jobs"),
            Kind::EndpointSlice => ("apis/discovery.k8s.io/v1".to_owned(), "endpointslices"),
            Kind::PodTemplate => ("api/v1".to_owned(), "podtemplates"),
            Kind::Service => ("api/v1".to_owned(), "services"),
            Kind::VirtualService => (istio(), "virtualservices"),
            Kind::DestinationRule => (istio(), "destinationrules"),
        };
        Resource { kind: kind.name(), root, plural }
    }

    /// Brings a [`Write`] about; `name` is where the object is. Answers with the object as the server has it then.
    ///
    /// # Errors
    /// Whatever the API server says, and what it does not say in time.
    pub async fn write(&self, write: &Write, name: &ObjectName) -> Result<Value, Error> {
        let resource = self.resource(kind_of(write.target));
        match &write.verb {
            Verb::Create(object) => self.create(&resource, name, object).await,
            Verb::MergePatch(patch) => self.merge_patch(&resource, name, "", patch).await,
            Verb::JsonPatch(operations) => {
                let operation = format!("patch {} {name}", resource.kind);
                let body = Value::Array(operations.clone());
                let path = resource.path(name);
                self.send(Call::new("patch", &resource, name, operation), Method::PATCH, &path, Body::JsonPatch(&body))
                    .await
            }
            Verb::Scale { replicas } => {
                let patch = json!({"spec": {"replicas": replicas}});
                self.merge_patch(&resource, name, "/scale", &patch).await
            }
            Verb::Evict { uid } => {
                let operation = format!("evict {} {name}", resource.kind);
                let body = json!({
                    "apiVersion": "policy/v1",
                    "kind": "Eviction",
                    "metadata": {"name": name.name, "namespace": name.namespace},
                    "deleteOptions": {"preconditions": {"uid": uid}},
                });
                let path = format!("{}/eviction", resource.path(name));
                self.send(Call::new("evict", &resource, name, operation), Method::POST, &path, Body::Json(&body)).await
            }
            Verb::Delete { uid } => {
                let operation = format!("delete {} {name}", resource.kind);
                let body = json!({
                    "apiVersion": "v1",
                    "kind": "DeleteOptions",
                    "preconditions": {"uid": uid},
                    "propagationPolicy": "Background",
                });
                let path = resource.path(name);
                self.send(Call::new("delete", &resource, name, operation), Method::DELETE, &path, Body::Json(&body))
                    .await
            }
        }
    }

    /// Reads one object.
    ///
    /// # Errors
    /// Whatever the API server says, and what it does not say in time.
    pub async fn get(&self, resource: &Resource, name: &ObjectName) -> Result<Value, Error> {
        let operation = format!("get {} {name}", resource.kind);
        let path = resource.path(name);
        self.send(Call::new("get", resource, name, operation), Method::GET, &path, Body::None).await
    }

    /// Creates an object; `name` says where and how it is called.
    ///
    /// # Errors
    /// Whatever the API server says, and what it does not say in time.
    pub async fn create(&self, resource: &Resource, name: &ObjectName, object: &Value) -> Result<Value, Error> {
        let operation = format!("create {} {name}", resource.kind);
        let path = resource.collection(&name.namespace);
        self.send(Call::new("create", resource, name, operation), Method::POST, &path, Body::Json(object)).await
    }

    /// Replaces an object, with the resourceVersion that it carries as the precondition.
    ///
    /// # Errors
    /// Whatever the API server says, and what it does not say in time.
    pub async fn replace(&self, resource: &Resource, name: &ObjectName, object: &Value) -> Result<Value, Error> {
        let operation = format!("replace {} {name}", resource.kind);
        let path = resource.path(name);
        self.send(Call::new("update", resource, name, operation), Method::PUT, &path, Body::Json(object)).await
    }

    /// Changes an object, or a subresource such as `/status` or `/scale`, by a JSON merge patch (RFC 7386).
    ///
    /// # Errors
    /// Whatever the API server says, and what it does not say in time.
    pub async fn merge_patch(
        &self,
        resource: &Resource,
        name: &ObjectName,
        subresource: &str,
        patch: &Value,
    ) -> Result<Value, Error> {
        let part = subresource.strip_prefix('/').map(|part| format!("{part} of ")).unwrap_or_default();
        let operation = format!("patch {part}{} {name}", resource.kind);
        let path = format!("{}{subresource}", resource.path(name));
        self.send(Call::new("patch", resource, name, operation), Method::PATCH, &path, Body::MergePatch(patch)).await
    }

    async fn send(&self, call: Call<'_>, method: Method, path: &str, body: Body<'_>) -> Result<Value, Error> {
        let request = body.into_request(method, path).map_err(|error| call.failed(kube::Error::HttpError(error)))?;
        let answer = self.client.request::<Value>(request);
        let answer = match self.time_limit {
            None => answer.await,
            Some(limit) => match tokio::time::timeout(limit, answer).await {
                Ok(answer) => answer,
                Err(_elapsed) => {
                    self.metrics.request(call.kind, call.namespace, call.verb, 0);
                    return Err(Error::Timeout { operation: call.operation, seconds: limit.as_secs() });
                }
            },
        };
        let answer = answer.map_err(|error| call.failed(error));
        let code = match &answer {
            Ok(_) => 200,
            Err(error) => error.code().unwrap_or(0),
        };
        self.metrics.request(call.kind, call.namespace, call.verb, code);
        answer
    }
}

impl Resource {
    /// Path of all objects in a namespace, or of all objects if it is empty.
    #[must_use]
    pub fn collection(&self, namespace: &str) -> String {
        if namespace.is_empty() {
            format!("/{}/{}", self.root, self.plural)
        } else {
            format!("/{}/namespaces/{}/{}", self.root, segment(namespace), self.plural)
        }
    }

    /// Path of one object.
    #[must_use]
    pub fn path(&self, name: &ObjectName) -> String {
        format!("{}/{}", self.collection(&name.namespace), segment(&name.name))
    }
}

/// A name as one segment of a path, whatever it contains.
fn segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => segment.push(char::from(byte)),
            _ => segment.push_str(&format!("%{byte:02X}")),
        }
    }
    segment
}

/// The kind behind the target of an effect.
#[must_use]
pub fn kind_of(target: Target) -> Kind {
    match target {
        Target::Rollout => Kind::Rollout,
        Target::ReplicaSet => Kind::ReplicaSet,
        Target::Pod => Kind::Pod,
        Target::Deployment => Kind::Deployment,
        Target::Service => Kind::Service,
        Target::VirtualService => Kind::VirtualService,
        Target::DestinationRule => Kind::DestinationRule,
        Target::AnalysisRun => Kind::AnalysisRun,
        Target::Experiment => Kind::Experiment,
        Target::Job => Kind::Job,
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("time_limit", &self.time_limit).finish_non_exhaustive()
    }
}

/// What a request is, for messages and metrics.
struct Call<'a> {
    verb: &'static str,
    kind: &'static str,
    namespace: &'a str,
    operation: String,
}

impl<'a> Call<'a> {
    fn new(verb: &'static str, resource: &Resource, name: &'a ObjectName, operation: String) -> Self {
        Call { verb, kind: resource.kind, namespace: &name.namespace, operation }
    }

    fn failed(&self, source: kube::Error) -> Error {
        Error::Request { operation: self.operation.clone(), source: Box::new(source) }
    }
}

enum Body<'a> {
    None,
    Json(&'a Value),
    MergePatch(&'a Value),
    JsonPatch(&'a Value),
}

impl Body<'_> {
    fn into_request(self, method: Method, path: &str) -> Result<Request<Vec<u8>>, http::Error> {
        let (media_type, body) = match self {
            Body::None => ("", Vec::new()),
            Body::Json(value) => ("application/json", value.to_string().into_bytes()),
            Body::MergePatch(value) => ("application/merge-patch+json", value.to_string().into_bytes()),
            Body::JsonPatch(value) => ("application/json-patch+json", value.to_string().into_bytes()),
        };
        let uri = if media_type.is_empty() || method == Method::DELETE {
            path.to_owned()
        } else {
            format!("{path}?fieldManager={FIELD_MANAGER}")
        };
        let request = Request::builder().method(method).uri(uri).header(http::header::ACCEPT, "application/json");
        let request =
            if media_type.is_empty() { request } else { request.header(http::header::CONTENT_TYPE, media_type) };
        request.body(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_leaves_its_place_in_the_path() {
        let resource = Resource { kind: "Secret", root: "api/v1".to_owned(), plural: "secrets" };
        let cases = [
            (("shop", "web"), "/api/v1/namespaces/shop/secrets/web"),
            (("", "web"), "/api/v1/secrets/web"),
            (("shop", "../x?y=z"), "/api/v1/namespaces/shop/secrets/..%2Fx%3Fy%3Dz"),
            (("a/b", "ü"), "/api/v1/namespaces/a%2Fb/secrets/%C3%BC"),
        ];
        for ((namespace, name), path) in cases {
            assert_eq!(resource.path(&ObjectName::new(namespace, name)), path);
        }
    }
}
