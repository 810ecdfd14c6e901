//! What an update may have left behind when it is over: everything once, and weights that only went forward.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::WEIGHTS;
use crate::kit::{Stage, Subject, Timeline, text, until};

/// How things were when an update began.
pub(super) struct Before {
    timeline: Timeline,
    /// How many weights had been seen.
    weights: usize,
    events: BTreeMap<String, i64>,
}

impl Before {
    pub(super) async fn note(stage: &Stage, subject: &Subject) -> Result<Self> {
        let timeline = stage.timeline.clone();
        Ok(Before { weights: timeline.weights().len(), timeline, events: events(stage, subject).await? })
    }

    /// Waits until the canary has had at least that weight in this update.
    pub(super) async fn reaches(&self, weight: i64) -> Result<()> {
        until(&format!("the canary has {weight} %"), Duration::from_secs(90), || async {
            let weights = self.weights();
            ensure!(weight == 0 || weights.iter().any(|seen| *seen >= weight), "its weights were {weights:?}");
            Ok(())
        })
        .await
    }

    /// The canary's weights since.
    fn weights(&self) -> Vec<i64> {
        self.timeline.weights().into_iter().skip(self.weights).map(|(_, weight)| weight).collect()
    }
}

/// Checks an update that is over, whose revision has that number.
pub(super) async fn checked(stage: &Stage, subject: &Subject, before: &Before, revision: usize) -> Result<()> {
    until("the weights have gone through every step and back to 0", Duration::from_secs(15), || async {
        before.timeline.went(before.weights, &WEIGHTS)
    })
    .await?;
    for (said, count) in events(stage, subject).await? {
        let times = count - before.events.get(&said).copied().unwrap_or_default();
        // There are two pauses, whose events do not say which.
        let most = if said.starts_with("RolloutPaused") || said.starts_with("RolloutResumed") { 2 } else { 1 };
        ensure!(times <= most, "“{said}” happened {times} times");
    }
    once(stage, subject, revision).await
}

/// One ReplicaSet, and at most one AnalysisRun, for each revision.
async fn once(stage: &Stage, subject: &Subject, revision: usize) -> Result<()> {
    let hash = subject.seen().await?.stable;
    let sets = stage.place.list("apps/v1", "ReplicaSet", "").await?;
    let mut revisions = BTreeMap::new();
    // A Deployment that is referred to has ReplicaSets of its own.
    let ours = sets.iter().filter(|set| text(set, "/metadata/ownerReferences/0/kind") == "Rollout");
    for set in ours {
        let number = text(set, "/metadata/annotations/rollout.argoproj.io~1revision");
        let name = text(set, "/metadata/name");
        let other = revisions.insert(number, name);
        ensure!(other.is_none(), "revision {number} has {name} and {other:?}");
    }
    let newest = revisions.get(revision.to_string().as_str()).copied().unwrap_or_default();
    ensure!(newest.ends_with(&hash), "revision {revision} is {newest:?}, and stable is {hash}: {revisions:?}");
    let analysed = subject.object().await?.pointer("/spec/strategy/canary/analysis").is_some();
    let runs = stage.place.list("argoproj.io/v1alpha1", "AnalysisRun", "").await?;
    let ours: Vec<_> = runs.iter().map(|run| text(run, "/metadata/name")).filter(|name| name.contains(&hash)).collect();
    ensure!(ours.len() == usize::from(analysed), "the AnalysisRuns of {hash} are {ours:?}");
    Ok(())
}

/// How often each event about the Rollout has happened.
async fn events(stage: &Stage, subject: &Subject) -> Result<BTreeMap<String, i64>> {
    let mut counts = BTreeMap::new();
    for event in stage.place.list("v1", "Event", "").await? {
        if text(&event, "/involvedObject/kind") == "Rollout" && text(&event, "/involvedObject/name") == subject.name {
            let said = format!("{}: {}", text(&event, "/reason"), text(&event, "/message"));
            *counts.entry(said).or_insert(0) += event["count"].as_i64().unwrap_or(1);
        }
    }
    Ok(counts)
}
