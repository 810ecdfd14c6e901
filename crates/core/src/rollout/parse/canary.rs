//! The canary strategy without the objects that it refers to.

use chrono::TimeDelta;
use serin_api::{CanaryStrategy, IntOrString, ReplicaProgressThreshold, RolloutAnalysisBackground};

use crate::rollout::observed::Observed;

use super::report::Report;
use super::{AntiAffinity, Background, Canary, IntOrPercent, Metadata, Threshold, ping_pong, routing, steps};

/// Where the strategy stands in the Rollout.
const FIELD: &str = "spec.strategy.canary";
/// Seconds before an old version or an aborted canary is scaled down, with traffic routing.
const SCALE_DOWN_DELAY_SECONDS: i32 = 30;
/// `maxSurge` and `maxUnavailable` where they are absent.
const DISTURBANCE: IntOrPercent = IntOrPercent::Percent(25);

/// Reads the strategy; `None` if its traffic routing cannot be told.
pub(super) fn read(observed: &Observed, wire: &CanaryStrategy, report: &mut Report) -> Option<Canary> {
    let (canary_service, stable_service) = match &wire.ping_pong {
        Some(both) => ping_pong::read(observed, wire, both, report),
        None => services(wire, report),
    };
    let routing = wire.traffic_routing.as_ref().map(|wire| routing::read(observed, wire, report));
    let surge_max = disturbance(&format!("{FIELD}.maxSurge"), wire.max_surge.as_ref(), report);
    let unavailable_max = disturbance(&format!("{FIELD}.maxUnavailable"), wire.max_unavailable.as_ref(), report);
    if surge_max.is_zero() && unavailable_max.is_zero() {
        report.invalid(format!("{FIELD}.maxSurge"), 0, "MaxSurge and MaxUnavailable both can not be zero");
    }
    let (scale_down_delay, abort_scale_down_delay) = delays(wire, report);
    let canary = Canary {
        steps: steps::read(wire, report),
        surge_max,
        unavailable_max,
        background: wire.analysis.as_ref().map(|wire| background(wire, report)),
        canary_metadata: Metadata::from(wire.canary_metadata.as_ref()),
        stable_metadata: Metadata::from(wire.stable_metadata.as_ref()),
        scale_down_delay,
        scale_down_delay_revisions: report
            .not_negative(format!("{FIELD}.scaleDownDelayRevisionLimit"), wire.scale_down_delay_revision_limit),
        abort_scale_down_delay,
        dynamic_stable_scale: dynamic_stable_scale(wire, report),
        pods_min: report
            .not_negative(format!("{FIELD}.minPodsPerReplicaSet"), wire.min_pods_per_replica_set)
            .unwrap_or(0),
        threshold: wire.replica_progress_threshold.as_ref().map_or(Threshold::All, |wire| threshold(wire, report)),
        anti_affinity: anti_affinity(wire.anti_affinity.as_ref(), &format!("{FIELD}.antiAffinity"), report),
        routing: None,
        swaps_services: wire.ping_pong.is_some(),
        canary_service,
        stable_service,
    };
    match routing {
        None => Some(canary),
        Some(None) => None,
        Some(Some(routing)) => Some(Canary { routing: Some(routing), ..canary }),
    }
}

fn services(wire: &CanaryStrategy, report: &mut Report) -> (Option<String>, Option<String>) {
    let name = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    let (canary, stable) = (name(&wire.canary_service), name(&wire.stable_service));
    if let (Some(canary), Some(stable)) = (&canary, &stable)
        && canary == stable
    {
        let detail = "This rollout uses the same service for the stable and canary services, but two different services are required.";
        report.invalid(format!("{FIELD}.stableService"), stable.as_str(), detail);
    }
    let istio = wire.traffic_routing.as_ref().and_then(|routing| routing.istio.as_ref());
    if istio.is_some_and(|istio| istio.destination_rule.is_none()) && (canary.is_none() || stable.is_none()) {
        let (field, other) =
            if canary.is_none() { ("canaryService", stable.is_none()) } else { ("stableService", false) };
        let also = if other { ", and so is stableService" } else { "" };
        let detail = "Canary service and Stable service must to be set to use Traffic Routing";
        report.invalid(
            format!("{FIELD}.{field}"),
            "",
            format!("{detail}; {field} is missing{also}, unless a destinationRule is given"),
        );
    }
    (canary, stable)
}

