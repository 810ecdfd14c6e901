//! The way to the simulated metrics sources: no sockets, and a switch to take them down.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use serin_providers::{Transport, TransportError, TransportErrorKind, TransportOptions};

use crate::clock::SimClock;
use crate::metrics::Sources;

/// Carries requests to the sources of a world; clones share one switch.
#[derive(Clone)]
pub struct SourceTransport {
    sources: Arc<Sources>,
    clock: SimClock,
    down: Arc<AtomicBool>,
}

impl SourceTransport {
    /// A way to sources that are up.
    #[must_use]
    pub fn new(sources: Sources, clock: SimClock) -> Self {
        SourceTransport { sources: Arc::new(sources), clock, down: Arc::new(AtomicBool::new(false)) }
    }

    /// Makes the sources refuse every connection from now on.
    pub fn take_down(&self) {
        self.down.store(true, Ordering::Relaxed);
    }

    /// Lets the sources answer again.
    pub fn bring_up(&self) {
        self.down.store(false, Ordering::Relaxed);
    }
}

#[async_trait]
impl Transport for SourceTransport {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        _: &TransportOptions,
    ) -> Result<http::Response<Bytes>, TransportError> {
        if self.down.load(Ordering::Relaxed) {
            let host = request.uri().authority().map_or_else(String::new, ToString::to_string);
            return Err(TransportError {
                kind: TransportErrorKind::Refused,
                message: format!("connection to {host} refused"),
            });
        }
        Ok(self.sources.respond(&request, self.clock.now()))
    }
}

impl fmt::Debug for SourceTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceTransport").field("down", &self.down).finish_non_exhaustive()
    }
}
