//! One test by the suite's program, and what it and the controller said meanwhile.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::lab::layout::Layout;
use crate::lab::namespaces;

use super::controller::{Controller, INSTANCE};
use super::output::{self, Ending};

/// The suite.
#[derive(Clone, Debug)]
pub(super) struct Suite {
    /// Its compiled test binary.
    pub(super) program: PathBuf,
    /// The folder that it finds its manifests in.
    pub(super) manifests: PathBuf,
}

/// What came of one test.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// SUITE/TEST.
    pub(super) name: String,
    pub(super) ending: Ending,
    /// What the test wrote.
    pub(super) said: String,
    /// What the controller wrote meanwhile.
    pub(super) controller: String,
}

impl Suite {
    /// Runs one test, in a process of its own, so that one that hangs or panics takes no other with it.
    ///
    /// # Errors
    /// If the program cannot be run, or the controller has ended.
    pub(super) fn play(&self, layout: &Layout, suite: &str, test: &str, controller: &Controller) -> Result<Outcome> {
        controller.expect_alive(layout)?;
        let log = controller.log(layout);
        let log_begin = length(&log);
        let output = self.command(layout, suite, test)?.output().context("failed to start the suite")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let name = format!("{suite}/{test}");
        let ending = output::ending(&name, &said);
        Ok(Outcome { name, ending, controller: part(&log, log_begin, length(&log))?, said })
    }

    fn command(&self, layout: &Layout, suite: &str, test: &str) -> Result<Command> {
        let mut command = namespaces::enter(layout, "env")?;
        let tools = layout.program("kubectl");
        let tools = tools.parent().unwrap_or(Path::new("/"));
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .arg(format!("--chdir={}", self.manifests.display()))
            .arg(format!("PATH={}:{path}", tools.display()))
            .arg(format!("KUBECONFIG={}", layout.inner_kubeconfig("admin").display()))
            .arg(format!("KUBECACHEDIR={}", layout.run().join("kubectl-inside").display()))
            .arg(format!("E2E_INSTANCE_ID={INSTANCE}"))
            .args(["sh", "-c", r#"exec "$0" "$@" 2>&1"#])
            .arg(&self.program)
            .args(["-test.v", "-test.timeout=8m", &format!("-test.run=^{suite}$"), &format!("-testify.m=^{test}$")])
            .stdin(Stdio::null());
        Ok(command)
    }
}

fn length(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |it| it.len())
}

fn part(log: &Path, begin: u64, end: u64) -> Result<String> {
    let mut file = fs::File::open(log).with_context(|| format!("failed to read {}", log.display()))?;
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(end.saturating_sub(begin)).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
