//! `restartAt`: every pod is replaced, and nobody who calls notices.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use chrono::{TimeDelta, Utc};
use serde_json::json;

use super::{SOON, finish};
use crate::kit::{Manifests, Stage, Subject, is_serving, text, until};

/// Once with nothing else going on, once while the canary has a share.
pub(super) async fn replaced(stage: Stage) -> Result<()> {
    let manifests = Manifests::shop()?.untried()?.steps(json!([{"setWeight": 50}, {"pause": {}}]))?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load("shop").await?;
    restart(&subject).await?;
    load.share("v1", 100, super::WINDOW).await?;

    stage.apply(&manifests.version("v2")?).await?;
    subject.reaches(1, SOON).await?;
    restart(&subject).await?;
    let (hits, total) = load.share("v2", 50, super::WINDOW).await?;
    stage.figures.note("share at 50 % after the restart", format!("{hits}/{total}"));
    subject.annotate("serin.dev/promote", "go").await?;
    subject.healthy(SOON).await?;
    finish(&stage, &load, &["v1", "v2"]).await
}

/// Asks for a restart of all pods, and waits until none of those of before is left and as many serve.
async fn restart(subject: &Subject) -> Result<()> {
    let before = names(subject).await?;
    // No pod of this second may be taken for a younger one.
    let at = (Utc::now() + TimeDelta::seconds(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    subject.merge(json!({"spec": {"restartAt": at}})).await?;
    until("every pod is another one", SOON, || async {
        let object = subject.object().await?;
        let done = text(&object, "/status/restartedAt");
        ensure!(done == at, "restarted at {done:?}, asked for at {at}");
        let now = names(subject).await?;
        ensure!(now.len() == before.len() && now.is_disjoint(&before), "{now:?} after {before:?}");
        Ok(())
    })
    .await
}

async fn names(subject: &Subject) -> Result<BTreeSet<String>> {
    let pods = subject.pods().await?;
    let serving = pods.iter().filter(|pod| is_serving(pod));
    Ok(serving.map(|pod| text(pod, "/metadata/name").to_owned()).collect())
}
