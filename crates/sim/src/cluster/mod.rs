//! The simulated API server: objects in memory, served to a client in the process and over HTTP.
//!
//! ```text
//!  kube::Client ─► service ─► faults ─► answer ─┐
//!  kubectl ─► serve ────────────────────────────┤► Store ─► log ─► watches
//!  actors of the simulation ─► direct ──────────┘            └──► Events
//! ```

mod admit;
mod answer;
mod apply;
mod cells;
mod collect;
mod columns;
mod convert;
mod definition;
mod direct;
mod discovery;
mod error;
mod events;
mod evict;
mod form;
mod managed;
mod meta;
mod openapi;
mod owned;
mod patch;
mod protobuf;
mod registry;
mod request;
#[cfg(test)]
mod requests_tests;
mod resource;
mod scale;
mod schema;
mod selector;
mod serve;
mod service;
mod store;
mod strategic;
mod table;
#[cfg(test)]
mod tests;
mod watch;
mod write;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use tokio::sync::watch as signal;

pub use direct::Applied;
pub use error::ApiError;
pub use events::{Change, ChangeKind, Events};
pub use resource::*;
pub use service::{ApiService, WriteRecord};
pub use write::Propagation;

use crate::clock::Clock;
use crate::faults::Faults;
use store::Store;

/// A Kubernetes API server in memory; clones are handles to the same one.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    store: Mutex<Store>,
    news: Arc<signal::Sender<u64>>,
    faults: Faults,
    writes: Mutex<Vec<WriteRecord>>,
}

impl Cluster {
    /// An empty cluster with the namespaces `default` and `kube-system`, in the time of `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let news = Arc::new(signal::Sender::new(0));
        let cluster = Self {
            inner: Arc::new(Inner {
                clock,
                store: Mutex::new(Store::new()),
                faults: Faults::new(Arc::clone(&news)),
                news,
                writes: Mutex::new(Vec::new()),
            }),
        };
        for namespace in ["default", "kube-system"] {
            cluster.ensure_namespace(namespace);
        }
        cluster
    }

    /// The cluster's present moment.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    /// The faults that requests through `service` and `serve` meet.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.inner.faults
    }

    /// Follows every change from now on, beginning with all objects there are.
    #[must_use]
    pub fn subscribe(&self) -> Events {
        let queue = self.lock().open_queue();
        Events { queue, news: self.news() }
    }

    /// The write requests so far that came through `service` or `serve`, refused ones included.
    #[must_use]
    pub fn writes(&self) -> Vec<WriteRecord> {
        self.record().clone()
    }

    /// The version of the latest change of any object.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.lock().version()
    }

    /// Forgets the log of changes: a watch that lies behind gets 410 Gone and must list again.
    pub fn compact(&self) {
        self.lock().forget();
        self.inner.news.send_modify(|_| {});
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Store> {
        self.inner.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Vec<WriteRecord>> {
        self.inner.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn news(&self) -> signal::Receiver<u64> {
        self.inner.news.subscribe()
    }

    /// Wakes the watches and subscribers if the store has moved on.
    pub(crate) fn announce(&self) {
        let version = self.version();
        self.inner.news.send_if_modified(|latest| {
            let moved = *latest != version;
            *latest = version;
            moved
        });
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("now", &self.now()).field("version", &self.version()).finish_non_exhaustive()
    }
}
