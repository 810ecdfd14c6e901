//! A namespace of a case's own.

use std::time::Duration;

use anyhow::{Result, ensure};
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::cluster::{Cluster, MANAGER};
use super::wait::until;

/// The label, with its value, of every such namespace.
pub(crate) const CASE: &str = "serin-e2e=case";

/// A namespace that was empty when the case began.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
}

impl Place {
    /// Makes the namespace anew; what an earlier run left there is removed first.
    pub(crate) async fn make(cluster: &Cluster, namespace: &str) -> Result<Self> {
        let place = Place { cluster: cluster.clone(), namespace: namespace.to_owned() };
        place.remove().await?;
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"serin-e2e": "case"}}});
        cluster.apply(&[object], "", MANAGER).await?;
        let account = || async { cluster.get("v1", "ServiceAccount", namespace, "default").await };
        until("the namespace gets its service account", Duration::from_secs(20), account).await?;
        Ok(place)
    }

    /// Applies objects here as the author of the manifests does.
    pub(crate) async fn apply(&self, objects: &[Value]) -> Result<()> {
        self.cluster.apply(objects, &self.namespace, MANAGER).await
    }

    /// An object of this namespace.
    pub(crate) async fn get(&self, version: &str, kind: &str, name: &str) -> Result<Value> {
        self.cluster.get(version, kind, &self.namespace, name).await
    }

    /// Objects of this namespace by label.
    pub(crate) async fn list(&self, version: &str, kind: &str, selector: &str) -> Result<Vec<Value>> {
        self.cluster.list(version, kind, &self.namespace, selector).await
    }

    /// Deletes the namespace and waits until it is gone.
    pub(crate) async fn remove(&self) -> Result<()> {
        let api = self.cluster.api("v1", "Namespace", "").await?;
        // Pods need not say good-bye to anybody here.
        let pods = self.cluster.api("v1", "Pod", &self.namespace).await?;
        if api.get_opt(&self.namespace).await?.is_none() {
            return Ok(());
        }
        api.delete(&self.namespace, &DeleteParams::default()).await?;
        pods.delete_collection(&DeleteParams::default().grace_period(0), &kube::api::ListParams::default()).await?;
        until("the namespace is gone", Duration::from_secs(90), || async {
            let left = api.get_opt(&self.namespace).await?;
            ensure!(left.is_none(), "{} is still there", self.namespace);
            Ok(())
        })
        .await
    }
}
