//! What is counted, under upstream's names where it has them and with the prefix `serin_` where the fact is our own.
//!
//! Some of upstream's counters are exposed as gauges that only grow: OpenMetrics would append `_total` to their names, and
//! the dashboards that teams have would not find them any more.

mod durations;
mod families;
mod objects;
mod provider;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use prometheus_client::registry::Registry;
use serin_api::{AnalysisRunStatus, Measurement, MetricProvider, MetricResult};
use serin_core::analysis;
use serin_core::analysis::sample::{Outcome as SampleOutcome, Sample};
use serin_core::rollout::Overwritten;

use crate::change::{Change, Key, ObjectName};
use crate::clock::Clock;
use crate::decision::Decision;
use crate::record::Record;
use families::Families;
use objects::Objects;

/// Labels of a series, in order.
type Labels = Vec<(&'static str, String)>;

/// All counters and gauges of one controller; clones are the same.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    families: Families,
    objects: Arc<Mutex<Objects>>,
    clock: OnceLock<Arc<dyn Clock>>,
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let families = Families::register(&mut registry);
        Metrics(Arc::new(Inner {
            registry,
            families,
            objects: Arc::new(Mutex::new(Objects::default())),
            clock: OnceLock::new(),
        }))
    }

    /// All series in the text form of OpenMetrics.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail, and a half-written page is better than none.
        let _ = prometheus_client::encoding::text::encode_registry(&mut text, &self.0.registry);
        let now = self.0.clock.get().map_or(DateTime::UNIX_EPOCH, |clock| clock.now());
        self.objects().render(&mut text, now);
        let _ = prometheus_client::encoding::text::encode_eof(&mut text);
        text
    }

    /// Sets the clock that times in steps are measured by; only the first call counts.
    pub(crate) fn set_clock(&self, clock: Arc<dyn Clock>) {
        let _ = self.0.clock.set(clock);
    }

    /// Counts a request to the API server; code 0 means no answer.
    pub(crate) fn request(&self, kind: &str, namespace: &str, verb: &str, code: u16) {
        let labels = vec![
            ("kind", kind.to_owned()),
            ("namespace", namespace.to_owned()),
            ("verb", verb.to_owned()),
            ("status_code", code.to_string()),
        ];
        self.0.families.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn queue_depth(&self, ready: usize) {
        self.0.families.queue_depth.set(i64::try_from(ready).unwrap_or(i64::MAX));
    }

    pub(crate) fn leading(&self, leading: bool) {
        self.0.families.leader.set(i64::from(leading));
    }

    /// Counts a measurement by provider and by what came of it.
    pub(crate) fn measured(&self, provider: &MetricProvider, sample: &Sample) {
        let outcome = match sample.outcome {
            SampleOutcome::Measured(_) => "measured",
            SampleOutcome::NoData { .. } => "no_data",
            SampleOutcome::SourceDown { .. } => "source_down",
            SampleOutcome::Wrong { .. } => "wrong",
        };
        let labels = vec![("provider", provider::field(provider).to_owned()), ("outcome", outcome.to_owned())];
        self.0
            .families
            .provider_request
            .get_or_create(&labels)
            .observe(seconds(sample.finished_at - sample.started_at));
    }

    /// Counts what happened in a reconcile that ended at `ended`.
    pub(crate) fn record(&self, key: &Key, record: &Record<'_>, ended: DateTime<Utc>) {
        let families = &self.0.families;
        let labels = object_labels(key.object());
        let histogram = match key {
            Key::Rollout(_) => &families.rollout_reconcile,
            Key::AnalysisRun(_) => &families.run_reconcile,
            Key::Experiment(_) => &families.experiment_reconcile,
        };
        histogram.get_or_create(&labels).observe(seconds(ended - record.at));
        if record.report.failures().next().is_some() {
            self.errors(key).get_or_create(&labels).inc();
        }
        for written in &record.report.writes {
            families.writes.get_or_create(&vec![("kind", written.kind.name().to_owned())]).inc();
        }
        match record.decision {
            Decision::Rollout { observed, plan } => {
                for event in &record.report.events {
                    let mut labels = labels.clone();
                    labels.extend([("type", event.kind.to_string()), ("reason", event.reason.clone())]);
                    families.events.get_or_create(&labels).inc();
                    self.objects().note_event(key.object(), labels);
                }
                families.count_plan(observed, plan, record.report.status_written);
                if record.report.status_written || plan.status.is_none() {
                    self.count_overwritten(key.object(), &plan.facts.overwritten);
                }
                self.objects().rollout(key.object(), observed, plan);
            }
            Decision::AnalysisRun { observed, plan } => {
                if let Some(status) = plan.status.as_ref().filter(|_| record.report.status_written) {
                    self.count_jobs(observed, status);
                }
                self.objects().run(key.object(), observed, plan);
            }
            Decision::Experiment { observed, plan } => {
                if plan.unsafe_plan {
                    families.unsafe_plans.inc();
                }
                self.objects().experiment(key.object(), observed, plan);
            }
        }
    }

    /// Counts the Jobs whose measurements have ended with this status.
    fn count_jobs(&self, observed: &analysis::Observed, status: &AnalysisRunStatus) {
        let old = observed.run.status.as_ref();
        for metric in observed.run.spec.metrics.iter().filter(|metric| metric.provider.job.is_some()) {
            let is_it = |result: &&MetricResult| result.name == metric.name;
            let before = old.and_then(|old| old.metric_results.iter().find(is_it));
            let was_running = |one: &&Measurement| {
                let mut known = before.into_iter().flat_map(|result| &result.measurements);
                known.any(|other| other.started_at == one.started_at && other.finished_at.is_none())
            };
            let ended = status.metric_results.iter().filter(is_it).flat_map(|result| &result.measurements);
            for one in ended.filter(was_running) {
                let (Some(from), Some(to)) = (&one.started_at, &one.finished_at) else { continue };
                let outcome = if one.phase == "Error" { "wrong" } else { "measured" };
                let labels = vec![("provider", "job".to_owned()), ("outcome", outcome.to_owned())];
                self.0.families.provider_request.get_or_create(&labels).observe(seconds(to.0 - from.0));
            }
        }
    }

    /// Counts weights that somebody else wrote, once the status says that they were seen.
    fn count_overwritten(&self, name: &ObjectName, overwritten: &[Overwritten]) {
        for one in overwritten {
            let labels = self.objects().overwrite_labels(name, &one.manager);
            self.0.families.routes_overwritten.get_or_create(&labels).inc();
        }
    }

    /// Counts a decision that broke down.
    pub(crate) fn broke_down(&self, key: &Key) {
        self.errors(key).get_or_create(&object_labels(key.object())).inc();
        self.0.families.panics.inc();
    }

    /// Keeps track of the templates that exist.
    pub(crate) fn change(&self, change: &Change) {
        self.objects().change(change);
    }

    /// Removes all series of an object that is no more.
    pub(crate) fn forget(&self, key: &Key) {
        let families = &self.0.families;
        let labels = object_labels(key.object());
        self.errors(key).remove(&labels);
        match key {
            Key::Rollout(name) => {
                families.rollout_reconcile.remove(&labels);
                let forgotten = self.objects().forget_rollout(name);
                for labels in forgotten.events {
                    families.events.remove(&labels);
                }
                for labels in forgotten.overwrites {
                    families.routes_overwritten.remove(&labels);
                }
            }
            Key::Experiment(name) => {
                families.experiment_reconcile.remove(&labels);
                self.objects().forget_experiment(name);
            }
            Key::AnalysisRun(name) => {
                families.run_reconcile.remove(&labels);
                self.objects().forget_run(name);
            }
        }
    }

    fn errors(&self, key: &Key) -> &families::Gauges {
        match key {
            Key::Rollout(_) => &self.0.families.rollout_reconcile_error,
            Key::AnalysisRun(_) => &self.0.families.run_reconcile_error,
            Key::Experiment(_) => &self.0.families.experiment_reconcile_error,
        }
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.0.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn object_labels(name: &ObjectName) -> Labels {
    vec![("namespace", name.namespace.clone()), ("name", name.name.clone())]
}

fn seconds(duration: TimeDelta) -> f64 {
    duration.to_std().map_or(0.0, |duration| duration.as_secs_f64())
}

/// Series by labels, as the objects' page is written from.
type Series = BTreeMap<&'static str, Vec<(Labels, f64)>>;

#[cfg(test)]
mod tests;
