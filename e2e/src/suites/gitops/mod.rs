//! Git says what runs, and a tool applies it every few seconds: updates go on, and it is told who works against them.

mod repository;
mod rest;
mod tool;
mod witness;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::kit::{Case, Load, Manifests, Seen, Stage, Subject, text, until};
use repository::{Repository, objects};
use tool::{Tool, Way, kubectl};
use witness::{Overwrite, counted, overwrites, told};

const SUITE: &str = "gitops";
const LIMIT: Duration = Duration::from_secs(240);

/// Weights are back within this time after somebody else wrote.
const BACK_WITHIN: TimeDelta = TimeDelta::seconds(1);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(SUITE, "server side apply with force", LIMIT, |stage| {
            update(stage, Way::ServerSide, Manifests::shop())
        }),
        Case::new(SUITE, "three way apply", LIMIT, |stage| update(stage, Way::ThreeWay, Manifests::shop())),
        Case::new(SUITE, "server side apply with role labels", LIMIT, |stage| {
            update(stage, Way::ServerSide, Manifests::reviews())
        }),
        Case::new(SUITE, "replace strips the labels", LIMIT, replace),
        Case::new(SUITE, "routes applied in the hand over", LIMIT, hand_over),
    ]
}

/// A pause that passes, and one that waits for a commit.
fn steps() -> Value {
    json!([{"setWeight": 20}, {"pause": {"duration": "10s"}}, {"setWeight": 40}, {"pause": {}},
        {"setWeight": 60}, {"pause": {"duration": "6s"}}])
}

/// A version that comes by commit is promoted by commit, while a tool applies git's weights all the time.
async fn update(stage: Stage, way: Way, manifests: Result<Manifests>) -> Result<()> {
    let manifests = stage.own(&manifests?.steps(steps())?.replicas(3)?);
    let repository = Arc::new(Repository::make().await?);
    repository.commit(&manifests, "Run v1").await?;
    let tool = Tool::start(way, &repository, &stage.place);
    let subject = Subject { place: stage.place.clone(), name: manifests.rollout().to_owned() };
    until("the first version is there", Duration::from_secs(90), || subject.healthy(Duration::from_secs(1))).await?;
    let load = stage.load(&subject.name).await?;

    let second = manifests.version("v2")?;
    repository.commit(&second, "Run v2").await?;
    let waiting = subject.reaches(3, Duration::from_secs(60)).await?;
    let promotion = format!("{}:4", waiting.current);
    let promoted = second.clone().set("Rollout", "/metadata/annotations", json!({"serin.dev/promote": promotion}))?;
    // A few more applications meet the pause before the promotion.
    until("the weight was overwritten in the second pause", Duration::from_secs(15), || async {
        let found = overwrites(&stage.timeline.entries());
        ensure!(found.iter().filter(|it| it.weights == (40, 0)).count() >= 2, "{found:?}");
        Ok(())
    })
    .await?;
    ensure!(subject.seen().await?.step == 3, "it did not wait for the promotion");
    let asked = Utc::now();
    repository.commit(&promoted, "Promote v2").await?;
    subject.reaches(4, Duration::from_secs(20)).await?;
    stage.figures.note("promotion by commit", format!("{} ms", (Utc::now() - asked).num_milliseconds()));
    subject.healthy(Duration::from_secs(90)).await?;
    stage.figures.note("applications", tool.stop().await?);

    named(&stage, &subject, way).await?;
    at_rest(&stage, &subject, &repository, way).await?;
    finish(&stage, &load).await
}

