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

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::kit::kept;
use crate::lab::layout::Layout;
use crate::lab::lock::{self, Subject};
use crate::lab::{images, simulated, stages};

use controller::Controller;
use play::Suite;
use selection::Group;
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
    /// How often all is run, at least once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
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
        let lock = lock::take(&layout, Subject::Cluster)?;
        ground::start(&layout)?;
        let prepared = ground::prepare(&layout, &suite.manifests);
        drop(lock);
        let failed = prepared.and_then(|()| self.play(&layout, &suite, &groups, &controller));
        let left = ground::leave(&layout);
        if let (Err(_), Err(error)) = (&failed, &left) {
            eprintln!("error: {error:#}");
        }
        let failed = failed?;
        left?;
        ensure!(failed == 0, "{failed} tests failed; what they said is kept in {}", kept().join("upstream").display());
        Ok(())
    }

    /// All runs; how many tests failed.
    fn play(&self, layout: &Layout, suite: &Suite, groups: &[Group], controller: &Controller) -> Result<usize> {
        let mut failed = 0;
        for run in 1..=self.runs {
            println!("run {run} of {}: {}", self.runs, controller.name);
            let tests = |table: &mut Table| {
                controller.start(layout)?;
                play_groups(layout, suite, groups, controller, table)
            };
            let folder = kept().join("upstream").join(format!("run-{run}"));
            failed += recorded(tests, || controller.stop(layout), &folder)?;
        }
        Ok(failed)
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

fn play_groups(
    layout: &Layout,
    suite: &Suite,
    groups: &[Group],
    controller: &Controller,
    table: &mut Table,
) -> Result<()> {
    for group in groups {
        simulated::set_pod_start(layout, group.pod_start.unwrap_or(stages::START))?;
        for test in &group.tests {
            let began = Instant::now();
            table.add(suite.play(layout, &group.suite, test, controller)?, began);
        }
    }
    Ok(())
}

/// One run. Whatever ends it, the controller is stopped, and the tests until then are kept in the folder. How many failed.
fn recorded(
    tests: impl FnOnce(&mut Table) -> Result<()>,
    stop: impl FnOnce() -> Result<()>,
    folder: &Path,
) -> Result<usize> {
    let mut table = Table::default();
    let played = tests(&mut table);
    let stopped = stop();
    if let Err(error) = &played {
        table.end_early(error);
    }
    let kept = table.keep(folder);
    println!("{}", table.summary());
    played.and(stopped).and(kept)?;
    Ok(table.failed())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use anyhow::bail;
    use clap::Parser;

    use super::*;
    use crate::lab::scratch::Scratch;
    use crate::upstream::output::Ending;
    use crate::upstream::play::Outcome;

    /// Plays one test that failed, and then what `end` does; what is kept, the result, and whether the controller was stopped.
    fn played(name: &str, end: impl FnOnce() -> Result<()>) -> (String, Result<usize>, bool) {
        let scratch = Scratch::new(name);
        let stopped = Cell::new(false);
        let tests = |table: &mut Table| {
            let ending = Ending { seconds: 1.0, failure: Some("timed out".to_owned()) };
            let (said, controller) = ("said".to_owned(), "log".to_owned());
            table.add(Outcome { name: "TestA/One".to_owned(), ending, said, controller }, Instant::now());
            end()
        };
        let stop = || {
            stopped.set(true);
            Ok(())
        };
        let result = recorded(tests, stop, &scratch.path("run-1"));
        let kept = std::fs::read_to_string(scratch.path("run-1/table.txt")).unwrap_or_default();
        (kept, result, stopped.get())
    }

    #[test]
    fn a_run_is_kept_and_the_controller_stopped_whatever_ends_it() {
        let (kept, failed, stopped) = played("upstream-whole", || Ok(()));
        assert_eq!((failed.expect("a result"), stopped), (1, true));
        assert!(kept.contains("FAILED    1.0 s  TestA/One") && !kept.contains("ended early"), "{kept}");

        let (kept, failed, stopped) = played("upstream-early", || bail!("the controller has ended"));
        assert_eq!(failed.expect_err("an error").to_string(), "the controller has ended");
        assert!(stopped, "nobody needs the controller any more");
        assert!(kept.contains("TestA/One") && kept.contains("ended early: the controller has ended"), "{kept}");
    }

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        upstream: Upstream,
    }

    #[test]
    fn no_run_at_all_is_a_mistake() {
        let parsed =
            |runs: &str| Arguments::try_parse_from(["upstream", "--suite", "a", "--manifests", "b", "--runs", runs]);
        let error = parsed("0").expect_err("none").to_string();
        assert!(error.contains("--runs <RUNS>") && error.contains("1.."), "{error}");
        assert_eq!(parsed("2").expect("two").upstream.runs, 2);
    }
}
