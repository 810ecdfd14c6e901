//! Under which names Istio reports a pod.

use serde_json::Value;

use super::json::{list, namespace, text};
use crate::metrics::Server;

/// The names under which telemetry speaks about `pod`, by its labels as they are now.
pub(crate) fn server_of(pod: &Value) -> Server {
    let label = |name: &str| Some(text(pod, &["metadata", "labels", name])).filter(|value| !value.is_empty());
    let workload = workload_of(pod);
    let app = label("app");
    let version = label("version");
    let canonical_service =
        label("service.istio.io/canonical-name").or(label("app.kubernetes.io/name")).or(app).unwrap_or(&workload);
    let canonical_revision = label("service.istio.io/canonical-revision")
        .or(label("app.kubernetes.io/version"))
        .or(version)
        .unwrap_or("latest");
    Server {
        namespace: namespace(pod).to_owned(),
        app: app.unwrap_or("unknown").to_owned(),
        version: version.unwrap_or("unknown").to_owned(),
        canonical_service: canonical_service.to_owned(),
        canonical_revision: canonical_revision.to_owned(),
        workload,
    }
}

/// The hash of the ReplicaSet that owns the pod, by a Rollout's label or a Deployment's; "" if neither is there.
pub(super) fn hash_of(pod: &Value) -> &str {
    match text(pod, &["metadata", "labels", "rollouts-pod-template-hash"]) {
        "" => text(pod, &["metadata", "labels", "pod-template-hash"]),
        hash => hash,
    }
}

/// Istio names a workload after what owns the ReplicaSet: the ReplicaSet's name without its hash. A pod that nobody owns is its
/// own workload.
fn workload_of(pod: &Value) -> String {
    let owners = list(pod, &["metadata", "ownerReferences"]);
    let is_controller = |owner: &&Value| owner.get("controller").and_then(Value::as_bool) == Some(true);
    let Some(owner) = owners.iter().find(is_controller).or(owners.first()) else {
        return text(pod, &["metadata", "name"]).to_owned();
    };
    let name = text(owner, &["name"]);
    let hash = hash_of(pod);
    let stripped = name.strip_suffix(hash).and_then(|rest| rest.strip_suffix('-'));
    match stripped {
        Some(stripped) if text(owner, &["kind"]) == "ReplicaSet" && !hash.is_empty() && !stripped.is_empty() => {
            stripped.to_owned()
        }
        Some(_) | None => name.to_owned(),
    }
}
