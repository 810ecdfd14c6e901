//! From the wire to the domain: a Rollout's spec as decisions need it, or every error in it.

mod analysis;
mod blue_green;
mod canary;
mod managed;
mod metadata;
mod percent;
mod ping_pong;
mod references;
mod refused;
mod report;
mod routing;
mod selector;
mod steps;
mod workload;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use serin_api::{RolloutAnalysis, RolloutSpec, TcpRoute, TlsRoute};

use crate::field_error::FieldError;
use crate::istio::Selection;
use crate::rollout::observed::{Observed, VirtualServiceKey};
use crate::rollout::step::Steps;

pub use metadata::Metadata;
pub use percent::IntOrPercent;
pub use refused::{REFUSED, Refused};

use report::Report;

/// What the user asks of a Rollout, with defaults filled in and all rules checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Number of pods wanted.
    pub replicas: i32,
    /// Whether that number was given rather than defaulted.
    pub replicas_given: bool,
    /// The label selector, raw: the Rollout's, or the workload's where the Rollout has none.
    pub selector: Value,
    /// `matchLabels` of the selector.
    pub match_labels: BTreeMap<String, String>,
    /// The pod template, raw: the Rollout's, or the workload's.
    pub template: Value,
    /// Seconds for which a pod must be ready to count as available.
    pub min_ready_seconds: i32,
    /// Number of old ReplicaSets kept.
    pub revision_history_limit: i32,
    /// Whether scaling and steps are halted.
    pub paused: bool,
    /// Time without progress after which the Rollout is degraded.
    pub progress_deadline: TimeDelta,
    /// Whether the update is then aborted.
    pub progress_deadline_abort: bool,
    /// Numbers of successful and of all other finished AnalysisRuns that are kept.
    pub analysis_history: (i32, i32),
    /// How many revisions a return to an earlier one may leave out without running the steps; `None` for none.
    pub rollback_window: Option<usize>,
    /// Pods that were created before this time are restarted.
    pub restart_at: Option<DateTime<Utc>>,
    /// When the Deployment that the pod template comes from gives its pods away.
    pub scale_down: ScaleDown,
    /// How a new version replaces the old one. Of a blue-green strategy, the fields that mean the same there: metadata of
    /// the preview (as canary) and of the active revision (as stable), and delays before pods go.
    pub canary: Canary,
    /// The rest of a blue-green strategy; `None` for a canary.
    pub blue_green: Option<BlueGreen>,
}

/// When the Deployment that a Rollout refers to is scaled to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleDown {
    /// Never; it is left alone.
    Never,
    /// Once the first revision is healthy.
    OnSuccess,
    /// As pods of the first revision become ready.
    Progressively,
}

/// What only the blue-green strategy has.
#[derive(Clone, Debug, PartialEq)]
pub struct BlueGreen {
    /// The Service that carries production traffic.
    pub active_service: String,
    /// The Service through which the new version can be tried.
    pub preview_service: Option<String>,
    /// Pods of the new version before it may be switched to; `None` for all.
    pub preview_replicas: Option<i32>,
    /// Whether to switch without a person.
    pub auto_promotion: bool,
    /// Time to wait before switching by itself; `None` for none.
    pub auto_promotion_delay: Option<TimeDelta>,
    /// Analysis before the switch.
    pub analysis_before: Option<RolloutAnalysis>,
    /// Analysis after the switch.
    pub analysis_after: Option<RolloutAnalysis>,
}

/// The canary strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// What to do, in order.
    pub steps: Steps,
    /// Pods beyond `replicas`; rounded up.
    pub surge_max: IntOrPercent,
    /// Pods that may be unavailable; rounded down.
    pub unavailable_max: IntOrPercent,
    /// Analysis beside the steps.
    pub background: Option<Background>,
    /// What pods carry while they are the canary.
    pub canary_metadata: Metadata,
    /// What pods carry while they are stable.
    pub stable_metadata: Metadata,
    /// Time before the old version is scaled down; zero without traffic routing.
    pub scale_down_delay: TimeDelta,
    /// How many old versions may wait for that; `None` for any number.
    pub scale_down_delay_revisions: Option<i32>,
    /// Time before an aborted canary is scaled down; `None` keeps it.
    pub abort_scale_down_delay: Option<TimeDelta>,
    /// Whether stable has no more pods than its share of the traffic needs while an update runs.
    pub dynamic_stable_scale: bool,
    /// Pods that a revision has at least if its weight gives it any, with traffic routing.
    pub pods_min: i32,
    /// Pods of the new revision that must be available to go on.
    pub threshold: Threshold,
    /// How strictly pods of a new version keep away from the nodes of stable ones; `None` if not at all.
    pub anti_affinity: Option<AntiAffinity>,
    /// Who splits the traffic; `None` if the numbers of pods do.
    pub routing: Option<Routing>,
    /// Whether the two Services swap their roles with each revision; below they stand in the roles that they have now.
    pub swaps_services: bool,
    /// The Service that selects the canary pods.
    pub canary_service: Option<String>,
    /// The Service that selects the stable pods.
    pub stable_service: Option<String>,
}

