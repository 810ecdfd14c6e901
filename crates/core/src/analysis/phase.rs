//! The phases of measurements, metrics and runs, and which is worse.

use std::fmt;

/// A phase as status has it, ordered from good to bad: a run is as bad as the worst of its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Over, and good.
    Successful,
    /// Under way.
    Running,
    /// Not begun.
    Pending,
    /// Over, and a person has to judge.
    Inconclusive,
    /// Over, because it could not be measured.
    Error,
    /// Over, and bad.
    Failed,
}

impl Phase {
    /// The phase that a status names; an empty or unknown text is one that has not begun.
    #[must_use]
    pub fn of(text: &str) -> Phase {
        ALL.into_iter().find(|phase| phase.as_str() == text).unwrap_or(Phase::Pending)
    }

    /// The word that a status uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Successful => "Successful",
            Phase::Running => "Running",
            Phase::Pending => "Pending",
            Phase::Inconclusive => "Inconclusive",
            Phase::Error => "Error",
            Phase::Failed => "Failed",
        }
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub fn completed(self) -> bool {
        match self {
            Phase::Successful | Phase::Inconclusive | Phase::Error | Phase::Failed => true,
            Phase::Running | Phase::Pending => false,
        }
    }

    /// Whether it is over without success, which ends the run that it belongs to.
    #[must_use]
    pub fn bad(self) -> bool {
        self.completed() && self != Phase::Successful
    }
}

const ALL: [Phase; 6] =
    [Phase::Successful, Phase::Running, Phase::Pending, Phase::Inconclusive, Phase::Error, Phase::Failed];

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_read_as_they_are_written_and_stand_from_good_to_bad() {
        for phase in ALL {
            assert_eq!(Phase::of(phase.as_str()), phase);
        }
        assert_eq!(Phase::of(""), Phase::Pending);
        assert_eq!(Phase::of("Teapot"), Phase::Pending);
        assert!(ALL.is_sorted());
    }
}