/// Reads the rule that keeps pods of two revisions apart.
pub(super) fn anti_affinity(
    wire: Option<&serin_api::AntiAffinity>,
    field: &str,
    report: &mut Report,
) -> Option<AntiAffinity> {
    let wire = wire?;
    let preferred = &wire.preferred_during_scheduling_ignored_during_execution;
    let required = &wire.required_during_scheduling_ignored_during_execution;
    match (preferred, required) {
        (Some(preferred), None) if (1..=100).contains(&preferred.weight) => {
            Some(AntiAffinity::Preferred(preferred.weight))
        }
        (Some(preferred), None) => {
            report.invalid(format!("{field}.weight"), preferred.weight, "AntiAffinity weight must be between 1-100");
            None
        }
        (None, Some(_)) => Some(AntiAffinity::Required),
        (Some(_), Some(_)) | (None, None) => {
            report.invalid(field, "", "AntiAffinity must have exactly one strategy listed");
            None
        }
    }
}

/// A number of pods beyond or below `replicas`.
pub(super) fn disturbance(field: &str, wire: Option<&IntOrString>, report: &mut Report) -> IntOrPercent {
    match wire.map(|value| (value, IntOrPercent::read(value))) {
        None => DISTURBANCE,
        Some((_, Ok(IntOrPercent::Percent(percent)))) if percent > 100 && field.ends_with(".maxUnavailable") => {
            report.invalid(field, format!("{percent}%"), "should not be more than 100%");
            DISTURBANCE
        }
        Some((_, Ok(value))) => value,
        Some((value, Err(detail))) => {
            report.invalid(field, value.to_string(), detail);
            DISTURBANCE
        }
    }
}

/// The delays before an old version and before an aborted canary is scaled down.
fn delays(wire: &CanaryStrategy, report: &mut Report) -> (TimeDelta, Option<TimeDelta>) {
    let has_routing = wire.traffic_routing.is_some();
    if let Some(seconds) = wire.scale_down_delay_seconds
        && !has_routing
    {
        let detail = "Canary scaleDownDelaySeconds can only be used with traffic routing";
        report.invalid(format!("{FIELD}.scaleDownDelaySeconds"), seconds, detail);
    }
    let normal = if has_routing { SCALE_DOWN_DELAY_SECONDS } else { 0 };
    let after_update =
        report.not_negative(format!("{FIELD}.scaleDownDelaySeconds"), wire.scale_down_delay_seconds).unwrap_or(normal);
    let after_abort =
        report.not_negative(format!("{FIELD}.abortScaleDownDelaySeconds"), wire.abort_scale_down_delay_seconds);
    let after_abort = match after_abort {
        Some(0) => None,
        Some(seconds) => Some(seconds),
        // As stable takes its pods back, the canary gives its own away.
        None if wire.dynamic_stable_scale => Some(0),
        None => Some(SCALE_DOWN_DELAY_SECONDS),
    };
    (TimeDelta::seconds(i64::from(after_update)), after_abort.map(|seconds| TimeDelta::seconds(i64::from(seconds))))
}

fn dynamic_stable_scale(wire: &CanaryStrategy, report: &mut Report) -> bool {
    let field = format!("{FIELD}.dynamicStableScale");
    if wire.dynamic_stable_scale && wire.traffic_routing.is_none() {
        report.invalid(field.as_str(), true, "Canary dynamicStableScale can only be used with traffic routing");
    }
    if wire.dynamic_stable_scale && wire.scale_down_delay_seconds.is_some() {
        report.invalid(field, true, "Canary dynamicStableScale cannot be used with scaleDownDelaySeconds");
    }
    wire.dynamic_stable_scale
}

/// A negative value means that all pods must be available.
fn threshold(wire: &ReplicaProgressThreshold, report: &mut Report) -> Threshold {
    let field = format!("{FIELD}.replicaProgressThreshold");
    match (wire.kind.as_str(), wire.value) {
        ("Percent" | "Pods", value) if value < 0 => Threshold::All,
        ("Percent", value) if value > 100 => {
            report.invalid(format!("{field}.value"), value, "a percentage needs to be between 0 and 100");
            Threshold::All
        }
        ("Percent", value) => Threshold::Percent(value),
        ("Pods", value) => Threshold::Pods(value),
        (kind, _) => {
            report.invalid(format!("{field}.type"), kind, "must be Percent or Pods");
            Threshold::All
        }
    }
}

fn background(wire: &RolloutAnalysisBackground, report: &mut Report) -> Background {
    let starting_step = report.not_negative(format!("{FIELD}.analysis.startingStep"), wire.starting_step);
    Background {
        analysis: wire.analysis.clone(),
        starting_step: starting_step.and_then(|step| u32::try_from(step).ok()),
    }
}
