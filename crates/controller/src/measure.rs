//! Takes the measurements that analysis runs ask for, some at a time, and keeps them until they are in a status.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use serin_core::analysis::sample::{Measure, Outcome, Sample};
use serin_providers::{Answer, Defaults, Sources, Transport};
use tokio::sync::{Notify, Semaphore};

use crate::change::ObjectName;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::metrics::Metrics;
use crate::observe::Measured;
use crate::secrets;

/// How many measurements are taken at a time, over all runs.
pub const MEASUREMENTS_MAX: usize = 64;

/// Measurements under way, and those that came back; clones are the same.
#[derive(Clone)]
pub struct Measurements(Arc<Inner>);

struct Inner {
    cluster: Cluster,
    transport: Arc<dyn Transport>,
    sources: Sources,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    places: Semaphore,
    runs: Mutex<BTreeMap<ObjectName, Measured>>,
    done: Notify,
}

impl Measurements {
    /// No measurements yet.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        transport: Arc<dyn Transport>,
        defaults: Defaults,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Measurements(Arc::new(Inner {
            cluster,
            transport,
            sources: Sources::new(defaults),
            clock,
            metrics,
            places: Semaphore::new(MEASUREMENTS_MAX),
            runs: Mutex::new(BTreeMap::new()),
            done: Notify::new(),
        }))
    }

    /// Starts a measurement for a run, unless the same is under way; `ring` is called when it is there.
    pub fn start(&self, run: &ObjectName, measure: Measure, ring: impl FnOnce() + Send + 'static) {
        if !self.runs().entry(run.clone()).or_default().in_flight.insert(measure.metric.clone()) {
            return;
        }
        let (measurements, run) = (self.clone(), run.clone());
        tokio::spawn(async move {
            let begun = measurements.0.clock.now();
            // One that breaks down must not count as under way for ever.
            let taken = AssertUnwindSafe(measurements.take(&run, &measure)).catch_unwind().await;
            let sample = taken.unwrap_or_else(|_panic| broke_down(&measure, begun, measurements.0.clock.now()));
            measurements.arrived(&run, sample);
            ring();
            measurements.0.done.notify_waiters();
        });
    }

    /// What has come back for a run and what is under way. Measurements that came back together are in order of their
    /// metrics, whichever was faster.
    #[must_use]
    pub fn measured(&self, run: &ObjectName) -> Measured {
        let mut measured = self.runs().get(run).cloned().unwrap_or_default();
        measured.samples.sort_by(|a, b| (a.started_at, &a.metric).cmp(&(b.started_at, &b.metric)));
        measured
    }

    /// Takes in measurements that came to nothing before they could begin.
    pub fn ended(&self, run: &ObjectName, samples: &[Sample]) {
        self.runs().entry(run.clone()).or_default().samples.extend_from_slice(samples);
    }

    /// Forgets the oldest measurements of a run, since they are in its status now.
    pub fn settled(&self, run: &ObjectName, count: usize) {
        let mut runs = self.runs();
        if let Some(measured) = runs.get_mut(run) {
            measured.samples.drain(..count.min(measured.samples.len()));
            if measured.samples.is_empty() && measured.in_flight.is_empty() {
                runs.remove(run);
            }
        }
    }

    /// Forgets everything about a run that is no more.
    pub fn forget(&self, run: &ObjectName) {
        self.runs().remove(run);
        self.0.done.notify_waiters();
    }

    /// Completes when no measurement is under way.
    pub async fn idle(&self) {
        loop {
            let mut done = std::pin::pin!(self.0.done.notified());
            done.as_mut().enable();
            if self.runs().values().all(|measured| measured.in_flight.is_empty()) {
                return;
            }
            done.await;
        }
    }

    fn arrived(&self, run: &ObjectName, sample: Sample) {
        let mut runs = self.runs();
        // A run that was forgotten in the meantime does not come back.
        let Some(measured) = runs.get_mut(run) else {
            return;
        };
        if measured.in_flight.remove(&sample.metric) {
            measured.samples.push(sample);
        }
    }

    async fn take(&self, run: &ObjectName, measure: &Measure) -> Sample {
        let _place = self.0.places.acquire().await;
        let started_at = self.0.clock.now();
        let answer = match secrets::secrets_of(&self.0.cluster, &run.namespace, measure).await {
            Ok(values) => self.0.sources.measure(measure, &values, started_at, self.0.transport.as_ref()).await,
            Err(outcome) => Answer::without_value(outcome),
        };
        let sample = Sample {
            metric: measure.metric.clone(),
            started_at,
            finished_at: self.0.clock.now(),
            outcome: answer.outcome,
            value: answer.value,
            metadata: answer.metadata,
        };
        self.0.metrics.measured(&measure.spec.provider, &sample);
        sample
    }

    fn runs(&self) -> MutexGuard<'_, BTreeMap<ObjectName, Measured>> {
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn broke_down(measure: &Measure, started_at: DateTime<Utc>, finished_at: DateTime<Utc>) -> Sample {
    let metric = measure.metric.clone();
    tracing::error!(metric, "a measurement broke down; this is a defect; please report it");
    let message = "the measurement broke down, which is a defect of the controller; see its log".to_owned();
    let (outcome, value) = (Outcome::Wrong { message }, String::new());
    Sample { metric, started_at, finished_at, outcome, value, metadata: BTreeMap::new() }
}

impl fmt::Debug for Measurements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_flight: BTreeSet<String> = self.runs().values().flat_map(|m| m.in_flight.clone()).collect();
        f.debug_struct("Measurements").field("in_flight", &in_flight).finish_non_exhaustive()
    }
}
