//! A real SkyWalking server decides: good versions are promoted, bad ones aborted, and while it is away nothing moves.

mod feed;
mod server;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use chrono::Utc;
use serde_json::{Value, json};

use crate::kit::{Case, Load, Manifests, Stage, Subject, hold, text, until, yaml};
use feed::{CANARY, Feed, STABLE};
use server::Server;

const SUITE: &str = "skywalking";
const LIMIT: Duration = Duration::from_secs(480);

/// The template's own five minutes are shortened to this.
const INTERVAL: &str = "10s";

/// The template of bookinfo's acceptance.
const APDEX: &str = include_str!("../../fixtures/apdex.yaml");

const TODAY: Server = Server { version: "10.1.0", zone: "UTC", offset: "+0000" };
const IN_INDIA: Server = Server { version: "10.1.0", zone: "Asia/Kolkata", offset: "+0530" };
const NINE: Server = Server { version: "9.2.0", zone: "UTC", offset: "+0000" };

const ERRORS: (&str, &str) = ("ERROR_RATE", "0.5");
const LATENCY: (&str, &str) = ("LATENCY", "900ms");

/// The servers that differ come first, so that the usual one runs when all is over.
pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(SUITE, "a good version by a server of version 9", LIMIT, |stage| good(stage, NINE)),
        Case::new(SUITE, "a bad version by a server of version 9", LIMIT, |stage| bad(stage, NINE, ERRORS)),
        Case::new(SUITE, "a good version in another time zone", LIMIT, |stage| good(stage, IN_INDIA)),
        Case::new(SUITE, "a slow version in another time zone", LIMIT, |stage| bad(stage, IN_INDIA, LATENCY)),
        Case::new(SUITE, "a good version is promoted", LIMIT, |stage| good(stage, TODAY)).smoke(),
        Case::new(SUITE, "a bad version is aborted", LIMIT, |stage| bad(stage, TODAY, ERRORS)).smoke(),
        Case::new(SUITE, "nothing is promoted without traffic", LIMIT, silent),
        Case::new(SUITE, "a server that stops in mid canary", LIMIT, away),
    ]
}

async fn good(stage: Stage, server: Server) -> Result<()> {
    let play = Play::begin(
        &stage,
        server,
        json!([
            {"setWeight": 20}, {"pause": {"duration": "8s"}}, {"setWeight": 50}, {"pause": {"duration": "8s"}}
        ]),
    )
    .await?;
    let (subject, feed) = (play.update(&[]).await?, play.feed());
    feed.during(subject.healthy(Duration::from_secs(120))).await?;
    stage.timeline.went(0, &[0, 20, 50, 100])?;
    play.judged(&["Successful"]).await?;
    play.finish(&[(STABLE, 200), (CANARY, 200)]).await
}

async fn bad(stage: Stage, server: Server, fault: (&str, &str)) -> Result<()> {
    let steps = json!([{"setWeight": 20}, {"pause": {"duration": "120s"}}, {"setWeight": 50}]);
    let play = Play::begin(&stage, server, steps).await?;
    let stable = play.pods().await?;
    let (subject, feed) = (play.update(&[fault]).await?, play.feed());
    let seen = feed.during(subject.aborted(Duration::from_secs(110))).await?;
    stage.figures.note("message", &seen.message);
    ensure!(seen.message.contains("apdex"), "the message does not name the metric: {}", seen.message);
    // The status says it first.
    until("the routes follow the abort", Duration::from_secs(2), || async { stage.timeline.went(0, &[0, 20]) }).await?;
    play.judged(&["Failed"]).await?;
    let now = play.pods().await?;
    ensure!(stable.iter().all(|pod| now.contains_key(pod.0) && now[pod.0] == *pod.1), "{stable:?} became {now:?}");
    play.finish(&[(STABLE, 200), (CANARY, 200), (CANARY, 500)]).await
}

