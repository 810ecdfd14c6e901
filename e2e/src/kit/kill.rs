//! A real SIGKILL of a container's process, where the node is on this machine.

use std::fs;

use anyhow::Result;
use tokio::process::Command;

/// Kills every process of a pod that has that name, from outside its namespaces, and says how many there were: none if
/// the pod's node is another machine.
///
/// The pod is recognized by its UID in the path of the process's cgroup, which the systemd driver writes with `_`.
///
/// # Errors
/// If this machine's processes cannot be listed, or `kill` cannot be run.
pub(crate) async fn sigkill(uid: &str, program: &str) -> Result<usize> {
    let marks = [format!("pod{uid}"), format!("pod{}", uid.replace('-', "_"))];
    let mut killed = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        if read("comm").trim_end() != program {
            continue;
        }
        let cgroups = read("cgroup");
        if marks.iter().any(|mark| cgroups.contains(mark)) {
            let status = Command::new("kill").arg("-KILL").arg(entry.file_name()).status().await?;
            killed += usize::from(status.success());
        }
    }
    Ok(killed)
}
