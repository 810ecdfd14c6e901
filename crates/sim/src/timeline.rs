//! What happened, as a list of entries: steps, weights, measurements, holds, decisions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use serin_api::{AnalysisRunStatus, Measurement, RolloutStatus};
use serin_controller::{Decision, Key, Observer, Record};
use serin_core::plan::EventKind;
use serin_core::rollout;

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Namespace and name of the object that it is about.
    pub object: String,
    /// What it tells.
    pub what: What,
}

/// The kinds of entries.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The phase or its message changed.
    Phase {
        /// Healthy, Progressing, Paused, Degraded.
        phase: String,
        /// The sentence that goes with it.
        message: String,
    },
    /// The wanted canary weight changed.
    Weight {
        /// Wanted, in percent.
        desired: i32,
        /// On the routes at this moment, in percent.
        observed: Option<i32>,
    },
    /// A step began; one after the last means that all are done.
    Step {
        /// Counting from 1.
        step: usize,
        /// Number of steps.
        steps: usize,
        /// The step in words.
        words: String,
    },
    /// A measurement was taken.
    Measurement {
        /// Name of the metric.
        metric: String,
        /// Successful, Failed, Inconclusive, Error.
        phase: String,
        /// What was measured.
        value: String,
        /// What there is to say about it.
        message: String,
    },
    /// A reason to wait began.
    Hold {
        /// Its name.
        reason: String,
        /// The sentence for people.
        message: String,
    },
    /// An event was published.
    Event {
        /// Whether a person may have to look at it.
        kind: EventKind,
        /// Its reason.
        reason: String,
        /// Its message.
        message: String,
    },
}

impl What {
    /// The kind as JSON names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            What::Phase { .. } => "phase",
            What::Weight { .. } => "weight",
            What::Step { .. } => "step",
            What::Measurement { .. } => "measurement",
            What::Hold { .. } => "hold",
            What::Event { .. } => "event",
        }
    }
}

impl Entry {
    /// The entry as one JSON object; `at` is RFC 3339 with milliseconds.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = match &self.what {
            What::Phase { phase, message } => json!({"phase": phase, "message": message}),
            What::Weight { desired, observed } => json!({"desired": desired, "observed": observed}),
            What::Step { step, steps, words } => json!({"step": step, "steps": steps, "words": words}),
            What::Measurement { metric, phase, value, message } => {
                json!({"metric": metric, "phase": phase, "value": value, "message": message})
            }
            What::Hold { reason, message } => json!({"reason": reason, "message": message}),
            What::Event { kind, reason, message } => {
                json!({"type": kind.to_string(), "reason": reason, "message": message})
            }
        };
        object["at"] = json!(self.at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
        object["kind"] = json!(self.what.kind());
        object["object"] = json!(self.object);
        object
    }
}

/// Writes the timeline while the controller works; clones share one list.
#[derive(Clone, Debug, Default)]
pub struct Timeline(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    entries: Vec<Entry>,
    rollouts: BTreeMap<String, Last>,
    measured: BTreeMap<String, usize>,
}

/// What was last told of a Rollout.
#[derive(Debug, Default, PartialEq)]
struct Last {
    phase: (String, String),
    weight: Option<i32>,
    step: Option<(Option<String>, i32)>,
    holds: Vec<String>,
}

impl Timeline {
    /// Takes the entries since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut self.pages().entries)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Timeline {
    fn reconciled(&self, key: &Key, record: &Record<'_>) {
        if !record.report.status_written {
            return;
        }
        let object = key.object().to_string();
        let mut pages = self.pages();
        match record.decision {
            Decision::Rollout { observed, plan } => pages.tell_rollout(record.at, &object, observed, plan),
            Decision::AnalysisRun { plan, .. } => {
                if let Some(status) = &plan.status {
                    pages.tell_run(record.at, &object, status);
                }
            }
            Decision::Experiment { plan, .. } => {
                let events = plan.events.iter().map(|event| What::Event {
                    kind: event.kind,
                    reason: event.reason.clone(),
                    message: event.message.clone(),
                });
                pages.entries.extend(events.map(|what| Entry { at: record.at, object: object.clone(), what }));
            }
        }
    }
}

