//! What the proxies believe: snapshots of the cluster that reach them with a delay of their own for each kind.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::rng::Rng;

/// Full Kubernetes objects as plain JSON, as the cluster holds them at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MeshView {
    /// `networking.istio.io` VirtualServices of all namespaces.
    pub virtual_services: Vec<Arc<Value>>,
    /// `networking.istio.io` DestinationRules of all namespaces.
    pub destination_rules: Vec<Arc<Value>>,
    /// Core v1 Services of all namespaces.
    pub services: Vec<Arc<Value>>,
    /// Core v1 Pods of all namespaces, terminating ones included.
    pub pods: Vec<Arc<Value>>,
}

/// The snapshots on their way to the proxies. Routes, subsets and endpoints travel separately, because Istio pushes them by
/// separate streams: a weight may arrive before the subset or the pods that it needs.
#[derive(Debug)]
pub(super) struct Propagation {
    delay_max: TimeDelta,
    rng: Rng,
    truth: Arc<MeshView>,
    routes: Track,
    subsets: Track,
    endpoints: Track,
    /// Until when nothing reaches the proxies.
    cut_off: Option<DateTime<Utc>>,
}

/// What the proxies see at one moment, next to what is really there.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) routes: Arc<MeshView>,
    pub(super) subsets: Arc<MeshView>,
    pub(super) endpoints: Arc<MeshView>,
    pub(super) truth: Arc<MeshView>,
}

impl Propagation {
    pub(super) fn new(delay_max: TimeDelta, rng: Rng) -> Self {
        let empty = Arc::new(MeshView::default());
        let track = || Track { seen: Arc::clone(&empty), pending: VecDeque::new(), last: Arc::clone(&empty) };
        let (routes, subsets, endpoints) = (track(), track(), track());
        Self { delay_max, rng, truth: empty, routes, subsets, endpoints, cut_off: None }
    }

    /// What changes from now on reaches the proxies at `end`, all at once; what is on its way still arrives as it would.
    pub(super) fn cut_off(&mut self, end: DateTime<Utc>) {
        self.cut_off = Some(end);
    }

    /// Takes note that the cluster looks like `view` from `now` on. False if that is nothing new.
    pub(super) fn observe(&mut self, now: DateTime<Utc>, view: MeshView) -> bool {
        if *self.truth == view {
            return self.advance(now);
        }
        let view = Arc::new(view);
        self.truth = Arc::clone(&view);
        let routes_changed = self.routes.last.virtual_services != view.virtual_services;
        let subsets_changed = self.subsets.last.destination_rules != view.destination_rules;
        let endpoints_changed = self.endpoints.last.services != view.services || self.endpoints.last.pods != view.pods;
        if routes_changed {
            let due = self.due(now);
            self.routes.push(due, Arc::clone(&view));
        }
        if subsets_changed {
            let due = self.due(now);
            self.subsets.push(due, Arc::clone(&view));
        }
        if endpoints_changed {
            let due = self.due(now);
            self.endpoints.push(due, view);
        }
        self.advance(now);
        true
    }

    /// Lets everything arrive that is due at `now`. True if something arrived.
    pub(super) fn advance(&mut self, now: DateTime<Utc>) -> bool {
        // All three must advance, so no short-circuit.
        let arrived = [self.routes.advance(now), self.subsets.advance(now), self.endpoints.advance(now)];
        arrived.contains(&true)
    }

    /// When the next snapshot arrives.
    pub(super) fn next_arrival(&self) -> Option<DateTime<Utc>> {
        [&self.routes, &self.subsets, &self.endpoints]
            .into_iter()
            .filter_map(|track| track.pending.front())
            .map(|(due, _)| *due)
            .min()
    }

    pub(super) fn seen(&self) -> Seen {
        Seen {
            routes: Arc::clone(&self.routes.seen),
            subsets: Arc::clone(&self.subsets.seen),
            endpoints: Arc::clone(&self.endpoints.seen),
            truth: Arc::clone(&self.truth),
        }
    }

    fn due(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        let nanos_max = self.delay_max.num_nanoseconds().unwrap_or(i64::MAX).max(0);
        let nanos = self.rng.below(nanos_max.unsigned_abs());
        // A proxy that comes back gets all that has changed in one go.
        if let Some(end) = self.cut_off.filter(|end| *end > now) {
            return end;
        }
        now + TimeDelta::nanoseconds(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

/// One kind of object on its way.
#[derive(Debug)]
struct Track {
    seen: Arc<MeshView>,
    pending: VecDeque<(DateTime<Utc>, Arc<MeshView>)>,
    last: Arc<MeshView>,
}

impl Track {
    fn push(&mut self, due: DateTime<Utc>, view: Arc<MeshView>) {
        // A stream never reorders: a later snapshot arrives no earlier than the one before it.
        let due = self.pending.back().map_or(due, |(before, _)| due.max(*before));
        self.last = Arc::clone(&view);
        self.pending.push_back((due, view));
    }

    fn advance(&mut self, now: DateTime<Utc>) -> bool {
        let mut arrived = false;
        while self.pending.front().is_some_and(|(due, _)| *due <= now) {
            if let Some((_, view)) = self.pending.pop_front() {
                self.seen = view;
                arrived = true;
            }
        }
        arrived
    }
}
