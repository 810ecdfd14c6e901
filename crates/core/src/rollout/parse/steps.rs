//! The steps of the canary.

use serin_api::{CanaryStep, CanaryStrategy, RolloutPause, SetCanaryScale, TrafficRouting};

use crate::rollout::step::{CanaryScale, Step, Steps};
use crate::time::parse_seconds_or_duration;

use super::managed;
use super::report::Report;

/// What a step must have, in upstream's words.
const ONE_OF: &str = "Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause";

/// Reads the steps; those in error are left out, as the spec is refused then.
pub(super) fn read(wire: &CanaryStrategy, report: &mut Report) -> Steps {
    let routing = wire.traffic_routing.as_ref();
    let steps = wire
        .steps
        .iter()
        .enumerate()
        .filter_map(|(index, step)| read_one(step, &format!("spec.strategy.canary.steps[{index}]"), routing, report))
        .collect();
    Steps::new(steps, &wire.steps)
}

fn read_one(step: &CanaryStep, field: &str, routing: Option<&TrafficRouting>, report: &mut Report) -> Option<Step> {
    let CanaryStep {
        set_weight,
        pause,
        experiment,
        analysis,
        set_canary_scale,
        set_header_route,
        set_mirror_route,
        plugin,
    } = step;
    let kinds = [
        ("setWeight", set_weight.is_some()),
        ("pause", pause.is_some()),
        ("experiment", experiment.is_some()),
        ("analysis", analysis.is_some()),
        ("setCanaryScale", set_canary_scale.is_some()),
        ("setHeaderRoute", set_header_route.is_some()),
        ("setMirrorRoute", set_mirror_route.is_some()),
        ("plugin", plugin.is_some()),
    ];
    let given: Vec<&str> = kinds.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
    if given.len() != 1 {
        let detail = if given.is_empty() {
            format!("{ONE_OF}, or analysis; this one has none")
        } else {
            format!("{ONE_OF}, or analysis; write {} as separate steps", given.join(" and "))
        };
        report.invalid(field, given.join(", "), detail);
        return None;
    }
    if let Some(weight) = set_weight {
        return read_weight(*weight, &format!("{field}.setWeight"), "SetWeight", report).map(Step::SetWeight);
    }
    if let Some(pause) = pause {
        return read_pause(pause, &format!("{field}.pause.duration"), report).map(Step::Pause);
    }
    if let Some(scale) = set_canary_scale {
        return read_scale(scale, &format!("{field}.setCanaryScale"), routing.is_some(), report)
            .map(Step::SetCanaryScale);
    }
    if let Some(experiment) = experiment {
        return Some(super::experiment::read(experiment, &format!("{field}.experiment"), routing.is_some(), report));
    }
    if let Some(header) = set_header_route {
        return managed::header(header, &format!("{field}.setHeaderRoute"), routing, report).map(Step::SetHeaderRoute);
    }
    if let Some(mirror) = set_mirror_route {
        return managed::mirror(mirror, &format!("{field}.setMirrorRoute"), routing, report).map(Step::SetMirrorRoute);
    }
    analysis.as_ref().map(|analysis| Step::Analysis(Box::new(analysis.clone())))
}

fn read_weight(weight: i32, field: &str, name: &str, report: &mut Report) -> Option<i32> {
    if (0..=100).contains(&weight) {
        return Some(weight);
    }
    report.invalid(field, weight, format!("{name} needs to be between 0 and 100"));
    None
}

fn read_pause(pause: &RolloutPause, field: &str, report: &mut Report) -> Option<Option<chrono::TimeDelta>> {
    let Some(duration) = &pause.duration else {
        return Some(None);
    };
    match parse_seconds_or_duration(duration.to_string().trim()) {
        Ok(length) if length >= chrono::TimeDelta::zero() => Some(Some(length)),
        Ok(_) => {
            report.invalid(field, duration.to_string(), "Duration needs to be greater than 0");
            None
        }
        Err(detail) => {
            report.invalid(field, duration.to_string(), detail);
            None
        }
    }
}

fn read_scale(scale: &SetCanaryScale, field: &str, has_routing: bool, report: &mut Report) -> Option<CanaryScale> {
    if !has_routing {
        report.invalid(field, "", "SetCanaryScale requires TrafficRouting to be set");
    }
    match (scale.weight, scale.replicas, scale.match_traffic_weight) {
        (Some(weight), None, false) => {
            let weight = read_weight(weight, &format!("{field}.weight"), "weight", report)?;
            Some(CanaryScale::Weight(weight))
        }
        (None, Some(replicas), false) => {
            report.not_negative(format!("{field}.replicas"), Some(replicas)).map(CanaryScale::Replicas)
        }
        (None, None, true) => Some(CanaryScale::MatchTrafficWeight),
        (_, _, _) => {
            report.required(field, "exactly one of weight, replicas and matchTrafficWeight: true");
            None
        }
    }
}
