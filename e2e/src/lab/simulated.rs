//! kwok with one simulated node, whose pods become ready without running.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::daemon::{self, Daemon};
use super::kubectl;
use super::layout::{Layout, SIMULATED_POD_RANGE};

const NODE: &str = include_str!("../../manifests/simulated-node.yaml");

/// How nodes and pods come to life, one file each, relative to the folder of stages in kwok's module.
pub const STAGES: [&str; 5] = [
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
    "pod/fast/pod-ready.yaml",
];

/// kwok itself. The stages are those that were built, or those of the folder `SERIN_E2E_STAGES`.
#[must_use]
pub fn daemon(layout: &Layout) -> Daemon {
    let mut command = vec![
        layout.program("kwok").display().to_string(),
        format!("--kubeconfig={}", layout.inner_kubeconfig("admin").display()),
        "--manage-all-nodes=false".to_owned(),
        "--manage-nodes-with-label-selector=type=kwok".to_owned(),
        // Without leases, nodes and their pods are not ready any more after 40 s.
        "--node-lease-duration-seconds=40".to_owned(),
        format!("--cidr={SIMULATED_POD_RANGE}"),
        "--node-ip=10.198.0.2".to_owned(),
        "--server-address=127.0.0.1:10247".to_owned(),
    ];
    command.extend(stages(layout).iter().map(|stage| format!("--config={stage}")));
    Daemon::inside("kwok", command)
}

/// Starts it and makes the node.
///
/// # Errors
/// If there are no stages, or the node cannot be made.
pub fn start(layout: &Layout) -> Result<()> {
    ensure!(!stages(layout).is_empty(), "there are no stages for simulated pods: run `serin-e2e build mesh` first");
    daemon::launch(layout, &daemon(layout))?;
    kubectl::apply(layout, NODE)?;
    let wait = ["wait", "--for=condition=Ready", "node/simulated-1", "--timeout=60s"];
    kubectl::run(layout, &wait).map(drop).with_context(|| format!("see {}", layout.log("kwok").display()))
}

fn stages(layout: &Layout) -> Vec<String> {
    let folder = std::env::var_os("SERIN_E2E_STAGES").map_or_else(|| layout.parts().join("stages"), Into::into);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut stages: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .map(|it| it.display().to_string())
        .collect();
    stages.sort();
    stages
}
