//! A routing table made ready for one stream: its lanes with their pods, good until the proxies learn something new.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Traffic;
use super::behaviour::{Behaviour, Telemetry};
use super::endpoints::{Endpoints, resolve};
use super::identity::{hash_of, server_of};
use super::rng::Rng;
use super::route::{Decision, Target, decide};
use super::served::Served;
use super::view::Seen;
use crate::metrics::{Call, CallId, Caller, Outcome, Store};

/// How pods answer, and where that is recorded.
type World<'a> = (&'a dyn Behaviour, &'a Store);

/// The lanes of one stream and their weights.
#[derive(Debug)]
pub(super) struct Table {
    lanes: Vec<Lane>,
    weight_total: u64,
    /// Counts requests, to take the pods of a lane in turn.
    turn: u64,
}

#[derive(Debug)]
struct Lane {
    weight: u64,
    /// `None` if there is no destination at all.
    subset: Option<String>,
    end: End,
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
}

impl Table {
    pub(super) fn build(traffic: &Traffic, seen: &Seen, world: World<'_>) -> Self {
        let caller = Caller { workload: traffic.source_workload.clone(), namespace: traffic.namespace.clone() };
        let proxy = |host: &str, status: u16, flags: &'static str| End::Proxy {
            status,
            flags,
            call: world.1.call(&Call::refused(&caller, host)),
        };
        let nowhere = |status, flags| Lane { weight: 1, subset: None, end: proxy(&traffic.host, status, flags) };
        let lane = |target: &Target, unknown: (u16, &'static str)| {
            let end = match resolve(target, &traffic.namespace, seen) {
                Endpoints::Unknown => proxy(&target.host, unknown.0, unknown.1),
                Endpoints::NoneReady => proxy(&target.host, 503, "UH"),
                Endpoints::Gone => proxy(&target.host, 503, "UF"),
                Endpoints::Pods(pods) => {
                    End::Pods(pods.iter().map(|pod| server(pod, &caller, &target.host, world)).collect())
                }
            };
            Lane { weight: target.weight, subset: Some(target.subset.clone().unwrap_or_default()), end }
        };
        let lanes: Vec<Lane> = match decide(&seen.routes.virtual_services, traffic) {
            Decision::Plain(target) => vec![lane(&target, (404, "NR"))],
            Decision::Split(targets) => targets.iter().map(|target| lane(target, (503, "NC"))).collect(),
            Decision::Answer(status) => vec![nowhere(status, "-")],
            Decision::NoRoute => vec![nowhere(404, "NR")],
        };
        let weight_total = lanes.iter().map(|lane| lane.weight).sum();
        Self { lanes, weight_total, turn: 0 }
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

    /// Sends one request for each of `times`.
    pub(super) fn serve(&mut self, times: &[DateTime<Utc>], world: World<'_>, rng: &mut Rng) -> Served {
        let mut served = Served::default();
        let mut recording = world.1.recording();
        for time in times {
            self.turn += 1;
            served.requests += 1;
            let lane = pick(&self.lanes, rng.below(self.weight_total));
            if let Some(subset) = &lane.subset {
                count(&mut served.by_subset, subset);
            }
            match &lane.end {
                End::Proxy { status, flags, call } => {
                    recording.add(*call, *time, Outcome { status: *status, flags, duration_ms: 0.0 });
                    let by_routing = u64::from(*flags != "-");
                    served.failed += by_routing.max(u64::from(*status >= 500));
                    served.failed_by_routing += by_routing;
                    if by_routing > 0 {
                        count(&mut served.by_flag, flags);
                    }
                }
                End::Pods(servers) => {
                    // Never empty, see `Endpoints::Pods`.
                    let server = &servers[(self.turn % servers.len() as u64) as usize];
                    let response = world.0.respond(&server.pod, rng);
                    if let Some(call) = server.call {
                        let outcome =
                            Outcome { status: response.status, flags: "-", duration_ms: response.duration_ms };
                        recording.add(call, *time, outcome);
                    }
                    served.failed += u64::from(response.status >= 500);
                    count(&mut served.by_pod_hash, &server.hash);
                }
            }
        }
        served
    }
}

fn server(pod: &Arc<Value>, caller: &Caller, host: &str, world: World<'_>) -> Server {
    let call = match world.0.telemetry(pod) {
        Telemetry::Reported => Some(world.1.call(&Call::answered(caller, host, server_of(pod)))),
        Telemetry::Missing => None,
    };
    Server { pod: Arc::clone(pod), hash: hash_of(pod).to_owned(), call }
}

/// The lane in whose share of the weights `ticket` lies.
fn pick(lanes: &[Lane], ticket: u64) -> &Lane {
    let mut before = 0;
    lanes
        .iter()
        .find(|lane| {
            before += lane.weight;
            ticket < before
        })
        .unwrap_or(&lanes[lanes.len() - 1])
}

fn count(counts: &mut std::collections::BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}