/// How strictly pods of a new version keep away from the nodes of stable ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AntiAffinity {
    /// The scheduler tries to, with a weight from 1 to 100.
    Preferred(i32),
    /// The scheduler must.
    Required,
}

/// How many of the pods that a revision should have must be available to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// All of them.
    All,
    /// A share in percent, from 0 to 100; rounded up.
    Percent(i32),
    /// A number, or all of them if they are fewer.
    Pods(i32),
}

impl Threshold {
    /// Pods that must be available where `wanted` should be there.
    #[must_use]
    pub fn of(self, wanted: i32) -> i32 {
        match self {
            Threshold::All => wanted,
            Threshold::Percent(percent) => {
                let pods = (i64::from(wanted.max(0)) * i64::from(percent.clamp(0, 100)) + 99) / 100;
                i32::try_from(pods).unwrap_or(wanted)
            }
            Threshold::Pods(pods) => pods.min(wanted),
        }
    }
}

/// An analysis that runs beside the steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Background {
    /// What is run.
    pub analysis: RolloutAnalysis,
    /// Index of the step at which it starts; `None` for the first.
    pub starting_step: Option<u32>,
}

/// The Istio objects that split the traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Routing {
    /// VirtualServices, at least one, each once.
    pub virtual_services: Vec<VirtualServiceRef>,
    /// The DestinationRule; `None` for a split by Services.
    pub destination_rule: Option<DestinationRuleRef>,
    /// Names of routes that header and mirror steps may make, each once, in their order.
    pub managed_routes: Vec<String>,
}

/// A VirtualService and which of its routes are split; an empty list means the only route there is.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualServiceRef {
    /// Namespace and name.
    pub key: VirtualServiceKey,
    /// Names of HTTP routes.
    pub routes: Vec<String>,
    /// TLS routes.
    pub tls_routes: Vec<TlsRoute>,
    /// TCP routes.
    pub tcp_routes: Vec<TcpRoute>,
}

impl VirtualServiceRef {
    /// What its routes are picked by, where `managed` are names of routes that never carry weight of their own.
    #[must_use]
    pub fn selection(&self, managed: &[String]) -> Selection {
        Selection {
            routes: self.routes.clone(),
            tls_routes: self.tls_routes.clone(),
            tcp_routes: self.tcp_routes.clone(),
            managed: managed.to_vec(),
        }
    }
}

/// A DestinationRule in the Rollout's namespace, and two of its subsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationRuleRef {
    /// Name.
    pub name: String,
    /// Name of the subset for the canary.
    pub canary_subset: String,
    /// Name of the subset for stable.
    pub stable_subset: String,
}

/// Reads the spec of a Rollout, and checks the objects that it refers to.
///
/// # Errors
/// Every error that can be found, those of the spec itself first.
pub fn parse(observed: &Observed) -> Result<Spec, Vec<FieldError>> {
    let wire = &observed.rollout.spec;
    let mut report = Report::default();
    refused::check(wire, &mut report);
    let numbers = Numbers::read(wire, &mut report);
    let workload = workload::read(observed, &mut report);
    let scale_down = workload::scale_down(wire, &mut report);
    let strategy = strategy(observed, numbers.revision_history_limit, &mut report);
    if let (Some(strategy), Some(workload)) = (&strategy, &workload) {
        metadata::check(&strategy.roles(), workload, &mut report);
    }
    if let Some(Strategy { canary, blue_green }) = &strategy {
        match blue_green {
            None => references::check(observed, canary, workload.as_ref(), &mut report),
            Some(blue_green) => {
                references::check_blue_green(observed, (blue_green, canary), workload.as_ref(), &mut report);
            }
        }
        analysis::check(observed, canary, blue_green.as_ref(), &mut report);
    }
    match (strategy, workload) {
        (Some(Strategy { canary, blue_green }), Some(workload)) if report.is_empty() => Ok(Spec {
            replicas: numbers.replicas,
            replicas_given: wire.replicas.is_some(),
            match_labels: selector::match_labels(&workload.selector),
            selector: workload.selector,
            template: workload.template,
            min_ready_seconds: numbers.min_ready_seconds,
            revision_history_limit: numbers.revision_history_limit,
            paused: wire.paused,
            progress_deadline: TimeDelta::seconds(i64::from(numbers.progress_deadline_seconds)),
            progress_deadline_abort: wire.progress_deadline_abort,
            analysis_history: numbers.analysis_history,
            rollback_window: numbers.rollback_window,
            restart_at: wire.restart_at.map(|time| time.0),
            scale_down,
            canary,
            blue_green,
        }),
        (_, _) => Err(report.into_errors()),
    }
}

