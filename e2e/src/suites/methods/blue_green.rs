//! A blue-green update: nobody meets the new version before the switch or the old one after it.

use anyhow::{Result, ensure};

use super::{SOON, WINDOW, finish};
use crate::kit::{Load, LoadSpec, Manifests, Stage, text, until};

/// The switch comes with a person's annotation.
pub(super) async fn switched(stage: Stage) -> Result<()> {
    let manifests = Manifests::cart()?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load("cart").await?;
    let first = subject.seen().await?.stable;
    stage.apply(&manifests.version("v2")?).await?;
    let waits = subject.becomes("waiting for a person", SOON, |seen| {
        seen.observed && seen.phase == "Paused" && seen.message == "BlueGreenPause" && seen.current != first
    });
    let second = waits.await?.current;
    // The preview has the new version alone, and those who use the Service have the old one.
    let preview = LoadSpec { name: format!("gate-{}", stage.place.namespace), ..preview(&stage) };
    let preview = Load::start(&stage.cluster, &preview).await?;
    preview.reaches("v2", SOON).await?;
    load.share("v2", 0, WINDOW).await?;
    selects(&stage, "cart", &first).await?;
    subject.annotate("serin.dev/promote", "switch").await?;
    subject.healthy(SOON).await?;
    load.reaches("v2", SOON).await?;
    load.share("v2", 100, WINDOW).await?;
    for service in ["cart", "cart-preview"] {
        selects(&stage, service, &second).await?;
    }
    until("the old pods are gone", SOON, || async {
        let old = stage.place.list("v1", "Pod", &format!("rollouts-pod-template-hash={first}")).await?;
        ensure!(old.is_empty(), "{} are there", old.len());
        Ok(())
    })
    .await?;
    load.share("v2", 100, WINDOW).await?;
    preview.all_answered().await?;
    finish(&stage, &load, &["v1", "v2"]).await
}

fn preview(stage: &Stage) -> LoadSpec {
    LoadSpec::mesh(&stage.place.namespace, "cart-preview")
}

/// A Service is restricted to the pods of a revision.
async fn selects(stage: &Stage, service: &str, hash: &str) -> Result<()> {
    let object = stage.place.get("v1", "Service", service).await?;
    let selected = text(&object, "/spec/selector/rollouts-pod-template-hash");
    ensure!(selected == hash, "{service} selects {selected:?}, not {hash}");
    Ok(())
}
