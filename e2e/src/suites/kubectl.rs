//! What people type: plain kubectl against the definitions and a Rollout.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde_json::json;
use tokio::process::Command;

use crate::kit::{Case, Manifests, Seen, Stage};

const SUITE: &str = "kubectl";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(SUITE, "watch promote and wait", Duration::from_secs(120), by_hand).smoke(),
        Case::new(SUITE, "bad manifests are refused", Duration::from_secs(60), refused).smoke(),
    ]
}

/// Runs kubectl in the case's namespace; its output, or its complaint as the error.
async fn kubectl(stage: &Stage, arguments: &[&str]) -> Result<String> {
    let endpoints = &stage.cluster.endpoints;
    let mut command = Command::new(&endpoints.kubectl);
    command.arg("--kubeconfig").arg(&endpoints.kubeconfig).args(["--namespace", &stage.place.namespace]);
    let output = command.args(arguments).output().await?;
    ensure!(output.status.success(), "kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

async fn by_hand(stage: Stage) -> Result<()> {
    let manifests = Manifests::shop()?.steps(json!([{"setWeight": 30}, {"pause": {}}]))?;
    let subject = stage.settled(&manifests).await?;
    kubectl(&stage, &["wait", "rollout/shop", "--for=condition=Healthy", "--timeout=30s"]).await?;
    stage.apply(&manifests.version("v2")?).await?;
    subject.reaches(1, Duration::from_secs(60)).await?;
    let table = kubectl(&stage, &["get", "rollouts"]).await?;
    ensure!(table.starts_with("NAME") && table.contains("DESIRED"), "no columns: {table}");
    let weights = subject.weights().await?;
    ensure!(weights == (70, 30), "weights are {weights:?}");
    kubectl(&stage, &["annotate", "rollout", "shop", "serin.dev/promote=go"]).await?;
    kubectl(&stage, &["wait", "rollout/shop", "--for=condition=Completed", "--timeout=60s"]).await?;
    subject.healthy(Duration::from_secs(30)).await?;
    let handled =
        kubectl(&stage, &["get", "rollout", "shop", "-o", "jsonpath={.status.serin.handledCommands}"]).await?;
    ensure!(handled.contains("promoted past step 2 of 2"), "the command is not on record: {handled}");
    let described = kubectl(&stage, &["describe", "rollout", "shop"]).await?;
    ensure!(described.contains("RolloutCompleted"), "no event of the completion: {described}");
    let explained = kubectl(&stage, &["explain", "rollout.spec.strategy.canary.steps"]).await?;
    ensure!(explained.contains("setWeight"), "the schema says nothing of steps: {explained}");
    kubectl(&stage, &["scale", "rollout", "shop", "--replicas=3"]).await?;
    subject.becomes("scaled", Duration::from_secs(30), |seen| seen.observed && seen.phase == "Healthy").await?;
    ensure!(
        kubectl(&stage, &["get", "rollout", "shop", "-o", "jsonpath={.spec.replicas}"]).await? == "3",
        "not scaled"
    );
    kubectl(&stage, &["delete", "rollout", "shop", "--timeout=30s"]).await?;
    Ok(())
}

/// What the schema can tell is refused at once; what it cannot is said in the status, and traffic stays where it was.
async fn refused(stage: Stage) -> Result<()> {
    let manifests = Manifests::shop()?;
    let subject = stage.settled(&manifests).await?;
    let typed = manifests.clone().steps(json!([{"setWeight": "half"}]))?;
    let Err(refusal) = stage.apply(&typed).await else { bail!("a weight that is a word was accepted") };
    let refusal = format!("{refusal:#}");
    ensure!(refusal.contains("steps[0].setWeight"), "the refusal does not name the field: {refusal}");
    stage.apply(&manifests.version("v2")?.steps(json!([{"setWeight": 101}]))?).await?;
    let invalid =
        |seen: &Seen| seen.observed && seen.phase == "Degraded" && seen.message.contains("steps[0].setWeight");
    let seen = subject.becomes("found invalid", Duration::from_secs(30), invalid).await?;
    stage.figures.note("message", &seen.message);
    let weights = subject.weights().await?;
    ensure!(weights == (100, 0), "weights are {weights:?}");
    Ok(())
}
