//! How long a change of the mesh has to be given time: updates over and over with several delays, and what each lost.
//!
//! Run only when asked for: it measures, and nothing that it sees is a failure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use crate::kit::{Case, Cluster, Release, Stage, text};

use super::event::Cost;
use super::run::{Run, Shape, figure};

const SUITE: &str = "propagation";
const LIMIT: Duration = Duration::from_secs(600);

/// Updates in one case.
const ROUNDS: usize = 12;

/// Time between two changes that concern nobody, below the 100 ms of quiet for which istiod waits before it pushes.
const CHURN: Duration = Duration::from_millis(40);

/// What else goes on in the cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Surroundings {
    Quiet,
    /// Somebody changes configuration all the time, so that istiod puts its pushes off, up to ten seconds.
    Busy,
}

use Surroundings::{Busy, Quiet};

const CASES: [(&str, &str, Shape, Surroundings); 12] = [
    ("0 by hash", "0s", Shape::Hash, Quiet),
    ("0 by role", "0s", Shape::Role, Quiet),
    ("200ms by hash", "200ms", Shape::Hash, Quiet),
    ("200ms by role", "200ms", Shape::Role, Quiet),
    ("500ms by hash", "500ms", Shape::Hash, Quiet),
    ("500ms by role", "500ms", Shape::Role, Quiet),
    ("1s by hash", "1s", Shape::Hash, Quiet),
    ("1s by role", "1s", Shape::Role, Quiet),
    ("2s by hash", "2s", Shape::Hash, Quiet),
    ("2s by role", "2s", Shape::Role, Quiet),
    ("2s in a busy mesh by hash", "2s", Shape::Hash, Busy),
    ("2s in a busy mesh by role", "2s", Shape::Role, Busy),
];

pub(super) fn cases() -> impl Iterator<Item = Case> {
    CASES.into_iter().map(|(name, delay, shape, surroundings)| {
        Case::new(SUITE, name, LIMIT, move |stage| measure(stage, delay, shape, surroundings)).on_demand()
    })
}

async fn measure(stage: Stage, delay: &str, shape: Shape, surroundings: Surroundings) -> Result<()> {
    let value = format!("controller.propagationDelay={delay}");
    Release::install(&stage.cluster, &stage.serin.instance, &[&value]).await?;
    let steps =
        json!([{"setWeight": 20}, {"pause": {"duration": "1s"}}, {"setWeight": 60}, {"pause": {"duration": "1s"}}]);
    let mut run = Run::begin(stage.clone(), shape.manifests(3, 1)?.steps(steps)?).await?;
    let before = Pushes::read(&stage.cluster).await?;
    let ended = AtomicBool::new(false);
    let began = Instant::now();
    let rounds = async {
        let outcome = update(&mut run).await;
        ended.store(true, Ordering::SeqCst);
        outcome
    };
    let churn = async {
        while surroundings == Busy && !ended.load(Ordering::SeqCst) {
            disturb(&stage).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(rounds, churn)?;
    stage.figures.note("seconds a round", format!("{:.1}", began.elapsed().as_secs_f64() / ROUNDS as f64));
    stage.figures.note("pushes", Pushes::read(&stage.cluster).await?.since(&before));
    stage.figures.note("all", figure(&run.end().await?));
    Ok(())
}

async fn update(run: &mut Run) -> Result<()> {
    for round in 1..=ROUNDS {
        run.update().await?;
        // Pods of the version before may still be on their way out.
        run.subject.healthy(LIMIT).await?;
        run.weights((100, 0)).await?;
        run.account(&format!("round {round}"), Cost::Nothing).await?;
    }
    Ok(())
}

/// Changes something that no request depends on.
async fn disturb(stage: &Stage) -> Result<()> {
    let moment = chrono::Utc::now().timestamp_millis().to_string();
    let entry = json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "elsewhere"},
        "spec": {"hosts": ["elsewhere.example"], "location": "MESH_EXTERNAL", "resolution": "STATIC",
            "endpoints": [{"address": "192.0.2.1", "labels": {"moment": moment}}],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]}});
    stage.place.apply(&[entry]).await?;
    tokio::time::sleep(CHURN).await;
    Ok(())
}

/// What istiod says of the time that its pushes took: sums in seconds and numbers of them.
struct Pushes {
    debounce: (f64, f64),
    convergence: (f64, f64),
    slow: f64,
}

impl Pushes {
    async fn read(cluster: &Cluster) -> Result<Self> {
        let pods = cluster.list("v1", "Pod", "istio-system", "app=istiod").await?;
        let pod = text(pods.first().context("there is no istiod")?, "/metadata/name").to_owned();
        let page = cluster.ask_pod("GET", ("istio-system", &pod), 15014, "/metrics").await?;
        let value = |series: &str| {
            let line = page.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
            line.unwrap_or_default()
        };
        let pair = |name: &str| (value(&format!("{name}_sum ")), value(&format!("{name}_count ")));
        let convergence = pair("pilot_proxy_convergence_time");
        let fast = value("pilot_proxy_convergence_time_bucket{le=\"0.1\"} ");
        Ok(Pushes { debounce: pair("pilot_debounce_time"), convergence, slow: convergence.1 - fast })
    }

    fn since(&self, before: &Pushes) -> String {
        let mean = |now: (f64, f64), then: (f64, f64)| 1000.0 * (now.0 - then.0) / (now.1 - then.1).max(1.0);
        format!(
            "{} put off for {:.0} ms each, then at the proxy in {:.0} ms, {} of {} later than 100 ms",
            self.debounce.1 - before.debounce.1,
            mean(self.debounce, before.debounce),
            mean(self.convergence, before.convergence),
            self.slow - before.slow,
            self.convergence.1 - before.convergence.1,
        )
    }
}
