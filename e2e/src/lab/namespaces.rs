//! One process that holds the namespaces of everything: when it ends, all processes, mounts and interfaces end with it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::cgroups;
use super::command::{find, run, until};
use super::layout::{DNS_ADDRESS, Layout, NODE_ADDRESS, NODE_NAME, SERVICE_RANGE};
use super::process::{self, Process};

/// Kernel tunables of the whole machine that a kubelet sets. It gets files of its own over them that say what it wants, so the
/// host keeps its values.
const TUNABLES: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Whether the namespaces are there.
#[must_use]
pub fn exist(layout: &Layout) -> bool {
    holder(layout).is_some()
}

/// Whether they are there with all that [`make`] does.
#[must_use]
pub fn are_complete(layout: &Layout) -> bool {
    exist(layout) && complete_file(layout).exists()
}

/// A command that runs this program inside.
///
/// # Errors
/// If the cluster is not started.
pub fn enter(layout: &Layout, program: &str) -> Result<Command> {
    let Some(holder) = holder(layout) else { bail!("the cluster is not started: run `serin-e2e start` first") };
    Ok(enter_by(holder, program))
}

/// Makes the namespaces and all that is the same for every part: mounts, tunables, the network.
///
/// # Errors
/// If a step fails; a holder may be left then, which is not complete and which [`end`] removes.
pub fn make(layout: &Layout) -> Result<()> {
    cgroups::make()?;
    let holder = hold(layout)?;
    remember_identity(layout, holder)?;
    let enter = |program: &str| enter_by(holder, program);
    mount(layout, enter)?;
    cover_tunables(layout, enter)?;
    connect(enter)?;
    fs::write(complete_file(layout), "").context("failed to remember that the namespaces are complete")
}

/// Kills the holder and so everything inside, and removes the cgroup.
///
/// # Errors
/// If something does not go.
pub fn end(layout: &Layout) -> Result<()> {
    if let Some(holder) = holder(layout) {
        holder.kill()?;
    }
    if let Some(parent) = Process::remembered(&parent_file(layout)) {
        parent.kill()?;
    }
    until("all processes of the namespaces end", Duration::from_secs(10), || Ok(members(layout).is_empty()))?;
    for file in [complete_file(layout), holder_file(layout), parent_file(layout)] {
        remove_file(&file)?;
    }
    cgroups::remove()
}

/// Processes that are in the namespaces that were made last.
#[must_use]
pub fn members(layout: &Layout) -> Vec<Process> {
    let Ok(identity) = fs::read_to_string(identity_file(layout)) else { return Vec::new() };
    let is_inside = |it: &Process| self::identity(*it).is_some_and(|own| own == identity);
    let members: Vec<Process> = process::all().into_iter().filter(is_inside).collect();
    // The kernel gives the number of a namespace that is gone to a new one, which has a first process that is not ours.
    let first = members.iter().copied().find(|it| is_first(*it));
    if first.is_some() && first != holder(layout) { Vec::new() } else { members }
}

/// Whether a process has number 1 in its own namespace.
fn is_first(process: Process) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.and_then(|numbers| numbers.split_whitespace().last()) == Some("1")
}

