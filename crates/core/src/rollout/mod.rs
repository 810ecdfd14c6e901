//! Rollouts: which revision gets which share of traffic, and what must happen next.
//!
//! Read [`decide`] first; it calls the other files in the order in which they matter.

mod affinity;
mod basic;
mod blue_green;
mod children;
mod commands;
pub(crate) mod conditions;
pub mod control_plane;
mod deadline;
mod decide;
mod duration;
mod experiment_object;
mod experiments;
mod extras;
mod handover;
mod history;
pub mod hold;
mod invalid;
mod left_behind;
mod managed;
mod mesh;
mod metadata;
mod named_services;
pub mod observed;
mod overwritten;
pub mod parse;
mod phase;
mod ping_pong;
mod replicas;
mod restart;
mod revision;
mod rivals;
mod rollback;
mod run_object;
mod runs;
mod safety;
mod scene;
mod service_switch;
mod state;
mod status;
pub mod step;
mod steps;
pub mod template;
mod traffic;
mod wake;
mod wire;
mod workload;

pub use control_plane::ControlPlane;
pub use decide::decide;
pub use hold::Hold;
pub use observed::Observed;
pub use overwritten::Overwritten;

use crate::plan::{Event, Planned, Wake};
use serin_api::RolloutStatus;

/// What should happen to a Rollout next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The status to write, if it differs from the one observed.
    pub status: Option<RolloutStatus>,
    /// Changes of the cluster, in order; each may rely on the ones before it having been accepted.
    pub effects: Vec<Planned>,
    /// Events that tell of what the status now says.
    pub events: Vec<Event>,
    /// When to look again although nothing changed.
    pub wake: Option<Wake>,
    /// Why the rollout does not move now.
    pub holds: Vec<Hold>,
    /// Facts for metrics and the live view.
    pub facts: Facts,
}

/// What a decision found out on its way, for metrics and the live view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Canary weight that is wanted now, in percent of the route; `None` without traffic routing.
    pub weight_desired: Option<i32>,
    /// Canary weight that the routes carry now, in percent; `None` if it cannot be read.
    pub weight_observed: Option<i32>,
    /// Routes whose weight somebody else changed since the last decision.
    pub overwritten: Vec<Overwritten>,
    /// True if the plan broke a safety rule and was dropped.
    pub unsafe_plan: bool,
}

#[cfg(test)]
mod tests;
