//! A routing table made ready for one stream: its lanes with their pods, good until the proxies learn something new.

use std::sync::Arc;

use serde_json::Value;

use super::Traffic;
use super::behaviour::{Behaviour, Telemetry};
use super::endpoints::{Endpoints, resolve};
use super::identity::{hash_of, server_of};
use super::rng::Rng;
use super::route::{Decision, Target, decide};
use super::served::Served;
use super::view::Seen;
use crate::metrics::{Call, CallId, Caller, Outcome, Recording, Store};

/// How pods answer, and where that is recorded.
type World<'a> = (&'a dyn Behaviour, &'a Store);

/// The lanes of one stream and their weights.
#[derive(Debug)]
pub(super) struct Table {
    lanes: Vec<Lane>,
    weight_total: u64,
    /// Who gets copies; the weight of each is in percent of the requests.
    mirrors: Vec<Lane>,
    /// Counts requests, to take the pods of a lane in turn.
    turn: u64,
}

#[derive(Debug)]
struct Lane {
    weight: u64,
    /// `None` if there is no destination at all.
    subset: Option<String>,
    end: End,
    /// Since the last report.
    requests: u64,
}

/// Where a lane ends.
#[derive(Debug)]
enum End {
    Pods(Vec<Server>),
    /// The proxy answers itself.
    Proxy {
        status: u16,
        flags: &'static str,
        call: CallId,
    },
}

#[derive(Debug)]
struct Server {
    pod: Arc<Value>,
    hash: String,
    /// `None` if its telemetry is missing.
    call: Option<CallId>,
    /// Since the last report.
    requests: u64,
}

impl Table {
    pub(super) fn build(traffic: &Traffic, seen: &Seen, world: World<'_>) -> Self {
        let caller = Caller { workload: traffic.source_workload.clone(), namespace: traffic.namespace.clone() };
        let proxy = |host: &str, status: u16, flags: &'static str| End::Proxy {
            status,
            flags,
            call: world.1.call(&Call::refused(&caller, host)),
        };
        let nowhere =
            |status, flags| Lane { weight: 1, subset: None, end: proxy(&traffic.host, status, flags), requests: 0 };
        let lane = |target: &Target, unknown: (u16, &'static str)| {
            let end = match resolve(target, &traffic.namespace, seen) {
                Endpoints::Unknown => proxy(&target.host, unknown.0, unknown.1),
                Endpoints::NoneReady => proxy(&target.host, 503, "UH"),
                Endpoints::Gone => proxy(&target.host, 503, "UF"),
                Endpoints::Pods(pods) => {
                    End::Pods(pods.iter().map(|pod| server(pod, &caller, &target.host, world)).collect())
                }
            };
            Lane { weight: target.weight, subset: Some(target.subset.clone().unwrap_or_default()), end, requests: 0 }
        };
        let mut mirrored: Vec<Lane> = Vec::new();
        let lanes: Vec<Lane> = match decide(&seen.routes.virtual_services, traffic) {
            Decision::Plain(target) => vec![lane(&target, (404, "NR"))],
            Decision::Split { targets, mirrors } => {
                mirrored.extend(mirrors.iter().map(|target| lane(target, (503, "NC"))));
                targets.iter().map(|target| lane(target, (503, "NC"))).collect()
            }
            Decision::Answer(status) => vec![nowhere(status, "-")],
            Decision::NoRoute => vec![nowhere(404, "NR")],
        };
        let weight_total = lanes.iter().map(|lane| lane.weight).sum();
        Self { lanes, weight_total, mirrors: mirrored, turn: 0 }
    }

    /// How many requests were sent so far.
    pub(super) fn turn(&self) -> u64 {
        self.turn
    }

    /// Continues the counting of an earlier table, so that rebuilding tables does not favour the first pod.
    pub(super) fn at_turn(mut self, turn: u64) -> Self {
        self.turn = turn;
        self
    }

    /// Sends one request for each of `times_ms`.
    pub(super) fn serve(&mut self, times_ms: &[i64], world: World<'_>, rng: &mut Rng) -> Served {
        let mut served = Served { requests: times_ms.len() as u64, ..Served::default() };
        let mut recording = world.1.recording();
        for time_ms in times_ms {
            self.turn += 1;
            let ticket = rng.below(self.weight_total);
            let sending = Sending { time_ms: *time_ms, turn: self.turn };
            served.failed += u64::from(pick(&mut self.lanes, ticket).send(sending, world, (&mut recording, rng)));
            for mirror in &mut self.mirrors {
                if rng.below(100) < mirror.weight {
                    mirror.send(sending, world, (&mut recording, rng));
                }
            }
        }
        for mirror in &mut self.mirrors {
            let mut copies = Served::default();
            mirror.report(&mut copies);
            served.add(&Served { mirrored_by_pod_hash: copies.by_pod_hash, ..Served::default() });
        }
        for lane in &mut self.lanes {
            lane.report(&mut served);
        }
        served
    }
}