/// Starts the holder. `catatonit -P` does nothing but reap orphans, as the first process of a PID namespace must.
fn hold(layout: &Layout) -> Result<Process> {
    let log = fs::File::create(layout.log("holder"))?;
    let parent = unshared()
        .args(["catatonit", "-P"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("failed to start unshare")?;
    let parent = Process::of(parent.id()).context("unshare ended at once")?;
    parent.remember(&parent_file(layout))?;
    let holder = first_inside(parent, "catatonit")?;
    holder.remember(&holder_file(layout))?;
    Ok(holder)
}

/// A command that begins new namespaces of every type that we need, and runs in them what is added to it.
fn unshared() -> Command {
    let mut command = Command::new("setsid");
    command.args([
        "unshare",
        "--pid",
        "--fork",
        "--kill-child=KILL",
        "--mount",
        "--net",
        "--uts",
        "--ipc",
        "--mount-proc",
    ]);
    command
}

/// The first process of namespaces that a command made, once it runs that program.
fn first_inside(parent: Process, program: &str) -> Result<Process> {
    let runs = |process: &Process| {
        let name = fs::read_to_string(format!("/proc/{}/comm", process.pid())).unwrap_or_default();
        name.trim() == program
    };
    let mut first = None;
    until(&format!("unshare starts {program}"), Duration::from_secs(5), || {
        ensure!(parent.is_alive(), "unshare could not start {program} in namespaces");
        // Before it is that program, it is still unshare and mounts /proc.
        first = parent.children().into_iter().find(runs);
        Ok(first.is_some())
    })?;
    first.context("the first process of the namespaces ended at once")
}

/// Does in namespaces that end with it what [`make`] does first in those of a cluster: the kernel's mounts, and the network
/// if its programs are installed already.
///
/// # Errors
/// If this machine does not let us.
pub fn try_out() -> Result<()> {
    // It ends with its input, and the namespaces end with it.
    let mut command = unshared();
    let mut child = command
        .arg("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start unshare")?;
    let parent = Process::of(child.id()).context("unshare ended at once");
    let tried = parent.and_then(|parent| first_inside(parent, "cat")).and_then(|first| {
        let enter = |program: &str| enter_by(first, program);
        mount_kernel(enter)?;
        if find("ip").is_some() && find("sysctl").is_some() { connect(enter) } else { Ok(()) }
    });
    drop(child.stdin.take());
    let output = child.wait_with_output().context("failed to wait for unshare")?;
    let said = String::from_utf8_lossy(&output.stderr);
    tried.with_context(|| format!("namespaces cannot be made as they are needed; unshare said: {:?}", said.trim()))
}

/// `nsenter` and not `ip netns exec`, so that kubelet and containerd share mounts.
fn enter_by(holder: Process, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-t", &holder.pid().to_string(), "-p", "-m", "-n", "-u", "-i"]);
    if let Ok(here) = std::env::current_dir() {
        command.arg(format!("--wd={}", here.display()));
    }
    command.arg("--").arg(program);
    command
}

fn mount(layout: &Layout, enter: impl Fn(&str) -> Command) -> Result<()> {
    mount_kernel(&enter)?;
    run(enter("hostname").arg(NODE_NAME))?;
    for (data, place) in
        [("kubelet", "/var/lib/kubelet"), ("pods", "/var/log/pods"), ("containers", "/var/log/containers")]
    {
        let data = layout.data(data);
        fs::create_dir_all(&data).with_context(|| format!("failed to make {}", data.display()))?;
        run(enter("mkdir").args(["-p", place]))?;
        run(enter("mount").arg("--bind").arg(&data).arg(place))?;
    }
    run(enter("mount").args(["--make-rshared", "/var/lib/kubelet"]))?;
    // No pod's network outlives the namespaces, so neither may the list of addresses in use.
    run(enter("mkdir").args(["-p", "/var/lib/cni"]))?;
    run(enter("mount").args(["-t", "tmpfs", "tmpfs", "/var/lib/cni"]))?;
    mount_resolver(layout, enter)
}

/// What the kernel shows of itself, and a folder for what runs.
fn mount_kernel(enter: impl Fn(&str) -> Command) -> Result<()> {
    run(enter("mount").args(["--make-rshared", "/"]))?;
    run(enter("mount").args(["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"]))?;
    run(enter("mkdir").args(["-p", "/run/netns", "/run/lock"]))?;
    run(enter("mount").args(["-t", "sysfs", "sysfs", "/sys"]))?;
    cgroups::mount(&enter)
}

/// Names resolve inside as they do in a pod of the namespace `default`.
fn mount_resolver(layout: &Layout, enter: impl Fn(&str) -> Command) -> Result<()> {
    let file = layout.config("resolv.conf");
    let text = format!(
        "search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver {DNS_ADDRESS}\noptions ndots:5\n"
    );
    fs::write(&file, text).with_context(|| format!("failed to write {}", file.display()))?;
    let place = fs::canonicalize("/etc/resolv.conf").unwrap_or_else(|_| "/etc/resolv.conf".into());
    if let Some(folder) = place.parent().filter(|_| place.starts_with("/run")) {
        run(enter("mkdir").arg("-p").arg(folder))?;
        run(enter("touch").arg(&place))?;
    }
    run(enter("mount").arg("--bind").arg(&file).arg(&place))?;
    Ok(())
}

fn cover_tunables(layout: &Layout, enter: impl Fn(&str) -> Command) -> Result<()> {
    for (name, value) in TUNABLES {
        let file = layout.config(&name.replace('/', "."));
        fs::write(&file, format!("{value}\n")).with_context(|| format!("failed to write {}", file.display()))?;
        run(enter("mount").arg("--bind").arg(&file).arg(Path::new("/proc/sys").join(name)))?;
    }
    Ok(())
}

/// A network without a way out: the node's address is on one end of a cable whose other end nobody holds.
fn connect(enter: impl Fn(&str) -> Command) -> Result<()> {
    let address = format!("{NODE_ADDRESS}/24");
    for arguments in [
        &["link", "set", "lo", "up"][..],
        &["link", "add", "serin0", "type", "veth", "peer", "name", "serin1"],
        &["addr", "add", &address, "dev", "serin0"],
        &["link", "set", "serin0", "up"],
        &["link", "set", "serin1", "up"],
        &["route", "add", SERVICE_RANGE, "dev", "serin0"],
        &["route", "add", "unreachable", "default"],
    ] {
        run(enter("ip").args(arguments))?;
    }
    run(enter("sysctl").args(["-qw", "net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"]))
        .context("packets between pods would not pass kube-proxy's rules; is the kernel module br_netfilter loaded?")?;
    Ok(())
}

fn holder(layout: &Layout) -> Option<Process> {
    Process::remembered(&holder_file(layout))
}

fn remember_identity(layout: &Layout, holder: Process) -> Result<()> {
    let identity = identity(holder).context("the holder ended at once")?;
    fs::write(identity_file(layout), identity).context("failed to remember the namespaces")
}

/// Which PID namespace a process is in.
fn identity(process: Process) -> Option<String> {
    let namespace = fs::metadata(format!("/proc/{}/ns/pid", process.pid())).ok()?;
    Some(format!("{}:{}", namespace.dev(), namespace.ino()))
}

fn remove_file(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("failed to remove {}", file.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn holder_file(layout: &Layout) -> PathBuf {
    layout.run().join("holder.pid")
}

fn parent_file(layout: &Layout) -> PathBuf {
    layout.run().join("holder-parent.pid")
}

/// Is there when nothing is missing inside.
fn complete_file(layout: &Layout) -> PathBuf {
    layout.run().join("complete")
}

/// Outlives the holder, so that what is left of its namespaces can be found.
fn identity_file(layout: &Layout) -> PathBuf {
    layout.home().join("namespaces")
}
