//! A case of a suite: what it gets, how it is run, and what is kept when it fails.

use std::fmt::Write as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use chrono::Utc;
use futures::{StreamExt, TryStreamExt, stream};

use super::cluster::Cluster;
use super::load::{Load, LoadSpec};
use super::manifests::Manifests;
use super::place::Place;
use super::release::{Release, repository};
use super::report::{Figures, Report, Row};
use super::rollout::Subject;
use super::sweep;
use super::timeline::Timeline;

/// What a case does.
type Script = Box<dyn Fn(Stage) -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// A test with a name.
pub(crate) struct Case {
    pub(crate) suite: &'static str,
    pub(crate) name: &'static str,
    /// Whether it belongs to the few that every change has to pass.
    pub(crate) smoke: bool,
    /// Whether it is run only when it is named.
    pub(crate) on_demand: bool,
    /// Whether it takes something away that every other case needs.
    alone: bool,
    limit: Duration,
    script: Script,
}

impl Case {
    /// A case that has failed when it takes longer than `limit`.
    pub(crate) fn new<F, Fut>(suite: &'static str, name: &'static str, limit: Duration, script: F) -> Self
    where
        F: Fn(Stage) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Case {
            suite,
            name,
            smoke: false,
            on_demand: false,
            alone: false,
            limit,
            script: Box::new(move |stage| Box::pin(script(stage))),
        }
    }

    /// One of the few.
    pub(crate) fn smoke(mut self) -> Self {
        self.smoke = true;
        self
    }

    /// A measurement, not a test: run only when it is named.
    pub(crate) fn on_demand(mut self) -> Self {
        self.on_demand = true;
        self
    }

    /// Its suite runs after all others, with no lane beside it.
    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }
}

/// What a case gets: a namespace of its own, and the release of its suite.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) place: Place,
    pub(crate) serin: Release,
    pub(crate) timeline: Timeline,
    pub(crate) figures: Figures,
}

impl Stage {
    /// Applies manifests for this suite's release, and waits until their first version is Healthy.
    pub(crate) async fn settled(&self, manifests: &Manifests) -> Result<Subject> {
        Subject::settled(&self.place, &self.own(manifests)).await
    }

    /// Applies manifests for this suite's release: a change of what is there.
    pub(crate) async fn apply(&self, manifests: &Manifests) -> Result<Subject> {
        Subject::apply(&self.place, &self.own(manifests)).await
    }

    /// The manifests with the label by which only this suite's release serves them.
    pub(crate) fn own(&self, manifests: &Manifests) -> Manifests {
        manifests.clone().instance(&self.serin.instance)
    }

    /// Starts load through a proxy of the mesh to a Service of this namespace.
    pub(crate) async fn load(&self, service: &str) -> Result<Load> {
        Load::start(&self.cluster, &LoadSpec::mesh(&self.place.namespace, service)).await
    }
}

/// How a run goes about its cases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How many suites run at a time.
    pub(crate) lanes: usize,
    /// How often a case that fails is run again; the table tells the number of attempts.
    pub(crate) again: usize,
}

/// Runs suites, `lanes` of them at a time; the cases of a suite one after the other with one release. Prints a line for each
/// case, and keeps the record of those that fail in `keep`.
///
/// # Errors
/// If the cluster cannot be used at all.
pub(crate) async fn run(cluster: &Cluster, cases: &[Case], keep: &Path, pace: &Pace) -> Result<Report> {
    let names = cases.iter().map(|case| case.suite).collect();
    let _run = sweep::begin(cluster, &names).await.context("failed to remove what an earlier run left")?;
    let began = Instant::now();
    let seen = Mutex::new(Vec::new());
    let suites = cases.chunk_by(|one, next| one.suite == next.suite);
    let (alone, together): (Vec<_>, Vec<_>) = suites.partition(|cases| cases.iter().any(|case| case.alone));
    let lanes = pace.lanes.max(1);
    let play = async |suites: Vec<&[Case]>, lanes| {
        let suites = suites.into_iter().map(|cases| suite(cluster, cases, (keep, pace), &seen));
        // Not `buffered`: there, a suite that is done keeps its lane until those before it are done as well.
        stream::iter(suites).buffer_unordered(lanes).try_collect::<()>().await
    };
    let all = async {
        play(together, lanes).await?;
        play(alone, 1).await
    };
    tokio::select! {
        done = all => done?,
        // Whoever cannot wait gets what was seen so far.
        _ = tokio::signal::ctrl_c() => println!("interrupted; what runs in the cluster is left there"),
    }
    let mut rows: Vec<Row> = seen.into_inner().expect("nobody panics with it");
    let place = |row: &Row| cases.iter().position(|case| (case.suite, case.name) == (row.suite, row.case));
    rows.sort_by_key(place);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let version = cluster.client.apiserver_version().await?.git_version;
    let ground = [
        ("Cases", format!("{} of {} chosen ones were run", rows.len(), cases.len())),
        ("Begun", format!("{}", (Utc::now() - began.elapsed()).format("%Y-%m-%d %H:%M UTC"))),
        ("Took", format!("{} s, {lanes} suites at a time on {cores} cores", began.elapsed().as_secs())),
        ("Kubernetes", version),
        ("Istio", cluster.istio().await.unwrap_or_else(|error| format!("not told: {error:#}"))),
    ];
    let ground = ground.map(|(name, value)| (name.to_owned(), value)).to_vec();
    Ok(Report { rows, ground })
}

