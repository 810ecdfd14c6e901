//! Serin in the cluster: from its own image, by its own chart, with its own rights.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, LogParams};
use serde_json::{Value, json};
use tokio::process::Command;

use super::cluster::{Cluster, text, yaml};
use super::kill::signal;
use super::wait::until;

/// Who applies the chart's objects.
const HELM: &str = "helm";

/// The image that the harness builds.
pub(crate) const IMAGE: (&str, &str) = ("localhost/serin", "e2e");

/// A release of the chart in a namespace of its own, which serves only Rollouts with its instance id.
#[derive(Clone)]
pub(crate) struct Release {
    pub(crate) cluster: Cluster,
    pub(crate) namespace: String,
    pub(crate) instance: String,
}

impl Release {
    /// Installs the definitions and the chart with further `--set` values, and waits until a controller is ready.
    /// On an installed release this is an upgrade. The namespace is `serin-INSTANCE`.
    pub(crate) async fn install(cluster: &Cluster, instance: &str, values: &[&str]) -> Result<Self> {
        let release =
            Release { cluster: cluster.clone(), namespace: format!("serin-{instance}"), instance: instance.to_owned() };
        let folder = repository().join("crds");
        for file in std::fs::read_dir(&folder)?.collect::<std::io::Result<Vec<_>>>()? {
            if file.path().extension().is_some_and(|it| it == "yaml") {
                cluster.apply(&yaml(&std::fs::read_to_string(file.path())?)?, "", HELM).await?;
            }
        }
        release.not_leaving().await?;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": release.namespace}});
        cluster.apply(&[namespace], "", HELM).await?;
        cluster.apply(&release.objects(values).await?, &release.namespace, HELM).await?;
        release.ready().await?;
        Ok(release)
    }

    /// Waits until a namespace that an earlier run deleted is gone.
    async fn not_leaving(&self) -> Result<()> {
        let api = self.cluster.api("v1", "Namespace", "").await?;
        until("the namespace of an earlier release is gone", Duration::from_secs(90), || async {
            let old = api.get_opt(&self.namespace).await?;
            ensure!(old.is_none_or(|old| old.metadata.deletion_timestamp.is_none()), "it is on its way out");
            Ok(())
        })
        .await
    }

    /// What `helm template` makes of the chart.
    pub(crate) async fn objects(&self, values: &[&str]) -> Result<Vec<Value>> {
        let version = self.cluster.client.apiserver_version().await?.git_version;
        let mut command = Command::new(&self.cluster.endpoints.helm);
        command.args(["template", "serin"]).arg(repository().join("charts/serin"));
        command.args(["--namespace", &self.namespace, "--kube-version", &version]);
        let (repository, tag) = IMAGE;
        let own = [
            format!("image.repository={repository}"),
            format!("image.tag={tag}"),
            "image.pullPolicy=IfNotPresent".to_owned(),
            format!("controller.instanceID={}", self.instance),
        ];
        for value in own.iter().map(String::as_str).chain(values.iter().copied()) {
            command.args(["--set", value]);
        }
        let output = command.output().await.context("failed to run helm")?;
        ensure!(output.status.success(), "helm template: {}", String::from_utf8_lossy(&output.stderr));
        yaml(&String::from_utf8(output.stdout)?)
    }

    /// Waits until every controller of the Deployment is of its newest version and ready, and one of them leads.
    pub(crate) async fn ready(&self) -> Result<()> {
        until("Serin is ready", Duration::from_secs(90), || async {
            let deployment = self.cluster.get("apps/v1", "Deployment", &self.namespace, "serin").await?;
            let (spec, status) = (&deployment["spec"], &deployment["status"]);
            ensure!(status["observedGeneration"] == deployment["metadata"]["generation"], "not observed yet");
            ensure!(status["updatedReplicas"] == spec["replicas"], "{} pods are updated", status["updatedReplicas"]);
            ensure!(status["readyReplicas"] == spec["replicas"], "{} pods are ready", status["readyReplicas"]);
            ensure!(status["replicas"] == spec["replicas"], "{} pods exist", status["replicas"]);
            let leader = self.leader().await?;
            let pods = self.pods().await?;
            ensure!(pods.iter().any(|pod| leader.starts_with(pod.as_str())), "the lease is held by {leader:?}");
            Ok(())
        })
        .await
    }

    /// Names of the controllers' pods that are not on their way out.
    pub(crate) async fn pods(&self) -> Result<Vec<String>> {
        let pods = self.cluster.list("v1", "Pod", &self.namespace, "app.kubernetes.io/name=serin").await?;
        let living = pods.iter().filter(|pod| pod.pointer("/metadata/deletionTimestamp").is_none());
        Ok(living.map(|pod| text(pod, "/metadata/name").to_owned()).collect())
    }