/// Nobody asks the canary for anything, and SkyWalking has never heard of it.
async fn silent(stage: Stage) -> Result<()> {
    let service = service();
    let manifests = manifests(&service, json!([{"setWeight": 20}, {"pause": {"duration": "5s"}}]))?;
    let (subject, _) = tokio::try_join!(stage.settled(&manifests), TODAY.run(&stage.cluster))?;
    stage.apply(&manifests.version(CANARY)?).await?;
    let says = |message: &str| message.contains("metric apdex") && message.contains(&service);
    let seen = subject.becomes("held", Duration::from_secs(60), |seen| says(&seen.message)).await?;
    stage.figures.note("message", &seen.message);
    stands(&subject, Duration::from_secs(30), says).await?;
    let phases = phases(&measurements(&stage).await?);
    ensure!(phases.len() > 2 && phases.iter().all(|phase| phase == "no-data"), "measured were {phases:?}");
    Ok(())
}

async fn away(stage: Stage) -> Result<()> {
    // Shorter than the server stays away.
    let steps = json!([
        {"setWeight": 20}, {"pause": {"duration": "30s"}}, {"setWeight": 50}, {"pause": {"duration": "5s"}}
    ]);
    let play = Play::begin(&stage, TODAY, steps).await?;
    let (subject, feed) = (play.update(&[]).await?, play.feed());
    let first = until("the first measurement succeeds", Duration::from_secs(60), || async {
        let phases = phases(&measurements(&stage).await?);
        ensure!(phases.iter().any(|phase| phase == "Successful"), "measured were {phases:?}");
        Ok(())
    });
    feed.during(first).await?;
    TODAY.stop(&stage.cluster).await?;
    let stopped = Instant::now();
    let says = |message: &str| message.contains("metric apdex") && message.contains("http://oap.istio-system:12800");
    let seen = subject.becomes("held", Duration::from_secs(30), |seen| says(&seen.message)).await?;
    stage.figures.note("held after", format!("{:.1} s", stopped.elapsed().as_secs_f64()));
    stage.figures.note("message", &seen.message);
    stands(subject, Duration::from_secs(35), says).await?;
    TODAY.run(&stage.cluster).await?;
    feed.during(subject.healthy(Duration::from_secs(120))).await?;
    stage.timeline.went(0, &[0, 20, 50, 100])?;
    let phases = phases(&measurements(&stage).await?);
    ensure!(phases.iter().any(|phase| phase == "source-down"), "measured were {phases:?}");
    ensure!(!phases.iter().any(|phase| phase == "Failed"), "measured were {phases:?}");
    play.finish(&[(STABLE, 200), (CANARY, 200)]).await
}

/// Nothing moves for a time: the step is the first pause, the weight is 20, and the message goes on saying why.
async fn stands(subject: &Subject, time: Duration, says: impl Fn(&str) -> bool) -> Result<()> {
    let says = &says;
    hold("the rollout stands still", time, || async move {
        let (seen, weights) = (subject.seen().await?, subject.weights().await?);
        ensure!(seen.step == 1 && !seen.aborted && weights == (80, 20), "weights are {weights:?}, {seen:?}");
        ensure!(says(&seen.message), "the message is “{}”", seen.message);
        Ok(())
    })
    .await
}

/// A Rollout under load, and the server that is to judge it.
struct Play {
    stage: Stage,
    server: Server,
    manifests: Manifests,
    subject: Subject,
    load: Load,
    feed: Feed,
}

