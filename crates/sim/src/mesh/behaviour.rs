//! How pods answer: well, with errors, or slowly, by the image they run.

use std::collections::BTreeSet;

use serde_json::Value;

use super::json::{list, text};
use super::rng::Rng;

/// One answer of a pod.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Response {
    /// The HTTP status, 100 to 599.
    pub status: u16,
    /// How long the answer took, in milliseconds.
    pub duration_ms: f64,
}

/// Decides how a pod answers.
pub trait Behaviour: Send + Sync {
    /// The answer of `pod` (a full Kubernetes object) to one request. All chance comes from `rng`.
    fn respond(&self, pod: &Value, rng: &mut Rng) -> Response;

    /// Whether the metrics sources get to see what `pod` serves. False for a pod whose telemetry is missing.
    fn telemetry(&self, pod: &Value) -> Telemetry {
        let _every_pod_by_default = pod;
        Telemetry::Reported
    }
}

/// Whether a pod's requests reach the metrics sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telemetry {
    /// As with a working sidecar.
    Reported,
    /// As if it were never scraped and its access log were lost.
    Missing,
}

/// How the pods of the new version answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quality {
    /// 200 within 20 to 80 ms, as the old version does.
    Healthy,
    /// One request in five fails with 500; the others as healthy.
    Errors,
    /// Every request takes about 3 s.
    Slow,
}

/// All pods are healthy, except those that run one of the new images.
#[derive(Debug, Clone)]
pub struct Versions {
    /// A pod with a container of one of these images is new.
    pub new_images: BTreeSet<String>,
    /// How new pods answer.
    pub quality: Quality,
    /// Whether the metrics sources hear of new pods.
    pub telemetry: Telemetry,
}

impl Versions {
    /// There is no new version: all pods are healthy.
    #[must_use]
    pub fn all_healthy() -> Self {
        Self { new_images: BTreeSet::new(), quality: Quality::Healthy, telemetry: Telemetry::Reported }
    }

    fn is_new(&self, pod: &Value) -> bool {
        !self.new_images.is_empty()
            && list(pod, &["spec", "containers"])
                .iter()
                .any(|container| self.new_images.contains(text(container, &["image"])))
    }
}

/// The share of requests that a version with errors fails.
const ERROR_SHARE: f64 = 0.2;

impl Behaviour for Versions {
    fn respond(&self, pod: &Value, rng: &mut Rng) -> Response {
        let healthy = Response { status: 200, duration_ms: rng.between(20.0, 80.0) };
        if !self.is_new(pod) {
            return healthy;
        }
        match self.quality {
            Quality::Healthy => healthy,
            Quality::Errors if rng.unit() < ERROR_SHARE => Response { status: 500, ..healthy },
            Quality::Errors => healthy,
            Quality::Slow => Response { status: 200, duration_ms: rng.between(2_900.0, 3_100.0) },
        }
    }

    fn telemetry(&self, pod: &Value) -> Telemetry {
        if self.is_new(pod) { self.telemetry } else { Telemetry::Reported }
    }
}
