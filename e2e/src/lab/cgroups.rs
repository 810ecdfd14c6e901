//! The cgroup that all pods are below, and the hierarchies as the namespaces see them.
//!
//! Machines with cgroup v1 are what this was run on. The branch for v2 alone follows the documentation and is untried.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::command::{run, until};
use super::layout::CGROUP;

/// Time for the kernel to let go of a group whose processes have ended.
const RELEASE: Duration = Duration::from_secs(10);
const ROOT: &str = "/sys/fs/cgroup";

/// A hierarchy of cgroup v1: `cpu,cpuacct` or `name=systemd`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Hierarchy(String);

impl Hierarchy {
    /// Its folder, named as distributions do.
    fn folder(&self) -> PathBuf {
        Path::new(ROOT).join(self.0.trim_start_matches("name="))
    }

    fn mount_options(&self) -> String {
        if self.0.starts_with("name=") { format!("none,{}", self.0) } else { self.0.clone() }
    }
}

/// How the kernel of this machine groups processes.
enum Version {
    One(Vec<Hierarchy>),
    Two,
}

fn version() -> Result<Version> {
    let own = fs::read_to_string("/proc/self/cgroup").context("failed to read /proc/self/cgroup")?;
    let hierarchies = parse(&own);
    Ok(if hierarchies.iter().any(|it| !it.0.starts_with("name=")) { Version::One(hierarchies) } else { Version::Two })
}

/// Reads lines such as `4:cpu,cpuacct:/user`; version 2 has an empty list of controllers.
fn parse(own: &str) -> Vec<Hierarchy> {
    let names = own.lines().filter_map(|line| line.split(':').nth(1)).filter(|name| !name.is_empty());
    names.map(|name| Hierarchy(name.to_owned())).collect()
}

/// Makes our group in every hierarchy, on the host.
///
/// # Errors
/// If a group cannot be made.
pub fn make() -> Result<()> {
    for folder in folders()? {
        make_group(&folder, CGROUP)?;
    }
    prefer_pods(&version()?);
    if let Version::Two = version()? {
        // Processes may only be in leaves: this works where an init system leaves none in the root, as usual.
        for folder in [Path::new(ROOT).to_owned(), Path::new(ROOT).join(CGROUP)] {
            for controller in ["cpu", "cpuset", "memory", "pids", "io"] {
                let _ = fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"));
            }
        }
    }
    Ok(())
}

fn make_group(folder: &Path, name: &str) -> Result<()> {
    let group = folder.join(name);
    fs::create_dir_all(&group).with_context(|| format!("failed to make {}", group.display()))?;
    if folder.ends_with("cpuset") {
        // A group of this hierarchy takes no process before it has both.
        for name in ["cpuset.cpus", "cpuset.mems"] {
            let all = fs::read(folder.join(name)).with_context(|| format!("failed to read {name}"))?;
            fs::write(group.join(name), all).with_context(|| format!("failed to write {name}"))?;
        }
    }
    Ok(())
}

/// Makes a group of another name in every hierarchy, puts a process into it, and removes it when the process has ended.
///
/// # Errors
/// If this machine does not let us.
pub fn try_out() -> Result<()> {
    let name = format!("{CGROUP}-check-{}", std::process::id());
    for folder in folders()? {
        let tried = make_group(&folder, &name).and_then(|()| hold_a_process(&folder.join(&name)));
        let removed = remove_group(&folder.join(&name));
        tried.and(removed)?;
    }
    Ok(())
}

fn hold_a_process(group: &Path) -> Result<()> {
    // It ends with its input.
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let file = group.join("cgroup.procs");
    let written = fs::write(&file, child.id().to_string());
    drop(child.stdin.take());
    child.wait()?;
    written.with_context(|| format!("failed to write {}", file.display()))
}

/// A group weighs as much as one process beside it: beside a dozen busy programs of the host all pods together would have
/// a dozenth of the time. Where it cannot be said, pods are slow on a busy machine, and nothing else.
fn prefer_pods(version: &Version) {
    let (file, weight) = match version {
        Version::One(_) => (Path::new(ROOT).join("cpu").join(CGROUP).join("cpu.shares"), "8192"),
        Version::Two => (Path::new(ROOT).join(CGROUP).join("cpu.weight"), "800"),
    };
    let _ = fs::write(file, weight);
}

/// Mounts the hierarchies below `/sys/fs/cgroup` by commands that `enter` puts into the namespaces, where `/sys` is new.
///
/// # Errors
/// If a mount fails.
pub fn mount(enter: impl Fn(&str) -> Command) -> Result<()> {
    let hierarchies = match version()? {
        Version::Two => {
            run(enter("mount").args(["-t", "cgroup2", "cgroup2", ROOT]))?;
            return Ok(());
        }
        Version::One(hierarchies) => hierarchies,
    };
    run(enter("mount").args(["-t", "tmpfs", "-o", "mode=755", "tmpfs", ROOT]))?;
    for hierarchy in hierarchies {
        let folder = hierarchy.folder();
        run(enter("mkdir").arg("-p").arg(&folder))?;
        run(enter("mount").args(["-t", "cgroup", "-o", &hierarchy.mount_options(), "cgroup"]).arg(&folder))?;
        // Programs look for each controller by its own name.
        for controller in hierarchy.0.split(',').filter(|_| hierarchy.0.contains(',')) {
            run(enter("ln").arg("-s").arg(&folder).arg(Path::new(ROOT).join(controller)))?;
        }
    }
    Ok(())
}

/// Removes our group with all below it, when its processes have ended.
///
/// # Errors
/// If one stays.
pub fn remove() -> Result<()> {
    for folder in folders()? {
        remove_group(&folder.join(CGROUP))?;
    }
    Ok(())
}

fn remove_group(group: &Path) -> Result<()> {
    until(&format!("{} can be removed", group.display()), RELEASE, || {
        remove_below(group);
        Ok(!group.exists())
    })
}

/// Our groups that are there.
///
/// # Errors
/// If the hierarchies cannot be read.
pub fn present() -> Result<Vec<PathBuf>> {
    Ok(folders()?.into_iter().map(|folder| folder.join(CGROUP)).filter(|group| group.exists()).collect())
}

fn folders() -> Result<Vec<PathBuf>> {
    Ok(match version()? {
        Version::One(hierarchies) => hierarchies.iter().map(Hierarchy::folder).filter(|it| it.exists()).collect(),
        Version::Two => vec![ROOT.into()],
    })
}

fn remove_below(group: &Path) {
    let Ok(entries) = fs::read_dir(group) else { return };
    for entry in entries.flatten().filter(|entry| entry.path().is_dir()) {
        remove_below(&entry.path());
    }
    // It fails as long as a process is in it; the caller looks whether it is gone.
    let _ = fs::remove_dir(group);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_with_their_mount_options() {
        let found = parse("9:name=systemd:/\n4:cpu,cpuacct:/a:b\n0::/\n");
        assert_eq!(found, [Hierarchy("name=systemd".into()), Hierarchy("cpu,cpuacct".into())]);
        assert_eq!(found[0].mount_options(), "none,name=systemd");
        assert_eq!(found[0].folder(), Path::new("/sys/fs/cgroup/systemd"));
        assert_eq!(found[1].mount_options(), "cpu,cpuacct");
    }
}
