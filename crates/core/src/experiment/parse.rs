//! The spec of an Experiment without its optional fields, or everything that is wrong with it.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::Value;
use serin_api::{Experiment, ExperimentAnalysis, TemplateSpec, labels};

use crate::field_error::FieldError;
use crate::time::parse_duration;

/// Seconds without progress after which an Experiment fails.
const PROGRESS_DEADLINE_SECONDS: i32 = 600;
/// Seconds for which pods stay after the end.
const SCALE_DOWN_DELAY_SECONDS: i32 = 30;

/// A spec that makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// The sets of pods.
    pub templates: Vec<Pods>,
    /// What is measured.
    pub analyses: Vec<ExperimentAnalysis>,
    /// How long it runs once all pods are available; without end if absent.
    pub duration: Option<TimeDelta>,
    /// How long a set of pods may make no progress.
    pub progress_deadline: TimeDelta,
    /// How long pods stay after the end.
    pub scale_down_delay: TimeDelta,
}

/// One set of pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Pods {
    /// Name, unique in the Experiment.
    pub name: String,
    /// Number of pods.
    pub replicas: i32,
    /// Seconds for which a pod must be ready before it counts as available.
    pub min_ready_seconds: i32,
    /// Selector, raw.
    pub selector: Value,
    /// Pod template, raw.
    pub template: Value,
    /// Whether a Service is asked for, and by which name if not by the usual one.
    pub service: Option<Option<String>>,
}

impl Default for Spec {
    /// A spec that says nothing.
    fn default() -> Self {
        Spec {
            templates: Vec::new(),
            analyses: Vec::new(),
            duration: None,
            progress_deadline: TimeDelta::seconds(i64::from(PROGRESS_DEADLINE_SECONDS)),
            scale_down_delay: TimeDelta::seconds(i64::from(SCALE_DOWN_DELAY_SECONDS)),
        }
    }
}

impl Spec {
    /// Whether any analysis has to end before the Experiment may.
    #[must_use]
    pub fn has_required(&self) -> bool {
        self.analyses.iter().any(|analysis| analysis.required_for_completion)
    }
}

/// Reads the spec.
///
/// # Errors
/// Every mistake, with its field.
pub fn parse(experiment: &Experiment) -> Result<Spec, Vec<FieldError>> {
    let (wire, mut errors) = (&experiment.spec, Vec::new());
    let deadline = seconds(wire.progress_deadline_seconds, PROGRESS_DEADLINE_SECONDS, "progressDeadlineSeconds");
    let deadline = keep(deadline, PROGRESS_DEADLINE_SECONDS, &mut errors);
    let delay = seconds(wire.scale_down_delay_seconds, SCALE_DOWN_DELAY_SECONDS, "scaleDownDelaySeconds");
    let delay = keep(delay, SCALE_DOWN_DELAY_SECONDS, &mut errors);
    if wire.templates.is_empty() {
        errors.push(FieldError::new("spec.templates", "at least one template is needed"));
    }
    let mut names = BTreeSet::new();
    let mut templates = Vec::new();
    for (index, template) in wire.templates.iter().enumerate() {
        let field = format!("spec.templates[{index}]");
        if !template.name.is_empty() && !names.insert(template.name.as_str()) {
            let message = format!("there are several templates named '{}'; a name must be unique", template.name);
            errors.push(FieldError::new(format!("{field}.name"), message));
        }
        match pods(template, deadline) {
            Ok(pods) => templates.push(pods),
            Err(more) => errors.extend(more.into_iter().map(|error| error.under(&field))),
        }
    }
    check_analyses(&wire.analyses, &mut errors);
    let duration = wire.duration.as_ref().map(|text| duration(text)).transpose();
    let duration = keep(duration, None, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Spec {
        templates,
        analyses: wire.analyses.clone(),
        duration,
        progress_deadline: TimeDelta::seconds(i64::from(deadline)),
        scale_down_delay: TimeDelta::seconds(i64::from(delay)),
    })
}

