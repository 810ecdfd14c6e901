//! What the server answers to one request, and the numbers that it keeps about it.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::fmt::Write;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;

use super::Args;
use crate::flags::When;

/// What all connections share.
pub(super) struct Site {
    args: Args,
    started: Instant,
    leaving: AtomicBool,
    lots: AtomicU64,
    in_flight: AtomicU64,
    answered: Mutex<BTreeMap<u16, u64>>,
}

impl Site {
    pub(super) fn new(args: Args) -> Self {
        Site {
            args,
            started: Instant::now(),
            leaving: AtomicBool::new(false),
            // The keys of the standard library's maps are random, and each process has its own.
            lots: AtomicU64::new(RandomState::new().build_hasher().finish()),
            in_flight: AtomicU64::new(0),
            answered: Mutex::default(),
        }
    }

    /// From now on /readyz is 503, and each answer asks its client to let go of the connection.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    /// Number of answers by status, probes and metrics not counted.
    pub(super) fn answered(&self) -> BTreeMap<u16, u64> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The answer to `request`.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (status, text) = match request.uri().path() {
            "/healthz" => (StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => self.readiness(),
            "/metrics" => (StatusCode::OK, self.metrics()),
            _ => self.work().await,
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        for (name, value) in [("x-version", &self.args.version), ("x-pod", &self.args.pod)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        // Asked when the answer is ready, so that no answer after the signal misses it.
        if self.leaving.load(Ordering::SeqCst) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }

    fn readiness(&self) -> (StatusCode, String) {
        let waited = match self.args.ready_after {
            When::After(time) => self.started.elapsed() >= time,
            When::Never => false,
        };
        if self.leaving.load(Ordering::SeqCst) {
            (StatusCode::SERVICE_UNAVAILABLE, "draining\n".to_owned())
        } else if waited {
            (StatusCode::OK, "ready\n".to_owned())
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready yet\n".to_owned())
        }
    }

    async fn work(&self) -> (StatusCode, String) {
        let _in_flight = InFlight::enter(&self.in_flight);
        let wrong = self.draws(self.args.error_rate);
        if !self.args.latency.is_zero() && self.draws(self.args.latency_rate) {
            tokio::time::sleep(self.args.latency).await;
        }
        let status = if wrong { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner).entry(status.as_u16()).or_default() += 1;
        let Args { version, pod, .. } = &self.args;
        let text = if wrong { format!("{version} {pod} fails as told\n") } else { format!("{version} {pod}\n") };
        (status, text)
    }

    /// True for this share of the calls, at random: the sequence of splitmix64, from 53 bits of each number.
    fn draws(&self, share: f64) -> bool {
        let state = self.lots.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = (mixed ^ (mixed >> 31)) >> 11;
        (bits as f64) < share * (1_u64 << 53) as f64
    }

    /// The text format of Prometheus.
    fn metrics(&self) -> String {
        let version = &self.args.version;
        let mut text = "# HELP workload_requests_total Requests answered, probes not counted.\n\
                        # TYPE workload_requests_total counter\n"
            .to_owned();
        for (code, count) in self.answered() {
            let _ = writeln!(text, "workload_requests_total{{version=\"{version}\",code=\"{code}\"}} {count}");
        }
        text.push_str("# HELP workload_requests_in_flight Requests not answered yet.\n");
        text.push_str("# TYPE workload_requests_in_flight gauge\n");
        let in_flight = self.in_flight.load(Ordering::SeqCst);
        let _ = writeln!(text, "workload_requests_in_flight{{version=\"{version}\"}} {in_flight}");
        text
    }
}

/// Counts a request until it is dropped, as it is when its client goes away.
struct InFlight<'a>(&'a AtomicU64);

impl<'a> InFlight<'a> {
    fn enter(gauge: &'a AtomicU64) -> Self {
        gauge.fetch_add(1, Ordering::SeqCst);
        InFlight(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
