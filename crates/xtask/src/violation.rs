//! One thing that is not as it must be, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// Something to put right. Displays as `path:line: message`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file, relative to the root of the repository.
    pub path: PathBuf,
    /// The line, counted from one, if it is about one.
    pub line: Option<usize>,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl Violation {
    /// A violation by a whole file.
    #[must_use]
    pub fn of_file(path: &Path, message: impl Into<String>) -> Self {
        Violation { path: path.to_owned(), line: None, message: message.into() }
    }

    /// A violation at a line, counted from one.
    #[must_use]
    pub fn at_line(path: &Path, line: usize, message: impl Into<String>) -> Self {
        Violation { path: path.to_owned(), line: Some(line), message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { path, line, message } = self;
        match line {
            Some(line) => write!(f, "{}:{line}: {message}", path.display()),
            None => write!(f, "{}: {message}", path.display()),
        }
    }
}
