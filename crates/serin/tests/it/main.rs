//! The program from outside: what it prints, and with which exit code it ends.

mod condition;
mod program;
mod static_checks;
