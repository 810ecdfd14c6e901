//! kubectl of the built version, on the host, as the administrator.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::command;
use super::layout::Layout;

/// A command without arguments yet.
#[must_use]
pub fn command(layout: &Layout) -> Command {
    let mut command = Command::new(layout.program("kubectl"));
    command.env("KUBECONFIG", layout.kubeconfig());
    // What it remembers about an API by its address would be wrong for another cluster at this address.
    command.env("KUBECACHEDIR", layout.run().join("kubectl"));
    command
}

/// Runs it and returns its output.
///
/// # Errors
/// If it fails.
pub fn run(layout: &Layout, arguments: &[&str]) -> Result<String> {
    command::run(command(layout).args(arguments))
}

/// Whether it succeeds, within a few seconds.
pub fn succeeds(layout: &Layout, arguments: &[&str]) -> bool {
    command::succeeds(command(layout).arg("--request-timeout=5s").args(arguments))
}

/// Applies manifests by server-side apply, as their only owner.
///
/// # Errors
/// If the API server refuses one.
pub fn apply(layout: &Layout, manifests: &str) -> Result<()> {
    let mut command = command(layout);
    command.args(["apply", "--server-side", "--force-conflicts", "--filename=-"]);
    command::run_with_input(&mut command, manifests).map(drop)
}

/// Waits until all pods of a Deployment are of its last version and available.
///
/// # Errors
/// If they are not in time; the error shows its pods.
pub fn wait_for_deployment(layout: &Layout, namespace: &str, name: &str, limit: Duration) -> Result<()> {
    let timeout = format!("--timeout={}s", limit.as_secs());
    let waited = run(layout, &["rollout", "status", &format!("deployment/{name}"), "--namespace", namespace, &timeout]);
    waited.map(drop).with_context(|| {
        let pods = run(layout, &["get", "pods", "--namespace", namespace, "--output=wide"]).unwrap_or_default();
        format!("{name} in {namespace} is not ready; the pods there:\n{pods}")
    })
}
