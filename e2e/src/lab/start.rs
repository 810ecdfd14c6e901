//! Starting: what is there is left alone, what a crash left is removed, each stage says when it is done.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};

use super::layout::Layout;
use super::parts::Part;
use super::progress::Stopwatch;
use super::{control_plane, istio, kubectl, namespaces, node, pki, prometheus, simulated, skywalking, stop};

/// Starts these parts, and what of them does not run yet.
///
/// # Errors
/// If something is not built, or does not become ready in time.
pub fn start(layout: &Layout, parts: &BTreeSet<Part>) -> Result<()> {
    ensure!(is_root(), "namespaces, mounts and cgroups need root");
    ensure!(layout.program("kubelet").exists(), "nothing is built: run `serin-e2e build` first");
    let watch = Stopwatch::start();
    layout.make()?;
    if !namespaces::exist(layout) {
        stop::clean(layout).context("failed to remove what an earlier cluster left")?;
        forget_logs(layout)?;
        renew_keys(layout)?;
        namespaces::make(layout)?;
        watch.stage("namespaces, mounts, network");
    }
    // First all are told, then all are waited for.
    for part in parts {
        match part {
            Part::ControlPlane => control_plane::start(layout)?,
            Part::Node => node::start(layout)?,
            Part::Simulated => simulated::start(layout)?,
            Part::Istio => istio::apply(layout)?,
            Part::Prometheus => prometheus::apply(layout)?,
            Part::Skywalking => skywalking::apply(layout)?,
        }
        watch.stage(match part {
            Part::ControlPlane => "the API answers, controllers work",
            Part::Node => "the node and its DNS are ready",
            Part::Simulated => "the simulated node is ready",
            Part::Istio => "Istio's manifests are applied",
            Part::Prometheus => "Prometheus's manifests are applied",
            Part::Skywalking => "SkyWalking's manifests are applied",
        });
    }
    for part in parts {
        match part {
            Part::ControlPlane | Part::Node | Part::Simulated => continue,
            Part::Istio => istio::wait(layout)?,
            Part::Prometheus => prometheus::wait(layout)?,
            Part::Skywalking => skywalking::wait(layout)?,
        }
        watch.stage(match part {
            Part::ControlPlane | Part::Node | Part::Simulated => "",
            Part::Istio => "istiod and the gateway are ready",
            Part::Prometheus => "Prometheus is ready",
            Part::Skywalking => "SkyWalking's server is ready",
        });
    }
    kubectl::run(layout, &["version"])?;
    watch.stage(&format!("started; KUBECONFIG={}", layout.kubeconfig().display()));
    Ok(())
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
