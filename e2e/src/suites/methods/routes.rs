//! Header and mirror routes: testers alone get the canary, and copies get there without an answer of it for anybody.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{SOON, WINDOW, answered_by, awake, finish};
use crate::kit::{ISTIO, Load, LoadSpec, Manifests, Stage, Subject, agrees, is_serving, text};

/// Both routes one after the other, each until a person goes on.
pub(super) async fn taken(stage: Stage) -> Result<()> {
    let manifests = Manifests::routes()?;
    let subject = stage.settled(&manifests).await?;
    let everybody = stage.load("shop").await?;
    let testers = LoadSpec::with_header(&stage.place.namespace, "shop", "x-team: shop");
    let testers = Load::start(&stage.cluster, &LoadSpec { rate: 50, ..testers }).await?;
    stage.apply(&manifests.version("v2")?).await?;

    subject.reaches(2, SOON).await?;
    testers.reaches("v2", SOON).await?;
    let (with, without) = tokio::try_join!(testers.share("v2", 100, WINDOW), everybody.share("v2", 0, WINDOW))?;
    stage.figures.note("testers with the canary", format!("{}/{}", with.0, with.1));
    stage.figures.note("others with the canary", format!("{}/{}", without.0, without.1));
    // Their requests would count as copies.
    testers.all_answered().await?;

    subject.annotate("serin.dev/promote", "to the mirror").await?;
    subject.reaches(4, SOON).await?;
    let pods = canary_pods(&subject).await?;
    awake(&stage, &pods).await?;
    let (before, sent_before) = (answered_by(&stage, &pods).await?, everybody.counts().await?);
    everybody.share("v2", 0, WINDOW).await?;
    let sent = everybody.counts().await?.minus(&sent_before).sent;
    let copies = answered_by(&stage, &pods).await?.saturating_sub(before);
    stage.figures.note("copies", format!("{copies}/{sent}"));
    agrees(copies, sent, 50)?;

    subject.annotate("serin.dev/promote", "to the end").await?;
    subject.healthy(SOON).await?;
    everybody.reaches("v2", SOON).await?;
    let service = stage.place.get(ISTIO, "VirtualService", "shop").await?;
    let routes = service.pointer("/spec/http").and_then(Value::as_array).cloned().unwrap_or_default();
    let names: Vec<&str> = routes.iter().map(|route| text(route, "/name")).collect();
    ensure!(names == ["primary"], "these routes are left: {names:?}");
    finish(&stage, &everybody, &["v1", "v2"]).await
}

async fn canary_pods(subject: &Subject) -> Result<Vec<String>> {
    let current = subject.seen().await?.current;
    let pods = subject.pods().await?;
    let is_canary = |pod: &&Value| text(pod, "/metadata/labels/rollouts-pod-template-hash") == current;
    let names = pods.iter().filter(is_canary).filter(|pod| is_serving(pod)).map(|pod| text(pod, "/metadata/name"));
    let names: Vec<String> = names.map(str::to_owned).collect();
    ensure!(names.len() == 1, "the step asks for one pod: {names:?}");
    Ok(names)
}
