//! The same load over the same events without a rollout: what is lost here is not Serin's.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::kit::{Manifests, Stage, until};

use super::event::{delete_gracefully, istiod_is_back, kill_istiod};
use super::run::{LIMIT, Shape, figure};

/// What happens to a plain Deployment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Upset {
    /// One of three pods is deleted.
    PodDeleted,
    /// The only pod is deleted.
    LonePodDeleted,
    /// Istio's control plane is killed.
    IstiodKilled,
}

/// All of them with their names.
pub(super) const UPSETS: [(&str, Upset); 3] = [
    ("a pod deleted without a rollout", Upset::PodDeleted),
    ("a lone pod deleted without a rollout", Upset::LonePodDeleted),
    ("istiod killed without a rollout", Upset::IstiodKilled),
];

/// Counts what an upset alone costs.
pub(super) async fn play(stage: Stage, upset: Upset) -> Result<()> {
    let replicas = match upset {
        Upset::PodDeleted | Upset::IstiodKilled => 3,
        Upset::LonePodDeleted => 1,
    };
    let mut manifests: Manifests = Shape::Role.manifests(3)?.set("Deployment", "/spec/replicas", json!(replicas))?;
    manifests.0.retain(|object| object["kind"] != "Rollout");
    stage.place.apply(&manifests.0).await?;
    ready(&stage, replicas).await?;
    let load = stage.load("reviews").await?;
    let before = load.counts().await?;
    match upset {
        Upset::PodDeleted | Upset::LonePodDeleted => {
            let pods = stage.place.list("v1", "Pod", "app=reviews").await?;
            let name = pods.first().map_or("", |pod| crate::kit::text(pod, "/metadata/name"));
            delete_gracefully(&stage.cluster, &stage.place.namespace, name).await?;
            gone(&stage, name).await?;
        }
        Upset::IstiodKilled => {
            kill_istiod(&stage.cluster).await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            istiod_is_back(&stage.cluster).await?;
        }
    }
    ready(&stage, replicas).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let counts = load.drain().await?.minus(&before);
    stage.figures.note("without a rollout", figure(&counts));
    Ok(())
}

async fn ready(stage: &Stage, replicas: u32) -> Result<()> {
    until("the Deployment is ready", LIMIT, || async {
        let deployment = stage.place.get("apps/v1", "Deployment", "reviews").await?;
        let ready = deployment.pointer("/status/readyReplicas").and_then(Value::as_u64).unwrap_or_default();
        ensure!(ready == u64::from(replicas), "{ready} pods are");
        Ok(())
    })
    .await
}

async fn gone(stage: &Stage, name: &str) -> Result<()> {
    until("the pod is gone", LIMIT, || async {
        let pods = stage.place.list("v1", "Pod", "app=reviews").await?;
        ensure!(pods.iter().all(|pod| crate::kit::text(pod, "/metadata/name") != name), "it is there");
        Ok(())
    })
    .await
}
