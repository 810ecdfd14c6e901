//! The AnalysisRuns of an Experiment: what they say, which are started, and which are ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use serin_api::{AnalysisRun, Argument, ExperimentAnalysis, ExperimentAnalysisRunStatus, ExperimentStatus, labels};

use crate::analysis::args::{Placeholders, merge};
use crate::analysis::object::{Own, object};
use crate::analysis::phase::Phase;
use crate::analysis::template::flatten;
use crate::field_error::FieldError;
use crate::plan::{Effect, Event, Planned, Wake};
use crate::rollout::observed::TemplateKey;

use super::Observed;
use super::parse::Spec;

/// How long a template may be missing: what was created beside the Experiment may be told of later than it.
const TEMPLATE_GRACE: TimeDelta = TimeDelta::seconds(10);

/// The statuses of all analyses, with what their runs report now.
pub(super) fn follow(observed: &Observed, spec: &Spec) -> Vec<ExperimentAnalysisRunStatus> {
    let before = observed.experiment.status.as_ref().map_or(&[][..], |status| status.analysis_runs.as_slice());
    let mut statuses: Vec<ExperimentAnalysisRunStatus> = before
        .iter()
        .filter(|status| spec.analyses.iter().any(|analysis| analysis.name == status.name))
        .cloned()
        .collect();
    for status in &mut statuses {
        if let Some(run) = find(observed, &status.analysis_run)
            && let Some(reported) = run.status.as_ref().filter(|reported| !reported.phase.is_empty())
        {
            status.phase.clone_from(&reported.phase);
            status.message.clone_from(&reported.message);
        }
    }
    statuses
}

/// Whether an analysis has ended in a way that ends the Experiment.
pub(super) fn is_bad(statuses: &[ExperimentAnalysisRunStatus]) -> bool {
    statuses.iter().any(|status| Phase::of(&status.phase).bad())
}

/// Whether every analysis that the Experiment waits for is successful, and there is one.
pub(super) fn required_are_done(spec: &Spec, statuses: &[ExperimentAnalysisRunStatus]) -> bool {
    let is_done = |analysis: &ExperimentAnalysis| {
        statuses.iter().any(|s| s.name == analysis.name && Phase::of(&s.phase) == Phase::Successful)
    };
    spec.has_required() && spec.analyses.iter().filter(|analysis| analysis.required_for_completion).all(is_done)
}

/// The phase and message of the worst analysis.
pub(super) fn worst(statuses: &[ExperimentAnalysisRunStatus]) -> (Phase, Option<String>) {
    let mut worst = (Phase::Successful, None);
    for status in statuses {
        let phase = Phase::of(&status.phase);
        if phase > worst.0 {
            worst = (phase, status.message.clone());
        }
    }
    worst
}

/// Records what keeps an analysis from ever starting, before the pods are available; says when to look again.
pub(super) fn verify(
    observed: &Observed,
    spec: &Spec,
    statuses: &mut Vec<ExperimentAnalysisRunStatus>,
) -> Option<Wake> {
    let mut wake = None;
    for analysis in &spec.analyses {
        if statuses.iter().any(|status| status.name == analysis.name) {
            continue;
        }
        let Err(errors) = flatten(&[key(analysis)], &observed.templates) else { continue };
        let kind = if analysis.cluster_scope == Some(true) { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" };
        let why = errors.iter().map(|error| error.message.as_str()).collect::<Vec<_>>().join("; ");
        let message = format!("{kind} verification failed for analysis '{}': {why}", analysis.name);
        wake = Wake::earlier(wake, refuse(observed, analysis, message, statuses));
    }
    wake
}

/// Decides which runs there should be, records them, and yields what brings that about.
pub(super) fn start(observed: &Observed, spec: &Spec, status: &mut ExperimentStatus) -> (Vec<Planned>, Option<Wake>) {
    let (mut effects, mut wake) = (Vec::new(), None);
    for analysis in &spec.analyses {
        let recorded = status.analysis_runs.iter().find(|recorded| recorded.name == analysis.name);
        if recorded.is_some_and(|r| Phase::of(&r.phase).completed() || find(observed, &r.analysis_run).is_some()) {
            continue;
        }
        let name = recorded.map_or_else(|| free_name(observed, analysis), |recorded| recorded.analysis_run.clone());
        match build(observed, analysis, status, &name) {
            Ok(object) => {
                effects.push(Planned { effect: Effect::CreateAnalysisRun { object }, event: None });
                if recorded.is_none() {
                    status.analysis_runs.push(ExperimentAnalysisRunStatus {
                        name: analysis.name.clone(),
                        analysis_run: name,
                        phase: Phase::Pending.to_string(),
                        message: None,
                    });
                }
            }
            Err(errors) => {
                let why = FieldError::join(&errors);
                let message = format!("Failed to create AnalysisRun for analysis '{}': {why}", analysis.name);
                wake = Wake::earlier(wake, refuse(observed, analysis, message, &mut status.analysis_runs));
            }
        }
    }
    (effects, wake)
}

/// Asks every run to end that is under way.
pub(super) fn end(observed: &Observed) -> Vec<Planned> {
    let under_way = observed.analysis_runs.iter().filter(|run| {
        let phase = run.status.as_ref().map_or(Phase::Pending, |status| Phase::of(&status.phase));
        !phase.completed() && !run.spec.terminate && run.metadata.deletion_timestamp.is_none()
    });
    under_way
        .map(|run| {
            let name = run_name(run);
            let message = format!("Terminating AnalysisRun '{name}'");
            Planned {
                effect: Effect::TerminateAnalysisRun { name: name.to_owned() },
                event: Some(Event::normal("AnalysisRunTerminating", message)),
            }
        })
        .collect()
}

/// Tells of every analysis whose phase is another than before.
pub(super) fn events(before: &[ExperimentAnalysisRunStatus], after: &[ExperimentAnalysisRunStatus]) -> Vec<Event> {
    let mut events = Vec::new();
    for status in after {
        let old = before.iter().find(|old| old.name == status.name).map_or("", |old| old.phase.as_str());
        if old == status.phase {
            continue;
        }
        let mut message = format!("AnalysisRun '{}' transitioned from {old} -> {}", status.name, status.phase);
        if let Some(why) = &status.message {
            message.push_str(&format!(": {why}"));
        }
        let (phase, reason) = (Phase::of(&status.phase), format!("AnalysisRun{}", status.phase));
        events.push(if phase.bad() { Event::warning(reason, message) } else { Event::normal(reason, message) });
    }
    events
}

/// Records that an analysis cannot be made, once its templates have had the time to appear.
fn refuse(
    observed: &Observed,
    analysis: &ExperimentAnalysis,
    message: String,
    statuses: &mut Vec<ExperimentAnalysisRunStatus>,
) -> Option<Wake> {
    let patience = created(observed).checked_add_signed(TEMPLATE_GRACE);
    if let Some(at) = patience.filter(|at| *at > observed.now) {
        return Some(Wake { at, why: format!("templates of analysis {}", analysis.name) });
    }
    statuses.retain(|status| status.name != analysis.name);
    statuses.push(ExperimentAnalysisRunStatus {
        name: analysis.name.clone(),
        analysis_run: String::new(),
        phase: Phase::Error.to_string(),
        message: Some(message),
    });
    None
}

fn created(observed: &Observed) -> DateTime<Utc> {
    let created = observed.experiment.metadata.creation_timestamp.as_ref();
    created.map_or(DateTime::UNIX_EPOCH, |time| serin_api::Time::from(time).0)
}

fn find<'o>(observed: &'o Observed, name: &str) -> Option<&'o Arc<AnalysisRun>> {
    observed.analysis_runs.iter().find(|run| run_name(run) == name)
}

