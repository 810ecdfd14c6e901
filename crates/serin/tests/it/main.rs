//! The program from outside: what it prints, and with which exit code it ends.

#![expect(clippy::unwrap_used, reason = "in a test, whatever does not go as planned is a failure")]

mod condition;
mod live;
mod program;
mod simulate;
mod static_checks;
