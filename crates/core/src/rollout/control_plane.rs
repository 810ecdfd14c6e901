//! Whether the proxies learn of changes at all: what is known of Istio's control plane, istiod.
//!
//! A proxy keeps the configuration that it had when istiod went away, and takes over everything that has changed since
//! at once, in no order that anybody could rely on, when it has found istiod again. Until then no change of the mesh
//! counts as spread, however long ago it was made; what had spread before stays known.

use chrono::{DateTime, Utc};

use crate::rollout::Hold;

/// When a change has spread while nobody can say when istiod is back. It is compared, never waited for.
const NEVER: DateTime<Utc> = DateTime::<Utc>::MAX_UTC;

/// Whether istiod tells the proxies of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ControlPlane {
    /// Nobody knows: istiod is not watched, or not in this cluster. The propagation delay is all there is to go by.
    #[default]
    Unknown,
    /// It is there, and has been for so long that every proxy has found it.
    Listening,
    /// No istiod is ready.
    Away {
        /// Changes that had spread by then are known to the proxies, later ones may not be.
        known: DateTime<Utc>,
    },
    /// One is ready, or another one, and the proxies have to find it first.
    Reconnecting {
        /// Changes that had spread by then are known to the proxies, later ones may not be.
        known: DateTime<Utc>,
        /// When every proxy will have found it.
        until: DateTime<Utc>,
    },
}

impl ControlPlane {
    /// Whether changes reach the proxies within the propagation delay, as far as anybody knows.
    pub(crate) fn is_listening(&self) -> bool {
        match self {
            ControlPlane::Unknown | ControlPlane::Listening => true,
            ControlPlane::Away { .. } | ControlPlane::Reconnecting { .. } => false,
        }
    }

    /// When every proxy will have found istiod again, if that is known and still to come.
    pub(crate) fn reconnected_at(&self) -> Option<DateTime<Utc>> {
        match self {
            ControlPlane::Unknown | ControlPlane::Listening | ControlPlane::Away { .. } => None,
            ControlPlane::Reconnecting { until, .. } => Some(*until),
        }
    }

    /// When a change will have spread that needs until `spread` in a mesh that listens; `None` if it has by `now`. Later
    /// than any time while istiod is away.
    pub(crate) fn spread_at(&self, spread: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            ControlPlane::Unknown | ControlPlane::Listening => Some(spread),
            ControlPlane::Away { known } => (spread > *known).then_some(NEVER),
            ControlPlane::Reconnecting { known, until } => (spread > *known).then_some(spread.max(*until)),
        }
        .filter(|spread| *spread > now)
    }

    /// Why a change waits that will have spread at a moment.
    pub(crate) fn hold(&self, change: impl Into<String>, until: DateTime<Utc>) -> Hold {
        self.not_listening().unwrap_or(Hold::Propagating { change: change.into(), until })
    }

    /// Why changes of the mesh wait; `None` while it listens.
    pub(crate) fn not_listening(&self) -> Option<Hold> {
        (!self.is_listening()).then(|| Hold::MeshNotListening { until: self.reconnected_at() })
    }
}

/// Whether a moment is one that comes, and not that of a mesh which nobody knows the return of.
pub(crate) fn comes(at: DateTime<Utc>) -> bool {
    at < NEVER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).expect("a time")
    }

    #[test]
    fn a_change_has_spread_only_in_a_mesh_that_listens() {
        let (away, back) =
            (ControlPlane::Away { known: at(50) }, ControlPlane::Reconnecting { known: at(50), until: at(130) });
        let cases = [
            ("nobody knows: the delay counts", ControlPlane::Unknown, 99, None),
            ("nobody knows: the delay is not over", ControlPlane::Unknown, 101, Some(at(101))),
            ("it listens: the delay counts", ControlPlane::Listening, 100, None),
            ("istiod is away: what was known stays known", away, 50, None),
            ("istiod is away: the rest waits, nobody knows how long", away, 51, Some(NEVER)),
            ("proxies reconnect: what was known stays known", back, 50, None),
            ("proxies reconnect: the rest waits for the last of them", back, 51, Some(at(130))),
            ("proxies reconnect: the delay may end later than that", back, 131, Some(at(131))),
        ];
        for (case, control_plane, spread, expected) in cases {
            assert_eq!(control_plane.spread_at(at(spread), at(100)), expected, "{case}");
        }
    }
}
