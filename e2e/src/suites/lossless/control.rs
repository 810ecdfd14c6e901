//! The same load over the same events without a rollout: what is lost here is not Serin's.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::kit::{Manifests, Stage, text, until};

use super::fault::{End, delete_gracefully, restart_istiod};
use super::run::{LIMIT, Shape, figure, only};

/// What happens to plain Deployments with a split of 80 to 20 between them: three pods of stable, one of a canary.
#[derive(Clone, Copy, Debug)]
pub(super) enum Upset {
    /// One of stable's three pods is deleted.
    StablePodDeleted,
    /// The canary's only pod is deleted.
    LoneCanaryPodDeleted,
    /// Istio's control plane is killed, and comes back.
    IstiodKilled,
    /// Istio's control plane is killed, and stable is updated to another version as Deployments are.
    UpdatedAfterIstiodKilled,
}

/// Those of pods, with their names.
pub(super) const UPSETS: [(&str, Upset); 2] = [
    ("a pod deleted without a rollout", Upset::StablePodDeleted),
    ("a lone canary pod deleted without a rollout", Upset::LoneCanaryPodDeleted),
];

/// Those of the control plane.
pub(super) const OUTAGES: [(&str, Upset); 2] = [
    ("istiod killed without a rollout", Upset::IstiodKilled),
    ("a plain update after istiod was killed", Upset::UpdatedAfterIstiodKilled),
];

/// Counts what an upset alone costs.
pub(super) async fn play(stage: Stage, upset: Upset) -> Result<()> {
    stage.place.apply(&deployments()?.0).await?;
    ready(&stage).await?;
    let load = stage.load("reviews").await?;
    let before = load.counts().await?;
    match upset {
        Upset::StablePodDeleted => delete_one(&stage, "app=reviews,version=stable").await?,
        Upset::LoneCanaryPodDeleted => delete_one(&stage, "app=reviews,version=canary").await?,
        Upset::IstiodKilled => restart_istiod(&stage.cluster, End::Killed).await?,
        Upset::UpdatedAfterIstiodKilled => {
            restart_istiod(&stage.cluster, End::Killed).await?;
            stage.place.apply(&deployments()?.version("v3")?.0).await?;
            updated(&stage).await?;
        }
    }
    ready(&stage).await?;
    // The proxies have to hear of the last pod before the load ends.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let counts = load.drain().await?.minus(&before);
    stage.figures.note("without a rollout", figure(&counts));
    Ok(())
}

/// The shape with roles, its Rollout replaced by a Deployment for each role.
fn deployments() -> Result<Manifests> {
    let mut manifests = Shape::Role.manifests(3, 1)?.set("Deployment", "/spec/replicas", json!(3))?;
    let canary = Manifests(vec![only(&manifests, "Deployment")?])
        .set("Deployment", "/metadata/name", "reviews-canary".into())?
        .set("Deployment", "/spec/selector/matchLabels/version", "canary".into())?
        .set("Deployment", "/spec/template/metadata/labels/version", "canary".into())?
        .set("Deployment", "/spec/replicas", json!(1))?
        .version("v2")?;
    manifests.0.retain(|object| object["kind"] != "Rollout");
    manifests
        .set("VirtualService", "/spec/http/0/route/0/weight", json!(80))?
        .set("VirtualService", "/spec/http/0/route/1/weight", json!(20))
        .map(|manifests| manifests.and(canary))
}

async fn delete_one(stage: &Stage, selector: &str) -> Result<()> {
    let pods = stage.place.list("v1", "Pod", selector).await?;
    let name = pods.first().map(|pod| text(pod, "/metadata/name")).context("no pod")?;
    delete_gracefully(&stage.cluster, &stage.place.namespace, name).await?;
    until("the pod is gone", LIMIT, || async {
        let pods = stage.place.list("v1", "Pod", selector).await?;
        ensure!(pods.iter().all(|pod| text(pod, "/metadata/name") != name), "it is there");
        Ok(())
    })
    .await
}

/// Waits until only pods of the newest version are left.
async fn updated(stage: &Stage) -> Result<()> {
    until("only new pods are left", LIMIT, || async {
        let pods = stage.place.list("v1", "Pod", "app=reviews").await?;
        let old = pods.iter().filter(|pod| text(pod, "/spec/containers/0/env/0/value") != "v3").count();
        ensure!(old == 0, "{old} pods are old");
        Ok(())
    })
    .await
}

async fn ready(stage: &Stage) -> Result<()> {
    until("the Deployments are ready", LIMIT, || async {
        for (name, wanted) in [("reviews", 3), ("reviews-canary", 1)] {
            let deployment = stage.place.get("apps/v1", "Deployment", name).await?;
            let ready = deployment.pointer("/status/readyReplicas").and_then(Value::as_u64).unwrap_or_default();
            ensure!(ready == wanted, "{ready} pods of {name} are");
        }
        Ok(())
    })
    .await
}
