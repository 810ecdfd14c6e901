//! Argo Rollouts' own end-to-end suite, run against Serin, or against another controller to compare with.
//!
//! ```text
//!   selection   which of its tests, in which order
//!   ground      the cluster: control plane, simulated node, kinds, namespace
//!   controller  the one that is tested
//!   play        one test by the suite's program
//!   output      what the program writes, read
//!   table       what came of it
//! ```
//!
//! The suite's program and manifests come from whoever runs this; nothing of them is part of this repository.

mod controller;
mod ground;
mod output;
mod play;
mod selection;
mod table;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::kit::kept;
use crate::lab::layout::Layout;
use crate::lab::lock::{self, Subject};
use crate::lab::{images, simulated, stages};

use controller::Controller;
use play::Suite;
use table::Table;

/// The tests that need nothing which is not here.
const TESTS: &str = include_str!("../../fixtures/argo-rollouts-tests.txt");

/// Arguments of `upstream`.
#[derive(Clone, Debug, clap::Args)]
pub struct Upstream {
    /// Tests as SUITE/TEST, all of the list if none is given; a part of the name is enough
    names: Vec<String>,
    /// The suite's compiled test binary
    #[arg(long, value_name = "PROGRAM")]
    suite: PathBuf,
    /// The folder test/e2e of the suite's source, whose manifests it applies
    #[arg(long, value_name = "FOLDER")]
    manifests: PathBuf,
    /// Another list of tests than e2e/fixtures/argo-rollouts-tests.txt
    #[arg(long, value_name = "FILE")]
    tests: Option<PathBuf>,
    /// Test this Serin, instead of building one
    #[arg(long, value_name = "PROGRAM")]
    serin: Option<PathBuf>,
    /// Run this controller instead of Serin, with Argo Rollouts' flags
    #[arg(long, value_name = "PROGRAM", conflicts_with = "serin")]
    controller: Option<PathBuf>,
    /// How often all is run
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Further arguments for the controller
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Upstream {
    /// Starts the control plane with a simulated node if nothing runs, runs the tests, and prints what came of them.
    ///
    /// # Errors
    /// If the cluster or the controller does not start, or a test fails in any run.
    pub fn run(&self) -> Result<()> {
        let suite = self.suite()?;
        let groups = selection::groups(&self.list()?, &self.names)?;
        let layout = Layout::here()?;
        let controller = self.controller(&layout)?;
        {
            let _lock = lock::take(&layout, Subject::Cluster)?;
            ground::prepare(&layout, &suite.manifests)?;
        }

        let mut failed = 0;
        for run in 1..=self.runs {
            println!("run {run} of {}: {}", self.runs, controller.name);
            let mut table = Table::default();
            controller.start(&layout)?;
            for group in &groups {
                simulated::set_pod_start(&layout, group.pod_start.unwrap_or(stages::START))?;
                for test in &group.tests {
                    let began = Instant::now();
                    table.add(suite.play(&layout, &group.suite, test, &controller)?, began);
                }
            }
            controller.stop(&layout)?;
            table.keep(&kept().join("upstream").join(format!("run-{run}")))?;
            println!("{}", table.summary());
            failed += table.failed();
        }
        simulated::set_pod_start(&layout, stages::START)?;
        ensure!(failed == 0, "{failed} tests failed; what they said is kept in {}", kept().join("upstream").display());
        Ok(())
    }

    fn list(&self) -> Result<String> {
        let Some(file) = &self.tests else { return Ok(TESTS.to_owned()) };
        std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))
    }

    fn suite(&self) -> Result<Suite> {
        let there = |path: &PathBuf, flag: &str| {
            path.canonicalize().with_context(|| format!("--{flag}: there is no {}", path.display()))
        };
        let (program, manifests) = (there(&self.suite, "suite")?, there(&self.manifests, "manifests")?);
        ensure!(manifests.join("crds").is_dir(), "--manifests: {} has no folder crds", manifests.display());
        Ok(Suite { program, manifests })
    }

    fn controller(&self, layout: &Layout) -> Result<Controller> {
        let program = |path: &PathBuf| path.canonicalize().with_context(|| format!("there is no {}", path.display()));
        Ok(match (&self.controller, &self.serin) {
            (Some(path), _) => Controller::other(&program(path)?, &self.arguments),
            (None, Some(path)) => Controller::serin(&program(path)?, &self.arguments),
            (None, None) => {
                let _lock = lock::take(layout, Subject::Artefacts)?;
                Controller::serin(&images::serin_program(images::Profile::Optimized)?, &self.arguments)
            }
        })
    }
}
