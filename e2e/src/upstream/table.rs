//! What came of all tests of a run.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::play::Outcome;

/// The tests that were run, and how long all took.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    outcomes: Vec<Outcome>,
    took: Duration,
    /// Why not all tests were run, if so.
    ended_early: Option<String>,
}

impl Table {
    /// Adds what came of a test, which began then, and says it.
    pub(super) fn add(&mut self, outcome: Outcome, began: Instant) {
        print!("{}", line(&outcome));
        self.outcomes.push(outcome);
        self.took += began.elapsed();
    }

    /// Notes that no further test was run, and why.
    pub(super) fn end_early(&mut self, why: &anyhow::Error) {
        self.ended_early = Some(format!("{why:#}"));
    }

    /// How many tests failed.
    pub(super) fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.ending.failure.is_some()).count()
    }

    /// A line for each test, and one for all.
    pub(super) fn text(&self) -> String {
        let lines: String = self.outcomes.iter().map(line).collect();
        format!("{lines}{}\n", self.summary())
    }

    /// How many passed, the time of all, and why there were no more.
    pub(super) fn summary(&self) -> String {
        let all = self.outcomes.len();
        let early = self.ended_early.as_ref().map_or(String::new(), |why| format!("; ended early: {why}"));
        format!("{} of {all} tests passed in {} s{early}", all - self.failed(), self.took.as_secs())
    }

    /// Keeps the table in this folder, and what each failed test and the controller said; what an earlier run left is removed.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(super) fn keep(&self, folder: &Path) -> Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("failed to remove {}", folder.display()))?;
        }
        let write = |file: &Path, text: &str| {
            let parent = file.parent().unwrap_or(folder);
            fs::create_dir_all(parent).with_context(|| format!("failed to make {}", parent.display()))?;
            fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))
        };
        write(&folder.join("table.txt"), &self.text())?;
        for outcome in self.outcomes.iter().filter(|outcome| outcome.ending.failure.is_some()) {
            let folder = folder.join(&outcome.name);
            write(&folder.join("test.log"), &outcome.said)?;
            write(&folder.join("controller.log"), &outcome.controller)?;
        }
        Ok(())
    }
}

/// A test, and below it why it failed.
fn line(outcome: &Outcome) -> String {
    let Outcome { name, ending, .. } = outcome;
    let seconds = ending.seconds;
    match &ending.failure {
        Some(reason) => format!("FAILED {seconds:6.1} s  {name}\n                 {reason}\n"),
        None => format!("ok     {seconds:6.1} s  {name}\n"),
    }
}