/// Every overwrite was set right in time, and its author is in an event and in the metric.
async fn named(stage: &Stage, subject: &Subject, way: Way) -> Result<()> {
    let found = overwrites(&stage.timeline.entries());
    ensure!(found.len() >= 4, "there were only {} overwrites: {found:?}", found.len());
    let after: Option<Vec<TimeDelta>> = found.iter().map(|overwrite| overwrite.corrected_after).collect();
    let mut after = after.with_context(|| format!("an overwrite was not set right: {found:?}"))?;
    after.sort();
    let (median, longest) = (after[after.len() / 2], after[after.len() - 1]);
    stage.figures.note("overwrites", found.len());
    stage.figures.note(
        "weights back after",
        format!("{} ms (median), {} ms (longest)", median.num_milliseconds(), longest.num_milliseconds()),
    );
    ensure!(longest <= BACK_WITHIN, "weights were back only after {longest}: {found:?}");
    ensure!(found.iter().all(|overwrite: &Overwrite| overwrite.manager == way.manager()), "{found:?}");

    let events = told(stage, "TrafficOverwritten").await?;
    let (times, culprit) = (events.iter().map(|(_, count)| count).sum::<i64>(), way.culprit());
    ensure!(events.iter().all(|(message, _)| message.starts_with(&culprit)), "{events:?}");
    let expected =
        format!("{culprit} set the canary's weight in VirtualService {} from 40 to 0; 40 is wanted", subject.name);
    let of_pause = events.iter().find(|(message, _)| *message == expected).with_context(|| format!("{events:?}"))?;
    ensure!(of_pause.1 >= 2, "repeated overwrites are counted on one event: {events:?}");
    let counted = counted(stage, &subject.name, way.manager()).await?;
    stage.figures.note("told", format!("{} events for {times} overwrites, metric {counted}", events.len()));
    ensure!(counted >= found.len() as u64, "the metric says {counted}, the record {}", found.len());
    Ok(())
}