/// The message of the InvalidSpec condition: upstream's form, with all errors where upstream has the first.
#[must_use]
pub fn invalid_message(rollout_name: &str, errors: &[FieldError]) -> String {
    format!("The Rollout {rollout_name:?} is invalid: {}", FieldError::join(errors))
}

/// Either strategy, in the form of [`Spec`].
struct Strategy {
    canary: Canary,
    blue_green: Option<BlueGreen>,
}

impl Strategy {
    /// What pods carry in their roles, by field.
    fn roles(&self) -> [(&'static str, &Metadata); 2] {
        let Canary { canary_metadata, stable_metadata, .. } = &self.canary;
        match self.blue_green {
            None => [
                ("spec.strategy.canary.canaryMetadata", canary_metadata),
                ("spec.strategy.canary.stableMetadata", stable_metadata),
            ],
            Some(_) => [
                ("spec.strategy.blueGreen.previewMetadata", canary_metadata),
                ("spec.strategy.blueGreen.activeMetadata", stable_metadata),
            ],
        }
    }
}

/// The one strategy that there is.
fn strategy(observed: &Observed, revisions_max: i32, report: &mut Report) -> Option<Strategy> {
    let strategy = &observed.rollout.spec.strategy;
    match (&strategy.canary, &strategy.blue_green) {
        (Some(canary), blue_green) => {
            if blue_green.is_some() {
                report.invalid("spec.strategy", "blueGreen, canary", "Multiple Strategies can not be listed");
            }
            canary::read(observed, canary, report).map(|canary| Strategy { canary, blue_green: None })
        }
        (None, Some(wire)) => {
            let (canary, blue_green) = blue_green::read(wire, revisions_max, report);
            Some(Strategy { canary, blue_green: Some(blue_green) })
        }
        (None, None) => {
            let missing = "Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'";
            report.required("spec.strategy", missing);
            None
        }
    }
}

/// The plain numbers of a spec.
struct Numbers {
    replicas: i32,
    min_ready_seconds: i32,
    revision_history_limit: i32,
    progress_deadline_seconds: i32,
    analysis_history: (i32, i32),
    rollback_window: Option<usize>,
}

impl Numbers {
    fn read(wire: &RolloutSpec, report: &mut Report) -> Self {
        let history = wire.analysis.clone().unwrap_or_default();
        let numbers = Numbers {
            replicas: report.not_negative("spec.replicas", wire.replicas).unwrap_or(1),
            min_ready_seconds: report.not_negative("spec.minReadySeconds", wire.min_ready_seconds).unwrap_or(0),
            revision_history_limit: report
                .not_negative("spec.revisionHistoryLimit", wire.revision_history_limit)
                .unwrap_or(10),
            progress_deadline_seconds: report
                .not_negative("spec.progressDeadlineSeconds", wire.progress_deadline_seconds)
                .unwrap_or(600),
            analysis_history: (
                report
                    .not_negative("spec.analysis.successfulRunHistoryLimit", history.successful_run_history_limit)
                    .unwrap_or(5),
                report
                    .not_negative("spec.analysis.unsuccessfulRunHistoryLimit", history.unsuccessful_run_history_limit)
                    .unwrap_or(5),
            ),
            rollback_window: report
                .not_negative("spec.rollbackWindow.revisions", wire.rollback_window.as_ref().and_then(|w| w.revisions))
                .and_then(|revisions| usize::try_from(revisions).ok()),
        };
        if numbers.progress_deadline_seconds <= numbers.min_ready_seconds {
            let value = numbers.progress_deadline_seconds;
            report.invalid("spec.progressDeadlineSeconds", value, "must be greater than minReadySeconds");
        }
        numbers
    }
}

#[cfg(test)]
mod tests;
