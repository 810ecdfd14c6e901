//! A right that somebody takes away is missed, and nothing else goes wrong: what the other suites' checks of rights rest on.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::tools::install;
use super::{HASH, lossless, running, update};
use crate::kit::{Stage, hold, text, until};

const ROLES: (&str, &str) = ("rbac.authorization.k8s.io/v1", "ClusterRole");

pub(super) async fn taken_away(stage: Stage) -> Result<()> {
    install(&stage).await?;
    let (manifests, subject, load) = running(&stage, json!({})).await?;
    update(&stage, &manifests, "v2").await?;
    subject.reaches(1, Duration::from_secs(60)).await?;
    let refusals = stage.serin.refusals().await?;
    ensure!(refusals.is_empty(), "refused before anything was taken away: {refusals:?}");
    let rules = rules(&stage).await?;
    grant(&stage, &without_patching_routes(&rules)).await?;
    subject.annotate("serin.dev/promote", "past the first pause").await?;
    until("the refusal shows in metrics and log", Duration::from_secs(60), || async {
        let refusals = stage.serin.refusals().await?;
        let shows = |word: &str| refusals.iter().any(|line| line.contains(word));
        ensure!(shows("status_code=\"403\"") && shows("virtualservices"), "refused: {refusals:?}");
        Ok(())
    })
    .await?;
    hold("weights and pods stay", Duration::from_secs(5), || async {
        let weights = subject.weights().await?;
        let canary = subject.seen().await?.current;
        let pods = stage.place.list("v1", "Pod", &format!("{HASH}={canary}")).await?;
        ensure!(weights == (80, 20) && !pods.is_empty(), "weights are {weights:?}, with {} pods", pods.len());
        Ok(())
    })
    .await?;
    let events = stage.place.list("v1", "Event", "").await?;
    let told = events.iter().find(|event| event["reason"] == "WriteRefused").context("no event tells of it")?;
    stage.figures.note("event", text(told, "/message"));
    grant(&stage, &rules).await?;
    subject.reaches(3, Duration::from_secs(90)).await?;
    subject.annotate("serin.dev/promote", "past the second pause").await?;
    subject.healthy(Duration::from_secs(60)).await?;
    lossless(&stage, &load).await
}

/// The rights of the release.
async fn rules(stage: &Stage) -> Result<Value> {
    let role = stage.cluster.get(ROLES.0, ROLES.1, "", &role(stage)).await?;
    role.get("rules").cloned().context("the role has no rules")
}

async fn grant(stage: &Stage, rules: &Value) -> Result<()> {
    let roles = stage.cluster.api(ROLES.0, ROLES.1, "").await?;
    let patch = Patch::Merge(json!({"rules": rules}));
    roles.patch(&role(stage), &PatchParams::default(), &patch).await?;
    Ok(())
}

fn role(stage: &Stage) -> String {
    format!("serin-{}", stage.serin.namespace)
}

fn without_patching_routes(rules: &Value) -> Value {
    let mut rules = rules.clone();
    for rule in rules.as_array_mut().into_iter().flatten() {
        if rule["apiGroups"] == json!(["networking.istio.io"]) {
            rule["verbs"] = json!(["get", "list", "watch"]);
        }
    }
    rules
}
