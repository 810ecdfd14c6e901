//! The sets of pods: how each fares, and what brings it to where it should be.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serin_api::{TemplateStatus, Time, labels};

use crate::plan::{Effect, Event, Planned, Wake};
use crate::rollout::observed::ReplicaSet;

use super::parse::{Pods, Spec};
use super::traffic::{self, Traffic};
use super::{Observed, objects, template_of};

/// How a set of pods fares, from good to bad: an Experiment is as bad as the worst of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Over, and good.
    Successful,
    /// All pods are available.
    Running,
    /// Pods are missing.
    Progressing,
    /// Over, because it could not be made.
    Error,
    /// Over, and bad.
    Failed,
}

const ALL: [Standing; 5] =
    [Standing::Successful, Standing::Running, Standing::Progressing, Standing::Error, Standing::Failed];

impl Standing {
    /// The standing that a status names; `None` for one that has not begun.
    pub(super) fn of(status: &TemplateStatus) -> Option<Self> {
        ALL.into_iter().find(|standing| Some(standing.as_str()) == status.status.as_deref())
    }

    /// The word that a status uses.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Standing::Successful => "Successful",
            Standing::Running => "Running",
            Standing::Progressing => "Progressing",
            Standing::Error => "Error",
            Standing::Failed => "Failed",
        }
    }

    /// Whether the pods are not needed any more.
    pub(super) fn is_over(self) -> bool {
        match self {
            Standing::Successful | Standing::Error | Standing::Failed => true,
            Standing::Running | Standing::Progressing => false,
        }
    }

    /// Whether this ends the Experiment.
    pub(super) fn is_bad(self) -> bool {
        self.is_over() && self != Standing::Successful
    }
}

/// What is true for all sets of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// They are to run.
    On,
    /// They have run for as long as they should.
    TimeIsUp,
    /// Somebody or something ends the Experiment.
    Ending,
}

/// The status of a set of pods, brought up to date.
pub(super) fn assess(observed: &Observed, spec: &Spec, pods: &Pods, course: Course) -> TemplateStatus {
    let before = observed.experiment.status.as_ref();
    let before = before.and_then(|status| status.template_statuses.iter().find(|status| status.name == pods.name));
    let rs = observed.replica_set(&pods.name);
    let mut status =
        before.cloned().unwrap_or_else(|| TemplateStatus { name: pods.name.clone(), ..TemplateStatus::default() });
    let was = Standing::of(&status);
    count(rs, &mut status);
    let counts = |status: &TemplateStatus| (status.replicas, status.ready_replicas, status.available_replicas);
    if before.map(counts) != Some(counts(&status)) {
        status.last_transition_time = Some(Time(observed.now));
    }
    let collisions = match rs {
        Some(_) => status.collision_count.unwrap_or(0),
        None => objects::free_name(observed, pods).1,
    };
    status.collision_count = (collisions > 0).then_some(collisions);
    status.pod_template_hash = rs.map(|rs| rs.hash.clone());
    let service = objects::wanted_service(observed, pods);
    status.service_name = service.clone().filter(|name| observed.service(name).is_some());
    if was.is_none_or(|was| !was.is_over()) {
        let (standing, message) = stand(observed, (spec, pods), &status, course);
        status.status = Some(standing.as_str().to_owned());
        status.message = message;
    }
    status
}

fn count(rs: Option<&ReplicaSet>, status: &mut TemplateStatus) {
    status.replicas = rs.map_or(0, |rs| rs.replicas_actual);
    status.updated_replicas = status.replicas;
    status.ready_replicas = rs.map_or(0, |rs| rs.replicas_ready);
    status.available_replicas = rs.map_or(0, |rs| rs.replicas_available);
}

