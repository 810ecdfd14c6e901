//! The addresses of the target, asked for anew from time to time.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// Asking for each new connection would make the cluster's DNS a part of what is tested.
const LIFETIME: Duration = Duration::from_secs(10);

/// After a failure each request asks, but not more often than this.
const LIFETIME_OF_FAILURE: Duration = Duration::from_millis(500);

/// A name with what it stood for when it was last asked for.
pub(super) struct Names {
    host: String,
    port: u16,
    known: Mutex<Option<Known>>,
}

struct Known {
    until: Instant,
    addresses: Vec<SocketAddr>,
}

impl Names {
    /// `host` may be an address, one of IPv6 in brackets.
    pub(super) fn new(host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Names { host, port, known: Mutex::default() }
    }

    /// The addresses; none if there are none, or if nobody answers.
    pub(super) async fn addresses(&self) -> Vec<SocketAddr> {
        // Held while asking, so that one request asks and the others wait for it.
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| Instant::now() < known.until) {
            return known.addresses.clone();
        }
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let addresses: Vec<SocketAddr> = found.into_iter().flatten().collect();
        let lifetime = if addresses.is_empty() { LIFETIME_OF_FAILURE } else { LIFETIME };
        *known = Some(Known { until: Instant::now() + lifetime, addresses: addresses.clone() });
        addresses
    }
}
