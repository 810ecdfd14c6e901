//! Stopping, and looking whether anything is left.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::daemon::{self, Place};
use super::layout::Layout;
use super::{cgroups, namespaces};

/// Interfaces that would be on the host if they had escaped.
const INTERFACES: [&str; 3] = ["serin0", "serin1", "serin-pods"];

/// What happens to the state of etcd, containerd and the kubelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The next start goes on where this cluster was.
    Kept,
    /// The next start makes a new cluster.
    Wiped,
}

/// Whether the next start goes on with the state of an earlier cluster.
#[must_use]
pub fn is_kept(layout: &Layout) -> bool {
    fs::read_dir(layout.home().join("data")).is_ok_and(|mut entries| entries.next().is_some())
}

/// Ends everything and checks that nothing is left.
///
/// # Errors
/// If something does not go, with what it is.
pub fn stop(layout: &Layout, state: State) -> Result<()> {
    clean(layout)?;
    match state {
        State::Kept => {}
        State::Wiped => wipe(layout)?,
    }
    let left = left(layout)?;
    if !left.is_empty() {
        bail!("this is left:\n{}", left.join("\n"));
    }
    println!("stopped: no process, mount, interface or cgroup is left");
    Ok(())
}

/// Ends everything that runs or was left by a crash.
///
/// # Errors
/// If something does not go.
pub fn clean(layout: &Layout) -> Result<()> {
    layout.make()?;
    for daemon in daemon::all(layout).iter().filter(|daemon| daemon.place == Place::Outside) {
        daemon::kill(layout, &daemon.name)?;
    }
    namespaces::end(layout)?;
    // All that is in there, files of process ids, sockets and containerd's mount points, was about processes that have ended.
    let run = layout.run();
    fs::remove_dir_all(&run).with_context(|| format!("failed to remove {}", run.display()))?;
    layout.make()
}

/// Removes the state and the keys of a cluster that is stopped.
///
/// # Errors
/// If a folder cannot be removed.
pub fn wipe(layout: &Layout) -> Result<()> {
    for name in ["data", "pki"] {
        let folder = layout.home().join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("failed to remove {}", folder.display()))?;
        }
    }
    let kubeconfig = layout.kubeconfig();
    if kubeconfig.exists() {
        fs::remove_file(&kubeconfig).with_context(|| format!("failed to remove {}", kubeconfig.display()))?;
    }
    Ok(())
}

/// What is left of a cluster, a line each.
///
/// # Errors
/// If the machine cannot be looked at.
pub fn left(layout: &Layout) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for process in namespaces::members(layout) {
        left.push(format!("process {}", process.pid()));
    }
    for daemon in daemon::all(layout).iter().filter(|it| daemon::is_alive(layout, &it.name)) {
        left.push(format!("daemon {}", daemon.name));
    }
    let mounts = fs::read_to_string("/proc/self/mounts").context("failed to read /proc/self/mounts")?;
    let home = layout.home().to_string_lossy();
    let is_ours = |line: &&str| line.split(' ').nth(1).is_some_and(|place| place.starts_with(&format!("{home}/")));
    left.extend(mounts.lines().filter(is_ours).map(|line| format!("mount {line}")));
    for name in INTERFACES.iter().filter(|name| Path::new("/sys/class/net").join(name).exists()) {
        left.push(format!("interface {name}"));
    }
    left.extend(cgroups::present()?.iter().map(|group| format!("cgroup {}", group.display())));
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scratch::Scratch;

    #[test]
    fn state_is_kept_until_it_is_wiped() {
        let scratch = Scratch::new("kept");
        let layout = Layout::below(scratch.path("home"));
        assert!(!is_kept(&layout), "nothing was started yet");
        layout.make().expect("folders");
        assert!(!is_kept(&layout), "folders alone are no state");
        fs::create_dir(layout.data("etcd")).expect("a folder");
        assert!(is_kept(&layout));
        wipe(&layout).expect("a wipe");
        layout.make().expect("folders");
        assert!(!is_kept(&layout));
    }
}
