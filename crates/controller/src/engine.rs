//! The controller without watches and threads: changes go in, reconciles come out, one step at a time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serin_core::rollout::observed::{Raw, Settings};
use serin_core::{analysis, experiment, rollout};
use serin_providers::{Defaults, Transport};
use tokio::sync::Notify;

use crate::caches::{Caches, Filter};
use crate::change::{Change, Key, Kind, ObjectName};
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::decision::{Decision, Orders};
use crate::error::Error;
use crate::execute::{Executor, Outcome, Report};
use crate::lease::Leadership;
use crate::ledger::Ledger;
use crate::measure::Measurements;
use crate::metrics::Metrics;
use crate::observe::{self, Sight};
use crate::queue::{Backoff, Next, Queue};
use crate::reconcile::reconcile;
use crate::record::{self, Observer, Record};

/// What an engine needs from outside.
pub struct Deps {
    /// The API server: over HTTPS, or a service in the same process.
    pub client: kube::Client,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How metrics sources are reached.
    pub transport: Arc<dyn Transport>,
    /// What metrics need not say themselves.
    pub defaults: Defaults,
    /// What decisions depend on; `instance_id` also selects the objects that are this controller's business.
    pub settings: Settings,
    /// The only namespace to serve; all if absent.
    pub namespace: Option<String>,
    /// The Service of istiod; without it, nothing is known of Istio's control plane.
    pub istiod: Option<ObjectName>,
    /// Where things are counted.
    pub metrics: Metrics,
    /// Who wants to know of every reconcile.
    pub observer: Option<Arc<dyn Observer>>,
    /// Whether we may write.
    pub leadership: Leadership,
    /// Limit for the time of one API request; without it no timer is needed.
    pub request_time_limit: Option<Duration>,
    /// Seed of the jitter of back-offs.
    pub seed: u64,
}

impl Deps {
    /// The least that an engine needs; everything else as a simulation has it: all namespaces, no instance, always the
    /// leader, no timers, seed 0.
    pub fn new(client: kube::Client, clock: Arc<dyn Clock>, transport: Arc<dyn Transport>) -> Self {
        Deps {
            client,
            clock,
            transport,
            defaults: Defaults::default(),
            settings: Settings::default(),
            namespace: None,
            istiod: None,
            metrics: Metrics::new(),
            observer: None,
            leadership: Leadership::always(),
            request_time_limit: None,
            seed: 0,
        }
    }
}

impl fmt::Debug for Deps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deps").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// After how many conflicts in a row, and again after as many more, the log says so: about ten seconds at first.
const TRIES_TOLD: u32 = 15;

/// Caches, queue and everything between; clones are the same engine.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    settings: Settings,
    executor: Executor,
    measurements: Measurements,
    metrics: Metrics,
    observer: Option<Arc<dyn Observer>>,
    state: Mutex<State>,
    /// Rung whenever a key may have become due earlier than the workers know.
    bell: Notify,
}

struct State {
    caches: Caches,
    queue: Queue,
    ledger: Ledger,
}

/// What there was to see of a key.
pub(crate) enum Seen {
    Rollout(Box<observe::Seen<rollout::Observed>>),
    Run(Box<observe::Seen<analysis::Observed>>),
    Experiment(Box<observe::Seen<experiment::Observed>>),
}

impl Engine {
    /// An engine that has seen nothing yet.
    #[must_use]
    pub fn new(deps: Deps) -> Self {
        let filter = Filter {
            instance_id: deps.settings.instance_id.clone(),
            namespace: deps.namespace,
            istiod: deps.istiod,
            reconnect: deps.settings.reconnect,
        };
        let cluster = Cluster::new(deps.client, deps.request_time_limit, deps.metrics.clone());
        deps.metrics.set_clock(deps.clock.clone());
        let state = State { caches: Caches::new(filter), queue: Queue::new(deps.seed), ledger: Ledger::default() };
        Engine(Arc::new(Inner {
            measurements: Measurements::new(
                cluster.clone(),
                deps.transport,
                deps.defaults,
                deps.clock.clone(),
                deps.metrics.clone(),
            ),
            executor: Executor { cluster, leadership: deps.leadership },
            clock: deps.clock,
            settings: deps.settings,
            metrics: deps.metrics,
            observer: deps.observer,
            state: Mutex::new(state),
            bell: Notify::new(),
        }))
    }

    /// Takes in a change of the cluster; whatever it concerns becomes due now.
    pub fn apply(&self, change: Change) {
        let now = self.now();
        self.0.metrics.change(&change);
        {
            let mut state = self.state();
            match &change {
                Change::Deleted(kind, object) => {
                    if let Some(name) = crate::caches::name_of(*kind, object) {
                        state.ledger.deleted(*kind, &name);
                    }
                }
                Change::Applied(..) | Change::Replaced(..) => {}
            }
            for key in state.caches.apply(change, now) {
                state.queue.add(key, now);
            }
        }
        self.0.bell.notify_waiters();
    }

    /// Works on the key that has been due longest. False if none is due.
    pub async fn step(&self) -> bool {
        let Some(key) = self.pop() else { return false };
        let next = reconcile(&key, self).await;
        let now = self.now();
        let tries = {
            let mut state = self.state();
            state.queue.done(&key, &next, now);
            state.queue.tries(&key)
        };
        // One conflict is as it should be, and told to nobody; so many in a row are not.
        if matches!(next, Next::Retry(Backoff::Conflict | Backoff::Stale)) && tries % TRIES_TOLD == 0 {
            let why = "somebody else writes what this writes, or the watches lag behind; trying again";
            tracing::warn!(%key, tries, why, "it is not done yet");
        }
        self.0.bell.notify_waiters();
        true
    }

