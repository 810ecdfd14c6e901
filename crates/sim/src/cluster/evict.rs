//! The eviction subresource of pods: deletion, unless a disruption budget forbids it.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use super::answer::{Call, Reply};
use super::error::ApiError;
use super::meta;
use super::resource::POD_DISRUPTION_BUDGETS;
use super::scale::selector_text;
use super::selector::Selector;
use super::store::{Place, Store};
use super::write::Propagation;

/// Deletes the pod that the path names, if every budget that covers it can spare it.
pub(crate) fn answer(store: &mut Store, call: &Call<'_>) -> Result<Reply, ApiError> {
    let Some(place) = call.place().filter(|_| call.kind.resource.plural == "pods") else {
        return Err(ApiError::unknown_path());
    };
    if call.request.method != Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let eviction = call.request.object()?;
    let pod = Arc::clone(store.get(call.id, &place)?);
    if let Some(uid) = eviction.pointer("/deleteOptions/preconditions/uid").and_then(Value::as_str)
        && uid != meta::text(&pod, "uid")
    {
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", meta::uid(&pod));
        return Err(ApiError::conflict(&call.kind, &place.1, &why));
    }
    check_budgets(store, call, &place, &pod)?;
    if !call.request.dry_run() {
        store.delete(call.id, &place, Propagation::Background, call.now)?;
    }
    Ok(Reply::Object(
        201,
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
    ))
}

fn check_budgets(store: &Store, call: &Call<'_>, place: &Place, pod: &Value) -> Result<(), ApiError> {
    let Some(budgets) = store.registry.by_plural(&POD_DISRUPTION_BUDGETS.group, &POD_DISRUPTION_BUDGETS.plural) else {
        return Ok(());
    };
    for (_, budget) in store.list(budgets, Some(&place.0)) {
        let selector = Selector::parse(&selector_text(&budget["spec"]["selector"]), "")?;
        if !selector.matches(pod) || !is_ready(pod) {
            continue;
        }
        let covered: Vec<_> =
            store.list(call.id, Some(&place.0)).map(|(_, pod)| pod).filter(|pod| selector.matches(pod)).collect();
        let healthy = covered.iter().filter(|pod| is_ready(pod)).count();
        if healthy <= needed(&budget["spec"], covered.len()) {
            let message = "Cannot evict pod as it would violate the pod's disruption budget.";
            return Err(ApiError::new(429, "TooManyRequests", message));
        }
    }
    Ok(())
}

/// Pods of `all` that must stay healthy.
fn needed(spec: &Value, all: usize) -> usize {
    let of = |value: &Value| match (value.as_u64(), value.as_str().and_then(|text| text.strip_suffix('%'))) {
        (Some(number), _) => usize::try_from(number).ok(),
        (None, Some(percent)) => percent.parse::<usize>().ok().map(|percent| (percent * all).div_ceil(100)),
        (None, None) => None,
    };
    of(&spec["minAvailable"]).unwrap_or_else(|| all.saturating_sub(of(&spec["maxUnavailable"]).unwrap_or(all)))
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    let is_going = pod.pointer("/metadata/deletionTimestamp").is_some_and(|stamp| !stamp.is_null());
    !is_going && conditions.into_iter().flatten().any(|c| c["type"] == "Ready" && c["status"] == "True")
}
