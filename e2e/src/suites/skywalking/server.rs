//! The cluster's SkyWalking server in the version and time zone that a case wants, and stopped in its middle.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::Client;
use serde_json::{Value, json};

use crate::kit::skywalking::SkyWalking;
use crate::kit::{Cluster, until};

/// Where `manifests/skywalking.yaml` has it.
const NAMESPACE: &str = "istio-system";
const NAME: &str = "oap";

/// Who changes the Deployment; the harness takes it back with force at the next start.
const MANAGER: &str = "serin-e2e";

/// A JVM starts on a node that has other things to do.
const STARTS_WITHIN: Duration = Duration::from_secs(180);

/// A server that a case wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    /// Of the image, and what the server says about itself.
    pub(super) version: &'static str,
    /// By its name in the tz database.
    pub(super) zone: &'static str,
    /// Offset of the zone as measurements show it, such as `+0530`.
    pub(super) offset: &'static str,
}

impl Server {
    /// Has this server run, and waits until it answers. One that runs already keeps what it knows.
    ///
    /// # Errors
    /// If SkyWalking was never started in the cluster, or the server is another than the one wanted.
    pub(super) async fn run(&self, cluster: &Cluster) -> Result<SkyWalking<Client>> {
        let deployments = cluster.api("apps/v1", "Deployment", NAMESPACE).await?;
        let found = deployments.get_opt(NAME).await?;
        found.context("the Deployment istio-system/oap is not in the cluster; start it: serin-e2e start")?;
        self.scale(cluster, 1).await?;
        let oap = SkyWalking::new(cluster.client.clone());
        let version = oap.ready(STARTS_WITHIN).await?;
        ensure!(version.starts_with(self.version), "{version} runs instead of {}", self.version);
        let offset = oap.zone().await?.to_string().replace(':', "");
        ensure!(offset == self.offset, "the server's time is {offset} instead of {}", self.offset);
        Ok(oap)
    }

    /// Ends the server's process, and waits until nobody answers for it.
    pub(super) async fn stop(&self, cluster: &Cluster) -> Result<()> {
        self.scale(cluster, 0).await
    }

    async fn scale(&self, cluster: &Cluster, replicas: u32) -> Result<()> {
        let container = json!({
            "name": "oap",
            "image": format!("localhost/oap:{}", self.version),
            "env": [{"name": "TZ", "value": self.zone}],
        });
        let deployment = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [container]}}},
        });
        cluster.apply(&[deployment], NAMESPACE, MANAGER).await?;
        until(&format!("{replicas} servers of SkyWalking run"), STARTS_WITHIN, || async {
            let deployment = cluster.get("apps/v1", "Deployment", NAMESPACE, NAME).await?;
            let status = &deployment["status"];
            ensure!(status["observedGeneration"] == deployment["metadata"]["generation"], "not observed yet");
            for key in ["updatedReplicas", "readyReplicas", "replicas"] {
                let count = status.get(key).and_then(Value::as_u64).unwrap_or_default();
                ensure!(count == u64::from(replicas), "{key} is {count}");
            }
            // Pods on their way out count no more, and still answer.
            let pods = cluster.list("v1", "Pod", NAMESPACE, "app=oap").await?.len();
            ensure!(pods == replicas as usize, "{pods} pods exist");
            Ok(())
        })
        .await
    }
}
