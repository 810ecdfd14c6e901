//! Starting: what is there is left alone, what a crash left is removed, each stage says when it is done.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};

use super::layout::Layout;
use super::parts::Part;
use super::progress::Stopwatch;
use super::{control_plane, istio, namespaces, node, pki, prometheus, simulated, skywalking, stop};

/// Starts these parts, and what of them does not run yet.
///
/// # Errors
/// If something is not built, or does not become ready in time.
pub fn start(layout: &Layout, parts: &BTreeSet<Part>) -> Result<()> {
    ensure!(is_root(), "namespaces, mounts and cgroups need root");
    ensure!(layout.program("kubelet").exists(), "nothing is built: run `serin-e2e build` first");
    let watch = Stopwatch::start();
    layout.make()?;
    if !namespaces::are_complete(layout) {
        stop::clean(layout).context("failed to remove what an earlier cluster left")?;
        forget_logs(layout)?;
        renew_keys(layout)?;
        namespaces::make(layout)?;
        watch.stage("namespaces, mounts, network");
    }
    // First all are told, then all are waited for.
    for part in parts {
        watch.stage(tell(layout, *part)?);
    }
    for part in parts {
        if let Some(stage) = wait(layout, *part)? {
            watch.stage(stage);
        }
    }
    watch.stage(&format!("started; KUBECONFIG={}", layout.kubeconfig().display()));
    Ok(())
}

/// Starts one part, and says how far it is then.
fn tell(layout: &Layout, part: Part) -> Result<&'static str> {
    match part {
        Part::ControlPlane => control_plane::start(layout).map(|()| "the API answers, controllers work"),
        Part::Node => node::start(layout).map(|()| "the node and its DNS are ready"),
        Part::Simulated => simulated::start(layout).map(|()| "the simulated node is ready"),
        Part::Istio => istio::apply(layout).map(|()| "Istio's manifests are applied"),
        Part::Prometheus => prometheus::apply(layout).map(|()| "Prometheus's manifests are applied"),
        Part::Skywalking => skywalking::apply(layout).map(|()| "SkyWalking's manifests are applied"),
    }
}

/// Waits for one part that is not ready when it is started, and says that it is.
fn wait(layout: &Layout, part: Part) -> Result<Option<&'static str>> {
    match part {
        Part::ControlPlane | Part::Node | Part::Simulated => Ok(None),
        Part::Istio => istio::wait(layout).map(|()| Some("istiod and the gateway are ready")),
        Part::Prometheus => prometheus::wait(layout).map(|()| Some("Prometheus is ready")),
        Part::Skywalking => skywalking::wait(layout).map(|()| Some("SkyWalking's server is ready")),
    }
}

/// Makes keys if they are not there. State that was sealed with others is of no use any more.
fn renew_keys(layout: &Layout) -> Result<()> {
    if pki::is_current(layout) {
        return Ok(());
    }
    stop::wipe(layout)?;
    layout.make()?;
    pki::make(layout)
}

fn forget_logs(layout: &Layout) -> Result<()> {
    let folder = layout.home().join("logs");
    fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
    layout.make()
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| {
        let user = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        user.and_then(|ids| ids.split_whitespace().nth(1)) == Some("0")
    })
}
