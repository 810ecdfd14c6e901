//! What is wrong with a condition, and where.

use std::fmt;

/// An error in a condition, or while it was evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionError {
    /// What is wrong, without the position.
    pub message: String,
    /// Line of the offending token, counted from 1.
    pub line: usize,
    /// Column of the offending token in characters, counted from 1.
    pub column: usize,
    /// At which stage the error was found.
    pub kind: ConditionErrorKind,
}

/// The stage at which a condition failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionErrorKind {
    /// The text is not an expression.
    Parse,
    /// The expression can never be evaluated against a result of this type.
    Type,
    /// The evaluation met a value that it cannot use.
    Runtime,
    /// The expression or its evaluation is larger than the sandbox allows.
    Limit,
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.message, self.line, self.column)
    }
}

impl std::error::Error for ConditionError {}

/// An error that knows its place as a character offset only.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: ConditionErrorKind,
    pub(super) message: String,
    pub(super) at: u32,
}

impl Fault {
    pub(super) fn parse(at: u32, message: impl Into<String>) -> Self {
        Self::new(ConditionErrorKind::Parse, at, message)
    }

    pub(super) fn typed(at: u32, message: impl Into<String>) -> Self {
        Self::new(ConditionErrorKind::Type, at, message)
    }

    pub(super) fn limit(at: u32, message: impl Into<String>) -> Self {
        Self::new(ConditionErrorKind::Limit, at, message)
    }

    fn new(kind: ConditionErrorKind, at: u32, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), at }
    }

    /// Turns the offset into a line and a column of `source`.
    pub(super) fn locate(self, source: &str) -> ConditionError {
        let (mut line, mut column) = (1, 1);
        for c in source.chars().take(self.at as usize) {
            if c == '\n' {
                line += 1;
                column = 1;
            } else {
                column += 1;
            }
        }
        ConditionError { message: self.message, line, column, kind: self.kind }
    }
}

/// What went wrong while computing a value; the evaluator adds the place.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) kind: ConditionErrorKind,
    pub(super) message: String,
}

impl Trouble {
    pub(super) fn limit(message: impl Into<String>) -> Self {
        Self { kind: ConditionErrorKind::Limit, message: message.into() }
    }

    pub(super) fn at(self, at: u32) -> Fault {
        Fault { kind: self.kind, message: self.message, at }
    }
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Self { kind: ConditionErrorKind::Runtime, message }
    }
}

impl From<&str> for Trouble {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}
