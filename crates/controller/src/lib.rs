//! The imperative shell: watches, observes, executes; is the leader, and tells how it fares.
//!
//! ```text
//!   watch ──► caches ──► queue ──► observe ──► decide (core) ──► execute ──► API server
//!               ▲                                  ▲                │
//!               └──────── ledger (own writes) ─────┼────────────────┤
//!                                       samples ───┴──── measure ◄──┘
//! ```
//!
//! [`Engine`] is all of that behind plain data structures: live, the watches feed it and workers step it; a simulator
//! does both by hand, without timers and sockets, and gets the same decisions in the same order each time.

pub mod admin;
pub mod args;
pub mod caches;
pub mod change;
pub mod clock;
pub mod cluster;
pub mod decision;
pub mod engine;
pub mod error;
pub mod events;
mod evict;
pub mod execute;
#[cfg(test)]
mod fake;
mod farewell;
mod job;
pub mod lease;
pub mod ledger;
pub mod measure;
pub mod merge;
pub mod metrics;
pub mod observe;
pub mod queue;
mod reconcile;
pub mod record;
pub mod run;
mod secrets;
pub mod watch;
mod write;

pub use args::Args;
pub use change::{Change, Key, Kind, ObjectName};
pub use clock::{Clock, SystemClock};
pub use decision::Decision;
pub use engine::{Deps, Engine};
pub use error::Error;
pub use execute::{Outcome, Report};
pub use record::{Observer, Record};
pub use run::{run, run_until, work};
