//! The metrics sources of the simulation: what the mesh served, told as Prometheus and as SkyWalking would tell it.

pub mod prometheus;
pub mod skywalking;
mod store;
#[cfg(test)]
mod tests;
mod timeline;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Request, Response, StatusCode};

use prometheus::Prometheus;
use skywalking::SkyWalking;

pub use store::{Call, CallId, Caller, Outcome, Recording, Server, Store, StoreConfig};

/// Both metrics sources behind one address: each known by how its paths end.
#[derive(Debug, Clone)]
pub struct Sources {
    prometheus: Prometheus,
    skywalking: SkyWalking,
}

impl Sources {
    /// Sources that answer from `store`.
    #[must_use]
    pub fn new(store: &Store, config: skywalking::Config) -> Self {
        Self { prometheus: Prometheus::new(store.clone()), skywalking: SkyWalking::new(store.clone(), config) }
    }

    /// Whether a path is one of a metrics source, below whatever path its address has, and not of some other web server.
    #[must_use]
    pub fn knows(path: &str) -> bool {
        path.ends_with("/graphql") || Prometheus::knows(path)
    }

    /// Answers a request as of `now`. The answer is 404 for a path that neither source has.
    #[must_use]
    pub fn respond(&self, request: &Request<Bytes>, now: DateTime<Utc>) -> Response<Bytes> {
        let path = request.uri().path();
        if path.ends_with("/graphql") {
            return self.skywalking.respond(request, now);
        }
        if Self::knows(path) {
            return self.prometheus.respond(request, now);
        }
        let mut response = Response::new(Bytes::from_static(b"404 page not found\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        response
    }
}
