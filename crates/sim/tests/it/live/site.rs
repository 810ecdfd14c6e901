//! A cluster behind a real socket in real time, and controllers that know nothing of it but its address.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use chrono::TimeDelta;
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use serin_controller::{Args, run_until};
use serin_providers::HttpTransport;
use serin_sim::clock::WallClock;
use serin_sim::cluster::{Cluster, LEASES, ROLLOUTS, VIRTUAL_SERVICES};
use serin_sim::image::{SetImage, set_image};
use serin_sim::metrics::Sources;
use serin_sim::workload::{PodConfig, Workloads};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::bench::weights;

/// Far longer than anything takes, so that only what never comes fails.
const PATIENCE: Duration = Duration::from_secs(50);
/// Time between two looks at what does not tell when it changes.
const LOOK: Duration = Duration::from_millis(20);

/// A cluster in which workloads live, served over HTTP.
pub(super) struct Site {
    pub(super) cluster: Cluster,
    address: SocketAddr,
    server: Option<Server>,
}

/// What serves the cluster until it is told to stop.
struct Server {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Site {
    /// An empty cluster, ready for requests.
    pub(super) async fn open() -> Self {
        // Fails only where another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let cluster = Cluster::new(Arc::new(WallClock));
        cluster.ensure_namespace("serin");
        tokio::spawn(live(cluster.clone()));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Some(serve(&cluster, listener));
        Site { cluster, address, server }
    }

    /// Ends the API server and every connection to it.
    pub(super) async fn close(&mut self) {
        let server = self.server.take().expect("an open site");
        server.stop.send(()).unwrap();
        server.serving.await.unwrap();
    }

    /// Serves again under the same address.
    pub(super) async fn reopen(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.server = Some(serve(&self.cluster, listener));
    }

    /// A client that comes over the network.
    pub(super) fn client(&self) -> kube::Client {
        let url = format!("http://{}", self.address).parse().unwrap();
        kube::Client::try_from(kube::Config::new(url)).unwrap()
    }

    pub(super) fn apply(&self, objects: Vec<Value>) {
        for object in objects {
            self.cluster.apply_manifest(object).unwrap();
        }
    }

    /// Starts a controller that asks metrics sources over HTTP too.
    pub(super) async fn start(&self, identity: &str, set: impl FnOnce(&mut Args)) -> Controller {
        let (metrics, probes) = free_addresses().await;
        let mut args = Args {
            listen: Ipv4Addr::LOCALHOST.into(),
            metrics_port: metrics.port(),
            healthz_port: probes.port(),
            identity: identity.to_owned(),
            retry_period: Duration::from_millis(100),
            propagation: TimeDelta::milliseconds(100),
            ..Args::default()
        };
        set(&mut args);
        args.check().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let client = self.client();
        let running = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            run_until(&args, client, Arc::new(HttpTransport::new()), stopped).await
        });
        Controller { metrics, probes, stop, running }
    }

    /// Completes when the cluster is in some state.
    #[track_caller]
    pub(super) fn until(&self, what: &str, done: impl Fn(&Cluster) -> bool) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let mut events = self.cluster.subscribe();
        async move {
            let come = async {
                loop {
                    drop(events.drain());
                    if done(&self.cluster) {
                        return;
                    }
                    events.changed().await;
                }
            };
            if tokio::time::timeout(PATIENCE, come).await.is_err() {
                let all: Vec<String> =
                    self.cluster.list(&ROLLOUTS, None).iter().map(|r| format!("{:#}", r["status"])).collect();
                panic!("{caller}: {what} never came; {}", all.join("\n"));
            }
        }
    }

    /// Completes when the controller has seen the spec of a Rollout, shows a phase, and stands in a step.
    #[track_caller]
    pub(super) fn phase_is(&self, name: &'static str, phase: &'static str, step: i64) -> impl Future<Output = ()> {
        self.until(phase, move |cluster| {
            let rollout = rollout(cluster, name);
            let status = &rollout["status"];
            is_observed(&rollout) && status["phase"] == phase && status["currentStepIndex"] == step
        })
    }

    /// Completes when what a Rollout asks for is stable and Healthy.
    #[track_caller]
    pub(super) fn healthy(&self, name: &'static str) -> impl Future<Output = ()> {
        self.until("Healthy", move |cluster| {
            let rollout = rollout(cluster, name);
            let status = &rollout["status"];
            is_observed(&rollout) && status["phase"] == "Healthy" && status["stableRS"] == status["currentPodHash"]
        })
    }

    pub(super) fn set_image(&self, name: &str, version: &str) {
        let image = format!("{name}:{version}");
        set_image(&self.cluster, &SetImage { workload: name.to_owned(), container: None, image }).unwrap();
    }

    /// Ends a pause as `kubectl argo rollouts promote` does: by a request over the network.
    pub(super) async fn resume(&self, name: &str) {
        let path = format!("/apis/argoproj.io/v1alpha1/namespaces/default/rollouts/{name}/status");
        let patch = json!({"status": {"pauseConditions": null}}).to_string().into_bytes();
        let request = http::Request::patch(path).header("content-type", "application/merge-patch+json");
        self.client().request::<Value>(request.body(patch).unwrap()).await.unwrap();
    }

    /// Who holds the Lease of the controllers; nobody if it is not there.
    pub(super) fn holder(&self) -> String {
        let lease = self.cluster.get(&LEASES, "serin", "serin-controller-lock");
        lease.map_or_else(|_| String::new(), |l| l["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned())
    }
}

/// A controller that runs in the background.
pub(super) struct Controller {
    metrics: SocketAddr,
    probes: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), serin_controller::Error>>,
}