/// Nothing differs from git but what the guide names; with `kubectl diff` as a second opinion.
async fn at_rest(stage: &Stage, subject: &Subject, repository: &Repository, way: Way) -> Result<()> {
    let folder = repository.pull().await?;
    let git = objects(&folder)?;
    let differences = until("the cluster is as git says", Duration::from_secs(20), || async {
        let differences = rest::agrees(&stage.place, &git).await?;
        ensure!(differences.iter().any(|one| one.ends_with("pod-template-hash")), "no label at rest: {differences:?}");
        Ok(differences)
    })
    .await?;
    stage.figures.note("differs from git", differences.into_iter().collect::<Vec<_>>().join(", "));
    let handled = subject.object().await?.pointer("/status/serin/handledCommands").cloned().unwrap_or_default();
    ensure!(handled.to_string().contains("promoted past step 4 of 6"), "the promotion is not recorded: {handled}");
    let words: &[&str] = match way {
        Way::ServerSide => &["diff", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller"],
        Way::ThreeWay => &["diff"],
    };
    let diff = kubectl(&stage.place, words, &folder).await?;
    let changes = diff.lines().filter(|line| {
        (line.starts_with('+') || line.starts_with('-')) && !line.starts_with("+++") && !line.starts_with("---")
    });
    for line in changes {
        let is_known = line.contains("rollouts-pod-template-hash:") || line[1..].trim().starts_with("generation:");
        ensure!(is_known, "kubectl diff shows {line:?} in\n{diff}");
    }
    Ok(())
}

/// Somebody replaces the DestinationRule and the VirtualService by those of git in mid-canary, one after the other.
async fn replace(stage: Stage) -> Result<()> {
    let manifests = stage.own(&Manifests::shop()?.steps(json!([{"setWeight": 40}, {"pause": {}}]))?.replicas(3)?);
    let repository = Repository::make().await?;
    repository.commit(&manifests, "Run v1").await?;
    let folder = repository.pull().await?;
    kubectl(&stage.place, &["create"], &folder).await?;
    let subject = Subject { place: stage.place.clone(), name: manifests.rollout().to_owned() };
    until("the first version is there", Duration::from_secs(90), || subject.healthy(Duration::from_secs(1))).await?;
    let load = stage.load(&subject.name).await?;
    stage.apply(&manifests.version("v2")?).await?;
    subject.reaches(1, Duration::from_secs(60)).await?;
    let file = |kind: &str| folder.join(format!("{kind}-shop.yaml"));
    let began = Utc::now();
    for _ in 0..3 {
        kubectl(&stage.place, &["replace"], &file("destinationrule")).await?;
        restricted(&subject).await?;
    }
    stage.figures.note("labels back three times within", format!("{} ms", (Utc::now() - began).num_milliseconds()));
    let moved = stage.timeline.weights().into_iter().filter(|(at, _)| *at > began).count();
    ensure!(moved == 0, "stripped labels moved weights: {:?}", stage.timeline.weights());
    for _ in 0..2 {
        kubectl(&stage.place, &["replace"], &file("virtualservice")).await?;
        kubectl(&stage.place, &["replace"], &file("destinationrule")).await?;
        restricted(&subject).await?;
        until("the weight is back", Duration::from_secs(5), || async {
            ensure!(subject.weights().await? == (60, 40), "{:?}", subject.weights().await?);
            Ok(())
        })
        .await?;
    }
    let found = overwrites(&stage.timeline.entries());
    let longest = found.iter().filter_map(|it| it.corrected_after).max().unwrap_or_default();
    stage.figures.note("weights back after", format!("{} ms (longest)", longest.num_milliseconds()));
    ensure!(found.len() == 2 && longest <= BACK_WITHIN, "{found:?}");
    let (hits, total) = load.share("v2", 40, Duration::from_secs(3)).await?;
    stage.figures.note("share after", format!("{hits}/{total}"));
    subject.annotate("serin.dev/promote", &format!("{}:2", subject.seen().await?.current)).await?;
    subject.healthy(Duration::from_secs(60)).await?;
    finish(&stage, &load).await
}

/// A tool applies git's VirtualService while pods change their role after a promotion: once before the stable side is
/// pointed at the promoted pods, and once, in the next update, right after.
async fn hand_over(stage: Stage) -> Result<()> {
    let manifests = stage.own(&Manifests::reviews()?.steps(json!([{"setWeight": 50}]))?.replicas(3)?);
    let subject = stage.settled(&manifests).await?;
    let load = stage.load(&subject.name).await?;
    let routes: Vec<Value> = manifests.0.iter().filter(|object| object["kind"] == "VirtualService").cloned().collect();
    for (version, when) in [("v2", "before"), ("v3", "after")] {
        let before = subject.seen().await?.stable;
        stage.apply(&manifests.clone().version(version)?).await?;
        let promoted = |seen: &Seen| seen.observed && seen.current == seen.stable && seen.stable != before;
        let seen = subject.becomes("promoted", Duration::from_secs(60), promoted).await?;
        if when == "after" {
            until("the stable side is pointed at the new pods", Duration::from_secs(30), || async {
                let hash = stable_hash(&subject).await?;
                ensure!(hash == seen.current, "it is pointed at {hash}");
                Ok(())
            })
            .await?;
        }
        let canary = subject.weights().await?.1;
        stage.cluster.apply(&routes, &stage.place.namespace, Way::ServerSide.manager()).await?;
        ensure!(canary > 0, "the hand-over was over before the tool came");
        stage.figures.note(&format!("applied {when} the switch"), format!("at {canary} %"));
        subject.healthy(Duration::from_secs(60)).await?;
    }
    finish(&stage, &load).await
}

/// The hash that the stable side is restricted to; empty if it is to none.
async fn stable_hash(subject: &Subject) -> Result<String> {
    let rule = subject.place.get("networking.istio.io/v1", "DestinationRule", &subject.name).await?;
    Ok(text(&rule, "/spec/subsets/0/labels/rollouts-pod-template-hash").to_owned())
}

/// Waits until the two subsets are restricted to the two revisions.
async fn restricted(subject: &Subject) -> Result<()> {
    until("the labels are back", Duration::from_secs(5), || async {
        let rule = subject.place.get("networking.istio.io/v1", "DestinationRule", &subject.name).await?;
        let seen = subject.seen().await?;
        let hash =
            |index: usize| text(&rule, &format!("/spec/subsets/{index}/labels/rollouts-pod-template-hash")).to_owned();
        ensure!((hash(0), hash(1)) == (seen.stable, seen.current), "{}", rule["spec"]["subsets"]);
        Ok(())
    })
    .await
}

/// Stops the load; every request was answered by a version, and rightly.
async fn finish(stage: &Stage, load: &Load) -> Result<()> {
    let counts = load.drain().await?;
    stage.figures.note("requests", counts.sent);
    stage.figures.note("failed", format!("{:?}", counts.failed));
    ensure!(counts.failed_total() == 0, "requests failed: {:?}", counts.failed);
    let wrong = counts.answered.values().flat_map(|statuses| statuses.keys()).any(|status| status.to_string() != "200");
    ensure!(!wrong, "{:?}", counts.answered);
    Ok(())
}