/// Reads how long an Experiment runs.
///
/// # Errors
/// A text that is no duration, and one that is negative.
pub fn duration(text: &str) -> Result<TimeDelta, FieldError> {
    let wrong = |message: String| FieldError::new("spec.duration", message);
    let length = parse_duration(text).map_err(wrong)?;
    if length < TimeDelta::zero() {
        return Err(wrong(format!("`{text}` is less than nothing; write a duration such as 10m")));
    }
    Ok(length)
}

fn keep<T>(read: Result<T, FieldError>, otherwise: T, errors: &mut Vec<FieldError>) -> T {
    read.unwrap_or_else(|error| {
        errors.push(error);
        otherwise
    })
}

fn seconds(given: Option<i32>, normal: i32, field: &str) -> Result<i32, FieldError> {
    let seconds = given.unwrap_or(normal);
    if seconds >= 0 {
        return Ok(seconds);
    }
    Err(FieldError::new(format!("spec.{field}"), format!("{seconds} is less than 0; write a number of seconds")))
}

fn pods(wire: &TemplateSpec, deadline: i32) -> Result<Pods, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut refuse = |field: &str, message: &str| errors.push(FieldError::new(field, message));
    if wire.name.is_empty() {
        refuse("name", "a template needs a name");
    }
    let template = wire.template.clone().unwrap_or(Value::Null);
    if template.pointer("/spec/containers").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        refuse("template.spec.containers", "a pod needs at least one container");
    }
    for part in ["/metadata", "/metadata/labels", "/metadata/annotations"] {
        if template.pointer(part).is_some_and(|value| !value.is_object() && !value.is_null()) {
            refuse(&format!("template{}", part.replace('/', ".")), "must be an object");
        }
    }
    let selector = wire.selector.as_ref().and_then(|selector| serde_json::to_value(selector).ok());
    let selector = selector.unwrap_or(Value::Null);
    if selector.as_object().is_none_or(|members| members.values().all(is_blank)) {
        refuse("selector", "a selector with at least one label is needed; it must select the template's pods alone");
    } else if let Some(key) = unmatched(&selector, &template) {
        let message = format!("the template has no such label {key}, so that the selector selects none of its pods");
        refuse("selector.matchLabels", &message);
    }
    let min_ready_seconds = wire.min_ready_seconds.unwrap_or(0);
    if min_ready_seconds > deadline {
        refuse("minReadySeconds", "must not be longer than spec.progressDeadlineSeconds");
    }
    let replicas = wire.replicas.unwrap_or(1);
    if replicas < 0 || min_ready_seconds < 0 {
        refuse(if replicas < 0 { "replicas" } else { "minReadySeconds" }, "must not be negative");
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let service = wire.service.as_ref().map(|service| service.name.clone().filter(|name| !name.is_empty()));
    Ok(Pods { name: wire.name.clone(), replicas, min_ready_seconds, selector, template, service })
}

fn is_blank(value: &Value) -> bool {
    value.is_null()
        || value.as_object().is_some_and(serde_json::Map::is_empty)
        || value.as_array().is_some_and(Vec::is_empty)
}

/// A label that the selector asks for and the template does not have; our own is set later in both.
fn unmatched(selector: &Value, template: &Value) -> Option<String> {
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    let has = template.pointer("/metadata/labels");
    wanted
        .into_iter()
        .flatten()
        .find(|(key, value)| {
            *key != labels::POD_TEMPLATE_HASH && has.and_then(|labels| labels.get(*key)) != Some(*value)
        })
        .map(|(key, _)| key.clone())
}

fn check_analyses(analyses: &[ExperimentAnalysis], errors: &mut Vec<FieldError>) {
    let mut names = BTreeSet::new();
    for (index, analysis) in analyses.iter().enumerate() {
        let field = format!("spec.analyses[{index}]");
        for (name, value) in [("name", &analysis.name), ("templateName", &analysis.template_name)] {
            if value.is_empty() {
                errors.push(FieldError::new(format!("{field}.{name}"), "must not be empty"));
            }
        }
        if !analysis.name.is_empty() && !names.insert(analysis.name.as_str()) {
            let message = format!("there are several analyses named '{}'; a name must be unique", analysis.name);
            errors.push(FieldError::new(format!("{field}.name"), message));
        }
    }
}
