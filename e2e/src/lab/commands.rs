//! What each command of the program does.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, bail};

use super::build::{self, Artefact, Packages};
use super::images::Profile;
use super::layout::Layout;
use super::lock::{self, Subject};
use super::parts::{self, Part};
use super::progress::Stopwatch;
use super::stop::State;
use super::{command, daemon, images, kubectl, namespaces, node, start, stop};

/// Arguments of `build`.
#[derive(Debug, clap::Args)]
pub struct Build {
    /// What to build; everything if none is named
    artefacts: Vec<Artefact>,
    /// Install missing packages of Debian first
    #[arg(long)]
    install: bool,
    /// Build Serin without optimisation, which takes a fraction of the time
    #[arg(long)]
    quick: bool,
}

impl Build {
    /// Everything, as it is shipped, with missing packages installed.
    #[must_use]
    pub fn everything() -> Self {
        Self { artefacts: Vec::new(), install: true, quick: false }
    }

    /// Builds what is not current.
    ///
    /// # Errors
    /// If something cannot be built.
    pub fn run(self) -> Result<()> {
        let layout = Layout::here()?;
        let _lock = lock::take(&layout, Subject::Artefacts)?;
        let watch = Stopwatch::start();
        let packages = if self.install { Packages::Installed } else { Packages::Named };
        let profile = if self.quick { Profile::Quick } else { Profile::Optimized };
        build::build(&layout, &self.artefacts, packages, profile)?;
        watch.stage("everything is built");
        Ok(())
    }
}

/// Arguments of `start`.
#[derive(Debug, clap::Args)]
pub struct Start {
    /// Start these parts and what they need, instead of all but the simulated node
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Leave these parts out
    #[arg(long, value_delimiter = ',')]
    without: Vec<Part>,
}

impl Start {
    /// All that the suites need.
    #[must_use]
    pub fn everything() -> Self {
        Self { only: Vec::new(), without: Vec::new() }
    }

    /// Starts what does not run.
    ///
    /// # Errors
    /// If a part does not become ready.
    pub fn run(self) -> Result<()> {
        let layout = Layout::here()?;
        let _lock = lock::take(&layout, Subject::Cluster)?;
        start::start(&layout, &parts::chosen(&self.only, &self.without)?)
    }
}

/// Arguments of `stop`.
#[derive(Debug, clap::Args)]
pub struct Stop {
    /// Remove the cluster's state as well: the next start makes a new cluster
    #[arg(long)]
    wipe: bool,
}

impl Stop {
    /// Leaves nothing of the cluster.
    #[must_use]
    pub fn wiping() -> Self {
        Self { wipe: true }
    }

    /// Ends everything and looks whether anything is left.
    ///
    /// # Errors
    /// If something is left.
    pub fn run(self) -> Result<()> {
        let layout = Layout::here()?;
        let _lock = lock::take(&layout, Subject::Cluster)?;
        stop::stop(&layout, if self.wipe { State::Wiped } else { State::Kept })
    }
}

/// Arguments of `load`.
#[derive(Debug, clap::Args)]
pub struct Load {
    /// Optimize Serin as when it is shipped, which takes minutes
    #[arg(long)]
    release: bool,
}

impl Load {
    /// Builds Serin and the workload, and gives their images to the node.
    ///
    /// # Errors
    /// If they cannot be compiled, or the node does not run.
    pub fn run(self) -> Result<()> {
        let layout = Layout::here()?;
        let _lock = (lock::take(&layout, Subject::Artefacts)?, lock::take(&layout, Subject::Cluster)?);
        layout.make()?;
        images::workload(&layout)?;
        images::serin(&layout, if self.release { Profile::Optimized } else { Profile::Quick })?;
        match node::import_all(&layout)?.as_slice() {
            [] => println!("the node has these images already"),
            imported => println!("imported {}; pods that run keep what they began with", imported.join(", ")),
        }
        Ok(())
    }
}

/// Says what runs.
///
/// # Errors
/// If the API server does not answer although it runs.
pub fn status() -> Result<()> {
    let layout = Layout::here()?;
    if !namespaces::exist(&layout) {
        // Programs read the first line.
        println!("{}", if stop::is_kept(&layout) { "stopped, its state is kept" } else { "stopped" });
        return Ok(());
    }
    let mut text = String::new();
    for daemon in daemon::all(&layout) {
        let state = if daemon::is_alive(&layout, &daemon.name) { "runs" } else { "-" };
        let _ = writeln!(text, "{:26} {state}", daemon.name);
    }
    text += &kubectl::run(&layout, &["get", "pods", "--all-namespaces", "--output=wide"])?;
    // Whoever closes the pipe has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Replaces this program by another one inside the namespaces.
///
/// # Errors
/// If the cluster is not started or the program cannot run.
pub fn exec(words: &[String]) -> Result<()> {
    let layout = Layout::here()?;
    let Some((program, arguments)) = words.split_first() else { bail!("name a command to run inside") };
    let mut command = namespaces::enter(&layout, program)?;
    Err(command.args(arguments).exec()).with_context(|| format!("failed to run {program}"))
}

/// Replaces this program by kubectl, as the administrator.
///
/// # Errors
/// If it is not built.
pub fn kubectl(arguments: &[String]) -> Result<()> {
    let layout = Layout::here()?;
    Err(kubectl::command(&layout).args(arguments).exec()).context("failed to run kubectl; was `serin-e2e build` run?")
}

/// What can be done to one daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Deed {
    /// Start it again as it was started
    Start,
    /// Ask it to end
    Stop,
    /// Kill it, as a crash would
    Kill,
}

/// Starts, stops or kills one daemon.
///
/// # Errors
/// If there is none of this name, or it does not obey.
pub fn daemon(deed: Deed, name: &str) -> Result<()> {
    let layout = Layout::here()?;
    match deed {
        Deed::Start => daemon::start(&layout, name),
        Deed::Stop => daemon::stop(&layout, name),
        Deed::Kill => daemon::kill(&layout, name),
    }
}

/// Whether `kubectl` reaches the API server; for those who only want to know.
#[must_use]
pub fn is_started(layout: &Layout) -> bool {
    namespaces::exist(layout) && command::succeeds(kubectl::command(layout).args(["get", "--raw", "/readyz"]))
}
