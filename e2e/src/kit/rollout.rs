//! A Rollout under test: what people do to it, and what it is waited for to become.

use std::time::Duration;

use anyhow::{Result, ensure};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::cluster::text;
use super::manifests::Manifests;
use super::place::Place;
use super::wait::until;

/// The API of Rollouts.
pub(crate) const ARGO: &str = "argoproj.io/v1alpha1";

/// The API of Istio's routes.
pub(crate) const ISTIO: &str = "networking.istio.io/v1";

/// A Rollout whose VirtualService and DestinationRule have its name.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) place: Place,
    pub(crate) name: String,
}

/// What a Rollout's status says, as far as suites look.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) phase: String,
    pub(crate) message: String,
    /// From 0; as many as there are steps when all are done.
    pub(crate) step: i64,
    pub(crate) aborted: bool,
    /// The pod hash of the newest revision, and of the stable one.
    pub(crate) current: String,
    pub(crate) stable: String,
    /// Whether the status is about the present spec.
    pub(crate) observed: bool,
}

impl Subject {
    /// Applies manifests and returns their Rollout.
    pub(crate) async fn apply(place: &Place, manifests: &Manifests) -> Result<Self> {
        place.apply(&manifests.0).await?;
        Ok(Subject { place: place.clone(), name: manifests.rollout().to_owned() })
    }

    /// Applies manifests, and waits until their first version is Healthy.
    pub(crate) async fn settled(place: &Place, manifests: &Manifests) -> Result<Self> {
        let subject = Self::apply(place, manifests).await?;
        subject.healthy(Duration::from_secs(120)).await?;
        Ok(subject)
    }

    /// The Rollout as it is.
    pub(crate) async fn object(&self) -> Result<Value> {
        self.place.get(ARGO, "Rollout", &self.name).await
    }

    /// The status as it is.
    pub(crate) async fn seen(&self) -> Result<Seen> {
        let object = self.object().await?;
        let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
        Ok(Seen {
            phase: text(&object, "/status/phase").to_owned(),
            message: text(&object, "/status/message").to_owned(),
            step: object.pointer("/status/currentStepIndex").and_then(Value::as_i64).unwrap_or_default(),
            aborted: object.pointer("/status/abort") == Some(&Value::Bool(true)),
            current: text(&object, "/status/currentPodHash").to_owned(),
            stable: text(&object, "/status/stableRS").to_owned(),
            observed: text(&object, "/status/observedGeneration") == generation.to_string(),
        })
    }

    /// Waits until the newest revision is stable and Healthy.
    pub(crate) async fn healthy(&self, limit: Duration) -> Result<Seen> {
        self.becomes("Healthy at the newest revision", limit, |seen| {
            seen.observed && seen.phase == "Healthy" && !seen.current.is_empty() && seen.current == seen.stable
        })
        .await
    }

    /// Waits until the update is aborted and all traffic is on stable again.
    pub(crate) async fn aborted(&self, limit: Duration) -> Result<Seen> {
        let seen =
            self.becomes("aborted", limit, |seen| seen.observed && seen.aborted && seen.phase == "Degraded").await?;
        until("the canary's weight is 0", Duration::from_secs(15), || async {
            ensure!(self.weights().await? == (100, 0), "weights are {:?}", self.weights().await?);
            Ok(())
        })
        .await?;
        Ok(seen)
    }

    /// Waits until the step with that index, from 0, is under way.
    pub(crate) async fn reaches(&self, step: i64, limit: Duration) -> Result<Seen> {
        self.becomes(&format!("at step {step}"), limit, |seen| {
            seen.observed && seen.step >= step && seen.current != seen.stable
        })
        .await
    }

    /// Waits until `is` holds of the status.
    pub(crate) async fn becomes(&self, what: &str, limit: Duration, is: impl Fn(&Seen) -> bool) -> Result<Seen> {
        until(&format!("{} is {what}", self.name), limit, || async {
            let seen = self.seen().await?;
            ensure!(is(&seen), "{seen:?}");
            Ok(seen)
        })
        .await
    }

    /// The weights of the stable and the canary destination in the VirtualService.
    pub(crate) async fn weights(&self) -> Result<(i64, i64)> {
        let service = self.place.get(ISTIO, "VirtualService", &self.name).await?;
        Ok(weights(&service))
    }

    /// Sets an annotation, as `kubectl annotate --overwrite` does.
    pub(crate) async fn annotate(&self, key: &str, value: &str) -> Result<()> {
        self.merge(json!({"metadata": {"annotations": {key: value}}})).await
    }

    /// A merge patch of the Rollout.
    pub(crate) async fn merge(&self, patch: Value) -> Result<()> {
        let api = self.place.cluster.api(ARGO, "Rollout", &self.place.namespace).await?;
        api.patch(&self.name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// The pods that the Service selects.
    pub(crate) async fn pods(&self) -> Result<Vec<Value>> {
        self.place.list("v1", "Pod", &format!("app={}", self.name)).await
    }
}

/// The weights of the destinations with the subsets `stable` and `canary` in the first route; an absent weight is 0.
pub(crate) fn weights(service: &Value) -> (i64, i64) {
    let routes = service.pointer("/spec/http/0/route").and_then(Value::as_array).cloned().unwrap_or_default();
    let of = |subset: &str| {
        let route = routes.iter().find(|route| text(route, "/destination/subset") == subset);
        route.and_then(|route| route["weight"].as_i64()).unwrap_or_default()
    };
    (of("stable"), of("canary"))
}

/// Whether a pod is ready and stays.
pub(crate) fn is_serving(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let ready = conditions.iter().any(|it| it["type"] == "Ready" && it["status"] == "True");
    ready && pod.pointer("/metadata/deletionTimestamp").is_none()
}
