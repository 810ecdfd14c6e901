//! The metrics of a service, computed from what it served.

use super::super::timeline::{Cell, LATENCY_STEP_MS};
use super::duration::Step;

/// The ranks of `service_percentile`.
pub(super) const RANKS: [u64; 5] = [50, 75, 90, 95, 99];

/// A metric that the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metric {
    Apdex,
    Cpm,
    Sla,
    RespTime,
    Percentile,
}

impl Metric {
    /// All metrics, by name.
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("service_apdex", Self::Apdex),
        ("service_cpm", Self::Cpm),
        ("service_percentile", Self::Percentile),
        ("service_resp_time", Self::RespTime),
        ("service_sla", Self::Sla),
    ];

    pub(super) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, metric)| metric)
    }

    /// The server's name for the kind of the metric's values.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Percentile => "LABELED_VALUE",
            Self::Apdex | Self::Cpm | Self::Sla | Self::RespTime => "REGULAR_VALUE",
        }
    }

    /// The value in one bucket: apdex and sla times 10000, calls per minute, milliseconds. All divisions drop the rest.
    /// `service_percentile` yields its lowest rank.
    pub(super) fn value(self, cell: &Cell, step: Step) -> u64 {
        match self {
            Self::Apdex => (cell.satisfied * 10_000 + cell.tolerated * 5_000) / cell.calls.max(1),
            Self::Cpm => cell.calls * 60 / step.seconds().unsigned_abs().max(60),
            Self::Sla => cell.succeeded * 10_000 / cell.calls.max(1),
            Self::RespTime => cell.latency_ms / cell.calls.max(1),
            Self::Percentile => percentile(cell, RANKS[0]),
        }
    }
}

/// The latency in milliseconds that `rank` percent of the calls did not exceed, rounded down to the server's precision.
pub(super) fn percentile(cell: &Cell, rank: u64) -> u64 {
    let mut latencies = cell.latencies.clone();
    latencies.sort_unstable();
    let wanted = ((cell.calls * rank + 50) / 100).max(1);
    let index = usize::try_from(wanted - 1).unwrap_or(usize::MAX);
    latencies.get(index).map_or(0, |step| u64::from(*step) * LATENCY_STEP_MS)
}
