//! What the run saw, as a table.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;

/// Figures that a case wants to be read in the table, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Arc<Mutex<BTreeMap<String, String>>>);

impl Figures {
    /// Notes a figure; a later one of the same name replaces it.
    pub(crate) fn note(&self, name: &str, value: impl Display) {
        self.0.lock().expect("nobody panics with it").insert(name.to_owned(), value.to_string());
    }

    /// All of them in one line.
    pub(crate) fn line(&self) -> String {
        let figures = self.0.lock().expect("nobody panics with it");
        figures.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ")
    }
}

/// What came of a case.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) suite: &'static str,
    pub(crate) case: &'static str,
    pub(crate) error: Option<String>,
    pub(crate) took: Duration,
    pub(crate) figures: Figures,
}

/// All rows of a run, with what it ran on.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    /// Versions and sizes: pairs of name and value.
    pub(crate) ground: Vec<(String, String)>,
}

impl Report {
    /// How many cases failed.
    pub(crate) fn failed(&self) -> usize {
        self.rows.iter().filter(|row| row.error.is_some()).count()
    }

    /// Writes the table as Markdown.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut text = String::from("# What the suites saw\n\nWritten by `serin-e2e test`; not by hand.\n\n");
        for (name, value) in &self.ground {
            writeln!(text, "* {name}: {value}")?;
        }
        text.push_str("\n| Suite | Case | Result | Seconds | Figures |\n|---|---|---|---|---|\n");
        for row in &self.rows {
            let result =
                row.error.as_deref().map_or("passed".to_owned(), |error| format!("**failed**: {}", cell(error)));
            let figures = cell(&row.figures.line());
            writeln!(text, "| {} | {} | {result} | {:.0} | {figures} |", row.suite, row.case, row.took.as_secs_f64())?;
        }
        std::fs::write(path, text)?;
        Ok(())
    }
}

/// Text that stays in its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
