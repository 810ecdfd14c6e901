//! The counters and histograms that are counted up as things happen.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serin_core::rollout::{Observed, Plan};

use super::Labels;
use super::durations::Durations;

pub(super) type Gauges = Family<Labels, Gauge>;
type Counters = Family<Labels, Counter>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;

/// All of them.
pub(super) struct Families {
    pub(super) requests: Counters,
    pub(super) rollout_reconcile: Histograms,
    pub(super) rollout_reconcile_error: Gauges,
    pub(super) run_reconcile: Histograms,
    pub(super) run_reconcile_error: Gauges,
    pub(super) experiment_reconcile: Histograms,
    pub(super) experiment_reconcile_error: Gauges,
    pub(super) events: Counters,
    pub(super) writes: Counters,
    pub(super) aborts: Counters,
    pub(super) durations: Durations,
    pub(super) provider_request: Histograms,
    pub(super) routes_overwritten: Counters,
    pub(super) unsafe_plans: Counter,
    pub(super) panics: Counter,
    pub(super) queue_depth: Gauge,
    pub(super) leader: Gauge,
}

impl Families {
    /// Makes them, and enters them in the registry.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Families {
            requests: Counters::default(),
            rollout_reconcile: Histograms::new_with_constructor(reconcile_histogram),
            rollout_reconcile_error: Gauges::default(),
            run_reconcile: Histograms::new_with_constructor(reconcile_histogram),
            run_reconcile_error: Gauges::default(),
            experiment_reconcile: Histograms::new_with_constructor(reconcile_histogram),
            experiment_reconcile_error: Gauges::default(),
            events: Counters::default(),
            writes: Counters::default(),
            aborts: Counters::default(),
            durations: Durations::register(registry),
            provider_request: Histograms::new_with_constructor(provider_histogram),
            routes_overwritten: Counters::default(),
            unsafe_plans: Counter::default(),
            panics: Counter::default(),
            queue_depth: Gauge::default(),
            leader: Gauge::default(),
        };
        families.enter(registry);
        families
    }

    fn enter(&self, registry: &mut Registry) {
        registry.register(
            "controller_clientset_k8s_request",
            "Requests to the API server; status code 0 means no answer",
            self.requests.clone(),
        );
        registry.register("rollout_reconcile", "Seconds of a Rollout's reconcile", self.rollout_reconcile.clone());
        registry.register(
            "rollout_reconcile_error",
            "Reconciles of a Rollout that failed, ever growing",
            self.rollout_reconcile_error.clone(),
        );
        registry.register(
            "analysis_run_reconcile",
            "Seconds of an AnalysisRun's reconcile",
            self.run_reconcile.clone(),
        );
        registry.register(
            "analysis_run_reconcile_error",
            "Reconciles of an AnalysisRun that failed, ever growing",
            self.run_reconcile_error.clone(),
        );
        registry.register(
            "experiment_reconcile",
            "Seconds of an Experiment's reconcile",
            self.experiment_reconcile.clone(),
        );
        registry.register(
            "experiment_reconcile_error",
            "Reconciles of an Experiment that failed, ever growing",
            self.experiment_reconcile_error.clone(),
        );
        registry.register("rollout_events", "Events published on a Rollout", self.events.clone());
        registry.register("serin_writes", "Objects written, by kind", self.writes.clone());
        registry.register("serin_abort", "Updates aborted, by cause", self.aborts.clone());
        registry.register(
            "serin_provider_request_seconds",
            "Seconds until a metrics source answered, by what it meant",
            self.provider_request.clone(),
        );
        registry.register(
            "serin_routes_overwritten",
            "Times that somebody else wrote a weight over ours, by field manager",
            self.routes_overwritten.clone(),
        );
        registry.register("serin_unsafe_plans", "Plans dropped for safety", self.unsafe_plans.clone());
        registry.register("serin_decision_panics", "Decisions that broke down, a defect", self.panics.clone());
        registry.register("serin_queue_depth", "Keys that are due and wait for a worker", self.queue_depth.clone());
        registry.register("serin_leader", "1 if this replica is the leader", self.leader.clone());
    }

    /// Counts what a plan says of aborts, of updates that end, and of its own safety.
    pub(super) fn count_plan(&self, observed: &Observed, plan: &Plan, status_written: bool) {
        if plan.facts.unsafe_plan {
            self.unsafe_plans.inc();
        }
        let old = observed.rollout.status.as_ref();
        if let Some(new) = plan.status.as_ref().filter(|_| status_written) {
            let before = old.and_then(|old| old.duration.as_ref());
            self.durations.count(before, new.duration.as_ref(), observed.now);
        }
        let was_aborted = old.is_some_and(|old| old.aborted_at.is_some());
        let Some(new) = plan.status.as_ref().filter(|new| status_written && new.aborted_at.is_some() && !was_aborted)
        else {
            return;
        };
        let cause = new.serin.as_ref().and_then(|serin| serin.abort_cause.as_deref());
        self.aborts.get_or_create(&vec![("cause", cause_class(cause).to_owned())]).inc();
    }
}

/// Sorts causes of aborts into a handful of classes, since the text names objects and numbers.
fn cause_class(cause: Option<&str>) -> &'static str {
    // A person gives no cause.
    let Some(cause) = cause else { return "manual" };
    let lower = cause.to_lowercase();
    let classes = [
        ("background analysis", "background_analysis"),
        ("step-based analysis", "step_analysis"),
        ("experiment analysis", "experiment"),
        ("analysis", "analysis"),
        ("deadline", "progress_deadline"),
        ("progress", "progress_deadline"),
    ];
    classes.into_iter().find(|(word, _)| lower.contains(word)).map_or("other", |(_, class)| class)
}

fn reconcile_histogram() -> Histogram {
    Histogram::new([0.01, 0.15, 0.25, 0.5, 1.0])
}

fn provider_histogram() -> Histogram {
    Histogram::new([0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}
