//! The blue-green strategy without the objects that it refers to.

use chrono::TimeDelta;
use serin_api::BlueGreenStrategy;

use crate::rollout::step::Steps;

use super::canary::{anti_affinity, disturbance};
use super::report::Report;
use super::{BlueGreen, Canary, Metadata, Threshold};

/// Where the strategy stands in the Rollout.
const FIELD: &str = "spec.strategy.blueGreen";
/// Seconds before an old or an aborted version is scaled down.
const SCALE_DOWN_DELAY_SECONDS: i32 = 30;

/// Reads the strategy: what it has in common with a canary, and the rest.
pub(super) fn read(wire: &BlueGreenStrategy, revisions_max: i32, report: &mut Report) -> (Canary, BlueGreen) {
    check_services(wire, report);
    let seconds = |name: &str, value: Option<i32>, default: i32, report: &mut Report| {
        TimeDelta::seconds(i64::from(report.not_negative(format!("{FIELD}.{name}"), value).unwrap_or(default)))
    };
    let auto_promotion_delay = seconds("autoPromotionSeconds", wire.auto_promotion_seconds, 0, report);
    let scale_down_delay =
        seconds("scaleDownDelaySeconds", wire.scale_down_delay_seconds, SCALE_DOWN_DELAY_SECONDS, report);
    let after_abort =
        seconds("abortScaleDownDelaySeconds", wire.abort_scale_down_delay_seconds, SCALE_DOWN_DELAY_SECONDS, report);
    let canary = Canary {
        steps: Steps::new(Vec::new(), &[]),
        surge_max: super::IntOrPercent::Percent(100),
        unavailable_max: disturbance(&format!("{FIELD}.maxUnavailable"), wire.max_unavailable.as_ref(), report),
        background: None,
        canary_metadata: Metadata::from(wire.preview_metadata.as_ref()),
        stable_metadata: Metadata::from(wire.active_metadata.as_ref()),
        scale_down_delay,
        scale_down_delay_revisions: delay_limit(wire, revisions_max, report),
        abort_scale_down_delay: Some(after_abort).filter(|delay| *delay > TimeDelta::zero()),
        dynamic_stable_scale: false,
        pods_min: 0,
        threshold: Threshold::All,
        anti_affinity: anti_affinity(wire.anti_affinity.as_ref(), &format!("{FIELD}.antiAffinity"), report),
        routing: None,
        swaps_services: false,
        canary_service: None,
        stable_service: None,
    };
    let blue_green = BlueGreen {
        active_service: wire.active_service.clone(),
        preview_service: wire.preview_service.clone().filter(|name| !name.is_empty()),
        preview_replicas: report.not_negative(format!("{FIELD}.previewReplicaCount"), wire.preview_replica_count),
        auto_promotion: wire.auto_promotion_enabled.unwrap_or(true),
        auto_promotion_delay: Some(auto_promotion_delay).filter(|delay| *delay > TimeDelta::zero()),
        analysis_before: wire.pre_promotion_analysis.clone(),
        analysis_after: wire.post_promotion_analysis.clone(),
    };
    (canary, blue_green)
}

fn check_services(wire: &BlueGreenStrategy, report: &mut Report) {
    if wire.active_service.is_empty() {
        report.required(format!("{FIELD}.activeService"), "the Service that carries production traffic");
    } else if wire.preview_service.as_ref() == Some(&wire.active_service) {
        let detail = "This rollout uses the same service for the active and preview services, but two different services are required.";
        report.invalid(format!("{FIELD}.previewService"), wire.active_service.as_str(), detail);
    }
}

fn delay_limit(wire: &BlueGreenStrategy, revisions_max: i32, report: &mut Report) -> Option<i32> {
    let field = format!("{FIELD}.scaleDownDelayRevisionLimit");
    let limit = report.not_negative(&field, wire.scale_down_delay_revision_limit)?;
    if limit > revisions_max {
        report.invalid(
            field,
            limit,
            format!("must not be greater than revisionHistoryLimit, which is {revisions_max}"),
        );
    }
    Some(limit)
}
