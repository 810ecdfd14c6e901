//! Which share of the traffic experiments get now.
//!
//! An experiment step with weights sends a part of the requests to the pods of its Experiment, each template through a
//! Service and a destination of its own. They get it only while the step runs, and only where the mesh knows ready pods;
//! canary keeps its weight, and stable gives and takes the difference.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::Value;
use serin_api::TemplateStatus;

use crate::istio::experiments::{Services, Share, Wanted, changes, recorded, subset_changes, weights};
use crate::istio::patch::{patched, test_version};
use crate::istio::virtual_service::set_weights;
use crate::plan::Event;
use crate::rollout::Hold;
use crate::rollout::observed::{Observed, Pod, Raw};
use crate::rollout::step::Step;

use super::experiments;
use super::mesh::{End, Mesh, Routed, spread_at};
use super::scene::Scene;
use super::state::State;

/// What is left for stable at least: a route needs one destination that stays.
const ROOM: i32 = 99;

/// What experiments are to get.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// Weights by Service.
    shares: BTreeMap<String, Share>,
    /// Hashes of the pods behind those Services.
    hashes: BTreeMap<String, String>,
    /// Why an experiment gets nothing yet.
    pub(crate) hold: Option<Hold>,
}

impl Mesh<'_> {
    /// The Services that may be destinations of experiments.
    pub(crate) fn services(&self) -> Services<'_> {
        Services { namespace: &self.sides.rollout_namespace, names: &self.experiments }
    }

    /// The greatest weight that any route gives a Service of an experiment, in percent.
    pub(crate) fn share_of(&self, service: &str) -> i32 {
        let in_routes = self.routed.iter().flat_map(|routed| routed.base.iter().map(move |route| (routed, *route)));
        let shares = in_routes.filter_map(|(r, route)| weights(&r.raw.object, route, &self.services()).remove(service));
        shares.max().unwrap_or(0)
    }
}

/// The shares that the present step asks for, as far as there are pods to answer.
pub(crate) fn wanted(scene: &Scene<'_>, state: &State, mesh: &Mesh<'_>) -> Extras {
    let mut extras = Extras::default();
    let Some(Step::Experiment(step)) = state.current_step(scene.spec).filter(|_| state.is_updating()) else {
        return extras;
    };
    let Some(experiment) = experiments::current(scene, state) else { return extras };
    if experiment.spec.terminate || !experiments::is_under_way(experiment) {
        return extras;
    }
    let templates = experiment.status.as_ref().map_or(&[][..], |status| status.template_statuses.as_slice());
    let mut room = room(mesh);
    for template in &step.templates {
        let Some(weight) = template.weight.filter(|weight| *weight > 0) else { continue };
        let status = templates.iter().find(|status| status.name == template.name);
        let Some((name, raw)) = status.and_then(|status| service_of(scene.observed, status)) else { continue };
        if let Some(until) = unknown_until(scene.observed, mesh, name, raw) {
            extras.hold = until.map(|until| propagating(scene.observed, &template.name, until)).or(extras.hold);
            continue;
        }
        let share = Share { weight: weight.min(room), port: first_of_several_ports(&raw.object) };
        room -= share.weight;
        if share.weight > 0 {
            extras.shares.insert(name.to_owned(), share);
            let hash = status.and_then(|status| status.pod_template_hash.clone());
            extras.hashes.extend(hash.map(|hash| (name.to_owned(), hash)));
        }
    }
    // What is compared begins at once.
    if extras.hold.is_some() && extras.shares.keys().all(|name| mesh.share_of(name) == 0) {
        extras.shares.clear();
        extras.hashes.clear();
    }
    extras
}

/// What foreign destinations leave for canary, stable and experiments, in the route with the least.
fn room(mesh: &Mesh<'_>) -> i32 {
    let known = mesh.services();
    let foreign = mesh.routed.iter().flat_map(|routed| {
        let base = routed.weights.iter().take(routed.base.len());
        base.map(|w| w.foreign - weights(&routed.raw.object, w.route, &known).values().sum::<i32>())
    });
    (ROOM - foreign.max().unwrap_or(0)).max(0)
}

fn service_of<'s>(observed: &'s Observed, status: &'s TemplateStatus) -> Option<(&'s str, &'s Raw)> {
    let name = status.service_name.as_deref()?;
    Some((name, observed.experiment_services.get(name)?))
}

/// Since requests may come: `None` if pods behind the Service can be sent some now; `Some` with the time by which the mesh
/// will know them, or without it if there are none.
fn unknown_until(observed: &Observed, mesh: &Mesh<'_>, name: &str, raw: &Raw) -> Option<Option<DateTime<Utc>>> {
    let pods = ready_behind(observed, name, raw);
    let Some(first) = pods.iter().map(|pod| pod.seen_at).min() else { return Some(None) };
    if mesh.share_of(name) > 0 {
        return None;
    }
    spread_at(first.max(raw.seen_at), observed).map(Some)
}

/// Ready pods of experiments that a Service selects.
pub(crate) fn ready_behind<'o>(observed: &'o Observed, name: &str, raw: &Raw) -> Vec<&'o Pod> {
    let end = End { subset: None, service: Some((raw, name)) };
    observed.experiment_pods.iter().filter(|pod| pod.is_serving() && end.selects(&pod.labels)).collect()
}

