//! Keeps what was served: by scrape for Prometheus, by second for SkyWalking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::timeline::{Seconds, Timeline};

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
    pub(crate) scrapes: Scrapes,
    pub(crate) calls: Vec<Recorded>,
    ids: BTreeMap<Call, CallId>,
    /// SkyWalking's services by name, in the order in which they were first seen.
    services: Vec<(String, Seconds)>,
}

/// What is known about one call.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) call: Call,
    /// Index into the services.
    service: Option<usize>,
    /// By status and flags; a handful at most.
    pub(crate) outcomes: Vec<((u16, &'static str), Timeline)>,
    /// When the server's side was not scraped, because no such pod was there; in order of time.
    pub(crate) gaps: Vec<Gap>,
}

/// Scrapes that were missed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gap {
    /// The first one missed.
    pub(crate) from: i64,
    /// The first one made again; the largest number if the gap goes on.
    pub(crate) until: i64,
}

impl Default for Store {
    fn default() -> Self {
        Self::new(&StoreConfig::default())
    }
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(config: &StoreConfig) -> Self {
        let scrapes = Scrapes {
            first_ms: config.first_scrape.timestamp_millis(),
            interval_ms: config.scrape_interval.num_milliseconds().max(1),
        };
        let contents = Contents { scrapes, calls: Vec::new(), ids: BTreeMap::new(), services: Vec::new() };
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
        let service = call.server.as_ref().map(|server| contents.service_index(server.skywalking_name()));
        contents.calls.push(Recorded { call: call.clone(), service, outcomes: Vec::new(), gaps: Vec::new() });
        contents.ids.insert(call.clone(), id);
        id
    }

    /// From `now` on there are pods of these servers only. Series that the pods of others reported end with the next scrape,
    /// as in Prometheus when a target disappears; what callers report goes on.
    pub fn pods_are(&self, now: DateTime<Utc>, servers: &BTreeSet<Server>) {
        let mut contents = self.lock();
        let next = contents.scrapes.at(now.timestamp_millis()) + 1;
        for recorded in &mut contents.calls {
            let is_there = recorded.call.server.as_ref().is_none_or(|server| servers.contains(server));
            match (recorded.gaps.last_mut(), is_there) {
                (Some(gap), true) if gap.until == i64::MAX && gap.from == next => {
                    recorded.gaps.pop();
                }
                (Some(gap), true) if gap.until == i64::MAX => gap.until = next,
                (Some(gap), false) if gap.until == i64::MAX => {}
                (Some(_) | None, false) => recorded.gaps.push(Gap { from: next, until: i64::MAX }),
                (Some(_) | None, true) => {}
            }
        }
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
    /// Counts one request that arrived at `time_ms`, in milliseconds since 1970. An id of another store is ignored.
    pub fn add(&mut self, call: CallId, time_ms: i64, outcome: Outcome) {
        let contents = &mut *self.contents;
        // A scrape sees what came before it.
        let scrape = contents.scrapes.at(time_ms) + 1;
        let Some(recorded) = contents.calls.get_mut(call.0) else {
            return;
        };
        let key = (outcome.status, outcome.flags);
        let index = recorded.outcomes.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            recorded.outcomes.push((key, Timeline::default()));
            recorded.outcomes.len() - 1
        });
        recorded.outcomes[index].1.add(scrape, outcome.duration_ms);
        if let Some((_, seconds)) = recorded.service.and_then(|index| contents.services.get_mut(index)) {
            seconds.add(time_ms.div_euclid(1000), outcome.status, outcome.duration_ms);
        }
    }
}

impl Contents {
    /// What a SkyWalking service did; `None` if it was never seen.
    pub(crate) fn service(&self, name: &str) -> Option<&Seconds> {
        self.services.iter().find(|(known, seconds)| known == name && !seconds.is_empty()).map(|(_, seconds)| seconds)
    }

    fn service_index(&mut self, name: String) -> usize {
        self.services.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            self.services.push((name, Seconds::default()));
            self.services.len() - 1
        })
    }
}

/// When scrapes are made, in milliseconds since 1970; the first one is number 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scrapes {
    first_ms: i64,
    interval_ms: i64,
}

impl Scrapes {
    /// The number of the last scrape at or before a time.
    pub(crate) fn at(self, time_ms: i64) -> i64 {
        time_ms.saturating_sub(self.first_ms).div_euclid(self.interval_ms)
    }

    /// When a scrape is made.
    pub(crate) fn time_ms(self, number: i64) -> i64 {
        self.first_ms + number * self.interval_ms
    }
}
