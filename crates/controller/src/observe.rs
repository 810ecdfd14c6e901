//! Takes what one decision may know out of the caches, at one moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use serin_core::analysis;
use serin_core::analysis::sample::Sample;
use serin_core::experiment;
use serin_core::rollout::observed::{self, Settings};

use crate::caches::Caches;
use crate::change::{Key, Kind, ObjectName};
use crate::ledger::Ledger;

/// What there is to see of an object.
#[derive(Clone, Debug)]
pub enum Sight<T> {
    /// It is not there, or none of our business.
    Gone,
    /// The caches show an object older than we left it; they will catch up.
    Stale(Kind, ObjectName),
    /// All that a decision may know.
    Seen(T),
}

/// An observation, and the status as the API server has it, which may have fields that our types do not know.
#[derive(Clone, Debug)]
pub struct Seen<T> {
    /// The input of the decision.
    pub observed: T,
    /// The raw status.
    pub status: Arc<Value>,
}

/// Observes a Rollout.
#[must_use]
pub fn observe_rollout(
    name: &ObjectName,
    caches: &Caches,
    ledger: &mut Ledger,
    now: DateTime<Utc>,
    settings: &Settings,
) -> Sight<Seen<observed::Observed>> {
    let Some(subject) = caches.rollout(name) else {
        return Sight::Gone;
    };
    if let Some((kind, name)) = behind(&Key::Rollout(name.clone()), caches, ledger, now) {
        return Sight::Stale(kind, name);
    }
    let replica_sets = caches.replica_sets_of(name);
    let observed = observed::Observed {
        now,
        rollout: subject.object,
        workload: caches.workload_of(name),
        pods: caches.pods_of(&replica_sets),
        replica_sets,
        services: caches.services_of(name),
        virtual_services: caches.virtual_services_of(name),
        destination_rule: caches.destination_rule_of(name),
        left_behind: caches.left_behind_by(name),
        templates: caches.templates_of(name),
        analysis_runs: caches.runs_of(name),
        names_taken: caches.names_taken(name),
        rivals: caches.rivals_of(name),
        experiments: caches.experiments_of(name),
        experiment_services: caches.experiment_services_of(name),
        experiment_pods: caches.experiment_pods_of(name),
        control_plane: caches.control_plane(now),
        settings: settings.clone(),
    };
    Sight::Seen(Seen { observed, status: subject.status })
}

/// What is known of the measurements of an AnalysisRun beside its status.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Measurements that have come back and are in no status yet, oldest first.
    pub samples: Vec<Sample>,
    /// Names of the metrics whose measurement is under way.
    pub in_flight: BTreeSet<String>,
}

/// Observes an AnalysisRun.
#[must_use]
pub fn observe_run(
    name: &ObjectName,
    (caches, ledger): (&Caches, &mut Ledger),
    measured: Measured,
    now: DateTime<Utc>,
    settings: &Settings,
) -> Sight<Seen<analysis::Observed>> {
    let Some(subject) = caches.analysis_run(name) else {
        return Sight::Gone;
    };
    if let Some((kind, name)) = behind(&Key::AnalysisRun(name.clone()), caches, ledger, now) {
        return Sight::Stale(kind, name);
    }
    let observed = analysis::Observed {
        now,
        run: subject.object,
        samples: measured.samples,
        in_flight: measured.in_flight,
        jobs: caches.jobs_of(name),
        semantics: settings.semantics,
    };
    Sight::Seen(Seen { observed, status: subject.status })
}

/// Observes an Experiment.
#[must_use]
pub fn observe_experiment(
    name: &ObjectName,
    caches: &Caches,
    ledger: &mut Ledger,
    now: DateTime<Utc>,
    settings: &Settings,
) -> Sight<Seen<experiment::Observed>> {
    let Some(subject) = caches.experiment(name) else {
        return Sight::Gone;
    };
    if let Some((kind, name)) = behind(&Key::Experiment(name.clone()), caches, ledger, now) {
        return Sight::Stale(kind, name);
    }
    let observed = experiment::Observed {
        now,
        experiment: subject.object,
        replica_sets: caches.replica_sets_of_experiment(name),
        taken: caches.taken_from_experiment(name),
        services: caches.services_of_experiment(name),
        analysis_runs: caches.runs_of_experiment(name),
        templates: caches.templates_of_experiment(name),
        virtual_services: caches.virtual_services_of_experiment(name),
        control_plane: caches.control_plane(now),
        settings: settings.clone(),
    };
    Sight::Seen(Seen { observed, status: subject.status })
}

fn behind(key: &Key, caches: &Caches, ledger: &mut Ledger, now: DateTime<Utc>) -> Option<(Kind, ObjectName)> {
    ledger.behind(key, now, |kind, name| caches.shown(kind, name))
}
