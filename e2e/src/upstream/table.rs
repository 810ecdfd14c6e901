//! What came of all tests of a run.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::play::{Outcome, Played};

/// The tests that were run, and how long all took.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    outcomes: Vec<Outcome>,
    took: Duration,
}

impl Table {
    pub(super) fn add(&mut self, played: Played) {
        self.outcomes.extend(played.outcomes);
        self.took += played.took;
    }

    /// How many tests failed.
    pub(super) fn failed(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.ending.failure.is_some()).count()
    }

    /// A line for each test, and one for all.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for Outcome { name, ending, .. } in &self.outcomes {
            let mark = if ending.failure.is_some() { "FAILED" } else { "ok    " };
            let _ = write!(text, "{mark} {:6.1} s  {name}", ending.seconds);
            let _ = match &ending.failure {
                Some(reason) => writeln!(text, "\n                {reason}"),
                None => writeln!(text),
            };
        }
        let (all, failed) = (self.outcomes.len(), self.failed());
        let _ = writeln!(text, "{} of {all} tests passed in {} s", all - failed, self.took.as_secs());
        text
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
