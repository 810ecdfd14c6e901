//! The checks: those of the API server, and those that the controller makes before it acts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::Utc;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serin_api::{AnalysisRun, AnalysisTemplate, Decoded, Experiment, Rollout, labels};
use serin_controller::Kind;
use serin_core::analysis::parse::{validate, validate_run};
use serin_core::analysis::template::semantics_of;
use serin_core::experiment;
use serin_core::field_error::FieldError;
use serin_core::rollout::parse::parse;
use serin_core::rollout::template::tolerated;

use super::fields;
use super::finding::{Finding, Object};
use super::references;
use crate::observed::Objects;

/// Checks all objects.
pub(super) fn check(objects: &[Object]) -> Vec<Finding> {
    let now = Utc::now();
    let mut all = Objects::default();
    for object in objects {
        if let Some(kind) = object.known {
            all.add(kind, Arc::new(object.value.clone()), now);
        }
    }
    let mut findings = twice(objects);
    let mut in_templates = BTreeSet::new();
    for object in objects.iter().filter(|object| object.is_ours() && object.kind != "Rollout") {
        let found = check_other(object);
        in_templates.extend(found.iter().map(|finding| finding.message.clone()));
        findings.extend(found);
    }
    for object in objects.iter().filter(|object| object.known == Some(Kind::Rollout)) {
        findings.extend(check_rollout(object, &mut all, &in_templates));
    }
    findings
}

/// Objects that are there more than once: which one counts depends on who applies them.
fn twice(objects: &[Object]) -> Vec<Finding> {
    let mut seen = BTreeMap::new();
    let mut findings = Vec::new();
    for object in objects.iter().filter(|object| object.known.is_some()) {
        if let Some(first) = seen.insert((&object.kind, &object.name), &object.file) {
            findings.push(object.warning("", format!("is also in {}", first.display())));
        }
    }
    findings
}

fn check_other(object: &Object) -> Vec<Finding> {
    match object.kind.as_str() {
        "AnalysisTemplate" | "ClusterAnalysisTemplate" => {
            let (template, findings) = check_form::<AnalysisTemplate>(object);
            let errors = template.map(|template| validate(&template.spec)).unwrap_or_default();
            with(findings, object, errors)
        }
        "AnalysisRun" => {
            let (run, findings) = check_form::<AnalysisRun>(object);
            with(findings, object, run.map(|run| validate_run(&run.spec)).unwrap_or_default())
        }
        "Experiment" => {
            let (experiment, mut findings) = check_form::<Experiment>(object);
            let errors = experiment.and_then(|experiment| experiment::parse::parse(&experiment).err());
            errors.into_iter().flatten().for_each(|error| push(&mut findings, object, error));
            findings
        }
        // Other projects use the same group.
        _ => Vec::new(),
    }
}

fn check_rollout(object: &Object, all: &mut Objects, in_templates: &BTreeSet<String>) -> Vec<Finding> {
    let (_, mut findings) = check_form::<Rollout>(object);
    // Of several with one name, each is checked.
    all.add(Kind::Rollout, Arc::new(object.value.clone()), Utc::now());
    let Some(observed) = all.observe(&object.name, Utc::now()) else { return findings };
    let missing = references::missing(&observed);
    let mut errors = Vec::new();
    for error in parse(&observed).err().into_iter().flatten() {
        match references::about(&error, &missing) {
            Some(missing) => findings.push(object.warning(error.field, missing.message())),
            // Told once, where it has to be mended.
            None if error.field.contains("nalysis") && in_templates.contains(&error.message) => {}
            None => errors.push(error),
        }
    }
    for error in errors {
        push(&mut findings, object, error);
    }
    let template = observed.rollout.spec.template.clone().unwrap_or_default();
    for field in tolerated(template).1 {
        let message = "has an amount that Kubernetes cannot read; pods are made without it";
        findings.push(object.warning(format!("spec.template.{field}"), message));
    }
    findings
}

/// Reads an object of ours, and tells what the API server would drop or refuse.
fn check_form<T: DeserializeOwned>(object: &Object) -> (Option<T>, Vec<Finding>) {
    let mut findings = Vec::new();
    if object.value["apiVersion"] != labels::API_VERSION {
        let message = format!("is not served; write {}", labels::API_VERSION);
        findings.push(object.error("apiVersion", message));
    }
    if let Err(message) = semantics_of(&annotations(&object.value)) {
        findings.push(object.error("metadata.annotations", message));
    }
    let schema = fields::schema_of(&object.kind).unwrap_or_default();
    for misfit in fields::check(&object.value, &schema) {
        findings.push(object.error(misfit.field, misfit.message));
    }
    match serin_api::decode::decode::<T>(object.value.clone()) {
        Ok(Decoded { object: decoded, dropped }) => {
            findings.extend(dropped.into_iter().map(|field| object.error(field.path, field.reason)));
            (Some(decoded), findings)
        }
        Err(error) => {
            findings.push(object.error("", error.to_string()));
            (None, findings)
        }
    }
}

fn with(mut findings: Vec<Finding>, object: &Object, errors: Vec<FieldError>) -> Vec<Finding> {
    for error in errors {
        push(&mut findings, object, error.under("spec"));
    }
    findings
}

/// Adds an error, unless its field was already found wanting in its form.
fn push(findings: &mut Vec<Finding>, object: &Object, error: FieldError) {
    let finding = object.error(error.field, error.message);
    if !findings.iter().any(|other| other.field == finding.field && is_about_form(other)) {
        findings.push(finding);
    }
}

fn is_about_form(finding: &Finding) -> bool {
    finding.message == "is required" || finding.message.starts_with("invalid ")
}

fn annotations(object: &Value) -> BTreeMap<String, String> {
    let annotations = object.pointer("/metadata/annotations").and_then(Value::as_object);
    let members = annotations.into_iter().flatten();
    members.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}
