//! The AnalysisRun that a Rollout starts, as an object.

use std::collections::BTreeMap;

use serde_json::Value;
use serin_api::{Argument, RolloutAnalysis, labels};

use crate::analysis::args::{ArgSources, given, merge};
use crate::analysis::object::{Own, object};
use crate::analysis::template::{Flat, flatten, keys};
use crate::field_error::FieldError;
use crate::rollout::step::Step;

use super::children::owner_reference;
use super::scene::Scene;
use super::state::State;

/// What an AnalysisRun of a Rollout is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunKind {
    /// Beside the steps.
    Background,
    /// A step of its own.
    Step,
    /// Before a blue-green switch.
    PrePromotion,
    /// After a blue-green switch.
    PostPromotion,
}

impl RunKind {
    /// All of them.
    pub(crate) const ALL: [RunKind; 4] =
        [RunKind::Background, RunKind::Step, RunKind::PrePromotion, RunKind::PostPromotion];

    /// How messages call it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            RunKind::Background => "Background",
            RunKind::Step => "Step-based",
            RunKind::PrePromotion => "Blue/green pre-promotion",
            RunKind::PostPromotion => "Blue/green post-promotion",
        }
    }

    fn label(self) -> &'static str {
        match self {
            RunKind::Background => labels::ROLLOUT_TYPE_BACKGROUND,
            RunKind::Step => labels::ROLLOUT_TYPE_STEP,
            RunKind::PrePromotion => labels::ROLLOUT_TYPE_PRE_PROMOTION,
            RunKind::PostPromotion => labels::ROLLOUT_TYPE_POST_PROMOTION,
        }
    }
}

/// The analysis that a kind of run makes; `None` if the spec has none of that kind now.
fn analysis<'s>(scene: &'s Scene<'_>, state: &State, kind: RunKind) -> Option<&'s RolloutAnalysis> {
    match kind {
        RunKind::Background => scene.spec.canary.background.as_ref().map(|background| &background.analysis),
        RunKind::Step => match state.current_step(scene.spec) {
            Some(Step::Analysis(analysis)) => Some(analysis),
            Some(
                Step::SetWeight(_)
                | Step::Pause(_)
                | Step::SetCanaryScale(_)
                | Step::Experiment(_)
                | Step::SetHeaderRoute(_)
                | Step::SetMirrorRoute(_),
            )
            | None => None,
        },
        RunKind::PrePromotion => scene.spec.blue_green.as_ref()?.analysis_before.as_ref(),
        RunKind::PostPromotion => scene.spec.blue_green.as_ref()?.analysis_after.as_ref(),
    }
}

/// The run as an object to create.
///
/// # Errors
/// Every template that is missing by now, and every argument without a value.
pub(crate) fn build(scene: &Scene<'_>, state: &State, kind: RunKind, name: &str) -> Result<Value, Vec<FieldError>> {
    let Some(analysis) = analysis(scene, state, kind) else {
        return Err(vec![FieldError::new("spec.strategy", "there is no analysis to run")]);
    };
    let flat = flatten(&keys(&analysis.templates), &scene.observed.templates)?;
    let args = arguments(scene, state, analysis, &flat)?;
    let mut metadata = analysis.analysis_run_metadata.clone().unwrap_or_default();
    metadata.labels.extend(labels_of(scene, state, kind));
    metadata.annotations.insert(labels::REVISION.to_owned(), scene.revision.number.to_string());
    let own = Own {
        name,
        namespace: scene.observed.rollout.metadata.namespace.as_deref(),
        owner: owner_reference(scene),
        metadata,
        dry_run: &analysis.dry_run,
        retention: &analysis.measurement_retention,
        semantics: scene.observed.settings.semantics,
    };
    Ok(object(flat, &args, own))
}

fn arguments(
    scene: &Scene<'_>,
    state: &State,
    analysis: &RolloutAnalysis,
    flat: &Flat,
) -> Result<Vec<Argument>, Vec<FieldError>> {
    let rollout = serde_json::to_value(&*scene.observed.rollout).unwrap_or_default();
    let sources = ArgSources {
        stable_hash: state.stable_hash.as_deref().unwrap_or_default(),
        latest_hash: &state.current_hash,
        rollout: &rollout,
    };
    merge(std::slice::from_ref(&flat.args), &given(&analysis.args, sources)?, &rollout)
}

fn labels_of(scene: &Scene<'_>, state: &State, kind: RunKind) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = scene
        .spec
        .selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    all.insert(labels::POD_TEMPLATE_HASH.to_owned(), state.current_hash.clone());
    all.insert(labels::ROLLOUT_TYPE.to_owned(), kind.label().to_owned());
    if kind == RunKind::Step {
        all.insert(labels::STEP_INDEX.to_owned(), state.step.to_string());
    }
    if let Some(instance) = &scene.observed.settings.instance_id {
        all.insert(labels::INSTANCE_ID.to_owned(), instance.clone());
    }
    all
}
