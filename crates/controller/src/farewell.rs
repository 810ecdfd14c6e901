//! When a Rollout is gone: what it had restricted on a DestinationRule or a Service is lifted again, and its managed routes
//! and the destinations of its experiments are taken out of VirtualServices, so that whatever takes its place can be reached.

use serin_core::istio::{destination_rule, experiments, farewell, managed, service};
use serin_core::plan::{Target, Verb, Write};
use serin_core::rollout::observed::Raw;

use crate::change::{Key, Kind, ObjectName};
use crate::engine::Engine;
use crate::error::Error;
use crate::queue::{Backoff, Next};

/// Lifts what a Rollout left behind; says when to try again if that failed.
///
/// The annotation on an object names the Rollout that set it. That it is not in the caches proves little, since another
/// controller instance may serve it: the API server has the last word.
pub(crate) async fn bid(key: &Key, engine: &Engine) -> Option<Next> {
    let Key::Rollout(name) = key else { return None };
    let left_behind = engine.left_behind(name);
    if left_behind.is_empty() || !engine.may_write() {
        return None;
    }
    match engine.cluster().get(&engine.cluster().resource(Kind::Rollout), name).await {
        Ok(_) => return None,
        Err(error) if error.code() == Some(404) => {}
        Err(error) => return Some(retry(key, &error)),
    }
    let mut again = None;
    for (kind, place, raw) in left_behind {
        let write = lifting(name, kind, &place, &raw);
        match engine.cluster().write(&write, &place).await {
            Ok(_) => tracing::info!(%key, %kind, object = %place, "the Rollout is gone; its restriction is lifted"),
            Err(error) if error.code() == Some(404) => {}
            // One that is refused is in nobody else's way.
            Err(error) => again = Some(retry(key, &error)),
        }
    }
    again
}

/// Which Rollouts an object says it is set by.
pub(crate) fn setters(kind: Kind, place: &ObjectName, raw: &Raw) -> Vec<ObjectName> {
    let beside = |name: Option<&str>| name.map(|name| ObjectName::new(&place.namespace, name)).into_iter().collect();
    match kind {
        Kind::DestinationRule => beside(destination_rule::managed_by(&raw.object)),
        Kind::Service => beside(service::managed_by(&raw.object)),
        Kind::VirtualService => managed::recorded(&raw.object)
            .into_iter()
            .map(|(owner, _)| owner)
            .chain(experiments::owners(&raw.object))
            .filter_map(|owner| owner.split_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())))
            .map(|(namespace, name)| ObjectName::new(namespace, name))
            .collect(),
        Kind::Rollout
        | Kind::ReplicaSet
        | Kind::Pod
        | Kind::Deployment
        | Kind::PodTemplate
        | Kind::WorkloadReplicaSet
        | Kind::AnalysisTemplate
        | Kind::ClusterAnalysisTemplate
        | Kind::AnalysisRun
        | Kind::Experiment
        | Kind::Job
        | Kind::JobPod
        | Kind::EndpointSlice => Vec::new(),
    }
}

fn lifting(rollout: &ObjectName, kind: Kind, place: &ObjectName, raw: &Raw) -> Write {
    let (target, verb) = if kind == Kind::Service {
        (Target::Service, Verb::MergePatch(farewell::from_service(&raw.version)))
    } else if kind == Kind::VirtualService {
        let owner = format!("{}/{}", rollout.namespace, rollout.name);
        let patch = farewell::from_virtual_service(&raw.object, &raw.version, &owner);
        (Target::VirtualService, Verb::JsonPatch(patch))
    } else {
        (Target::DestinationRule, Verb::JsonPatch(farewell::from_destination_rule(&raw.object, &raw.version)))
    };
    Write { target, namespace: Some(place.namespace.clone()), name: place.name.clone(), verb }
}

fn retry(key: &Key, error: &Error) -> Next {
    tracing::warn!(%key, %error, "what the Rollout left behind is not lifted yet");
    Next::Retry(Backoff::Unavailable)
}
