//! A Rollout under load, and what became of the requests during each thing that happened to it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use serin_workload::{Counts, STALE_CONNECTION};

use crate::kit::{Load, Manifests, Stage, Subject, is_serving, text, until};

use super::event::Cost;

/// How long anything may take that is waited for.
pub(super) const LIMIT: Duration = Duration::from_secs(90);

/// How the subsets tell the pods apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// By the pod hash alone.
    Hash,
    /// By labels of the two roles, which pods change at a promotion.
    Role,
}

impl Shape {
    /// Manifests of this shape whose steps wait at 20 % and at 60 % until they are promoted. Envoy tries nothing twice,
    /// and pods without traffic go after
    /// `delay` seconds.
    pub(super) fn manifests(self, replicas: u32, delay: u32) -> Result<Manifests> {
        let manifests = match self {
            Shape::Hash => Manifests::shop()?,
            Shape::Role => Manifests::reviews()?,
        };
        let canary = "/spec/strategy/canary";
        manifests
            .set("VirtualService", "/spec/http/0/retries", json!({"attempts": 0}))?
            .set("Rollout", &format!("{canary}/scaleDownDelaySeconds"), delay.into())?
            .set("Rollout", &format!("{canary}/abortScaleDownDelaySeconds"), delay.into())?
            .steps(json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]))?
            .replicas(replicas)
    }
}

/// The index of the pause at 20 %, and of that at 60 %.
pub(super) const PAUSES: [i64; 2] = [1, 3];

/// A Rollout under load.
pub(super) struct Run {
    pub(super) stage: Stage,
    pub(super) manifests: Manifests,
    pub(super) subject: Subject,
    /// The leader that was killed in this event.
    pub(super) killed: Option<String>,
    replicas: usize,
    load: Load,
    version: u32,
    tokens: u32,
    counted: Counts,
    lost: Vec<String>,
}

impl Run {
    /// A Healthy first version with load on it.
    pub(super) async fn begin(stage: Stage, manifests: Manifests) -> Result<Self> {
        let subject = stage.settled(&manifests).await?;
        let load = stage.load(&subject.name).await?;
        let counted = load.counts().await?;
        let replicas =
            only(&manifests, "Rollout")?["spec"]["replicas"].as_u64().context("the fixture says how many")?;
        let replicas = usize::try_from(replicas)?;
        let (killed, lost) = (None, Vec::new());
        Ok(Run { stage, manifests, subject, killed, replicas, load, version: 1, tokens: 0, counted, lost })
    }

    /// Applies the next version, as the author of the workload does, and waits until it is what is rolled out.
    pub(super) async fn update(&mut self) -> Result<()> {
        self.version += 1;
        self.apply_version(self.version).await
    }

    /// Applies the version before the last.
    pub(super) async fn roll_back(&mut self) -> Result<()> {
        self.version -= 1;
        self.apply_version(self.version).await
    }

    async fn apply_version(&self, version: u32) -> Result<()> {
        let before = self.subject.seen().await?.current;
        let mut workload = self.manifests.clone().version(&format!("v{version}"))?;
        workload.0.retain(|object| object["kind"] == "Rollout" || object["kind"] == "Deployment");
        self.stage.apply(&workload).await?;
        self.subject.becomes("at another revision", LIMIT, |seen| seen.observed && seen.current != before).await?;
        Ok(())
    }

    /// Waits for a pause, and until the routes have its weight.
    pub(super) async fn pause(&self, pause: usize) -> Result<()> {
        self.subject.reaches(PAUSES[pause], LIMIT).await?;
        let weights = [(80, 20), (40, 60)][pause];
        self.weights(weights).await
    }

    /// Waits until the routes have these weights.
    pub(super) async fn weights(&self, wanted: (i64, i64)) -> Result<()> {
        until(&format!("the weights are {wanted:?}"), LIMIT, || async {
            let weights = self.subject.weights().await?;
            ensure!(weights == wanted, "they are {weights:?}");
            Ok(())
        })
        .await
    }

    /// An annotation that commands something, with a token that was never used.
    pub(super) async fn command(&mut self, command: &str) -> Result<()> {
        self.tokens += 1;
        self.subject.annotate(&format!("serin.dev/{command}"), &format!("token {}", self.tokens)).await
    }

    /// Waits until the newest revision is Healthy, and nothing moves any more.
    pub(super) async fn settled(&self) -> Result<()> {
        self.subject.healthy(LIMIT).await?;
        self.quiet().await
    }

