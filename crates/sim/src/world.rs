//! The whole simulation in step: cluster, workloads, mesh, metrics sources, and the real controller between them.
//!
//! ```text
//!   workloads ─► cluster ─► changes ─┬─► engine (observe, decide, execute) ─► cluster
//!                                    └─► mesh ─► metrics store ─► sources ─► engine's measurements
//! ```
//!
//! [`World::settle`] lets everything happen that is due at this moment; [`World::next_due`] says when time alone brings
//! the next change. In virtual time the caller sets the clock to that moment at once; in accelerated time he waits.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use serin_controller::{Change, Deps, Engine, Key, Kind, ObjectName, Observer, Record};
use serin_core::rollout::observed::Settings;

use crate::clock::SimClock;
use crate::cluster::{
    self, Applied, Cluster, DEPLOYMENTS, DESTINATION_RULES, JOBS, PODS, REPLICA_SETS, Resource, SERVICES,
    VIRTUAL_SERVICES,
};
use crate::feed::Feed;
use crate::istiod::Istiod;
use crate::mesh::{Mesh, MeshConfig, MeshView, Served, Traffic, Versions};
use crate::metrics::{Sources, Store, StoreConfig, skywalking};
use crate::source::SourceTransport;
use crate::workload::{PodConfig, Workloads};

/// What can be set about a world.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// The moment at which it begins.
    pub start: DateTime<Utc>,
    /// Where all chance starts.
    pub seed: u64,
    /// How fast pods come.
    pub pods: PodConfig,
    /// The longest time that a change takes to reach the proxies.
    pub propagation: TimeDelta,
    /// The Service of istiod, for the controller to watch; without it the cluster shows none.
    pub istiod: Option<ObjectName>,
    /// What the controller's decisions depend on.
    pub settings: Settings,
    /// The SkyWalking server.
    pub skywalking: skywalking::Config,
}

impl Default for WorldConfig {
    fn default() -> Self {
        WorldConfig {
            start: DateTime::UNIX_EPOCH + TimeDelta::days(20_454) + TimeDelta::hours(9),
            seed: 0,
            pods: PodConfig::default(),
            propagation: TimeDelta::milliseconds(500),
            istiod: None,
            settings: Settings::default(),
            skywalking: skywalking::Config::default(),
        }
    }
}

/// A cluster with everything that lives in it.
pub struct World {
    clock: SimClock,
    cluster: Cluster,
    engine: Engine,
    feed: Feed,
    workloads: Workloads,
    mesh: Mesh,
    istiod: Option<Istiod>,
    transport: SourceTransport,
    streams: Vec<Traffic>,
    served: Served,
    served_until: DateTime<Utc>,
    workloads_due: Option<DateTime<Utc>>,
    workloads_changed: bool,
    recipe: Recipe,
}

/// What an engine is made from, so that it can be made again after a crash.
struct Recipe {
    settings: Settings,
    istiod: Option<ObjectName>,
    observer: Arc<Sentinel>,
    seed: u64,
}

/// Passes on what the controller does, and keeps the first decision that broke down: in production that costs one
/// Rollout its turn, here it is the end of the run.
struct Sentinel {
    inner: Option<Arc<dyn Observer>>,
    broken: Mutex<Option<String>>,
}

impl Observer for Sentinel {
    fn reconciled(&self, key: &Key, record: &Record<'_>) {
        if let Some(inner) = &self.inner {
            inner.reconciled(key, record);
        }
    }

    fn broke_down(&self, key: &Key, error: &serin_controller::Error) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        broken.get_or_insert_with(|| format!("{key}: {error}"));
        if let Some(inner) = &self.inner {
            inner.broke_down(key, error);
        }
    }
}

/// More reconciles within one moment than any plan needs; a defect that never comes to rest ends here.
const STEPS_PER_MOMENT_MAX: usize = 20_000;

