//! A cluster through its API: objects of any kind as JSON.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use http::Request;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, Config};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::lab::Endpoints;

/// What is known of kinds, by version and name.
type Kinds = BTreeMap<(String, String), (ApiResource, Scope)>;

/// A connection with administrator's rights; Serin itself never has them.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) endpoints: Arc<Endpoints>,
    kinds: Arc<Mutex<Kinds>>,
}

/// The field manager of everything that a suite applies in the role of its author.
pub(crate) const MANAGER: &str = "serin-e2e";

/// How long istiod may be away.
const WEBHOOK: Duration = Duration::from_secs(60);

impl Cluster {
    /// Connects to the cluster of the harness, or to that of `KUBECONFIG`.
    pub(crate) async fn connect() -> Result<Self> {
        let endpoints = Endpoints::here()?;
        let kubeconfig = kube::config::Kubeconfig::read_from(&endpoints.kubeconfig)
            .with_context(|| format!("failed to read {}", endpoints.kubeconfig.display()))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        client.apiserver_version().await.context("the API server does not answer; is the cluster started?")?;
        Ok(Cluster { client, endpoints: Arc::new(endpoints), kinds: Arc::default() })
    }

    /// Access to the objects of a kind, such as `("apps/v1", "Deployment")`, in a namespace.
    pub(crate) async fn api(&self, version: &str, kind: &str, namespace: &str) -> Result<Api<DynamicObject>> {
        let key = (version.to_owned(), kind.to_owned());
        let known = self.kinds.lock().expect("nobody panics with it").get(&key).cloned();
        let (resource, scope) = match known {
            Some(known) => known,
            None => {
                let (group, version) = version.split_once('/').unwrap_or(("", version));
                let gvk = GroupVersionKind::gvk(group, version, kind);
                let (resource, capabilities) =
                    pinned_kind(&self.client, &gvk).await.with_context(|| format!("no kind {kind}"))?;
                let found = (resource, capabilities.scope);
                self.kinds.lock().expect("nobody panics with it").insert(key, found.clone());
                found
            }
        };
        Ok(match scope {
            Scope::Cluster => Api::all_with(self.client.clone(), &resource),
            Scope::Namespaced => Api::namespaced_with(self.client.clone(), namespace, &resource),
        })
    }

    /// Applies objects by server-side apply as `manager`, with force. Objects without a namespace go to `namespace`.
    pub(crate) async fn apply(&self, objects: &[Value], namespace: &str, manager: &str) -> Result<()> {
        for object in objects {
            let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
            let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or(namespace);
            let api = self.api(text(object, "/apiVersion"), kind, namespace).await?;
            let end = Instant::now() + WEBHOOK;
            loop {
                match api.patch(name, &PatchParams::apply(manager).force(), &Patch::Apply(object)).await {
                    Ok(_) => break,
                    Err(error) if is_of_webhook(&error) && Instant::now() < end => {
                        sleep(Duration::from_millis(500)).await;
                    }
                    Err(error) => return Err(error).context(format!("failed to apply {kind} {namespace}/{name}")),
                }
            }
        }
        Ok(())
    }

    /// An object as JSON.
    pub(crate) async fn get(&self, version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value> {
        let object = self.api(version, kind, namespace).await?.get(name).await;
        let object = object.with_context(|| format!("failed to read {kind} {namespace}/{name}"))?;
        Ok(serde_json::to_value(object)?)
    }

    /// The objects of a kind that a label selector chooses, as JSON.
    pub(crate) async fn list(&self, version: &str, kind: &str, namespace: &str, selector: &str) -> Result<Vec<Value>> {
        let api = self.api(version, kind, namespace).await?;
        let list = api.list(&ListParams::default().labels(selector)).await?;
        list.items.into_iter().map(|object| Ok(serde_json::to_value(object)?)).collect()
    }

    /// Deletes objects that may be gone already, and does not wait for it.
    pub(crate) async fn delete(&self, objects: &[Value], namespace: &str) -> Result<()> {
        for object in objects {
            let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or(namespace);
            let api = self.api(text(object, "/apiVersion"), text(object, "/kind"), namespace).await?;
            match api.delete(text(object, "/metadata/name"), &DeleteParams::background()).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The images of istiod, as the cluster runs it.
    pub(crate) async fn istio(&self) -> Result<String> {
        let pods = self.list("v1", "Pod", "istio-system", "app=istiod").await?;
        let pod = pods.first().context("there is no istiod")?;
        Ok(text(pod, "/spec/containers/0/image").to_owned())
    }

    /// A request through the API server to a port of a pod: `verb`, the path below the pod's root, the answer's body.
    pub(crate) async fn ask_pod(&self, verb: &str, pod: (&str, &str), port: u16, path: &str) -> Result<String> {
        let (namespace, name) = pod;
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy{path}");
        let request = Request::builder().method(verb).uri(path).body(Vec::new())?;
        Ok(self.client.request_text(request).await?)
    }
}

/// Whether istiod was not there to look at an object: other suites kill it.
fn is_of_webhook(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 500 && status.message.contains("failed calling webhook"))
}

/// A text in an object, or the empty one.
pub(crate) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// All objects of a text of YAML documents.
pub(crate) fn yaml(text: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in text.split("\n---") {
        let mut object: Value = serde_saphyr::from_str(document)?;
        if object["kind"] == "List" {
            let Value::Array(items) = object["items"].take() else { bail!("a List without items") };
            objects.extend(items);
        } else if !object.is_null() {
            objects.push(object);
        }
    }
    Ok(objects)
}
