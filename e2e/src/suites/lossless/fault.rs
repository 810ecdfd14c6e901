//! What goes wrong around a rollout: pods and controllers that go, tools that overwrite, a control plane that is away.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use kube::api::DeleteParams;

use crate::kit::{Cluster, is_serving, text, until};

use super::event::{halfway, handing_over, promote_on};
use super::run::{LIMIT, Run, only};

/// Whose pod is deleted.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Canary,
    Stable,
}

pub(super) async fn delete_pod(run: &mut Run, side: Side) -> Result<()> {
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
    pods.delete(pod, &DeleteParams::default()).await?;
    Ok(())
}

/// Kills every controller that is there; a new one has to take the lease over.
async fn kill(run: &mut Run) -> Result<()> {
    run.killed = Some(run.stage.serin.leader().await?);
    for pod in run.stage.serin.pods().await? {
        run.stage.serin.kill(&pod).await?;
    }
    Ok(())
}

pub(super) async fn killed_before_weight(run: &mut Run) -> Result<()> {
    run.update().await?;
    kill(run).await?;
    let weights = run.subject.weights().await?;
    ensure!(weights == (100, 0), "the canary had weight already: {weights:?}");
    run.pause(0).await?;
    run.command("promote-full").await?;
    run.settled().await
}

pub(super) async fn killed_at_step(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    kill(run).await?;
    promote_on(run).await
}

pub(super) async fn killed_at_full_weight(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    run.command("promote-full").await?;
    run.weights((0, 100)).await?;
    kill(run).await?;
    run.settled().await
}

pub(super) async fn killed_in_handover(run: &mut Run) -> Result<()> {
    handing_over(run).await?;
    kill(run).await?;
    run.settled().await
}

pub(super) async fn pod_deleted_in_handover(run: &mut Run) -> Result<()> {
    handing_over(run).await?;
    // The first to change its role, and with it the side.
    let stable = run.subject.pods().await?.into_iter().find(|pod| text(pod, "/metadata/labels/version") == "stable");
    let current = run.subject.seen().await?.current;
    let name = match stable {
        Some(pod) if text(&pod, "/metadata/labels/rollouts-pod-template-hash") == current => {
            text(&pod, "/metadata/name").to_owned()
        }
        _ => run.pods(&current).await?.first().context("no pod serves")?.clone(),
    };
    let place = &run.stage.place;
    delete_gracefully(&place.cluster, &place.namespace, &name).await?;
    run.settled().await
}

pub(super) async fn lone_canary_pod_deleted(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    let current = run.subject.seen().await?.current;
    let place = &run.stage.place;
    delete_gracefully(&place.cluster, &place.namespace, run.pods(&current).await?.first().context("no pod")?).await?;
    run.serving(&current, 0).await?;
    run.serving(&current, 1).await?;
    run.weights((80, 20)).await?;
    promote_on(run).await
}

/// The kinds that a git tool applies.
pub(super) const ROUTES: [&str; 1] = ["VirtualService"];
pub(super) const ROUTES_AND_RULE: [&str; 2] = ["VirtualService", "DestinationRule"];

/// The time between two rounds of a git tool that is in a hurry.
const ROUND: Duration = Duration::from_secs(3);

async fn apply_originals(run: &Run, kinds: &[&str]) -> Result<()> {
    let place = &run.stage.place;
    for kind in kinds {
        let original = only(&run.manifests, kind)?;
        place.cluster.apply(&[original], &place.namespace, "kustomize-controller").await?;
    }
    Ok(())
}

pub(super) async fn git_tool(run: &mut Run, kinds: &[&str]) -> Result<()> {
    halfway(run).await?;
    for _ in 0..3 {
        apply_originals(run, kinds).await?;
        run.weights((40, 60)).await?;
        tokio::time::sleep(ROUND).await;
    }
    run.command("promote").await?;
    run.settled().await
}

pub(super) async fn git_tool_in_handover(run: &mut Run, kinds: &[&str]) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    run.command("promote-full").await?;
    run.weights((0, 100)).await?;
    let began = Instant::now();
    loop {
        tokio::time::sleep(ROUND).await;
        let seen = run.subject.seen().await?;
        if seen.phase == "Healthy" && run.subject.weights().await? == (100, 0) {
            break;
        }
        ensure!(began.elapsed() < LIMIT, "the hand-over does not come to its end: {seen:?}");
        apply_originals(run, kinds).await?;
    }
    run.settled().await
}

/// How a process ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// With a farewell to those who are connected.
    InOrder,
    /// Without one.
    Killed,
}

/// Ends Istio's control plane, and waits until another one is ready.
pub(super) async fn restart_istiod(cluster: &Cluster, end: End) -> Result<()> {
    let parameters = match end {
        End::InOrder => DeleteParams::default(),
        End::Killed => DeleteParams::default().grace_period(0),
    };
    let api = cluster.api("v1", "Pod", "istio-system").await?;
    let mut killed = Vec::new();
    for pod in cluster.list("v1", "Pod", "istio-system", ISTIOD).await? {
        let name = text(&pod, "/metadata/name").to_owned();
        api.delete(&name, &parameters).await?;
        killed.push(name);
    }
    until("istiod is back", LIMIT, || async {
        let pods = cluster.list("v1", "Pod", "istio-system", ISTIOD).await?;
        let back = pods.iter().any(|pod| is_serving(pod) && killed.iter().all(|it| it != text(pod, "/metadata/name")));
        ensure!(back, "no pod is ready");
        Ok(())
    })
    .await
}

/// The label of Istio's control plane.
const ISTIOD: &str = "app=istiod";

pub(super) async fn istiod_away(run: &mut Run, end: End) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    restart_istiod(&run.stage.cluster, end).await?;
    promote_on(run).await
}

pub(super) async fn istiod_killed_in_promotion(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    run.command("promote-full").await?;
    restart_istiod(&run.stage.cluster, End::Killed).await?;
    run.settled().await
}
