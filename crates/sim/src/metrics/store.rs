//! Keeps what was served: by scrape for Prometheus, by second for SkyWalking.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::timeline::{Cell, Timeline};

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Caller {
    /// The workload, such as a Deployment's name.
    pub workload: String,
    /// Its namespace.
    pub namespace: String,
}

/// Under which names a pod reports what it serves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Server {
    /// What owns the pod's ReplicaSet.
    pub workload: String,
    /// The pod's namespace.
    pub namespace: String,
    /// Label `app`, or "unknown".
    pub app: String,
    /// Label `version`, or "unknown".
    pub version: String,
    /// Istio's canonical service name.
    pub canonical_service: String,
    /// Istio's canonical revision.
    pub canonical_revision: String,
}

impl Server {
    /// The service name that SkyWalking derives, with the placeholders of its default settings.
    #[must_use]
    pub fn skywalking_name(&self) -> String {
        let name = format!("{}|{}|{}|cluster-1|-", self.canonical_revision, self.canonical_service, self.namespace);
        name.chars().take(SKYWALKING_NAME_MAX).collect()
    }
}

/// SkyWalking cuts longer service names on ingest (serviceNameMaxLength).
const SKYWALKING_NAME_MAX: usize = 70;

/// What is the same for all requests from one workload to one kind of pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    pub(crate) caller: Caller,
    /// The host as qualified by the mesh.
    pub(crate) host: String,
    /// `None` if no pod was reached.
    pub(crate) server: Option<Server>,
}

impl Call {
    /// Requests that a pod answers.
    #[must_use]
    pub fn answered(caller: &Caller, host: &str, server: Server) -> Self {
        Self { caller: caller.clone(), host: host.to_owned(), server: Some(server) }
    }

    /// Requests that never reach a pod; only the caller reports them.
    #[must_use]
    pub fn refused(caller: &Caller, host: &str) -> Self {
        Self { caller: caller.clone(), host: host.to_owned(), server: None }
    }
}

/// A [`Call`] that the store knows; good for this store only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(usize);

/// How one request ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// The HTTP status.
    pub status: u16,
    /// Envoy's response flags: "-", "UH", "NC", "NR", "UF".
    pub flags: &'static str,
    /// In milliseconds, at least 0.
    pub duration_ms: f64,
}

/// What can be set about a store.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Time between two scrapes; at least a millisecond.
    pub scrape_interval: TimeDelta,
    /// The first scrape, and with it the phase of all others.
    pub first_scrape: DateTime<Utc>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { scrape_interval: TimeDelta::seconds(15), first_scrape: DateTime::UNIX_EPOCH + TimeDelta::seconds(7) }
    }
}

/// All that was served. Clones share the same contents.
#[derive(Debug, Clone)]
pub struct Store {
    contents: Arc<Mutex<Contents>>,
}

/// The contents behind the lock; the metrics sources read them.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) config: StoreConfig,
    pub(crate) calls: Vec<Recorded>,
    ids: BTreeMap<Call, CallId>,
    /// By service name, then by second since 1970.
    pub(crate) services: BTreeMap<String, BTreeMap<i64, Cell>>,
}

/// What is known about one call.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) call: Call,
    service: Option<String>,
    /// By status and flags; a handful at most.
    pub(crate) outcomes: Vec<((u16, &'static str), Timeline)>,
}

impl Default for Store {
    fn default() -> Self {
        Self::new(StoreConfig::default())
    }
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(config: StoreConfig) -> Self {
        let contents = Contents { config, calls: Vec::new(), ids: BTreeMap::new(), services: BTreeMap::new() };
        Self { contents: Arc::new(Mutex::new(contents)) }
    }

    /// The id under which requests of `call` are recorded.
    #[must_use]
    pub fn call(&self, call: &Call) -> CallId {
        let mut contents = self.lock();
        if let Some(id) = contents.ids.get(call) {
            return *id;
        }
        let id = CallId(contents.calls.len());
        let service = call.server.as_ref().map(Server::skywalking_name);
        contents.calls.push(Recorded { call: call.clone(), service, outcomes: Vec::new() });
        contents.ids.insert(call.clone(), id);
        id
    }

    /// Opens the store for a batch of requests; others wait until it is dropped.
    #[must_use]
    pub fn recording(&self) -> Recording<'_> {
        Recording { contents: self.lock() }
    }

    /// The contents, for reading. Every write leaves them whole, so a panic elsewhere does not matter.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store, open for writing.
#[derive(Debug)]
pub struct Recording<'a> {
    contents: MutexGuard<'a, Contents>,
}

impl Recording<'_> {
    /// Counts one request that arrived at `time`. An id of another store is ignored.
    pub fn add(&mut self, call: CallId, time: DateTime<Utc>, outcome: Outcome) {
        let contents = &mut *self.contents;
        let scrape = contents.config.scrape_after(time);
        let Some(recorded) = contents.calls.get_mut(call.0) else {
            return;
        };
        let key = (outcome.status, outcome.flags);
        let index = recorded.outcomes.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            recorded.outcomes.push((key, Timeline::default()));
            recorded.outcomes.len() - 1
        });
        recorded.outcomes[index].1.add(scrape, outcome.duration_ms);
        if let Some(service) = &recorded.service {
            if !contents.services.contains_key(service) {
                contents.services.insert(service.clone(), BTreeMap::new());
            }
            if let Some(cells) = contents.services.get_mut(service) {
                cells.entry(time.timestamp()).or_default().add(outcome.status, outcome.duration_ms);
            }
        }
    }
}

impl StoreConfig {
    /// The number of the last scrape at or before a time in milliseconds since 1970; the first scrape is number 0.
    pub(crate) fn scrape_at(&self, time_ms: i64) -> i64 {
        (time_ms - self.first_scrape.timestamp_millis()).div_euclid(self.interval_ms())
    }

    /// When a scrape is made, in milliseconds since 1970.
    pub(crate) fn scrape_time(&self, scrape: i64) -> i64 {
        self.first_scrape.timestamp_millis() + scrape * self.interval_ms()
    }

    /// The first scrape that sees a request of this time.
    fn scrape_after(&self, time: DateTime<Utc>) -> i64 {
        self.scrape_at(time.timestamp_millis()) + 1
    }

    fn interval_ms(&self) -> i64 {
        self.scrape_interval.num_milliseconds().max(1)
    }
}
