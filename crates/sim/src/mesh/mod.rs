//! A service mesh in miniature: splits a request stream by VirtualService and DestinationRule as written.
//!
//! The driver tells [`Mesh::observe`] what the cluster looks like whenever it changes, and lets [`Mesh::serve`] play the
//! requests of an interval. Every request goes into the [`Store`], from which the metrics sources answer.

mod arrivals;
mod behaviour;
mod endpoints;
pub(crate) mod identity;
pub(crate) mod json;
mod lanes;
mod matching;
mod rng;
mod route;
mod served;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::metrics::{Server, Store};
use arrivals::Arrivals;
use identity::server_of;
use lanes::Table;
use view::Propagation;

pub use behaviour::{Behaviour, Quality, Response, Telemetry, Versions};
pub use rng::Rng;
pub use served::Served;
pub use view::MeshView;

/// A stream of like requests, evenly spaced.
#[derive(Debug, Clone, PartialEq)]
pub struct Traffic {
    /// The caller's namespace; a short host is looked up in it.
    pub namespace: String,
    /// The host that is called: "reviews", "reviews.bookinfo", or fully qualified.
    pub host: String,
    /// At most [`REQUESTS_PER_SECOND_MAX`]; NaN and negative numbers mean none.
    pub requests_per_second: f64,
    /// The path, with the query if there is one.
    pub path: String,
    /// The HTTP method.
    pub method: String,
    /// Request headers.
    pub headers: BTreeMap<String, String>,
    /// The caller's workload, as metrics name it.
    pub source_workload: String,
    /// The caller's labels, for routes that look at them.
    pub source_labels: BTreeMap<String, String>,
    /// `None`: a sidecar calls. Otherwise the gateway through which the request comes, as "namespace/name".
    pub gateway: Option<String>,
}

/// More would only make a simulation slow, not truer.
pub const REQUESTS_PER_SECOND_MAX: f64 = 100_000.0;

impl Traffic {
    /// Ten GET requests for "/" a second, from a workload "client" in the same namespace.
    #[must_use]
    pub fn to(namespace: &str, host: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            host: host.to_owned(),
            requests_per_second: 10.0,
            path: "/".to_owned(),
            method: "GET".to_owned(),
            headers: BTreeMap::new(),
            source_workload: "client".to_owned(),
            source_labels: BTreeMap::new(),
            gateway: None,
        }
    }

    /// The same stream at another rate.
    #[must_use]
    pub fn at_rate(mut self, requests_per_second: f64) -> Self {
        self.requests_per_second = requests_per_second;
        self
    }

    /// Whether two streams are routed alike; the rate has no part in it.
    fn same_route(&self, other: &Self) -> bool {
        self.clone().at_rate(0.0) == other.clone().at_rate(0.0)
    }
}

/// What can be set about a mesh.
#[derive(Debug, Clone, Default)]
pub struct MeshConfig {
    /// Where all chance starts.
    pub seed: u64,
    /// A change of routes, subsets or endpoints reaches the proxies after a delay below this, drawn for each kind and change.
    /// Zero: at once.
    pub propagation: TimeDelta,
}

/// The mesh: what its proxies believe, and the streams that it carries.
pub struct Mesh {
    propagation: Propagation,
    behaviour: Arc<dyn Behaviour>,
    store: Store,
    rng: Rng,
    streams: Vec<Stream>,
    /// Counts what the proxies learned; a routing table is good for one generation.
    generation: u64,
}

/// What is remembered of one traffic from one `serve` to the next.
#[derive(Debug)]
struct Stream {
    traffic: Traffic,
    arrivals: Arrivals,
    table: Option<(u64, Table)>,
}

impl fmt::Debug for Mesh {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Mesh")
            .field("streams", &self.streams)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Mesh {
    /// A mesh that knows nothing yet and reports into `store`.
    #[must_use]
    pub fn new(config: &MeshConfig, behaviour: Arc<dyn Behaviour>, store: Store) -> Self {
        let seed = Rng::new(config.seed);
        Self {
            propagation: Propagation::new(config.propagation, seed.fork("propagation")),
            behaviour,
            store,
            rng: seed.fork("requests"),
            streams: Vec::new(),
            generation: 0,
        }
    }

    /// Replaces how pods answer, from the next `serve` on.
    pub fn set_behaviour(&mut self, behaviour: Arc<dyn Behaviour>) {
        self.behaviour = behaviour;
        self.generation += 1;
    }

    /// Takes note that the cluster looks like `view` from `now` on. Times must not go back.
    pub fn observe(&mut self, now: DateTime<Utc>, view: MeshView) {
        if self.propagation.observe(now, view) {
            self.generation += 1;
            let truth = self.propagation.seen().truth;
            let servers: BTreeSet<Server> = truth.pods.iter().map(|pod| server_of(pod)).collect();
            self.store.pods_are(now, &servers);
        }
    }

    /// Cuts the proxies off from Istio's control plane until `end`, as when istiod restarts: what changes meanwhile reaches
    /// them at that moment, all at once.
    pub fn cut_off(&mut self, end: DateTime<Utc>) {
        self.propagation.cut_off(end);
    }

    /// Plays the requests of `traffic` that arrive in [from, to), and records each.
    ///
    /// Give the same traffic for the following interval to continue it; how time is cut into intervals does not change when
    /// requests arrive.
    pub fn serve(&mut self, traffic: &Traffic, from: DateTime<Utc>, to: DateTime<Utc>) -> Served {
        let index = self.stream_of(traffic);
        let mut served = Served::default();
        let mut begin = from;
        while begin < to {
            if self.propagation.advance(begin) {
                self.generation += 1;
            }
            let end = self.propagation.next_arrival().map_or(to, |arrival| arrival.min(to));
            served.add(&self.serve_unchanged(index, begin, end));
            begin = end;
        }
        served
    }

    /// Serves an interval in which the proxies learn nothing.
    fn serve_unchanged(&mut self, index: usize, from: DateTime<Utc>, to: DateTime<Utc>) -> Served {
        let stream = &mut self.streams[index];
        let mut table = match stream.table.take() {
            Some((generation, table)) if generation == self.generation => table,
            outdated => {
                let turn = outdated.map_or(0, |(_, table)| table.turn());
                Table::build(&stream.traffic, &self.propagation.seen(), (self.behaviour.as_ref(), &self.store))
                    .at_turn(turn)
            }
        };
        let times = stream.arrivals.within(from, to);
        let served = table.serve(&times, (self.behaviour.as_ref(), &self.store), &mut self.rng);
        stream.table = Some((self.generation, table));
        served
    }

    fn stream_of(&mut self, traffic: &Traffic) -> usize {
        let index = self.streams.iter().position(|stream| stream.traffic.same_route(traffic)).unwrap_or_else(|| {
            self.streams.push(Stream { traffic: traffic.clone(), arrivals: Arrivals::default(), table: None });
            self.streams.len() - 1
        });
        self.streams[index].arrivals.set_rate(traffic.requests_per_second);
        index
    }
}