fn run_name(run: &AnalysisRun) -> &str {
    run.metadata.name.as_deref().unwrap_or_default()
}

fn key(analysis: &ExperimentAnalysis) -> TemplateKey {
    TemplateKey { cluster_scope: analysis.cluster_scope == Some(true), name: analysis.template_name.clone() }
}

/// The first of `base`, `base.1`, `base.2` … that no run of the Experiment has.
fn free_name(observed: &Observed, analysis: &ExperimentAnalysis) -> String {
    let base = format!("{}-{}", observed.name(), analysis.name);
    let (mut name, mut suffix) = (base.clone(), 0);
    while find(observed, &name).is_some() {
        suffix += 1;
        name = format!("{base}.{suffix}");
    }
    name
}

fn build(
    observed: &Observed,
    analysis: &ExperimentAnalysis,
    status: &ExperimentStatus,
    name: &str,
) -> Result<Value, Vec<FieldError>> {
    let spec = &observed.experiment.spec;
    let flat = flatten(&[key(analysis)], &observed.templates)?;
    let given = given(&analysis.args, &placeholders(observed, status))?;
    let subject = serde_json::to_value(&*observed.experiment).unwrap_or_default();
    let args = merge(std::slice::from_ref(&flat.args), &given, &subject)?;
    let mut metadata = spec.analysis_run_metadata.clone().unwrap_or_default();
    if let Some(instance) = &observed.settings.instance_id {
        metadata.labels.insert(labels::INSTANCE_ID.to_owned(), instance.clone());
    }
    let own = Own {
        name,
        namespace: Some(observed.namespace()),
        owner: observed.owner_reference(),
        metadata,
        dry_run: &spec.dry_run,
        retention: &spec.measurement_retention,
        semantics: observed.settings.semantics,
    };
    Ok(object(flat, &args, own))
}

/// The values that an analysis gives to arguments, with the Experiment's own words in them replaced.
fn given(args: &[Argument], known: &Placeholders) -> Result<BTreeMap<String, String>, Vec<FieldError>> {
    let (mut values, mut errors) = (BTreeMap::new(), Vec::new());
    for (index, arg) in args.iter().enumerate() {
        let Some(value) = &arg.value else { continue };
        match known.replace(value) {
            Ok(value) => {
                values.insert(arg.name.clone(), value);
            }
            Err(unknown) => {
                let message = format!("failed to resolve {}", unknown.join(", "));
                errors.push(FieldError::new(format!("args[{index}].value"), message));
            }
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

/// What `{{ templates.NAME.podTemplateHash }}` and its like stand for.
fn placeholders(observed: &Observed, status: &ExperimentStatus) -> Placeholders {
    let mut known = BTreeMap::new();
    for template in &observed.experiment.spec.templates {
        if let Some(rs) = observed.replica_set(&template.name) {
            known.insert(format!("templates.{}.podTemplateHash", template.name), rs.hash.clone());
            known.insert(format!("templates.{}.replicaset.name", template.name), rs.name.clone());
        }
    }
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    if let Some(available) = status.available_at {
        known.insert("experiment.availableAt".to_owned(), text(available.0));
        let duration = observed.experiment.spec.duration.as_ref();
        let duration = duration.and_then(|duration| super::parse::duration(duration).ok());
        if let Some(end) = duration.and_then(|duration| available.0.checked_add_signed(duration)) {
            known.insert("experiment.finishedAt".to_owned(), text(end));
        }
    }
    Placeholders::new(known)
}
