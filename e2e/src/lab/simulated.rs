//! kwok with one simulated node, whose pods do what pods do without running.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::daemon::{self, Daemon};
use super::layout::{Layout, SIMULATED_POD_RANGE};
use super::{kubectl, stages};

const NODE: &str = include_str!("../../manifests/simulated/node.yaml");

/// kwok itself.
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
    command.extend(stages::files(layout).iter().map(|stage| format!("--config={}", stage.display())));
    Daemon::inside("kwok", command)
}

/// Starts it and makes the node.
///
/// # Errors
/// If it is not built, or the node cannot be made.
pub fn start(layout: &Layout) -> Result<()> {
    let built = stages::OF_NODES.iter().all(|stage| stages::of_nodes(layout, stage).exists());
    ensure!(built, "there are no stages for the simulated node: run `serin-e2e build images` first");
    if !daemon::is_alive(layout, "kwok") {
        stages::write(layout, stages::START)?;
    }
    daemon::launch(layout, &daemon(layout))?;
    kubectl::apply(layout, NODE)?;
    let wait = ["wait", "--for=condition=Ready", "node/simulated-1", "--timeout=60s"];
    kubectl::run(layout, &wait).map(drop).with_context(|| format!("see {}", layout.log("kwok").display()))
}

/// Takes the taint away: until [`close`] or the next start, pods that tolerate nothing go there as well.
///
/// # Errors
/// If the API server refuses.
pub fn open(layout: &Layout) -> Result<()> {
    kubectl::run(layout, &["patch", "node", "simulated-1", "--patch", r#"{"spec":{"taints":null}}"#]).map(drop)
}

/// Makes the node again what its manifest says, with the taint.
///
/// # Errors
/// If the API server refuses.
pub fn close(layout: &Layout) -> Result<()> {
    kubectl::apply(layout, NODE).context("the simulated node does not get its taint back")
}

/// Lets pods from now on take this time to start, instead of [`stages::START`].
///
/// # Errors
/// If kwok cannot be started again with it.
pub fn set_pod_start(layout: &Layout, time: Duration) -> Result<()> {
    if stages::are_of(layout, time) {
        return Ok(());
    }
    stages::write(layout, time)?;
    daemon::stop(layout, "kwok")?;
    // The next one would wait until it has run out.
    kubectl::run(layout, &["delete", "lease", "simulated-1", "--namespace=kube-node-lease", "--ignore-not-found"])?;
    daemon::launch(layout, &daemon(layout))
}
