//! The Experiment that a Rollout's step starts, as an object.

use serde_json::{Value, json};
use serin_api::{Argument, RolloutExperimentAnalysis, RolloutExperimentTemplate, labels};

use crate::analysis::args::{ArgSources, given};
use crate::field_error::FieldError;
use crate::rollout::observed::ReplicaSet;
use crate::rollout::step::Step;

use super::children::owner_reference;
use super::scene::Scene;
use super::state::State;

/// The Experiment as an object to create.
///
/// # Errors
/// A revision that has no ReplicaSet, and every argument whose value cannot be told.
pub(crate) fn build(scene: &Scene<'_>, state: &State, name: &str) -> Result<Value, Vec<FieldError>> {
    let Some(Step::Experiment(step)) = state.current_step(scene.spec) else {
        return Err(vec![FieldError::new("spec.strategy.canary.steps", "there is no experiment to run")]);
    };
    let rollout = &scene.observed.rollout;
    let mut errors = Vec::new();
    let mut templates = Vec::new();
    for template in &step.templates {
        match pods(scene, state, template) {
            Ok(template) => templates.push(template),
            Err(error) => errors.push(error),
        }
    }
    let mut analyses = Vec::new();
    for analysis in &step.analyses {
        match measured(scene, state, analysis) {
            Ok(analysis) => analyses.push(analysis),
            Err(more) => errors.extend(more),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut all = rollout.metadata.labels.clone().unwrap_or_default();
    all.insert(labels::POD_TEMPLATE_HASH.to_owned(), state.current_hash.clone());
    if let Some(instance) = &scene.observed.settings.instance_id {
        all.insert(labels::INSTANCE_ID.to_owned(), instance.clone());
    }
    let mut spec = json!({"templates": templates, "analyses": analyses, "dryRun": step.dry_run});
    let optional = [
        ("duration", json!(step.duration)),
        ("progressDeadlineSeconds", json!(rollout.spec.progress_deadline_seconds)),
        ("scaleDownDelaySeconds", json!(step.scale_down_delay_seconds)),
    ];
    for (field, value) in optional.into_iter().filter(|(_, value)| !value.is_null()) {
        spec[field] = value;
    }
    let metadata = &step.analysis_run_metadata;
    if !metadata.labels.is_empty() || !metadata.annotations.is_empty() {
        spec["analysisRunMetadata"] = json!(metadata);
    }
    Ok(json!({
        "apiVersion": labels::API_VERSION,
        "kind": "Experiment",
        "metadata": {
            "name": name,
            "namespace": rollout.metadata.namespace,
            "labels": all,
            "annotations": {labels::REVISION: scene.revision.number.to_string()},
            "ownerReferences": [owner_reference(scene)],
        },
        "spec": spec,
    }))
}

/// A template: the pods of a revision as they are, in their role, with the step's own labels and annotations.
fn pods(scene: &Scene<'_>, state: &State, template: &RolloutExperimentTemplate) -> Result<Value, FieldError> {
    let rs = revision(scene, state, &template.spec_ref);
    let missing = || FieldError::new(&template.name, format!("the ReplicaSet of {} is missing", template.spec_ref));
    let mut pod = (*rs.ok_or_else(missing)?.template).clone();
    let mut selector = match &template.selector {
        Some(selector) => json!(selector),
        None => scene.spec.selector.clone(),
    };
    if let Some(labels) = pod.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(labels::POD_TEMPLATE_HASH);
    }
    for (key, value) in &template.metadata.labels {
        pod["metadata"]["labels"][key] = json!(value);
        selector["matchLabels"][key] = json!(value);
    }
    for (key, value) in &template.metadata.annotations {
        pod["metadata"]["annotations"][key] = json!(value);
    }
    let mut object = json!({
        "name": template.name,
        "replicas": template.replicas.unwrap_or(1),
        "minReadySeconds": scene.spec.min_ready_seconds,
        "selector": selector,
        "template": pod,
    });
    match (&template.service, template.weight) {
        (Some(service), _) => object["service"] = json!(service),
        (None, Some(_)) => object["service"] = json!({}),
        (None, None) => {}
    }
    Ok(object)
}

fn revision<'s>(scene: &'s Scene<'_>, state: &State, spec_ref: &str) -> Option<&'s ReplicaSet> {
    if spec_ref == "stable" { scene.stable(state) } else { scene.new_replica_set() }
}

fn measured(scene: &Scene<'_>, state: &State, analysis: &RolloutExperimentAnalysis) -> Result<Value, Vec<FieldError>> {
    let rollout = serde_json::to_value(&*scene.observed.rollout).unwrap_or_default();
    let sources = ArgSources {
        stable_hash: state.stable_hash.as_deref().unwrap_or_default(),
        latest_hash: &state.current_hash,
        rollout: &rollout,
    };
    let values = given(&analysis.args, sources)?;
    let args: Vec<Argument> = analysis
        .args
        .iter()
        .filter_map(|arg| {
            Some(Argument { name: arg.name.clone(), value: Some(values.get(&arg.name)?.clone()), value_from: None })
        })
        .collect();
    let mut object = json!({
        "name": analysis.name,
        "templateName": analysis.template_name,
        "requiredForCompletion": analysis.required_for_completion,
        "args": args,
    });
    if let Some(cluster_scope) = analysis.cluster_scope {
        object["clusterScope"] = json!(cluster_scope);
    }
    Ok(object)
}
