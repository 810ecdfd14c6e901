//! What people type: Serin's own command line against a real API server.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::tools::{install, serin};
use super::{allowed, lossless, running, update};
use crate::kit::Stage;

/// Long enough for a controller on a busy machine.
const SOON: Duration = Duration::from_secs(60);

pub(super) async fn command_line(stage: Stage) -> Result<()> {
    install(&stage).await?;
    let (manifests, subject, load) = running(&stage, json!({})).await?;
    says(&stage, &["get", "rollout", "shop"], &["Healthy", "revision 1"]).await?;
    update(&stage, &manifests, "v2").await?;
    subject.reaches(1, SOON).await?;
    says(&stage, &["get", "rollout", "shop"], &["Paused", "20 %", "revision 2", "WaitingForPromotion"]).await?;
    says(&stage, &["promote", "shop"], &["promoted"]).await?;
    subject.reaches(3, SOON).await?;
    // One right after the other: the controller writes in between.
    says(&stage, &["pause", "shop"], &["paused"]).await?;
    says(&stage, &["abort", "shop"], &["aborted"]).await?;
    subject.becomes("aborted", SOON, |seen| seen.aborted).await?;
    says(&stage, &["promote", "shop"], &["spec.paused is false"]).await?;
    subject.aborted(SOON).await?;
    says(&stage, &["get", "rollout", "shop"], &["Degraded"]).await?;
    says(&stage, &["retry", "rollout", "shop"], &["starts again"]).await?;
    subject.reaches(1, SOON).await?;
    says(&stage, &["promote", "rollout/shop", "--full"], &["fully promoted"]).await?;
    subject.healthy(SOON).await?;
    says(&stage, &["get", "rollout", "shop", "-o", "json"], &["\"phase\": \"Healthy\""]).await?;
    let Err(complaint) = serin(&stage, &["promote", "nobody"]).await else { anyhow::bail!("nobody was promoted") };
    ensure!(format!("{complaint:#}").contains("not found"), "it complains: {complaint:#}");
    allowed(&stage).await?;
    lossless(&stage, &load).await
}

/// Runs it, and looks for words in what it says.
async fn says(stage: &Stage, arguments: &[&str], words: &[&str]) -> Result<()> {
    let said = serin(stage, arguments).await?;
    for word in words {
        ensure!(said.contains(word), "serin {} does not say “{word}”: {said}", arguments.join(" "));
    }
    Ok(())
}
