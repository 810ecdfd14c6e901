//! Real signals to a container's process, where the node is on this machine.

use std::fs;

use anyhow::Result;
use tokio::process::Command;

/// Sends a signal, such as `KILL` or `STOP`, to every process of a pod that has that name, from outside its namespaces,
/// and says how many there were: none if the pod's node is another machine.
///
/// The pod is recognized by its UID in the path of the process's cgroup, which the systemd driver writes with `_`.
///
/// # Errors
/// If this machine's processes cannot be listed, or `kill` cannot be run.
pub(crate) async fn signal(uid: &str, program: &str, signal: &str) -> Result<usize> {
    let marks = [format!("pod{uid}"), format!("pod{}", uid.replace('-', "_"))];
    let mut signalled = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        if read("comm").trim_end() != program {
            continue;
        }
        let cgroups = read("cgroup");
        if marks.iter().any(|mark| cgroups.contains(mark)) {
            let status = Command::new("kill").arg(format!("-{signal}")).arg(entry.file_name()).status().await?;
            signalled += usize::from(status.success());
        }
    }
    Ok(signalled)
}