fn propagating(observed: &Observed, template: &str, until: DateTime<Utc>) -> Hold {
    observed.control_plane.hold(format!("the first endpoint of experiment template {template}"), until)
}

/// Istio must be told the port of a Service that has several.
fn first_of_several_ports(service: &Value) -> Option<i64> {
    let ports = service.pointer("/spec/ports").and_then(Value::as_array).filter(|ports| ports.len() > 1)?;
    ports.first()?.get("port")?.as_i64()
}

/// The patch of one VirtualService that gives experiments their shares and the canary a weight, or with `None` keeps the
/// canary's; empty if all is as it should be, or if stable could not take what experiments leave.
pub(crate) fn patch(
    scene: &Scene<'_>,
    mesh: &Mesh<'_>,
    routed: &Routed<'_>,
    (extras, weight): (&Extras, Option<i32>),
) -> Vec<Value> {
    let alone = || {
        let patch =
            |weight| set_weights(&routed.raw.object, &routed.raw.version, &routed.routes(), &mesh.sides, weight);
        weight.and_then(|weight| patch(weight).ok()).unwrap_or_default()
    };
    let mut operations = operations(scene, mesh, routed, extras);
    let given = extras.shares.values().map(|share| share.weight).sum::<i32>();
    let rises = mesh.experiments.iter().map(|name| mesh.share_of(name)).sum::<i32>() > given;
    if operations.is_empty() || (rises && mesh.stable.ready(scene.observed).is_empty()) {
        return alone();
    }
    operations.insert(0, test_version(&routed.raw.version));
    let Some(weight) = weight.or_else(|| mesh.canary_weight()) else { return alone() };
    let rest = patched(&routed.raw.object, &operations)
        .ok()
        .and_then(|after| set_weights(&after, &routed.raw.version, &routed.routes(), &mesh.sides, weight).ok());
    match rest {
        Some(rest) => operations.into_iter().chain(rest).collect(),
        None => alone(),
    }
}

fn operations(scene: &Scene<'_>, mesh: &Mesh<'_>, routed: &Routed<'_>, extras: &Extras) -> Vec<Value> {
    let owner = scene.owner();
    changes(&routed.raw.object, &routed.base, Wanted { owner: &owner, known: &mesh.services(), shares: &extras.shares })
}

/// What changes the subsets that experiments have in the DestinationRule.
pub(crate) fn subsets(mesh: &Mesh<'_>, raw: &Raw, extras: &Extras) -> Vec<Value> {
    subset_changes(&raw.object, &mesh.experiments, &extras.hashes)
}

/// Why the routes are not as the step and its experiment ask for.
pub(crate) fn not_observed(scene: &Scene<'_>, state: &State) -> Option<Hold> {
    let mesh = scene.mesh.as_ref()?;
    let extras = wanted(scene, state, mesh);
    let open = mesh.routed.iter().find(|routed| !operations(scene, mesh, routed, &extras).is_empty())?;
    Some(Hold::RoutesNotObserved { virtual_service: open.key.name.clone() })
}

/// What to tell of a change of shares; the canary's weight is told apart.
pub(crate) fn event(extras: &Extras) -> Event {
    let shares: Vec<String> =
        extras.shares.iter().map(|(service, share)| format!("{service} {}", share.weight)).collect();
    let shares = if shares.is_empty() { "none".to_owned() } else { shares.join(", ") };
    Event::normal("TrafficWeightUpdated", format!("Traffic weight updated, additional: {shares}"))
}

/// Names of all Services that may be destinations of this Rollout's experiments: those that its Experiments have, and
/// those that the VirtualServices say so of.
pub(crate) fn names(observed: &Observed, routed: &[Routed<'_>], own: &[&Option<String>]) -> BTreeSet<String> {
    let metadata = &observed.rollout.metadata;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let owner = format!("{}/{}", text(&metadata.namespace), text(&metadata.name));
    let of_experiments = observed.experiments.iter().flat_map(|experiment| experiments::services(experiment));
    let of_routes = routed.iter().flat_map(|routed| recorded(&routed.raw.object, &owner));
    of_experiments.chain(of_routes).filter(|name| !own.iter().any(|own| own.as_deref() == Some(name))).collect()
}

/// Whether a plan would give a Service of an experiment weight that nobody could answer: the guard's view.
pub(crate) fn violation(observed: &Observed, mesh: &Mesh<'_>, routed: &Routed<'_>, after: &Value) -> Option<String> {
    let known = mesh.services();
    for route in &routed.base {
        let before = weights(&routed.raw.object, *route, &known);
        for (name, weight) in weights(after, *route, &known) {
            let gains = weight > before.get(&name).copied().unwrap_or(0);
            let raw = observed.experiment_services.get(&name);
            if gains && raw.is_none_or(|raw| ready_behind(observed, &name, raw).is_empty()) {
                return Some(format!("Service {name} of an experiment would get weight without ready pods behind it"));
            }
        }
    }
    None
}