impl World {
    /// A world in which nothing was applied yet.
    #[must_use]
    pub fn new(config: WorldConfig, observer: Option<Arc<dyn Observer>>) -> Self {
        let clock = SimClock::new(config.start);
        let cluster = Cluster::new(Arc::new(clock.clone()));
        let store = Store::new(&StoreConfig::default());
        let sources = Sources::new(&store, config.skywalking);
        let transport = SourceTransport::new(sources, clock.clone());
        let mesh_config = MeshConfig { seed: config.seed, propagation: config.propagation };
        let observer = Arc::new(Sentinel { inner: observer, broken: Mutex::new(None) });
        let istiod = config.istiod.clone().map(|service| Istiod::new(service, &cluster));
        let recipe = Recipe { settings: config.settings, istiod: config.istiod, observer, seed: config.seed };
        let engine = make_engine(&cluster, &clock, &transport, &recipe);
        World {
            feed: Feed::open(&cluster),
            workloads: Workloads::new(cluster.clone(), config.pods),
            mesh: Mesh::new(&mesh_config, Arc::new(Versions::all_healthy()), store),
            istiod,
            transport,
            streams: Vec::new(),
            served: Served::default(),
            served_until: config.start,
            workloads_due: None,
            workloads_changed: true,
            recipe,
            engine,
            cluster,
            clock,
        }
    }

    /// The API server.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The metrics sources, to be taken down and up.
    #[must_use]
    pub fn transport(&self) -> &SourceTransport {
        &self.transport
    }

    /// The controller.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What became of all requests so far.
    #[must_use]
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// Stores a manifest.
    ///
    /// # Errors
    /// As the API server refuses it.
    pub fn apply(&self, manifest: Value) -> Result<Applied, cluster::ApiError> {
        self.cluster.apply_manifest(manifest)
    }

    /// Replaces the request streams.
    pub fn set_streams(&mut self, streams: Vec<Traffic>) {
        self.streams = streams;
    }

    /// Replaces how pods answer.
    pub fn set_versions(&mut self, versions: Versions) {
        self.mesh.set_behaviour(Arc::new(versions));
    }

    /// Cuts the proxies off from Istio's control plane for a time, as when istiod is killed; the next one is ready before
    /// they have found it. What has changed meanwhile reaches them afterwards.
    pub fn cut_off_proxies(&mut self, time: TimeDelta) {
        self.mesh.cut_off(self.clock.now() + time);
        if let Some(istiod) = &mut self.istiod {
            istiod.kill(&self.cluster, time);
        }
    }

    /// Stops the controller and starts a new one that knows nothing but what the API server tells it.
    pub fn restart_controller(&mut self) {
        self.engine = make_engine(&self.cluster, &self.clock, &self.transport, &self.recipe);
        self.feed = Feed::open(&self.cluster);
    }

    /// Lets everything happen that is due at this moment, until nothing changes any more.
    ///
    /// # Errors
    /// The controller never comes to rest, or a decision broke down: a defect of Serin.
    pub async fn settle(&mut self) -> Result<(), Defect> {
        let mut steps = 0;
        loop {
            self.step_workloads();
            if let Some(istiod) = &mut self.istiod {
                istiod.step(&self.cluster);
            }
            let mut busy = self.take_changes();
            while self.engine.step().await {
                self.engine.idle().await;
                self.take_changes();
                busy = true;
                steps += 1;
                self.check(steps)?;
            }
            if !busy {
                return Ok(());
            }
        }
    }

    fn check(&self, steps: usize) -> Result<(), Defect> {
        let broken = self.recipe.observer.broken.lock().unwrap_or_else(PoisonError::into_inner).take();
        match broken {
            Some(what) => Err(Defect::BrokeDown { what }),
            None if steps > STEPS_PER_MOMENT_MAX => Err(Defect::Restless { at: self.clock.now() }),
            None => Ok(()),
        }
    }

    /// Lets workloads act if one of their objects changed or their time has come.
    fn step_workloads(&mut self) {
        let now = self.clock.now();
        if self.workloads_changed || self.workloads_due.is_some_and(|due| due <= now) {
            self.workloads_changed = false;
            self.workloads_due = self.workloads.step(now);
        }
    }

