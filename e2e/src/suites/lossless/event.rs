//! What may happen to a rollout. Each event begins and ends with a Rollout at rest, but for an abort and its retry.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::kit::{Cluster, text, until};

use super::run::{LIMIT, Run, only};

/// Something that happens to a rollout.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// Each pause is ended by annotation.
    Promote,
    /// All steps are skipped at the first pause.
    PromoteFull,
    /// The update is given up at 60 %.
    Abort,
    /// An aborted update is tried again, and succeeds.
    Retry,
    /// A third version comes while the second has 60 %.
    NewRevision,
    /// The stable version comes back while the second has 60 %.
    Rollback,
    /// The stable version comes back after an abort.
    RollbackOfAbort,
    /// The Rollout is scaled up at 60 %, and back at the end.
    ScaleUp,
    /// The Rollout is scaled down at 60 %, and back at the end.
    ScaleDown,
    /// The Rollout is scaled up and down while it is promoted.
    ScaleInPromotion,
    /// One of the canary's pods is deleted at 60 %.
    CanaryPodDeleted,
    /// One of stable's pods is deleted at 60 %.
    StablePodDeleted,
    /// The leader is killed before the canary has its first weight.
    KilledBeforeWeight,
    /// The leader is killed at 20 %.
    KilledAtStep,
    /// The leader is killed when the canary gets all traffic.
    KilledAtFullWeight,
    /// The leader is killed when the new revision has become stable, while traffic is handed over.
    KilledAfterPromotion,
    /// A git tool applies the VirtualService as it was written, three times, at 60 %.
    GitTool,
    /// Istio's control plane is killed at 20 %, and comes back.
    IstiodKilledAtStep,
    /// Istio's control plane is killed while the canary is promoted, and comes back.
    IstiodKilledInPromotion,
}

impl Event {
    /// Its name in the table of results.
    pub(super) fn name(self) -> &'static str {
        match self {
            Event::Promote => "promote",
            Event::PromoteFull => "promote-full",
            Event::Abort => "abort",
            Event::Retry => "retry",
            Event::NewRevision => "new revision",
            Event::Rollback => "rollback",
            Event::RollbackOfAbort => "rollback after abort",
            Event::ScaleUp => "scaled up",
            Event::ScaleDown => "scaled down",
            Event::ScaleInPromotion => "scaled in promotion",
            Event::CanaryPodDeleted => "canary pod deleted",
            Event::StablePodDeleted => "stable pod deleted",
            Event::KilledBeforeWeight => "killed before weight",
            Event::KilledAtStep => "killed at a step",
            Event::KilledAtFullWeight => "killed at full weight",
            Event::KilledAfterPromotion => "killed after promotion",
            Event::GitTool => "git tool",
            Event::IstiodKilledAtStep => "istiod killed at a step",
            Event::IstiodKilledInPromotion => "istiod killed in promotion",
        }
    }

    /// Makes it happen, and waits until the Rollout is at rest.
    pub(super) async fn happen(self, run: &mut Run) -> Result<()> {
        let outcome = match self {
            Event::Promote => promote(run).await,
            Event::PromoteFull => promote_full(run).await,
            Event::Abort => abort(run).await,
            Event::Retry => retry(run).await,
            Event::NewRevision => new_revision(run).await,
            Event::Rollback => rollback(run).await,
            Event::RollbackOfAbort => rollback_of_abort(run).await,
            Event::ScaleUp => scale(run, 5).await,
            Event::ScaleDown => scale(run, 1).await,
            Event::ScaleInPromotion => scale_in_promotion(run).await,
            Event::CanaryPodDeleted => delete_pod(run, Side::Canary).await,
            Event::StablePodDeleted => delete_pod(run, Side::Stable).await,
            Event::KilledBeforeWeight => killed_before_weight(run).await,
            Event::KilledAtStep => killed_at_step(run).await,
            Event::KilledAtFullWeight => killed_at_full_weight(run).await,
            Event::KilledAfterPromotion => killed_after_promotion(run).await,
            Event::GitTool => git_tool(run).await,
            Event::IstiodKilledAtStep => istiod_killed_at_step(run).await,
            Event::IstiodKilledInPromotion => istiod_killed_in_promotion(run).await,
        };
        outcome.context(self.name())
    }
}

async fn promote(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    promote_on(run).await
}

/// Ends all pauses from the first on.
async fn promote_on(run: &mut Run) -> Result<()> {
    run.command("promote").await?;
    run.pause(1).await?;
    run.command("promote").await?;
    run.settled().await
}

async fn promote_full(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    run.command("promote-full").await?;
    run.settled().await
}

/// An update that waits at 60 %.
async fn halfway(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    run.command("promote").await?;
    run.pause(1).await
}

async fn abort(run: &mut Run) -> Result<()> {
    halfway(run).await?;
    run.command("abort").await?;
    run.subject.aborted(LIMIT).await?;
    run.quiet().await
}

async fn retry(run: &mut Run) -> Result<()> {
    run.command("retry").await?;
    run.pause(0).await?;
    promote_on(run).await
}

async fn new_revision(run: &mut Run) -> Result<()> {
    halfway(run).await?;
    run.update().await?;
    run.pause(0).await?;
    promote_on(run).await
}

async fn rollback(run: &mut Run) -> Result<()> {
    halfway(run).await?;
    run.roll_back().await?;
    run.settled().await
}

