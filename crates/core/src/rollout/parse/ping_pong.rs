//! Ping-pong: two Services of which each revision takes the one that stable has not.

use serin_api::{CanaryStrategy, PingPong};

use crate::rollout::observed::Observed;

use super::report::Report;

/// Where the two Services stand in the Rollout.
pub(super) const FIELD: &str = "spec.strategy.canary.pingPong";
/// Which of the two is stable, in `status.canary.stablePingPong`.
const PING: &str = "ping";

/// The Services of canary and stable, in the roles that the status says they have; before the first revision is stable,
/// the canary has ping.
pub(super) fn read(
    observed: &Observed,
    wire: &CanaryStrategy,
    both: &PingPong,
    report: &mut Report,
) -> (Option<String>, Option<String>) {
    check(wire, both, report);
    let status = observed.rollout.status.as_ref();
    let is_ping_stable = status.and_then(|status| status.canary.stable_ping_pong.as_deref()) == Some(PING);
    let name = |name: &String| Some(name.clone()).filter(|name| !name.is_empty());
    let (ping, pong) = (name(&both.ping_service), name(&both.pong_service));
    if is_ping_stable { (pong, ping) } else { (ping, pong) }
}

fn check(wire: &CanaryStrategy, both: &PingPong, report: &mut Report) {
    for (name, service) in [("pingService", &both.ping_service), ("pongService", &both.pong_service)] {
        if service.is_empty() {
            let detail = "Ping service and Pong service must to be set to use Ping-Pong feature";
            report.invalid(format!("{FIELD}.{name}"), "", detail);
        }
    }
    if !both.ping_service.is_empty() && both.ping_service == both.pong_service {
        let detail = "This rollout uses the same service for the ping and pong services, but two different services are required.";
        report.invalid(format!("{FIELD}.pongService"), both.pong_service.as_str(), detail);
    }
    if wire.traffic_routing.is_none() {
        let detail = "Ping-pong feature works with the ALB, Istio, and plugin-based traffic routers only";
        report.invalid(FIELD, "", detail);
    }
    for (name, service) in [("canaryService", &wire.canary_service), ("stableService", &wire.stable_service)] {
        if service.as_ref().is_some_and(|service| !service.is_empty()) {
            report.forbidden(format!("spec.strategy.canary.{name}"), "pingPong names both Services; remove this one");
        }
    }
    let istio = wire.traffic_routing.as_ref().and_then(|routing| routing.istio.as_ref());
    if istio.is_some_and(|istio| istio.destination_rule.is_some()) {
        let detail = "subsets cannot swap roles as Services do; remove pingPong, or destinationRule";
        report.forbidden(FIELD, detail);
    }
}
