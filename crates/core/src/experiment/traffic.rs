//! Whether requests may still be on their way to the pods of an Experiment.

use chrono::{DateTime, Utc};

use crate::istio::experiments::sends_to;

use super::Observed;

/// What keeps a Service and the pods behind it in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// Nobody is sent there, and the mesh has had the time to know.
    Released,
    /// A route sends requests there.
    Carries,
    /// No route does any more; by then every proxy knows.
    Fades(DateTime<Utc>),
}

/// What the routes of the Rollout send to a Service of the Experiment.
pub(super) fn of(observed: &Observed, service: &str) -> Traffic {
    let namespace = observed.namespace();
    if observed.virtual_services.iter().any(|vs| sends_to(&vs.object, service, namespace)) {
        return Traffic::Carries;
    }
    let last = observed.virtual_services.iter().map(|vs| vs.seen_at).max();
    let spread = last.and_then(|seen| seen.checked_add_signed(observed.settings.propagation));
    match spread.filter(|spread| *spread > observed.now) {
        Some(spread) => Traffic::Fades(spread),
        None => Traffic::Released,
    }
}
