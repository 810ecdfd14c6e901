//! What a transcript shows of the objects at a moment.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::{Value, json};
use serin_sim::cluster::{ANALYSIS_RUNS, DEPLOYMENTS, DESTINATION_RULES, PODS, REPLICA_SETS, VIRTUAL_SERVICES};

use crate::bench::Bench;

/// What can be looked at.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Sight {
    /// ReplicaSets that want pods, with their images.
    Pods,
    /// Labels, annotations and affinity that pods have from their role.
    Roles,
    /// The routes of all VirtualServices, with destinations and weights.
    Routes,
    /// The subsets of the DestinationRules.
    Subsets,
    /// How many pods the Deployment wants.
    Deployment,
    /// The AnalysisRuns with labels, and what they measure for nothing.
    Runs,
}

/// What there is to see, a line for each thing.
pub(super) fn look(bench: &Bench, sight: Sight) -> Vec<String> {
    let list = |kind| bench.cluster().list(kind, Some(&bench.namespace));
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let mut lines: Vec<String> = match sight {
        Sight::Pods => {
            let wanting = list(&REPLICA_SETS).into_iter().filter(|set| set["spec"]["replicas"] != 0);
            wanting.map(|set| format!("{}: {} of {}", name(&set), set["spec"]["replicas"], image(&set))).collect()
        }
        Sight::Roles => {
            let of_job = |pod: &Value| pod["metadata"]["labels"]["job-name"].is_string();
            list(&PODS).iter().filter(|pod| !of_job(pod)).map(|pod| role(pod)).collect()
        }
        Sight::Routes => list(&VIRTUAL_SERVICES).iter().flat_map(|vs| routes(vs)).collect(),
        Sight::Subsets => list(&DESTINATION_RULES).iter().map(|rule| rule["spec"]["subsets"].to_string()).collect(),
        Sight::Deployment => {
            list(&DEPLOYMENTS).iter().map(|one| format!("{}: {}", name(one), one["spec"]["replicas"])).collect()
        }
        Sight::Runs => {
            let run = |run: &Value| {
                let (metadata, spec) = (&run["metadata"], &run["spec"]);
                let what = json!([
                    metadata["labels"],
                    metadata["annotations"],
                    spec["args"],
                    spec["dryRun"],
                    spec["measurementRetention"]
                ]);
                format!("{} {}: {what}", name(run), run["status"]["phase"])
            };
            list(&ANALYSIS_RUNS).iter().map(|one| run(one)).collect()
        }
    };
    // Pods of one ReplicaSet look alike.
    lines.dedup();
    lines
}

fn image(set: &Value) -> String {
    let image = set["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
    image.rsplit(':').next().unwrap_or_default().to_owned()
}

/// What a pod has from its role, without the names that differ from pod to pod.
fn role(pod: &Value) -> String {
    let owner = pod["metadata"]["ownerReferences"][0]["name"].as_str().unwrap_or_default();
    let affinity = &pod["spec"]["affinity"]["podAntiAffinity"];
    let (labels, annotations) = (&pod["metadata"]["labels"], &pod["metadata"]["annotations"]);
    format!("{owner}: {}", json!({"labels": labels, "annotations": annotations, "antiAffinity": affinity}))
}

/// The routes of a VirtualService, each with its match, destinations and copies.
fn routes(vs: &Value) -> Vec<String> {
    let end = |destination: &Value| {
        let text = |field: &str| destination[field].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", text("host"), text("subset")).trim_end_matches('/').to_owned()
    };
    let words = |route: &Value| {
        let all = route["route"].as_array().into_iter().flatten();
        let ends: Vec<String> = all.map(|to| format!("{} {}", end(&to["destination"]), to["weight"])).collect();
        let mut words = format!("{} {} to {}", route["name"], route["match"], ends.join(", "));
        for mirror in route["mirrors"].as_array().into_iter().flatten() {
            write!(words, ", copies to {} {}", end(&mirror["destination"]), mirror["percentage"]).expect("text");
        }
        if !route["mirror"].is_null() {
            write!(words, ", copies to {} {}", end(&route["mirror"]), route["mirrorPercentage"]).expect("text");
        }
        words
    };
    let protocols = ["http", "tls", "tcp"].into_iter();
    let all = protocols.flat_map(|protocol| vs["spec"][protocol].as_array().into_iter().flatten());
    all.map(|route| format!("{}: {}", vs["metadata"]["name"].as_str().unwrap_or_default(), words(route))).collect()
}
