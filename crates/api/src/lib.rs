//! What is on the wire: the structs of `argoproj.io/v1alpha1`, and the part of Istio's that we read.
//!
//! ```text
//!   rollout ─┬─ canary ─┬─ steps ─── experiment        status      analysis_run
//!            │          ├─ traffic                                      │
//!            └─ blue_green ─┴─ analysis ─── metric ─── provider ────────┘
//! ```

mod analysis;
mod analysis_run;
mod blue_green;
mod canary;
mod crds;
pub mod decode;
mod experiment;
pub mod istio;
pub mod labels;
mod metric;
mod provider;
mod rollout;
mod status;
mod steps;
pub mod time;
mod traffic;
mod value;

pub use analysis::*;
pub use analysis_run::*;
pub use blue_green::*;
pub use canary::*;
pub use crds::crds;
pub use decode::{Decoded, DroppedField, Undecodable, decode};
pub use experiment::*;
pub use metric::*;
pub use provider::*;
pub use rollout::*;
pub use status::*;
pub use steps::*;
pub use time::Time;
pub use traffic::*;
pub use value::{DurationString, IntOrString};
