//! The experiment steps of a canary.

use std::collections::BTreeSet;

use serde_json::Value;
use serin_api::{AnalysisTemplateRef, RolloutAnalysis, RolloutExperimentAnalysis, RolloutExperimentStep};

use crate::experiment::parse::duration;
use crate::rollout::step::{Step, Steps};

use super::report::Report;

/// The greatest weight of all experiments of a step together: a route needs one destination that stays.
const WEIGHT_MAX: i32 = 99;

/// Reads an experiment step; errors are reported, and the spec is refused then.
pub(super) fn read(wire: &RolloutExperimentStep, field: &str, has_routing: bool, report: &mut Report) -> Step {
    if wire.templates.is_empty() {
        report.required(format!("{field}.templates"), "an experiment needs at least one template");
    }
    let mut names = BTreeSet::new();
    for (index, template) in wire.templates.iter().enumerate() {
        let field = format!("{field}.templates[{index}]");
        name(&template.name, &format!("{field}.name"), &mut names, report);
        if !matches!(template.spec_ref.as_str(), "canary" | "stable") {
            let detail = "must be canary or stable: whose pods the experiment runs";
            report.invalid(format!("{field}.specRef"), template.spec_ref.as_str(), detail);
        }
        report.not_negative(format!("{field}.replicas"), template.replicas);
        if let Some(weight) = template.weight {
            let field = format!("{field}.weight");
            if !has_routing {
                let detail = "Experiment template weight cannot be set unless TrafficRouting is enabled";
                report.invalid(field, weight, detail);
            } else if !(0..=100).contains(&weight) {
                report.invalid(field, weight, "weight needs to be between 0 and 100");
            }
        }
    }
    let mut names = BTreeSet::new();
    for (index, analysis) in wire.analyses.iter().enumerate() {
        let field = format!("{field}.analyses[{index}]");
        name(&analysis.name, &format!("{field}.name"), &mut names, report);
    }
    if let Some(Err(error)) = wire.duration.as_ref().map(|text| duration(text)) {
        let given = wire.duration.as_ref().map_or("", String::as_str);
        report.invalid(format!("{field}.duration"), given, error.message);
    }
    report.not_negative(format!("{field}.scaleDownDelaySeconds"), wire.scale_down_delay_seconds);
    Step::Experiment(Box::new(wire.clone()))
}

fn name<'w>(name: &'w str, field: &str, seen: &mut BTreeSet<&'w str>, report: &mut Report) {
    if name.is_empty() {
        report.required(field, "the experiment needs it to tell its parts apart");
    } else if !seen.insert(name) {
        report.invalid(field, name, "the name is there twice; it must be unique in the experiment");
    }
}

/// Checks what a step alone does not tell: that canary and experiments together leave something for stable, and that pods
/// that are to get requests have a port.
pub(super) fn check(steps: &Steps, template: Option<&Value>, report: &mut Report) {
    for (index, step) in steps.iter().enumerate() {
        let Step::Experiment(step) = step else { continue };
        let field = format!("spec.strategy.canary.steps[{index}].experiment.templates");
        let sum: i64 = step.templates.iter().filter_map(|template| template.weight).map(i64::from).sum();
        if sum == 0 {
            continue;
        }
        let canary = i64::from(steps.weight_at(index).unwrap_or(0));
        if sum > i64::from(WEIGHT_MAX) || sum + canary > 100 {
            let detail = format!(
                "the experiment's weights sum to {sum}, and the canary has {canary}; together they must not exceed 100, \
                 and stable must keep at least 1 of what the canary leaves"
            );
            report.invalid(field.as_str(), sum, detail);
        }
        if template.is_some_and(|template| !has_port(template)) {
            let detail = "a weight needs a Service, and that a container port: name one in spec.template.spec.containers[].ports";
            report.invalid(field, sum, detail);
        }
    }
}

fn has_port(template: &Value) -> bool {
    let containers = template.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let mut ports = containers.filter_map(|container| container.get("ports")?.as_array()).flatten();
    ports.any(|port| port.get("containerPort").is_some())
}

/// An analysis of an experiment, as one that a Rollout would make itself.
pub(super) fn as_analysis(analysis: &RolloutExperimentAnalysis) -> RolloutAnalysis {
    RolloutAnalysis {
        templates: vec![AnalysisTemplateRef {
            template_name: analysis.template_name.clone(),
            cluster_scope: analysis.cluster_scope,
        }],
        args: analysis.args.clone(),
        ..RolloutAnalysis::default()
    }
}