    /// When time alone will bring the next change; `None` if only somebody from outside can.
    #[must_use]
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        let istiod = self.istiod.as_ref().and_then(Istiod::next_due);
        [self.workloads_due, self.engine.next_due(), istiod].into_iter().flatten().min()
    }

    /// Lets requests come in until a moment, and makes it the present one. Moments before the present are ignored.
    pub fn move_to(&mut self, moment: DateTime<Utc>) {
        if moment <= self.served_until {
            return;
        }
        for stream in &self.streams {
            self.served.add(&self.mesh.serve(stream, self.served_until, moment));
        }
        self.served_until = moment;
        self.clock.set(moment);
    }

    /// Runs in virtual time until a moment, or until `done` says so after something happened. True if it did.
    ///
    /// # Errors
    /// As [`World::settle`].
    pub async fn run_until(
        &mut self,
        horizon: DateTime<Utc>,
        mut done: impl FnMut(&World) -> bool,
    ) -> Result<bool, Defect> {
        loop {
            self.settle().await?;
            if done(self) {
                return Ok(true);
            }
            match self.next_due() {
                Some(due) if due < horizon => self.move_to(due.max(self.now() + TimeDelta::milliseconds(1))),
                Some(_) | None => {
                    self.move_to(horizon);
                    self.settle().await?;
                    return Ok(done(self));
                }
            }
        }
    }

    /// Tells engine and mesh what changed in the cluster. True if anything did.
    fn take_changes(&mut self) -> bool {
        let news = self.feed.pass_on(&self.cluster, &self.engine);
        let concerns = |kinds: &[&Resource]| news.changes.iter().any(|change| kinds.contains(&&change.resource));
        self.workloads_changed |= concerns(&[&DEPLOYMENTS, &REPLICA_SETS, &PODS, &JOBS]);
        let mesh_changed = concerns(&[&VIRTUAL_SERVICES, &DESTINATION_RULES, &SERVICES, &PODS]);
        if mesh_changed {
            let all = |resource: &Resource| self.cluster.list(resource, None);
            let view = MeshView {
                virtual_services: all(&VIRTUAL_SERVICES),
                destination_rules: all(&DESTINATION_RULES),
                services: all(&SERVICES),
                pods: all(&PODS),
            };
            self.mesh.observe(self.clock.now(), view);
        }
        news.told || !news.changes.is_empty()
    }
}

/// The controller did what it never should.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Defect {
    /// It did not come to rest within one moment.
    #[error(
        "the controller did not come to rest at {at}; this is a defect of Serin, please report it with the manifests"
    )]
    Restless {
        /// The moment.
        at: DateTime<Utc>,
    },
    /// A decision broke down.
    #[error("a decision broke down: {what}; this is a defect of Serin, please report it with the manifests")]
    BrokeDown {
        /// The object and the error.
        what: String,
    },
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("now", &self.now()).field("served", &self.served).finish_non_exhaustive()
    }
}

fn make_engine(cluster: &Cluster, clock: &SimClock, transport: &SourceTransport, recipe: &Recipe) -> Engine {
    let mut deps = Deps::new(cluster.client(), Arc::new(EngineClock(clock.clone())), Arc::new(transport.clone()));
    deps.settings = recipe.settings.clone();
    deps.istiod = recipe.istiod.clone();
    deps.observer = Some(recipe.observer.clone());
    deps.seed = recipe.seed;
    let engine = Engine::new(deps);
    for kind in Kind::ALL {
        engine.apply(Change::Replaced(kind, Vec::new()));
    }
    engine
}

/// The simulator's clock as the controller asks for it.
#[derive(Debug)]
struct EngineClock(SimClock);

impl serin_controller::Clock for EngineClock {
    fn now(&self) -> DateTime<Utc> {
        self.0.now()
    }
}
