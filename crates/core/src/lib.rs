//! What should happen next: pure decisions about rollouts, experiments and analysis runs.
//!
//! ```text
//!  Observed (immutable, with `now`)  ──►  decide (pure, total)  ──►  Plan
//!                                                             status · effects · events · wake · holds
//! ```
//!
//! Nothing here waits, reads a clock, draws a random number, logs or talks to a network. The `controller` crate
//! observes and executes; the `sim` crate does the same against a cluster in one process.

pub mod analysis;
pub mod bearing;
mod claims;
pub mod evidence;
pub mod experiment;
pub mod field_error;
pub mod istio;
pub mod json_path;
pub mod plan;
pub mod rollout;
pub mod time;
