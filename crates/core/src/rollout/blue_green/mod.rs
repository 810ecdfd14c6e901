//! The blue-green strategy: two full sets of pods, and Services that are switched from one to the other.
//!
//! What it shares with the canary is not here: revisions, roles of pods, AnalysisRuns, commands, conditions. A revision goes
//! through `preview → analysis → pause → check point → switch → analysis → stable`; [`advance`] says where it stands,
//! [`sizes`] how many pods that needs, and [`services`] where the Services point.

mod advance;
mod guard;
mod report;
mod services;
mod sizes;

pub(super) use advance::{advance, is_fast_rollback, wants_run};
pub(super) use guard::violation;
pub(super) use report::{available, count_pods, phase};
pub(super) use services::{Services, switch};
pub(super) use sizes::{preview_wanted, sizes};

use super::state::RunRef;

/// Where a blue-green update stands, beyond what it shares with a canary.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    /// Everything that comes before the switch is done: analysis, pause. Never taken back while the update goes on.
    pub(crate) check_point: bool,
    /// The analysis before the switch.
    pub(crate) before_switch: Option<RunRef>,
    /// The analysis after the switch.
    pub(crate) after_switch: Option<RunRef>,
    /// Hashes of revisions that were stable before the present one; they may come back without ceremony while they have
    /// pods.
    pub(crate) retired: Vec<String>,
}

impl Progress {
    /// The same for an update that starts anew.
    pub(crate) fn anew(self) -> Self {
        Progress { retired: self.retired, ..Progress::default() }
    }
}
