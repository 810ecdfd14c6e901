//! The pod template and the selector: the Rollout's own, or those of the workload that it refers to.

use std::collections::BTreeMap;

use serde_json::Value;
use serin_api::{RolloutSpec, WorkloadRef};

use crate::rollout::observed::{Found, Observed};
use crate::rollout::template::{is_blank, tolerated};

use super::ScaleDown;
use super::report::Report;
use super::selector;

/// What the pods are made from.
pub(super) struct Workload {
    pub(super) template: Value,
    pub(super) selector: Value,
}

impl Workload {
    /// Labels of the pod template.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        selector::labels_at(&self.template, "/metadata/labels")
    }
}

/// Reads template and selector; `None` if one of them is not there.
pub(super) fn read(observed: &Observed, report: &mut Report) -> Option<Workload> {
    let spec = &observed.rollout.spec;
    let selector = spec.selector.as_ref().and_then(|selector| serde_json::to_value(selector).ok());
    let (template, selector) = match &spec.workload_ref {
        Some(reference) => {
            if spec.template.as_ref().is_some_and(|template| !is_blank(template)) {
                report.forbidden("spec.template", "template must be empty for workload reference rollout");
            }
            let workload = referred(observed, reference, report)?;
            let its_own = Some(&workload.selector).filter(|selector| selector.is_object()).cloned();
            (workload.template.clone(), selector.or(its_own))
        }
        None => (spec.template.clone().unwrap_or_default(), selector),
    };
    let selector = check_selector(selector, report);
    let template = check_template(tolerated(template).0, spec.workload_ref.is_some(), report);
    let workload = Workload { template: template?, selector: selector? };
    match selector::matches(&workload.selector, &workload.labels()) {
        Ok(true) => Some(workload),
        Ok(false) => {
            let labels = serde_json::to_value(workload.labels()).unwrap_or_default();
            report.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`");
            None
        }
        Err(detail) => {
            report.invalid("spec.selector", workload.selector, detail);
            None
        }
    }
}

/// Reads `workloadRef.scaleDown`. Other kinds than Deployments have nothing to scale.
pub(super) fn scale_down(spec: &RolloutSpec, report: &mut Report) -> ScaleDown {
    let Some(reference) = &spec.workload_ref else { return ScaleDown::Never };
    match reference.scale_down.as_deref() {
        None | Some("" | "never") => ScaleDown::Never,
        Some("onsuccess") => ScaleDown::OnSuccess,
        Some("progressively") => ScaleDown::Progressively,
        Some(other) => {
            report.invalid("spec.workloadRef.scaleDown", other, "must be never, onsuccess or progressively");
            ScaleDown::Never
        }
    }
}

/// The workload of a reference.
fn referred<'a>(
    observed: &'a Observed,
    reference: &WorkloadRef,
    report: &mut Report,
) -> Option<&'a crate::rollout::observed::Workload> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let (version, kind, name) = (text(&reference.api_version), text(&reference.kind), text(&reference.name));
    let (group, _) = version.split_once('/').unwrap_or(("", &version));
    let resource = match (group, kind.as_str()) {
        ("apps", "Deployment") => "deployments.apps",
        ("apps", "ReplicaSet") => "replicasets.apps",
        ("", "PodTemplate") => "podtemplates",
        _ => {
            let detail = "must be a Deployment or ReplicaSet of apps/v1, or a PodTemplate of v1";
            report.invalid("spec.workloadRef", format!("{version} {kind}"), detail);
            return None;
        }
    };
    match &observed.workload {
        _ if name.is_empty() => {
            report.required("spec.workloadRef.name", "the name of the workload that has the pod template");
            None
        }
        Some(Found::Present(workload)) => Some(workload),
        Some(Found::Malformed(why)) => {
            report.invalid("spec.workloadRef.name", name, format!("the {kind} cannot be read: {why}"));
            None
        }
        Some(Found::Missing) | None => {
            let detail = format!("{resource} {name:?} not found");
            report.invalid("spec.workloadRef.name", name, detail);
            None
        }
    }
}

fn check_selector(selector: Option<Value>, report: &mut Report) -> Option<Value> {
    let Some(selector) = selector else {
        report.required("spec.selector", "Rollout has missing field '.spec.selector'");
        return None;
    };
    if selector::is_empty(&selector) {
        report.invalid("spec.selector", selector, "empty selector is invalid for deployment");
        return None;
    }
    Some(selector)
}

fn check_template(template: Value, is_referred: bool, report: &mut Report) -> Option<Value> {
    let field = if is_referred { "spec.workloadRef" } else { "spec.template" };
    if is_blank(&template) {
        report.required(field, "Rollout has missing field '.spec.template'");
        return None;
    }
    let containers = template.pointer("/spec/containers").and_then(Value::as_array);
    if containers.is_none_or(Vec::is_empty) {
        let field = if is_referred { field } else { "spec.template.spec.containers" };
        report.required(field, "the pod template needs at least one container");
        return None;
    }
    let restart = template.pointer("/spec/restartPolicy").and_then(Value::as_str);
    if let Some(policy) = restart
        && policy != "Always"
    {
        report.invalid("spec.template.spec.restartPolicy", policy, "must be Always");
        return None;
    }
    Some(template)
}
