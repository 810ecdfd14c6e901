//! The analyses of a Rollout: whether their templates, arguments and conditions would make a run.

use serde_json::Value;
use serin_api::{AnalysisRunArgument, AnalysisRunSpec, AnalysisTemplateSpec, RolloutAnalysis};

use crate::analysis::merge::{ArgSources, given, merge};
use crate::analysis::parse::{plan, validate, validate_run};
use crate::analysis::template::{Flat, flatten, keys};
use crate::field_error::FieldError;
use crate::rollout::observed::Observed;
use crate::rollout::step::Step;

use super::experiment::as_analysis;
use super::report::Report;
use super::{BlueGreen, Canary};

/// Stands for values that are not known before a run starts; reads as a number, a duration and a text.
const UNKNOWN: &str = "0";

/// Checks the background analysis, those of the steps, and those around a blue-green switch.
pub(super) fn check(observed: &Observed, canary: &Canary, blue_green: Option<&BlueGreen>, report: &mut Report) {
    let mut rollout = None;
    if let Some(background) = &canary.background {
        let field = "spec.strategy.canary.analysis";
        check_one(observed, &background.analysis, field, &mut rollout, report);
    }
    let wire = observed.rollout.spec.strategy.canary.as_ref().map_or(&[][..], |canary| canary.steps.as_slice());
    let steps = wire.iter().enumerate().filter_map(|(index, step)| {
        Some((format!("spec.strategy.canary.steps[{index}].analysis"), step.analysis.as_ref()?))
    });
    let around = blue_green.into_iter().flat_map(|blue_green| {
        let both = [("pre", &blue_green.analysis_before), ("post", &blue_green.analysis_after)];
        both.into_iter().filter_map(|(which, analysis)| {
            Some((format!("spec.strategy.blueGreen.{which}PromotionAnalysis"), analysis.as_ref()?))
        })
    });
    check_experiments(observed, canary, &mut rollout, report);
    for (field, analysis) in steps.chain(around) {
        if let Some(run) = check_one(observed, analysis, &field, &mut rollout, report) {
            check_ends(analysis, &run, &field, report);
        }
    }
}

/// Checks the analyses of experiment steps; only those that the experiment waits for have to end by themselves.
fn check_experiments(observed: &Observed, canary: &Canary, rollout: &mut Option<Value>, report: &mut Report) {
    for (index, step) in canary.steps.iter().enumerate() {
        let Step::Experiment(step) = step else { continue };
        for (number, wire) in step.analyses.iter().enumerate() {
            let field = format!("spec.strategy.canary.steps[{index}].experiment.analyses[{number}]");
            let analysis = as_analysis(wire);
            if let Some(run) = check_one(observed, &analysis, &field, rollout, report)
                && wire.required_for_completion
            {
                check_ends(&analysis, &run, &field, report);
            }
        }
    }
}

/// Checks one analysis; yields the run that it would make, if it would.
fn check_one(
    observed: &Observed,
    analysis: &RolloutAnalysis,
    field: &str,
    rollout: &mut Option<Value>,
    report: &mut Report,
) -> Option<AnalysisRunSpec> {
    if analysis.templates.is_empty() {
        report.required(format!("{field}.templates"), "an analysis needs at least one template");
        return None;
    }
    let flat = match flatten(&keys(&analysis.templates), &observed.templates) {
        Ok(flat) => flat,
        Err(errors) => return refuse(errors, field, report),
    };
    let rollout = rollout.get_or_insert_with(|| serde_json::to_value(&*observed.rollout).unwrap_or_default());
    let run = run(analysis, &flat, rollout);
    let errors = match &run {
        Ok(run) => validate_run(run),
        Err(errors) => errors.iter().cloned().chain(validate(&template(&flat))).collect(),
    };
    if errors.is_empty() { run.ok() } else { refuse(errors, field, report) }
}

fn refuse<T>(errors: Vec<FieldError>, field: &str, report: &mut Report) -> Option<T> {
    for error in errors {
        report.push(error.under(field));
    }
    None
}

/// The run that an analysis would make.
fn run(analysis: &RolloutAnalysis, flat: &Flat, rollout: &Value) -> Result<AnalysisRunSpec, Vec<FieldError>> {
    let args: Vec<AnalysisRunArgument> = analysis.args.iter().map(with_status_unknown).collect();
    let sources = ArgSources { stable_hash: UNKNOWN, latest_hash: UNKNOWN, rollout };
    let args = merge(std::slice::from_ref(&flat.args), &given(&args, sources)?, rollout)?;
    let AnalysisTemplateSpec { metrics, mut dry_run, mut measurement_retention, .. } = template(flat);
    dry_run.extend(analysis.dry_run.clone());
    measurement_retention.extend(analysis.measurement_retention.clone());
    Ok(AnalysisRunSpec { metrics, args, dry_run, measurement_retention, ..AnalysisRunSpec::default() })
}

/// A field of the status may come into being only when the run starts.
fn with_status_unknown(arg: &AnalysisRunArgument) -> AnalysisRunArgument {
    let path = arg.value_from.as_ref().and_then(|from| from.field_ref.as_ref()).map(|field| field.field_path.as_str());
    if arg.value.is_none() && path.is_some_and(|path| path.starts_with("status")) {
        AnalysisRunArgument { name: arg.name.clone(), value: Some(UNKNOWN.to_owned()), value_from: None }
    } else {
        arg.clone()
    }
}

fn template(flat: &Flat) -> AnalysisTemplateSpec {
    AnalysisTemplateSpec {
        metrics: flat.metrics.clone(),
        args: flat.args.clone(),
        dry_run: flat.dry_run.clone(),
        measurement_retention: flat.measurement_retention.clone(),
        templates: Vec::new(),
    }
}

/// A step or a switch waits for its run, which therefore has to end by itself.
fn check_ends(analysis: &RolloutAnalysis, run: &AnalysisRunSpec, field: &str, report: &mut Report) {
    let names: Vec<&str> = analysis.templates.iter().map(|template| template.template_name.as_str()).collect();
    let names = names.join(", ");
    for metric in plan(run).ok().into_iter().flat_map(|plan| plan.metrics) {
        if metric.effective_count().is_none() && metric.consecutive_success_limit.is_none() {
            let detail = format!(
                "AnalysisTemplate {names} has metric {} which runs indefinitely. Invalid value for count: what waits for it needs one",
                metric.name
            );
            report.invalid(format!("{field}.templates"), names.as_str(), detail);
        }
    }
}
