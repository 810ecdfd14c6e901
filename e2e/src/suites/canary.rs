//! A good version goes through every step; bad ones are caught, and stable is left alone.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::kit::{Case, Load, Manifests, Stage, Subject, text};

const SUITE: &str = "canary";
const LIMIT: Duration = Duration::from_secs(240);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(SUITE, "a good version passes every step", LIMIT, good).smoke(),
        Case::new(SUITE, "errors are caught", LIMIT, |stage| bad(stage, ("ERROR_RATE", "0.5"))).smoke(),
        Case::new(SUITE, "latency is caught", LIMIT, |stage| bad(stage, ("LATENCY", "900ms"))),
        Case::new(SUITE, "a version that never gets ready", LIMIT, never_ready),
        Case::new(SUITE, "a version that crashes after a while", LIMIT, crashing),
    ]
}

/// Bookinfo's shape with an analysis in the background from the first pause on.
fn reviews(stage: &Stage) -> Result<Manifests> {
    let host = format!("reviews.{}.svc.cluster.local", stage.place.namespace);
    Manifests::reviews()?.analysed(&host, 1)
}

async fn good(stage: Stage) -> Result<()> {
    let manifests = reviews(&stage)?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load("reviews").await?;
    let steps = [10, 20, 40, 60, 80];
    stage.apply(&manifests.version("v2")?).await?;
    for (index, weight) in steps.into_iter().enumerate() {
        subject.reaches(2 * index as i64 + 1, Duration::from_secs(60)).await?;
        let (hits, total) = load.share("v2", weight, Duration::from_secs(3)).await?;
        stage.figures.note(&format!("share at {weight:02} %"), format!("{hits}/{total}"));
    }
    subject.healthy(Duration::from_secs(60)).await?;
    let weights: Vec<i64> = stage.timeline.weights().into_iter().map(|(_, weight)| weight).collect();
    let (up, down) = weights.split_at(7.min(weights.len()));
    ensure!(up == [0, 10, 20, 40, 60, 80, 100], "weights were {weights:?}");
    // With role labels the pods of the canary become stable in turns.
    ensure!(down.is_sorted_by(|a, b| a > b) && down.last() == Some(&0), "weights were {weights:?}");
    stage.figures.note("weights", format!("{weights:?}"));
    finish(&stage, &load, &[("v1", "200"), ("v2", "200")]).await
}

async fn bad(stage: Stage, fault: (&'static str, &'static str)) -> Result<()> {
    let manifests =
        reviews(&stage)?.steps(json!([{"setWeight": 20}, {"pause": {"duration": "90s"}}, {"setWeight": 60}]))?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load("reviews").await?;
    stage.apply(&manifests.env(&[("VERSION", "v2"), fault])?).await?;
    subject.reaches(1, Duration::from_secs(60)).await?;
    let seen = subject.aborted(Duration::from_secs(90)).await?;
    stage.figures.note("message", &seen.message);
    ensure!(seen.message.contains("Metric"), "the message does not name the metric: {}", seen.message);
    untouched(&stage, &subject).await?;
    finish(&stage, &load, &[("v1", "200"), ("v2", "200"), ("v2", "500")]).await
}

async fn never_ready(stage: Stage) -> Result<()> {
    let manifests = reviews(&stage)?.set("Rollout", "/spec/progressDeadlineSeconds", 15.into())?;
    let manifests = manifests.set("Rollout", "/spec/progressDeadlineAbort", true.into())?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load("reviews").await?;
    stage.apply(&manifests.env(&[("VERSION", "v2"), ("READY_AFTER", "never")])?).await?;
    let seen = subject.aborted(Duration::from_secs(60)).await?;
    stage.figures.note("message", &seen.message);
    let weights: Vec<i64> = stage.timeline.weights().into_iter().map(|(_, weight)| weight).collect();
    ensure!(weights == [0], "it never may have had weight: {weights:?}");
    untouched(&stage, &subject).await?;
    finish(&stage, &load, &[("v1", "200")]).await
}

async fn crashing(stage: Stage) -> Result<()> {
    let manifests = reviews(&stage)?.steps(json!([{"setWeight": 50}, {"pause": {"duration": "120s"}}]))?;
    let manifests = manifests.replicas(2)?;
    let subject = stage.settled(&manifests).await?;
    let load = stage.load("reviews").await?;
    stage.apply(&manifests.env(&[("VERSION", "v2"), ("CRASH_AFTER", "12")])?).await?;
    let seen = subject.aborted(Duration::from_secs(150)).await?;
    stage.figures.note("message", &seen.message);
    untouched(&stage, &subject).await?;
    let counts = load.drain().await?;
    stage.figures.note("requests", counts.sent);
    // Requests in flight in a process that dies are lost; they say so.
    stage.figures.note("failed", format!("{:?}", counts.failed));
    Ok(())
}

/// After an abort: the pods of stable are those of before, none of them was ever less than ready.
async fn untouched(stage: &Stage, subject: &Subject) -> Result<()> {
    let stable = subject.seen().await?.stable;
    let restarts = subject.pods().await?.into_iter().filter(|pod| {
        text(pod, "/metadata/labels/rollouts-pod-template-hash") == stable
            && pod.pointer("/status/containerStatuses/0/restartCount").is_some_and(|count| *count != json!(0))
    });
    ensure!(restarts.count() == 0, "pods of stable were restarted");
    let left = stage.timeline.entries().into_iter().filter(|entry| {
        entry.kind == "Pod"
            && text(&entry.object, "/metadata/labels/rollouts-pod-template-hash") == stable
            && (entry.what.contains("leaving"))
    });
    ensure!(left.count() == 0, "pods of stable were deleted");
    Ok(())
}

/// Stops the load; every answer must be one of those expected, and nothing may have failed.
async fn finish(stage: &Stage, load: &Load, expected: &[(&str, &str)]) -> Result<()> {
    let counts = load.drain().await?;
    stage.figures.note("requests", counts.sent);
    ensure!(counts.failed_total() == 0, "requests failed: {:?}", counts.failed);
    for (version, statuses) in &counts.answered {
        for status in statuses.keys() {
            let fits = expected.iter().any(|(v, s)| v == version && *s == status.to_string());
            ensure!(fits, "{version} answered {status}: {:?}", counts.answered);
        }
    }
    Ok(())
}
