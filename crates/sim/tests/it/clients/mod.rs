//! What other people's clients send to the API server, request by request, and what they read out of the objects.

mod argo_cd;
mod autoscaler;
mod experiments;
mod plugin;
mod undo;
mod views;

use serde_json::{Value, json};
use serin_sim::WorldConfig;
use serin_sim::cluster::Resource;
use serin_sim::manifests::Manifest;

use crate::bench::{Bench, manifests, object_mut};

/// A merge patch, as nearly all clients send.
const MERGE: &str = "application/merge-patch+json";

/// Which half of the Rollout a request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Main,
    Status,
}

impl Part {
    fn suffix(self) -> &'static str {
        match self {
            Part::Main => "",
            Part::Status => "/status",
        }
    }
}

/// Where the API server has an object of the Rollout's namespace.
fn path(bench: &Bench, kind: &Resource, name: &str) -> String {
    let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
    format!("{root}/{}/namespaces/{}/{}/{name}", kind.version, bench.namespace, kind.plural)
}

/// Sends one request over the API server's own door, where a status is written by its own path alone.
async fn send(bench: &Bench, method: &str, path: &str, content: &str, body: &str) -> Result<Value, String> {
    let request = http::Request::builder().method(method).uri(path).header("content-type", content);
    let request = request.body(body.as_bytes().to_vec()).expect("a request");
    bench.cluster().client().request::<Value>(request).await.map_err(|error| error.to_string())
}

/// Reads an object as clients do.
async fn read(bench: &Bench, kind: &Resource, name: &str) -> Value {
    send(bench, "GET", &path(bench, kind, name), "application/json", "").await.expect("it is there")
}

/// Patches the Rollout with the very text that a client sends.
async fn patch(bench: &Bench, part: Part, text: &str) {
    let path = path(bench, &serin_sim::cluster::ROLLOUTS, &bench.name) + part.suffix();
    send(bench, "PATCH", &path, MERGE, text).await.unwrap_or_else(|error| panic!("{text}: {error}"));
}

/// Two pauses without end, at 20 % and at 60 %; nobody measures.
fn two_pauses() -> Vec<Manifest> {
    let mut all = manifests("short");
    let canary = &mut object_mut(&mut all, "Rollout")["spec"]["strategy"]["canary"];
    canary["steps"] = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]);
    canary.as_object_mut().and_then(|canary| canary.remove("analysis"));
    all
}

/// The same with the pod template in the Rollout itself, which says nothing of roles.
fn own_template() -> Vec<Manifest> {
    let mut all = two_pauses();
    let mut template = object_mut(&mut all, "Deployment")["spec"]["template"].clone();
    template["metadata"]["labels"] = json!({"app": "checkout"});
    let spec = object_mut(&mut all, "Rollout")["spec"].as_object_mut().expect("a spec");
    spec.remove("workloadRef");
    spec.insert("template".to_owned(), template);
    all.retain(|manifest| manifest.object["kind"] != "Deployment");
    all
}

/// Version v2 stands in the first pause.
async fn paused(manifests: &[Manifest]) -> Bench {
    let mut bench = Bench::up(manifests, WorldConfig::default()).await;
    bench.deploy("v2");
    bench.phase_is("Paused").await;
    assert_eq!((bench.status("/currentStepIndex"), bench.weight()), (json!(1), 20));
    bench
}
