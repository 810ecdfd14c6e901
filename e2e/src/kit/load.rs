//! Constant load from a pod in the mesh, which counts every answer.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use serin_workload::{Counts, Second};

use super::cluster::{Cluster, MANAGER, yaml};
use super::shares::two_sided;
use super::wait::until;
use crate::lab::prometheus::PROXIES;

/// Where all load comes from: Prometheus scrapes the proxies of this namespace.
pub(crate) const NAMESPACE: &str = "e2e-load";

/// The port of the generator's own API.
const CONTROL: u16 = 9081;

/// The image of server and generator.
pub(crate) const IMAGE: &str = "localhost/serin-workload:e2e";

/// The lowest probability of a share that is still put down to chance.
const CHANCE: f64 = 1e-6;

/// What is sent where.
#[derive(Clone, Debug)]
pub(crate) struct LoadSpec {
    /// Name of the generator's pod.
    pub(crate) name: String,
    /// URL.
    pub(crate) target: String,
    /// Host header, if not the URL's.
    pub(crate) host: Option<String>,
    /// A further header of each request, such as `x-team: shop`.
    pub(crate) header: Option<String>,
    /// Requests per second.
    pub(crate) rate: u32,
    /// Whether the pod has a proxy of its own that routes; else the target has to be a gateway.
    pub(crate) sidecar: bool,
}

impl LoadSpec {
    /// 100 requests a second through the generator's own proxy to the Service of that name.
    pub(crate) fn mesh(namespace: &str, service: &str) -> Self {
        LoadSpec {
            name: format!("load-{namespace}"),
            target: format!("http://{service}.{namespace}:9080/"),
            host: None,
            header: None,
            rate: 100,
            sidecar: true,
        }
    }

    /// The same beside it, each request with this header.
    pub(crate) fn with_header(namespace: &str, service: &str, header: &str) -> Self {
        LoadSpec {
            name: format!("head-{namespace}"),
            header: Some(header.to_owned()),
            ..Self::mesh(namespace, service)
        }
    }

    /// 100 requests a second through the ingress gateway.
    pub(crate) fn gateway(namespace: &str, host: &str) -> Self {
        LoadSpec {
            name: format!("gate-{namespace}"),
            target: "http://istio-ingressgateway.istio-system/".to_owned(),
            host: Some(host.to_owned()),
            header: None,
            rate: 100,
            sidecar: false,
        }
    }
}

/// A running generator.
#[derive(Clone)]
pub(crate) struct Load {
    cluster: Cluster,
    name: String,
}

impl Load {
    /// A generator that may be running.
    pub(crate) fn named(cluster: &Cluster, name: &str) -> Self {
        Load { cluster: cluster.clone(), name: name.to_owned() }
    }