async fn rollback_of_abort(run: &mut Run) -> Result<()> {
    abort(run).await?;
    run.roll_back().await?;
    run.settled().await
}

async fn scale(run: &mut Run, replicas: i64) -> Result<()> {
    halfway(run).await?;
    let seen = run.subject.seen().await?;
    let size = |replicas: i64| usize::try_from(replicas).context("not negative");
    run.subject.merge(json!({"spec": {"replicas": replicas}})).await?;
    run.serving(&seen.stable, size(replicas)?).await?;
    run.serving(&seen.current, size((replicas * 60 + 99) / 100)?).await?;
    run.subject.merge(json!({"spec": {"replicas": 3}})).await?;
    run.serving(&seen.stable, 3).await?;
    run.serving(&seen.current, 2).await?;
    run.command("promote").await?;
    run.settled().await
}

async fn scale_in_promotion(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    let current = run.subject.seen().await?.current;
    run.command("promote-full").await?;
    run.subject.merge(json!({"spec": {"replicas": 5}})).await?;
    run.weights((0, 100)).await?;
    run.subject.merge(json!({"spec": {"replicas": 2}})).await?;
    run.subject.healthy(LIMIT).await?;
    run.serving(&current, 2).await?;
    run.subject.merge(json!({"spec": {"replicas": 3}})).await?;
    run.settled().await
}

/// Whose pod is deleted.
#[derive(Clone, Copy)]
enum Side {
    Canary,
    Stable,
}

async fn delete_pod(run: &mut Run, side: Side) -> Result<()> {
    halfway(run).await?;
    let seen = run.subject.seen().await?;
    let revision = match side {
        Side::Canary => seen.current,
        Side::Stable => seen.stable,
    };
    let pods = run.pods(&revision).await?;
    let place = &run.stage.place;
    delete_gracefully(&place.cluster, &place.namespace, pods.first().context("no pod serves")?).await?;
    run.serving(&revision, pods.len() - 1).await?;
    run.serving(&revision, pods.len()).await?;
    run.command("promote").await?;
    run.settled().await
}

/// Deletes a pod as `kubectl delete pod` does.
pub(super) async fn delete_gracefully(cluster: &Cluster, namespace: &str, pod: &str) -> Result<()> {
    let pods = cluster.api("v1", "Pod", namespace).await?;
    pods.delete(pod, &kube::api::DeleteParams::default()).await?;
    Ok(())
}

/// Kills every controller that is there; another one has to take the lease over.
async fn kill(run: &Run) -> Result<()> {
    for pod in run.stage.serin.pods().await? {
        run.stage.serin.kill(&pod).await?;
    }
    Ok(())
}

async fn killed_before_weight(run: &mut Run) -> Result<()> {
    run.update().await?;
    kill(run).await?;
    let weights = run.subject.weights().await?;
    ensure!(weights == (100, 0), "the canary had weight already: {weights:?}");
    run.pause(0).await?;
    run.command("promote-full").await?;
    run.settled().await
}

async fn killed_at_step(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    kill(run).await?;
    promote_on(run).await
}

async fn killed_at_full_weight(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    run.command("promote-full").await?;
    run.weights((0, 100)).await?;
    kill(run).await?;
    run.settled().await
}

async fn killed_after_promotion(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    run.command("promote-full").await?;
    run.weights((0, 100)).await?;
    until("traffic is handed over", LIMIT, || async {
        let (stable, _) = run.subject.weights().await?;
        ensure!(stable > 0, "stable has no weight yet");
        Ok(())
    })
    .await?;
    kill(run).await?;
    run.settled().await
}

async fn git_tool(run: &mut Run) -> Result<()> {
    halfway(run).await?;
    let original = only(&run.manifests, "VirtualService")?;
    let place = run.stage.place.clone();
    for _ in 0..3 {
        place.cluster.apply(std::slice::from_ref(&original), &place.namespace, "kustomize-controller").await?;
        run.weights((40, 60)).await?;
        // A git tool leaves time between its rounds.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    run.command("promote").await?;
    run.settled().await
}

/// Kills Istio's control plane, without waiting for it to come back.
pub(super) async fn kill_istiod(cluster: &Cluster) -> Result<()> {
    let pods = cluster.api("v1", "Pod", "istio-system").await?;
    for pod in cluster.list("v1", "Pod", "istio-system", "app=istiod").await? {
        pods.delete(text(&pod, "/metadata/name"), &kube::api::DeleteParams::default().grace_period(0)).await?;
    }
    Ok(())
}

/// Waits until Istio's control plane is back.
pub(super) async fn istiod_is_back(cluster: &Cluster) -> Result<()> {
    until("istiod is back", LIMIT, || async {
        let deployment = cluster.get("apps/v1", "Deployment", "istio-system", "istiod").await?;
        let ready = deployment.pointer("/status/readyReplicas").and_then(serde_json::Value::as_i64);
        ensure!(ready.is_some_and(|ready| ready > 0), "no replica is ready");
        Ok(())
    })
    .await
}

async fn istiod_killed_at_step(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    kill_istiod(&run.stage.cluster).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    istiod_is_back(&run.stage.cluster).await?;
    promote_on(run).await
}

async fn istiod_killed_in_promotion(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    run.command("promote-full").await?;
    kill_istiod(&run.stage.cluster).await?;
    run.settled().await?;
    istiod_is_back(&run.stage.cluster).await
}
