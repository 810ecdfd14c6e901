//! Long-running programs by name: started, looked after and ended one by one.

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::command::last_lines;
use super::layout::Layout;
use super::process::Process;
use super::{control_plane, forward, namespaces, node, simulated};

/// A program and where it runs.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// What files and people call it.
    pub name: String,
    /// Inside the namespaces or not.
    pub place: Place,
    /// Program and arguments.
    pub command: Vec<String>,
}

/// Where a daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the namespaces, with the node's network.
    Inside,
    /// On the host.
    Outside,
}

impl Daemon {
    /// One that runs inside.
    #[must_use]
    pub fn inside(name: &str, command: Vec<String>) -> Self {
        Self { name: name.to_owned(), place: Place::Inside, command }
    }

    /// One that runs on the host.
    #[must_use]
    pub fn outside(name: &str, command: Vec<String>) -> Self {
        Self { name: name.to_owned(), place: Place::Outside, command }
    }
}

/// All daemons of all parts.
#[must_use]
pub fn all(layout: &Layout) -> Vec<Daemon> {
    let mut daemons = control_plane::daemons(layout);
    daemons.extend(node::daemons(layout));
    daemons.push(simulated::daemon(layout));
    daemons.extend(forward::daemons(layout));
    daemons
}

/// Starts a daemon by its name, as `start` does. One that runs is left alone.
///
/// # Errors
/// If there is none of this name, or it cannot be started.
pub fn start(layout: &Layout, name: &str) -> Result<()> {
    launch(layout, &named(layout, name)?)
}

fn named(layout: &Layout, name: &str) -> Result<Daemon> {
    let daemons = all(layout);
    let known: Vec<&str> = daemons.iter().map(|daemon| daemon.name.as_str()).collect();
    let unknown = format!("there is no daemon {name}; there are {}", known.join(", "));
    daemons.into_iter().find(|daemon| daemon.name == name).context(unknown)
}

/// Starts this daemon unless it runs.
///
/// # Errors
/// If it cannot be started.
pub fn launch(layout: &Layout, daemon: &Daemon) -> Result<()> {
    if is_alive(layout, &daemon.name) {
        return Ok(());
    }
    let Some((program, arguments)) = daemon.command.split_first() else { bail!("{} has no command", daemon.name) };
    let inner = match daemon.place {
        Place::Inside => namespaces::enter(layout, program)?,
        Place::Outside => Command::new(program),
    };
    let log = layout.log(&daemon.name);
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("failed to write {}", log.display()))?;
    // A session of its own: it neither ends with our terminal nor gets its signals.
    let child = Command::new("setsid")
        .arg(inner.get_program())
        .args(inner.get_args())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir("/")
        .spawn()
        .with_context(|| format!("failed to start {}", daemon.name))?;
    let process = Process::of(child.id()).with_context(|| format!("{} ended at once", daemon.name))?;
    process.remember(&pid_file(layout, &daemon.name))
}

/// Asks a daemon to end, and waits until it has.
///
/// # Errors
/// If there is none of this name, or it does not end, even killed.
pub fn stop(layout: &Layout, name: &str) -> Result<()> {
    end(layout, &named(layout, name)?)
}

/// Asks this daemon to end, and waits until it has. One that does not run is left alone.
///
/// # Errors
/// If it does not end, even killed.
pub fn end(layout: &Layout, daemon: &Daemon) -> Result<()> {
    each_process(layout, daemon, Process::end)
}

/// Kills a daemon as a crash would: it can neither finish nor tell anybody.
///
/// # Errors
/// If there is none of this name, or it does not end.
pub fn kill(layout: &Layout, name: &str) -> Result<()> {
    each_process(layout, &named(layout, name)?, Process::kill)
}

/// Whether a daemon runs.
#[must_use]
pub fn is_alive(layout: &Layout, name: &str) -> bool {
    Process::remembered(&pid_file(layout, name)).is_some()
}

/// Fails with the end of its log if a daemon does not run.
///
/// # Errors
/// If it does not run.
pub fn expect_alive(layout: &Layout, name: &str) -> Result<()> {
    if is_alive(layout, name) {
        return Ok(());
    }
    let log = layout.log(name);
    let text = fs::read(&log).unwrap_or_default();
    bail!("{name} has ended; its log {} ends with:\n{}", log.display(), last_lines(&String::from_utf8_lossy(&text)))
}

/// The program itself first; then its parent, the command that took it into the namespaces, which ends with it.
fn each_process(layout: &Layout, daemon: &Daemon, end: impl Fn(Process) -> Result<()>) -> Result<()> {
    let file = pid_file(layout, &daemon.name);
    let Some(parent) = Process::remembered(&file) else { return Ok(()) };
    for process in parent.children().into_iter().filter(|_| daemon.place == Place::Inside).chain([parent]) {
        end(process).with_context(|| format!("failed to end {}", daemon.name))?;
    }
    fs::remove_file(&file).with_context(|| format!("failed to remove {}", file.display()))
}

fn pid_file(layout: &Layout, name: &str) -> PathBuf {
    layout.run().join(format!("{name}.pid"))
}