impl Pages {
    fn tell_rollout(&mut self, at: DateTime<Utc>, object: &str, observed: &rollout::Observed, plan: &rollout::Plan) {
        let Some(status) = &plan.status else { return };
        let last = self.rollouts.entry(object.to_owned()).or_default();
        let mut told = Vec::new();
        tell_step(last, observed, status, &mut told);
        if last.weight != plan.facts.weight_desired {
            last.weight = plan.facts.weight_desired;
            if let Some(desired) = plan.facts.weight_desired {
                told.push(What::Weight { desired, observed: plan.facts.weight_observed });
            }
        }
        for event in plan.events.iter().filter(|event| event.reason != "RolloutStepCompleted") {
            told.push(What::Event { kind: event.kind, reason: event.reason.clone(), message: event.message.clone() });
        }
        tell_holds(last, plan, &mut told);
        let phase = (status.phase.clone().unwrap_or_default(), status.message.clone().unwrap_or_default());
        if last.phase != phase {
            last.phase.clone_from(&phase);
            told.push(What::Phase { phase: phase.0, message: phase.1 });
        }
        self.entries.extend(told.into_iter().map(|what| Entry { at, object: object.to_owned(), what }));
    }

    fn tell_run(&mut self, at: DateTime<Utc>, object: &str, status: &AnalysisRunStatus) {
        for result in &status.metric_results {
            let key = format!("{object}/{}", result.name);
            let fresh: Vec<&Measurement> = match self.measured.get(&key) {
                Some(seen) => result.measurements.iter().filter(|m| finished(m) > *seen).collect(),
                None => result.measurements.iter().filter(|m| m.finished_at.is_some()).collect(),
            };
            let latest = fresh.iter().map(|m| finished(m)).max();
            for measurement in fresh {
                self.entries.push(Entry {
                    at,
                    object: object.to_owned(),
                    what: What::Measurement {
                        metric: result.name.clone(),
                        phase: measurement.phase.clone(),
                        value: measurement.value.clone().unwrap_or_default(),
                        message: measurement.message.clone().unwrap_or_default(),
                    },
                });
            }
            if let Some(latest) = latest {
                self.measured.insert(key, latest);
            }
        }
    }
}

/// Second in which a measurement was finished; measurements of one metric are seconds apart.
fn finished(measurement: &Measurement) -> usize {
    measurement.finished_at.and_then(|time| usize::try_from(time.0.timestamp()).ok()).unwrap_or(0)
}

fn tell_step(last: &mut Last, observed: &rollout::Observed, status: &RolloutStatus, told: &mut Vec<What>) {
    let Some(index) = status.current_step_index else { return };
    let key = (status.current_pod_hash.clone(), index);
    if last.step.as_ref() == Some(&key) {
        return;
    }
    last.step = Some(key);
    let canary = observed.rollout.spec.strategy.canary.as_ref();
    let steps = canary.map_or(0, |canary| canary.steps.len());
    let index = usize::try_from(index).unwrap_or(0);
    let words = rollout::parse::parse(observed)
        .ok()
        .and_then(|spec| spec.canary.steps.get(index).map(ToString::to_string))
        .unwrap_or_else(|| "all steps done".to_owned());
    if steps > 0 {
        told.push(What::Step { step: index + 1, steps, words });
    }
}

fn tell_holds(last: &mut Last, plan: &rollout::Plan, told: &mut Vec<What>) {
    let reasons: Vec<String> = plan.holds.iter().map(|hold| hold.reason().to_owned()).collect();
    for hold in plan.holds.iter().filter(|hold| !last.holds.contains(&hold.reason().to_owned())) {
        told.push(What::Hold { reason: hold.reason().to_owned(), message: hold.to_string() });
    }
    last.holds = reasons;
}