    /// Who holds the lease; empty if nobody does.
    pub(crate) async fn leader(&self) -> Result<String> {
        let leases = self.cluster.list("coordination.k8s.io/v1", "Lease", &self.namespace, "").await?;
        Ok(leases.first().map(|lease| text(lease, "/spec/holderIdentity").to_owned()).unwrap_or_default())
    }

    /// Deletes a controller's pod without grace, as `kill -9` does, and does not wait.
    pub(crate) async fn kill(&self, pod: &str) -> Result<()> {
        let pods = self.cluster.api("v1", "Pod", &self.namespace).await?;
        pods.delete(pod, &DeleteParams::default().grace_period(0)).await?;
        Ok(())
    }

    /// Sends a signal, such as `KILL` or `STOP`, to the process of a controller, and says whether it was found: its node may
    /// be another machine. The pod stays, and its container is started again if the process ends.
    pub(crate) async fn signal(&self, pod: &str, name: &str) -> Result<bool> {
        let object = self.cluster.get("v1", "Pod", &self.namespace, pod).await?;
        Ok(signal(text(&object, "/metadata/uid"), "serin", name).await? > 0)
    }

    /// Deletes a controller's pod as everybody does: with SIGTERM and its time of grace. Does not wait.
    pub(crate) async fn terminate(&self, pod: &str) -> Result<()> {
        let pods = self.cluster.api("v1", "Pod", &self.namespace).await?;
        pods.delete(pod, &DeleteParams::default()).await?;
        Ok(())
    }

    /// The pod that holds the lease, which may be gone already.
    pub(crate) async fn holder(&self) -> Result<String> {
        let leader = self.leader().await?;
        let pod = leader.split_once('_').map_or(leader.as_str(), |(pod, _)| pod);
        ensure!(!pod.is_empty(), "nobody holds the lease");
        Ok(pod.to_owned())
    }

    /// The pods whose own metrics say that they lead. A pod that does not answer does not.
    pub(crate) async fn leading(&self) -> Result<Vec<String>> {
        let pods = self.pods().await?;
        let pages = pods.iter().map(|pod| self.cluster.ask_pod("GET", (&self.namespace, pod), 8090, "/metrics"));
        let pages = futures::future::join_all(pages).await;
        let says =
            |page: &Result<String>| page.as_ref().is_ok_and(|page| page.lines().any(|line| line == "serin_leader 1"));
        Ok(pods.iter().zip(&pages).filter(|(_, page)| says(page)).map(|(pod, _)| pod.clone()).collect())
    }

    /// What the controllers have logged, one text for each pod.
    pub(crate) async fn logs(&self) -> Result<Vec<(String, String)>> {
        let api: kube::Api<Pod> = kube::Api::namespaced(self.cluster.client.clone(), &self.namespace);
        let mut logs = Vec::new();
        for pod in self.pods().await? {
            let log = api.logs(&pod, &LogParams::default()).await.unwrap_or_else(|error| error.to_string());
            logs.push((pod, log));
        }
        Ok(logs)
    }

    /// What the controllers were refused, by their own metrics and logs: nothing, if their rights are enough.
    pub(crate) async fn refusals(&self) -> Result<Vec<String>> {
        let mut refusals = Vec::new();
        for pod in self.pods().await? {
            let page = self.cluster.ask_pod("GET", (&self.namespace, &pod), 8090, "/metrics").await?;
            let requests = page.lines().filter(|line| line.starts_with("controller_clientset_k8s_request_total"));
            refusals.extend(requests.filter(|line| line.contains("status_code=\"403\"")).map(str::to_owned));
        }
        for (_, log) in self.logs().await? {
            refusals.extend(log.lines().filter(|line| line.to_lowercase().contains("forbidden")).map(str::to_owned));
        }
        Ok(refusals)
    }

    /// The page of metrics of the leader.
    pub(crate) async fn metrics(&self) -> Result<String> {
        let leader = self.leader().await?;
        let pods = self.pods().await?;
        let pod = pods.iter().find(|pod| leader.starts_with(pod.as_str())).context("nobody leads")?;
        self.cluster.ask_pod("GET", (&self.namespace, pod), 8090, "/metrics").await
    }

    /// Removes everything that the chart made but the definitions.
    pub(crate) async fn uninstall(&self) -> Result<()> {
        self.cluster.delete(&self.objects(&[]).await?, &self.namespace).await?;
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        self.cluster.delete(&[namespace], "").await
    }
}

/// The root of the repository that this program was built from.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default()
}