impl Play {
    /// The first version runs and has load.
    async fn begin(stage: &Stage, server: Server, steps: Value) -> Result<Self> {
        let service = service();
        let manifests = manifests(&service, steps)?;
        let (subject, oap) = tokio::try_join!(stage.settled(&manifests), server.run(&stage.cluster))?;
        let load = stage.load("reviews").await?;
        let feed = Feed::new(&stage.place, &oap, &load, &service);
        Ok(Play { stage: stage.clone(), server, manifests, subject, load, feed })
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Applies the second version with these faults.
    async fn update(&self, faults: &[(&str, &str)]) -> Result<&Subject> {
        let variables: Vec<_> = [("VERSION", CANARY)].into_iter().chain(faults.iter().copied()).collect();
        self.stage.apply(&self.manifests.clone().env(&variables)?).await?;
        Ok(&self.subject)
    }

    /// Every measurement that had data came to one of these verdicts, by the wanted server's clock; there is one at least.
    async fn judged(&self, verdicts: &[&str]) -> Result<()> {
        let measurements = measurements(&self.stage).await?;
        let phases = phases(&measurements);
        self.stage.figures.note("measured", phases.join(" "));
        let judged: Vec<&Value> =
            measurements.iter().zip(&phases).filter(|(_, phase)| *phase != "no-data").map(|(it, _)| it).collect();
        ensure!(!judged.is_empty(), "nothing was judged: {phases:?}");
        for measurement in judged {
            let phase = text(measurement, "/phase");
            ensure!(verdicts.contains(&phase), "measured were {phases:?}, {measurement}");
            let window = text(measurement, "/metadata/window");
            ensure!(window.contains(self.server.offset), "the window was {window}");
            let version = text(measurement, "/metadata/serverVersion");
            ensure!(version.starts_with(self.server.version), "{version} was asked");
        }
        Ok(())
    }

    /// The pods of the first version with how often they were restarted.
    async fn pods(&self) -> Result<BTreeMap<String, Value>> {
        let stable = self.subject.seen().await?.stable;
        let pods = self.subject.pods().await?.into_iter();
        let pods = pods.filter(|pod| text(pod, "/metadata/labels/rollouts-pod-template-hash") == stable);
        let restarts =
            |pod: &Value| pod.pointer("/status/containerStatuses/0/restartCount").cloned().unwrap_or_default();
        Ok(pods.map(|pod| (text(&pod, "/metadata/name").to_owned(), restarts(&pod))).collect())
    }

    /// Stops the load; every answer must be one of those expected, and nothing may have failed.
    async fn finish(&self, expected: &[(&str, u16)]) -> Result<()> {
        let counts = self.load.drain().await?;
        self.stage.figures.note("requests", counts.sent);
        ensure!(counts.failed_total() == 0, "requests failed: {:?}", counts.failed);
        for (version, statuses) in &counts.answered {
            for status in statuses.keys() {
                let fits = expected.contains(&(version.as_str(), *status));
                ensure!(fits, "{version} answered {status}: {:?}", counts.answered);
            }
        }
        Ok(())
    }
}

/// Bookinfo's shape with the template's analysis in the background from the first pause on.
fn manifests(service: &str, steps: Value) -> Result<Manifests> {
    let args = json!([{"name": "service-name", "value": service}]);
    let analysis = json!({"templates": [{"templateName": "apdex"}], "startingStep": 1, "args": args});
    let manifests = Manifests::reviews()?.steps(steps)?.set("Rollout", "/spec/strategy/canary/analysis", analysis)?;
    manifests.and(Manifests(yaml(APDEX)?)).set("AnalysisTemplate", "/spec/metrics/0/interval", INTERVAL.into())
}

/// A name as SkyWalking gives it to a side of `reviews` in a mesh. The cluster's part is new each time: what the server knows
/// of an earlier run is about another service.
fn service() -> String {
    format!("canary|reviews|bookinfo|e2e-{}|-", Utc::now().timestamp_millis())
}

/// What the only analysis measured so far, oldest first.
async fn measurements(stage: &Stage) -> Result<Vec<Value>> {
    let runs = stage.place.list("argoproj.io/v1alpha1", "AnalysisRun", "").await?;
    let [run] = &runs[..] else { anyhow::bail!("there are {} AnalysisRuns", runs.len()) };
    let measured = run.pointer("/status/metricResults/0/measurements").and_then(Value::as_array).cloned();
    measured.context("nothing is measured yet")
}

/// The phase of each measurement, or what it had instead of a value.
fn phases(measurements: &[Value]) -> Vec<String> {
    let phase = |it: &Value| match it.pointer("/metadata/serin.dev~1outcome").and_then(Value::as_str) {
        Some(outcome) => outcome.to_owned(),
        None => text(it, "/phase").to_owned(),
    };
    measurements.iter().map(phase).collect()
}