/// When a request is sent, and as which one of its stream.
#[derive(Clone, Copy, Debug)]
struct Sending {
    time_ms: i64,
    turn: u64,
}

impl Lane {
    /// Sends one request down this lane; says whether a pod answered it with an error.
    fn send(&mut self, sending: Sending, world: World<'_>, (recording, rng): (&mut Recording<'_>, &mut Rng)) -> bool {
        self.requests += 1;
        match &mut self.end {
            End::Proxy { status, flags, call } => {
                recording.add(*call, sending.time_ms, Outcome { status: *status, flags, duration_ms: 0.0 });
                false
            }
            End::Pods(servers) => {
                // Never empty, see `Endpoints::Pods`.
                let index = (sending.turn % servers.len() as u64) as usize;
                let server = &mut servers[index];
                server.requests += 1;
                let response = world.0.respond(&server.pod, rng);
                if let Some(call) = server.call {
                    let outcome = Outcome { status: response.status, flags: "-", duration_ms: response.duration_ms };
                    recording.add(call, sending.time_ms, outcome);
                }
                response.status >= 500
            }
        }
    }

    /// Adds what was counted since the last report, and starts over.
    fn report(&mut self, served: &mut Served) {
        let requests = std::mem::take(&mut self.requests);
        if requests == 0 {
            return;
        }
        if let Some(subset) = &self.subset {
            *served.by_subset.entry(subset.clone()).or_default() += requests;
        }
        match &mut self.end {
            End::Proxy { status, flags, .. } => {
                let by_routing = *flags != "-";
                if by_routing {
                    served.failed_by_routing += requests;
                    *served.by_flag.entry((*flags).to_owned()).or_default() += requests;
                }
                if by_routing || *status >= 500 {
                    served.failed += requests;
                }
            }
            End::Pods(servers) => {
                for server in servers.iter_mut().filter(|server| server.requests > 0) {
                    *served.by_pod_hash.entry(server.hash.clone()).or_default() += std::mem::take(&mut server.requests);
                }
            }
        }
    }
}

fn server(pod: &Arc<Value>, caller: &Caller, host: &str, world: World<'_>) -> Server {
    let call = match world.0.telemetry(pod) {
        Telemetry::Reported => Some(world.1.call(&Call::answered(caller, host, server_of(pod)))),
        Telemetry::Missing => None,
    };
    Server { pod: Arc::clone(pod), hash: hash_of(pod).to_owned(), call, requests: 0 }
}

/// The lane in whose share of the weights `ticket` lies.
fn pick(lanes: &mut [Lane], ticket: u64) -> &mut Lane {
    let mut before = 0;
    let found = lanes.iter().position(|lane| {
        before += lane.weight;
        ticket < before
    });
    // A ticket is always below the sum of the weights.
    let last = lanes.len() - 1;
    &mut lanes[found.unwrap_or(last)]
}
