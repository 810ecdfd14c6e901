//! When a Rollout is gone: what it had restricted on a DestinationRule or a Service is lifted again, so that whatever takes
//! its place can be reached.

use serin_core::istio::{destination_rule, farewell, service};
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
    for (kind, place, raw) in left_behind {
        let write = lifting(kind, &place, &raw);
        match engine.cluster().write(&write, &place).await {
            Ok(_) => tracing::info!(%key, %kind, object = %place, "the Rollout is gone; its restriction is lifted"),
            Err(error) if error.code() == Some(404) => {}
            Err(error) => return Some(retry(key, &error)),
        }
    }
    None
}

/// Which Rollout an object says it is set by.
pub(crate) fn manager(kind: Kind, raw: &Raw) -> Option<&str> {
    match kind {
        Kind::DestinationRule => destination_rule::managed_by(&raw.object),
        Kind::Service => service::managed_by(&raw.object),
        Kind::Rollout
        | Kind::ReplicaSet
        | Kind::Pod
        | Kind::Deployment
        | Kind::PodTemplate
        | Kind::VirtualService
        | Kind::AnalysisTemplate
        | Kind::ClusterAnalysisTemplate
        | Kind::AnalysisRun
        | Kind::Job
        | Kind::JobPod => None,
    }
}

fn lifting(kind: Kind, place: &ObjectName, raw: &Raw) -> Write {
    let (target, verb) = if kind == Kind::Service {
        (Target::Service, Verb::MergePatch(farewell::from_service(&raw.version)))
    } else {
        (Target::DestinationRule, Verb::JsonPatch(farewell::from_destination_rule(&raw.object, &raw.version)))
    };
    Write { target, namespace: Some(place.namespace.clone()), name: place.name.clone(), verb }
}

fn retry(key: &Key, error: &Error) -> Next {
    tracing::warn!(%key, %error, "what the Rollout left behind is not lifted yet");
    Next::Retry(Backoff::Unavailable)
}