    /// The time at which the next key is due, which may be past; `None` if only a change can bring work.
    #[must_use]
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        self.state().queue.next_due()
    }

    /// Completes when no measurement is under way.
    pub async fn idle(&self) {
        self.0.measurements.idle().await;
    }

    /// Completes when a key may have become due earlier than [`Engine::next_due`] said.
    ///
    /// Bells that rang before the returned future was first polled or enabled are not heard: enable it, look for work,
    /// and only then await it.
    pub fn bell(&self) -> tokio::sync::futures::Notified<'_> {
        self.0.bell.notified()
    }

    /// The clock's time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.clock.now()
    }

    /// How long to wait, in real time, for a moment.
    #[must_use]
    pub fn real_time_until(&self, at: DateTime<Utc>) -> Duration {
        self.0.clock.real_time_until(at)
    }

    /// The API server as the engine speaks to it.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.0.executor.cluster
    }

    /// Where things are counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    fn pop(&self) -> Option<Key> {
        let now = self.now();
        let mut state = self.state();
        let key = state.queue.pop(now);
        self.0.metrics.queue_depth(state.queue.ready(now));
        key
    }

    pub(crate) fn observe(&self, key: &Key, now: DateTime<Utc>) -> Sight<Seen> {
        let mut state = self.state();
        let State { caches, ledger, .. } = &mut *state;
        match key {
            Key::Rollout(name) => match observe::observe_rollout(name, caches, ledger, now, &self.0.settings) {
                Sight::Seen(seen) => Sight::Seen(Seen::Rollout(Box::new(seen))),
                Sight::Stale(kind, name) => Sight::Stale(kind, name),
                Sight::Gone => Sight::Gone,
            },
            Key::Experiment(name) => match observe::observe_experiment(name, caches, ledger, now, &self.0.settings) {
                Sight::Seen(seen) => Sight::Seen(Seen::Experiment(Box::new(seen))),
                Sight::Stale(kind, name) => Sight::Stale(kind, name),
                Sight::Gone => Sight::Gone,
            },
            Key::AnalysisRun(name) => {
                let measured = self.0.measurements.measured(name);
                match observe::observe_run(name, (caches, ledger), measured, now, &self.0.settings) {
                    Sight::Seen(seen) => Sight::Seen(Seen::Run(Box::new(seen))),
                    Sight::Stale(kind, name) => Sight::Stale(kind, name),
                    Sight::Gone => Sight::Gone,
                }
            }
        }
    }

    pub(crate) async fn execute(&self, orders: &Orders, now: DateTime<Utc>) -> Report {
        let report = self.0.executor.execute(orders, now).await;
        let mut state = self.state();
        for written in &report.writes {
            let object = (written.kind, written.name.clone());
            state.ledger.wrote(&orders.subject.key, object, written.mark.clone(), now);
        }
        for name in &report.names_taken {
            state.caches.note_taken(&orders.subject.key, name);
        }
        report
    }

    /// Tells of a reconcile, and starts the measurements that it asks for.
    pub(crate) fn conclude(&self, key: &Key, decision: &Decision, report: &Report, now: DateTime<Utc>) {
        let record = Record { at: now, decision, report };
        record::log(key, &record);
        self.0.metrics.record(key, &record, self.now());
        if let Some(observer) = &self.0.observer {
            observer.reconciled(key, &record);
        }
        if let (Key::AnalysisRun(name), Decision::AnalysisRun { observed, plan }) = (key, decision)
            && !report.dropped
            && !matches!(report.outcome, Outcome::Fenced)
        {
            self.0.measurements.settled(name, observed.samples.len());
            if !report.refused.is_empty() {
                self.0.measurements.ended(name, &report.refused);
                self.wake(key.clone());
            }
            for measure in &plan.measure {
                let engine = self.clone();
                let key = key.clone();
                let ring = move || engine.wake(key);
                self.0.measurements.start(name, measure.clone(), ring);
            }
        }
    }

    /// Objects that a Rollout which is no more had set, and that outlive it.
    pub(crate) fn left_behind(&self, rollout: &ObjectName) -> Vec<(Kind, ObjectName, Raw)> {
        self.state().caches.left_behind(rollout)
    }

    /// Whether we are the leader, or need not be.
    pub(crate) fn may_write(&self) -> bool {
        self.0.executor.leadership.may_write()
    }

    /// Forgets a key that is no more.
    pub(crate) fn gone(&self, key: &Key) -> Next {
        self.state().ledger.forget(key);
        self.0.metrics.forget(key);
        match key {
            Key::Rollout(_) | Key::Experiment(_) => {}
            Key::AnalysisRun(name) => self.0.measurements.forget(name),
        }
        Next::Forget
    }

    /// Logs and counts a decision that broke down.
    pub(crate) fn broke_down(&self, key: &Key, error: &Error) -> Next {
        tracing::error!(%key, %error, "this is a defect; please report it");
        self.0.metrics.broke_down(key);
        if let Some(observer) = &self.0.observer {
            observer.broke_down(key, error);
        }
        Next::Retry(Backoff::Refused)
    }

    fn wake(&self, key: Key) {
        let now = self.now();
        self.state().queue.add(key, now);
        self.0.bell.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("next_due", &self.next_due()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