fn stand(
    observed: &Observed,
    (spec, pods): (&Spec, &Pods),
    status: &TemplateStatus,
    course: Course,
) -> (Standing, Option<String>) {
    if course == Course::Ending {
        return (Standing::Successful, None);
    }
    let missing = missing_service(observed, pods);
    let settled = observed.replica_set(&pods.name).is_some_and(|rs| rs.settled && rs.replicas == pods.replicas);
    if settled && status.available_replicas >= pods.replicas && missing.is_none() {
        let standing = if course == Course::TimeIsUp { Standing::Successful } else { Standing::Running };
        return (standing, None);
    }
    if deadline(observed, spec, status) > observed.now {
        // That a Service comes a moment after its pods is nothing to tell.
        return (Standing::Progressing, missing.filter(|_| has_foreign_service(observed, pods)));
    }
    let seconds = spec.progress_deadline.num_seconds();
    let why = missing.or_else(|| observed.replica_set(&pods.name).and_then(|rs| rs.failure.clone()));
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!("Template '{}' exceeded its progressDeadlineSeconds ({seconds}){why}", pods.name);
    (Standing::Failed, Some(message))
}

/// When a set of pods that makes no further progress has failed.
fn deadline(observed: &Observed, spec: &Spec, status: &TemplateStatus) -> DateTime<Utc> {
    let from = status.last_transition_time.map_or(observed.now, |time| time.0);
    from.checked_add_signed(spec.progress_deadline).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn has_foreign_service(observed: &Observed, pods: &Pods) -> bool {
    let name = objects::wanted_service(observed, pods);
    let raw = name.and_then(|name| observed.services.get(&name));
    raw.is_some_and(|raw| !observed.controls(&raw.object))
}

/// Why the Service of a template is not there.
fn missing_service(observed: &Observed, pods: &Pods) -> Option<String> {
    let name = objects::wanted_service(observed, pods)?;
    match observed.services.get(&name) {
        Some(raw) if observed.controls(&raw.object) => None,
        Some(_) => Some(format!("service {name} already exists and is not owned by experiment template {}", pods.name)),
        None => Some(format!("service {name} does not exist yet")),
    }
}

/// The changes that a set of pods needs now, given the status that is about to be written, and when the next is due.
pub(super) fn plan(
    observed: &Observed,
    (spec, pods): (&Spec, &Pods),
    status: &TemplateStatus,
) -> (Vec<Planned>, Option<Wake>) {
    let is_over = Standing::of(status).is_some_and(Standing::is_over);
    let rs = observed.replica_set(&pods.name);
    if is_over {
        return rs.map_or_else(|| (Vec::new(), None), |rs| retire(observed, spec, rs));
    }
    let mut effects = Vec::new();
    match rs {
        None => effects.push(create(observed, pods)),
        Some(rs) => {
            effects.extend(create_service(observed, pods, rs));
            effects.extend(grow(pods, rs));
        }
    }
    let at = deadline(observed, spec, status);
    let is_missing = Standing::of(status) == Some(Standing::Progressing);
    (effects, is_missing.then(|| Wake { at, why: format!("progress deadline of template {}", pods.name) }))
}

/// What removes ReplicaSets whose template the spec does not have any more.
pub(super) fn plan_leftovers(observed: &Observed, spec: &Spec) -> (Vec<Planned>, Option<Wake>) {
    let is_kept =
        |rs: &&ReplicaSet| spec.templates.iter().any(|pods| template_of(&rs.annotations) == Some(pods.name.as_str()));
    let (mut effects, mut wake) = (Vec::new(), None);
    for rs in observed.replica_sets.iter().filter(|rs| !rs.deleting && !is_kept(rs)) {
        let (more, at) = retire(observed, spec, rs);
        effects.extend(more);
        wake = Wake::earlier(wake, at);
    }
    (effects, wake)
}

fn create(observed: &Observed, pods: &Pods) -> Planned {
    let (name, _) = objects::free_name(observed, pods);
    let object = objects::replica_set(observed, pods, &name);
    let message = format!("Created ReplicaSet {name} with size {}", pods.replicas);
    Planned { effect: Effect::CreateReplicaSet { object }, event: Some(Event::normal("NewReplicaSetCreated", message)) }
}

fn create_service(observed: &Observed, pods: &Pods, rs: &ReplicaSet) -> Option<Planned> {
    let name = objects::wanted_service(observed, pods).filter(|name| !observed.services.contains_key(name))?;
    let object = objects::service(observed, pods, &name, rs);
    Some(Planned { effect: Effect::CreateService { object }, event: None })
}

/// A ReplicaSet that is to run again after a retry has lost its pods and waits to be removed.
fn grow(pods: &Pods, rs: &ReplicaSet) -> Option<Planned> {
    let mut annotations = BTreeMap::new();
    if rs.deadline().is_some() {
        annotations.insert(labels::SCALE_DOWN_DEADLINE.to_owned(), None);
    }
    (rs.replicas != pods.replicas || !annotations.is_empty()).then(|| scale(rs, pods.replicas, annotations))
}

fn scale(rs: &ReplicaSet, replicas: i32, annotations: BTreeMap<String, Option<String>>) -> Planned {
    let event = (rs.replicas != replicas).then(|| {
        let direction = if replicas > rs.replicas { "up" } else { "down" };
        let message = format!("Scaled {direction} ReplicaSet {} from {} to {replicas}", rs.name, rs.replicas);
        Event::normal("ScalingReplicaSet", message)
    });
    let effect = Effect::ScaleReplicaSet { name: rs.name.clone(), uid: rs.uid.clone(), replicas, annotations };
    Planned { effect, event }
}

/// Takes pods away once the delay is over and no request is on its way to them; their Service goes first, so that whoever
/// sees that there are no pods sees that there is no Service.
fn retire(observed: &Observed, spec: &Spec, rs: &ReplicaSet) -> (Vec<Planned>, Option<Wake>) {
    let services = services_of(observed, rs);
    if rs.replicas == 0 && services.is_empty() {
        return (Vec::new(), None);
    }
    let end = observed.now.checked_add_signed(spec.scale_down_delay).unwrap_or(observed.now);
    let deadline = rs.deadline().unwrap_or(end);
    let mut due = (deadline > observed.now && rs.replicas > 0).then_some(deadline);
    let mut carries = false;
    for (name, _) in &services {
        match traffic::of(observed, name) {
            Traffic::Released => {}
            Traffic::Carries => carries = true,
            Traffic::Fades(until) => due = due.max(Some(until)),
        }
    }
    let wake = |at| Wake { at, why: format!("scale-down of ReplicaSet {}", rs.name) };
    if carries || due.is_some() {
        return (remember_deadline(rs, deadline).into_iter().collect(), due.map(wake));
    }
    let mut effects: Vec<Planned> = services
        .into_iter()
        .map(|(name, uid)| Planned { effect: Effect::DeleteService { name, uid }, event: None })
        .collect();
    effects.extend((rs.replicas > 0).then(|| scale(rs, 0, BTreeMap::new())));
    (effects, None)
}

fn remember_deadline(rs: &ReplicaSet, deadline: DateTime<Utc>) -> Option<Planned> {
    let text = deadline.to_rfc3339_opts(SecondsFormat::Secs, true);
    let annotations = BTreeMap::from([(labels::SCALE_DOWN_DEADLINE.to_owned(), Some(text))]);
    (rs.replicas > 0 && rs.deadline().is_none()).then(|| scale(rs, rs.replicas, annotations))
}

/// Names and UIDs of the Services of a template that the Experiment controls.
pub(super) fn services_of(observed: &Observed, rs: &ReplicaSet) -> Vec<(String, String)> {
    let template = template_of(&rs.annotations);
    let own = observed.services.iter().filter(|(_, raw)| {
        let annotations = raw.object.pointer("/metadata/annotations");
        let of = annotations.and_then(|all| all.get(labels::EXPERIMENT_TEMPLATE_NAME)?.as_str());
        observed.controls(&raw.object) && of == template
    });
    own.map(|(name, raw)| {
        let uid = raw.object.pointer("/metadata/uid").and_then(serde_json::Value::as_str).unwrap_or_default();
        (name.clone(), uid.to_owned())
    })
    .collect()
}