    /// Waits until there are only ready pods of the stable revision, as many as the Rollout wants at the beginning, and
    /// the canary's weight is 0.
    pub(super) async fn quiet(&self) -> Result<()> {
        self.weights((100, 0)).await?;
        let stable = self.subject.seen().await?.stable;
        until("only pods of stable are left", LIMIT, || async {
            let pods = self.subject.pods().await?;
            let fitting = pods.iter().filter(|pod| hash(pod) == stable && is_serving(pod)).count();
            ensure!(fitting == pods.len() && fitting == self.replicas, "{fitting} of {} pods", pods.len());
            Ok(())
        })
        .await
    }

    /// Waits until the Rollout has that number of serving pods of a revision.
    pub(super) async fn serving(&self, revision: &str, count: usize) -> Result<()> {
        until(&format!("{count} pods serve"), LIMIT, || async {
            let serving = self.pods(revision).await?.len();
            ensure!(serving == count, "{serving} do");
            Ok(())
        })
        .await
    }

    /// Names of the serving pods of a revision.
    pub(super) async fn pods(&self, revision: &str) -> Result<Vec<String>> {
        let pods = self.subject.pods().await?;
        let serving = pods.iter().filter(|pod| hash(pod) == revision && is_serving(pod));
        Ok(serving.map(|pod| text(pod, "/metadata/name").to_owned()).collect())
    }

    /// Notes what became of the requests since the last account, under the name of what happened since.
    pub(super) async fn account(&mut self, event: &str, cost: Cost) -> Result<()> {
        if let Some(killed) = self.killed.take() {
            let leader = self.stage.serin.leader().await?;
            ensure!(leader != killed, "{event}: {leader} still leads");
        }
        let counts = self.load.counts().await?;
        let during = counts.minus(&self.counted);
        let from = self.counted.sent;
        self.counted = counts;
        self.stage.figures.note(event, figure(&during));
        if lost(&during, cost) > 0 {
            let seconds = self.failing_seconds().await?;
            self.lost.push(format!("{event}: {:?}, since request {from}; by second: {seconds}", during.failed));
        }
        Ok(())
    }

    /// Every second of the run in which a request failed.
    async fn failing_seconds(&self) -> Result<String> {
        let seconds = self.load.seconds(0).await?;
        let failing = seconds.into_iter().filter(|second| !second.failed.is_empty());
        let texts = failing.map(|second| {
            let time = i64::try_from(second.second).ok().and_then(|at| chrono::DateTime::from_timestamp(at, 0));
            let time = time.map_or(String::new(), |time| time.format("%H:%M:%S").to_string());
            format!("{time} {}", second.failed.values().sum::<u64>())
        });
        Ok(texts.collect::<Vec<_>>().join(", "))
    }

    /// Ends the load, whatever was lost.
    pub(super) async fn end(self) -> Result<Counts> {
        self.load.drain().await
    }

    /// Ends the load; no request may have been lost in any of the events.
    pub(super) async fn finish(mut self) -> Result<()> {
        self.account("the end", Cost::Nothing).await?;
        let counts = self.load.drain().await?;
        ensure!(self.lost.is_empty(), "requests were lost: {}", self.lost.join("; "));
        let since = counts.minus(&self.counted);
        ensure!(lost(&since, Cost::Nothing) == 0, "requests were lost at the end: {:?}", since.failed);
        ensure!(counts.answered_total() > 0, "nothing was answered");
        Ok(())
    }
}

/// What finds nobody in a second at a third of the load: traffic has to leave a side without pods sooner than that. A new
/// pod takes longer.
const WITHOUT_ENDPOINT_MAX: u64 = 33;

/// Failures but those of connections that an idle server closed, which no route can prevent, and but what it costs anyway.
fn lost(counts: &Counts, cost: Cost) -> u64 {
    let all: u64 = counts.failed.iter().filter(|(cause, _)| *cause != STALE_CONNECTION).map(|(_, count)| count).sum();
    let without_endpoint = counts.failed.get("no-healthy-upstream (503)").copied().unwrap_or_default();
    match cost {
        Cost::RequestsWithoutEndpoint if without_endpoint <= WITHOUT_ENDPOINT_MAX => all - without_endpoint,
        Cost::RequestsWithoutEndpoint | Cost::Nothing => all,
    }
}

/// Requests sent, and failures by cause.
pub(super) fn figure(counts: &Counts) -> String {
    if counts.failed.is_empty() {
        return format!("{} sent, 0 failed", counts.sent);
    }
    format!("{} sent, failed {:?}", counts.sent, counts.failed)
}

fn hash(pod: &Value) -> &str {
    text(pod, "/metadata/labels/rollouts-pod-template-hash")
}

/// The object of a kind, to be applied alone.
pub(super) fn only(manifests: &Manifests, kind: &str) -> Result<Value> {
    manifests.0.iter().find(|object| object["kind"] == kind).cloned().with_context(|| format!("no {kind}"))
}
