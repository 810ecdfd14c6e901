//! What Rollouts can do beside steps of weight, as clients under constant load see it; none of their requests is lost.

mod blue_green;
mod experiment;
mod restart;
mod routes;

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::kit::{Case, Load, Stage, until};

const SUITE: &str = "methods";
const LIMIT: Duration = Duration::from_secs(300);

/// How long anything may take that is waited for.
const SOON: Duration = Duration::from_secs(60);

/// How long requests are counted.
const WINDOW: Duration = Duration::from_secs(5);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(SUITE, "a blue green switch", LIMIT, blue_green::switched),
        Case::new(SUITE, "header and mirror routes", LIMIT, routes::taken),
        Case::new(SUITE, "an experiment with weight", LIMIT, experiment::shared),
        Case::new(SUITE, "restarts at rest and at a step", LIMIT, restart::replaced),
    ]
}

/// Stops the load; every request must have been answered, by one of these versions.
async fn finish(stage: &Stage, load: &Load, versions: &[&str]) -> Result<()> {
    let counts = load.all_answered().await?;
    stage.figures.note("requests", counts.sent);
    let known = counts.answered.iter().all(|(version, statuses)| {
        versions.contains(&version.as_str()) && statuses.keys().all(|status| *status == 200)
    });
    ensure!(known, "answered was {:?}", counts.answered);
    Ok(())
}

/// How many requests these pods have answered so far, by their own count.
async fn answered_by(stage: &Stage, pods: &[String]) -> Result<u64> {
    let mut sum = 0;
    for pod in pods {
        let page = stage.cluster.ask_pod("GET", (&stage.place.namespace, pod), 9080, "/metrics").await?;
        for line in page.lines().filter(|line| line.starts_with("workload_requests_total{")) {
            let count = line.rsplit(' ').next().unwrap_or_default();
            sum += count.parse::<u64>().with_context(|| format!("{pod} counts {line}"))?;
        }
    }
    Ok(sum)
}

/// Waits until a count of requests that these pods answered grows.
async fn awake(stage: &Stage, pods: &[String]) -> Result<()> {
    let before = answered_by(stage, pods).await?;
    until("the pods get requests", SOON, || async {
        let now = answered_by(stage, pods).await?;
        ensure!(now > before, "they have answered {now}");
        Ok(())
    })
    .await
}