    /// Starts a generator and waits until requests are answered by the workload.
    pub(crate) async fn start(cluster: &Cluster, spec: &LoadSpec) -> Result<Self> {
        let load = Load::named(cluster, &spec.name);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"istio-injection": "enabled"}}});
        let mut objects = vec![namespace];
        objects.extend(yaml(PROXIES)?);
        cluster.apply(&objects, NAMESPACE, MANAGER).await?;
        load.stop().await?;
        let mut env = vec![
            json!({"name": "TARGET", "value": spec.target}),
            json!({"name": "RATE", "value": spec.rate.to_string()}),
        ];
        if let Some(host) = &spec.host {
            env.push(json!({"name": "HOST", "value": host}));
        }
        if let Some(header) = &spec.header {
            env.push(json!({"name": "HEADER", "value": header}));
        }
        let pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": spec.name, "labels": {"app": "load", "sidecar.istio.io/inject": spec.sidecar.to_string()},
                "annotations": {"sidecar.istio.io/proxyCPU": "50m"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
                "name": "load", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "args": ["load"], "env": env,
                "ports": [{"containerPort": CONTROL}],
                // What is counted must not starve where other pods are busy.
                "resources": {"requests": {"cpu": "50m"}}}]}});
        cluster.apply(&[pod], NAMESPACE, MANAGER).await?;
        until("requests are answered", Duration::from_secs(60), || async {
            let before = load.counts().await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            let during = load.counts().await?.minus(&before);
            ensure!(during.answered_total() > 20 && during.failed_total() == 0, "{during:?}");
            Ok(())
        })
        .await?;
        Ok(load)
    }

    /// What was counted since the generator began. Cumulative: subtract with [`Counts::minus`].
    pub(crate) async fn counts(&self) -> Result<Counts> {
        let answer = self.cluster.ask_pod("GET", (NAMESPACE, &self.name), CONTROL, "/counts").await?;
        serde_json::from_str(&answer).with_context(|| format!("the generator answered {answer}"))
    }

    /// What was counted second by second, from a Unix second on.
    pub(crate) async fn seconds(&self, from: i64) -> Result<Vec<Second>> {
        let path = format!("/seconds?from={from}");
        let answer = self.cluster.ask_pod("GET", (NAMESPACE, &self.name), CONTROL, &path).await?;
        serde_json::from_str(&answer).with_context(|| format!("the generator answered {answer}"))
    }

    /// Sends no more, waits for what is on its way, and returns the final counts.
    pub(crate) async fn drain(&self) -> Result<Counts> {
        let answer = self.cluster.ask_pod("POST", (NAMESPACE, &self.name), CONTROL, "/drain").await?;
        serde_json::from_str(&answer).with_context(|| format!("the generator answered {answer}"))
    }

    /// Sends no more, and checks that every request was answered; else says when they were not.
    pub(crate) async fn all_answered(&self) -> Result<Counts> {
        let counts = self.drain().await?;
        let seconds = self.seconds(0).await?.into_iter().filter(|second| !second.failed.is_empty());
        let times = seconds.map(|second| {
            let at = i64::try_from(second.second).ok().and_then(|at| chrono::DateTime::from_timestamp(at, 0));
            format!("{} {}", at.unwrap_or_default().format("%H:%M:%S"), second.failed.values().sum::<u64>())
        });
        let times: Vec<String> = times.collect();
        ensure!(counts.failed_total() == 0, "requests failed: {:?}; by second: {}", counts.failed, times.join(", "));
        Ok(counts)
    }

    /// Removes the generator and waits until it is gone.
    pub(crate) async fn stop(&self) -> Result<()> {
        let pods = self.cluster.api("v1", "Pod", NAMESPACE).await?;
        match pods.delete(&self.name, &kube::api::DeleteParams::default().grace_period(0)).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        until("the generator is gone", Duration::from_secs(30), || async {
            ensure!(pods.get_opt(&self.name).await?.is_none(), "still there");
            Ok(())
        })
        .await
    }

    /// Counts for a time, and checks that the canary's share agrees with its weight in percent.
    pub(crate) async fn share(&self, canary: &str, weight: i64, time: Duration) -> Result<(u64, u64)> {
        let before = self.counts().await?;
        tokio::time::sleep(time).await;
        let during = self.counts().await?.minus(&before);
        let (hits, total) =
            (during.answered.get(canary).map_or(0, |statuses| statuses.values().sum()), during.answered_total());
        agrees(hits, total, weight)?;
        Ok((hits, total))
    }

    /// Waits until every request of half a second is answered by this version.
    pub(crate) async fn reaches(&self, version: &str, limit: Duration) -> Result<()> {
        until(&format!("{} reaches {version} alone", self.name), limit, || async {
            let before = self.counts().await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            let during = self.counts().await?.minus(&before);
            ensure!(during.answered.keys().eq([version]), "{:?} {:?}", during.answered, during.failed);
            Ok(())
        })
        .await
    }
}

/// Checks that so many of all requests can have got there by a weight in percent.
pub(crate) fn agrees(hits: u64, total: u64, weight: i64) -> Result<()> {
    let chance = two_sided(hits, total, weight as f64 / 100.0);
    ensure!(chance >= CHANCE, "{hits} of {total} at weight {weight}: probability {chance:e}");
    Ok(())
}