impl Controller {
    /// Stops it in order; completes when it has ended.
    pub(super) async fn stop(self) {
        let (stop, stopped) = (self.stop, ended(self.running));
        stop.send(()).expect("the controller has not ended by itself");
        stopped.await.expect("an end in order");
    }

    /// Completes when it has ended by itself.
    pub(super) async fn end(self) -> Result<(), serin_controller::Error> {
        let result = ended(self.running).await;
        drop(self.stop);
        result
    }

    pub(super) async fn metrics(&self) -> String {
        fetch(self.metrics, "/metrics").await.1
    }

    /// Completes when the page of metrics has a line.
    pub(super) async fn until_metric(&self, line: &str) {
        eventually(line, async || self.metrics().await.lines().any(|l| l == line)).await;
    }

    /// The status code of a probe.
    pub(super) async fn probe(&self, path: &str) -> u16 {
        fetch(self.probes, path).await.0
    }

    pub(super) async fn until_ready(&self) {
        eventually("readiness", async || self.probe("/readyz").await == 200).await;
    }
}

async fn ended(running: JoinHandle<Result<(), serin_controller::Error>>) -> Result<(), serin_controller::Error> {
    let ended = tokio::time::timeout(PATIENCE, running).await;
    ended.expect("an end in time").expect("no panic")
}

/// Looks again and again until something is true.
pub(super) async fn eventually(what: &str, done: impl AsyncFn() -> bool) {
    let come = async {
        while !done().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, come).await.is_ok(), "{what} never came");
}

pub(super) fn rollout(cluster: &Cluster, name: &str) -> Arc<Value> {
    cluster.get(&ROLLOUTS, "default", name).unwrap()
}

/// The weights of the first route of a VirtualService: stable, canary.
pub(super) fn route(cluster: &Cluster, name: &str) -> Vec<i64> {
    let routes = weights(&cluster.get(&VIRTUAL_SERVICES, "default", name).unwrap());
    routes.into_iter().next().unwrap_or_default()
}

/// Serves metrics sources; yields their URL.
pub(super) async fn serve_sources(sources: Sources) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(async move |request: Request| {
        let (parts, body) = request.into_parts();
        match body.collect().await {
            Ok(body) => {
                let request = http::Request::from_parts(parts, body.to_bytes());
                sources.respond(&request, chrono::Utc::now()).map(axum::body::Body::from).into_response()
            }
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        }
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// Lets workloads act whenever something has changed or their time has come.
async fn live(cluster: Cluster) {
    let pods = PodConfig { start: TimeDelta::milliseconds(50), ..PodConfig::default() };
    let workloads = Workloads::new(cluster.clone(), pods);
    let mut events = cluster.subscribe();
    loop {
        let due = workloads.step(cluster.now());
        // Nothing else runs between the step and this, so only the step's own changes are dropped.
        drop(events.drain());
        let wait = due.map(|due| (due - cluster.now()).to_std().unwrap_or_default().max(Duration::from_millis(1)));
        tokio::select! {
            () = events.changed() => {}
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}

fn serve(cluster: &Cluster, listener: TcpListener) -> Server {
    let (stop, stopped) = oneshot::channel::<()>();
    let cluster = cluster.clone();
    let serving = tokio::spawn(async move {
        cluster.serve(listener, async move { drop(stopped.await) }).await.unwrap();
    });
    Server { stop, serving }
}

fn is_observed(rollout: &Value) -> bool {
    let generation = rollout["metadata"]["generation"].as_i64().map(|g| g.to_string());
    rollout["status"]["observedGeneration"].as_str() == generation.as_deref()
}

/// Two addresses that nobody listens on.
async fn free_addresses() -> (SocketAddr, SocketAddr) {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let second = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    (first.local_addr().unwrap(), second.local_addr().unwrap())
}

/// Status code and body; code 0 where nobody listens.
async fn fetch(address: SocketAddr, path: &str) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return (0, String::new());
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_string(&mut answer).await.unwrap();
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (code, body.to_owned())
}
