//! The exit codes of all subcommands, and the error that stands for bad input.

use std::fmt;
use std::process::ExitCode;

/// The table of `serin --help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done; `condition`: true; `simulate`: ended Healthy
  1  failed; `condition`: false
  2  bad input: wrong flags, manifests with errors, a condition that cannot be evaluated
  3  `simulate`: the update was aborted
  4  `simulate`: still waiting at the end of the horizon";

/// How a subcommand ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for was done.
    Done,
    /// It failed, or the answer is no.
    No,
    /// What was given cannot be used.
    BadInput,
    /// A simulated update was aborted.
    Aborted,
    /// A simulated update still waits.
    Waiting,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::BadInput => 2,
            Exit::Aborted => 3,
            Exit::Waiting => 4,
        })
    }
}

/// What was given cannot be used, with everything that is wrong with it; ends with [`Exit::BadInput`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadInput(Vec<String>);

impl BadInput {
    /// One thing is wrong.
    pub(crate) fn one(error: impl Into<String>) -> Self {
        BadInput(vec![error.into()])
    }

    /// Several things are wrong.
    pub(crate) fn all<E: fmt::Display>(errors: &[E]) -> Self {
        BadInput(errors.iter().map(ToString::to_string).collect())
    }

    /// Everything that is wrong.
    pub(crate) fn errors(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("; "))
    }
}

impl std::error::Error for BadInput {}