async fn suite(cluster: &Cluster, cases: &[Case], way: (&Path, &Pace), seen: &Mutex<Vec<Row>>) -> Result<()> {
    let (keep, pace) = way;
    let name = cases.first().map(|case| case.suite).unwrap_or_default();
    let release = Release::install(cluster, name, &[]).await.with_context(|| format!("failed to install {name}"))?;
    for case in cases {
        let mut row = one(cluster, release.clone(), case, keep).await;
        for attempt in 2..=pace.again + 1 {
            let Some(error) = &row.error else { break };
            println!("again  {}/{} ({:.0} s)  {error}", row.suite, row.case, row.took.as_secs_f64());
            row = one(cluster, release.clone(), case, keep).await;
            row.figures.note("attempts", attempt);
        }
        let mark = if row.error.is_none() { "ok    " } else { "FAILED" };
        println!("{mark} {}/{} ({:.0} s)  {}", row.suite, row.case, row.took.as_secs_f64(), row.figures.line());
        if let Some(error) = &row.error {
            println!("       {error}");
        }
        seen.lock().expect("nobody panics with it").push(row);
    }
    release.uninstall().await
}

async fn one(cluster: &Cluster, serin: Release, case: &Case, keep: &Path) -> Row {
    let began = Instant::now();
    let figures = Figures::default();
    let namespace = sweep::namespace(case.suite, case.name);
    let played = play(cluster, &serin, case, &figures, (&namespace, keep)).await;
    let error = played.err().map(|error| format!("{error:#}"));
    Row { suite: case.suite, case: case.name, error, took: began.elapsed(), figures }
}

async fn play(
    cluster: &Cluster,
    serin: &Release,
    case: &Case,
    figures: &Figures,
    (namespace, keep): (&str, &Path),
) -> Result<()> {
    let place = Place::make(cluster, namespace).await?;
    let timeline = Timeline::begin(&place).await?;
    let stage = Stage {
        cluster: cluster.clone(),
        place: place.clone(),
        serin: serin.clone(),
        timeline: timeline.clone(),
        figures: figures.clone(),
    };
    // A task of its own, so that a panic fails the case and not the run.
    let script = tokio::spawn((case.script)(stage));
    let stop = script.abort_handle();
    let outcome = match tokio::time::timeout(case.limit, script).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(anyhow!("panicked: {panic}")),
        Err(_) => {
            stop.abort();
            Err(anyhow!("took longer than {} s", case.limit.as_secs()))
        }
    };
    if outcome.is_err() {
        let folder = keep.join(case.suite).join(case.name.replace(' ', "-"));
        preserve(serin, &place, &timeline, &folder).await.context("failed to keep the record")?;
    }
    sweep::stop_loads(cluster, namespace).await?;
    place.remove().await?;
    outcome
}

/// Writes down what is needed to find out why a case failed.
async fn preserve(serin: &Release, place: &Place, timeline: &Timeline, folder: &PathBuf) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("timeline.txt"), timeline.text())?;
    for (pod, log) in serin.logs().await? {
        std::fs::write(folder.join(format!("{pod}.log")), log)?;
    }
    let mut objects = String::new();
    for (version, kind) in [
        ("argoproj.io/v1alpha1", "Rollout"),
        ("argoproj.io/v1alpha1", "AnalysisRun"),
        ("apps/v1", "ReplicaSet"),
        ("v1", "Pod"),
        ("networking.istio.io/v1", "VirtualService"),
        ("networking.istio.io/v1", "DestinationRule"),
    ] {
        for object in place.list(version, kind, "").await? {
            writeln!(objects, "---\n{}", serde_json::to_string_pretty(&object)?)?;
        }
    }
    std::fs::write(folder.join("objects.yaml"), objects)?;
    Ok(())
}

/// Where the records of failed cases are kept.
pub(crate) fn kept() -> PathBuf {
    repository().join("target/e2e")
}
