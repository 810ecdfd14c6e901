//! The live controller: watches feed the engine, workers step it, the leader alone writes, and it stops in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serin_providers::{Defaults, HttpTransport, Transport};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch as channel;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::args::Args;
use crate::change::ObjectName;
use crate::clock::SystemClock;
use crate::engine::{Deps, Engine};
use crate::error::Error;
use crate::lease::{Candidate, Election, Leadership};
use crate::{admin, watch};

/// How long reconciles under way may take to end when the controller stops.
const STOP_TIME_LIMIT: Duration = Duration::from_secs(20);

/// Runs the controller over the network until the process is asked to stop (SIGINT or SIGTERM).
///
/// # Errors
/// If an address cannot be listened on, or leadership is lost; the process should end then, and be started again.
pub async fn run(args: Args, client: kube::Client) -> Result<(), Error> {
    // Fails only if there is a provider already, which will do as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    };
    run_until(&args, client, Arc::new(HttpTransport::new()), stop).await
}

/// Runs the controller until `stop` completes: then ends the reconciles under way and gives the lease back.
///
/// # Errors
/// If an address cannot be listened on, or leadership is lost; the process should end then, and be started again.
pub async fn run_until(
    args: &Args,
    client: kube::Client,
    transport: Arc<dyn Transport>,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let leadership = if args.leader_elect { Leadership::candidate() } else { Leadership::always() };
    let engine = Engine::new(Deps {
        defaults: Defaults { prometheus_address: args.prometheus_address.clone() },
        settings: args.settings(),
        namespace: args.namespace.clone(),
        istiod: args.istiod.clone(),
        leadership: leadership.clone(),
        request_time_limit: Some(request_time_limit(args)),
        seed: u64::from(std::process::id()),
        ..Deps::new(client, Arc::new(SystemClock), transport)
    });
    let services = CancellationToken::new();
    let address = |port| SocketAddr::new(args.listen, port);
    let metrics = admin::bind_metrics(address(args.metrics_port), engine.metrics().clone()).await?;
    let scope = watch::Scope {
        namespace: args.namespace.clone(),
        istio_version: args.istio_api_version.clone(),
        istiod: args.istiod.clone(),
    };
    let (mut watches, synced) = watch::start(&engine, &scope, &services);
    let probes = admin::bind_probes(address(args.healthz_port), synced.clone()).await?;
    let mut servers = JoinSet::new();
    servers.spawn(metrics.serve(services.clone()));
    servers.spawn(probes.serve(services.clone()));
    let (candidacy, leading) = stand_for_election(args, &engine, leadership, &services);
    let (mut workers, ending) = (JoinSet::new(), CancellationToken::new());
    let result = tokio::select! {
        () = stop => Ok(()),
        result = lead(args, &engine, (synced, leading), (&mut workers, &ending)) => result,
    };
    ending.cancel();
    let ended = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIME_LIMIT, ended).await.is_err() {
        tracing::warn!("some reconciles did not end in time; they are safe to repeat");
    }
    // Only now may another replica begin.
    services.cancel();
    if let Err(error) = candidacy.await {
        tracing::error!(%error, "the election broke down");
    }
    while watches.join_next().await.is_some() {}
    servers.shutdown().await;
    result
}

/// A request that began while we led must not reach the API server when another replica may already lead.
fn request_time_limit(args: &Args) -> Duration {
    let spare = args.lease_duration.saturating_sub(args.renew_deadline);
    if args.leader_elect { args.request_time_limit.min(spare) } else { args.request_time_limit }
}

/// Works off the engine's queue until `stop` is cancelled, one key after the other; the key under way is finished first.
///
/// Any number of workers may run beside each other.
pub async fn work(engine: Engine, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let mut bell = std::pin::pin!(engine.bell());
        // From here on a bell is heard, so that nothing is missed between looking for work and waiting for it.
        bell.as_mut().enable();
        if engine.step().await {
            continue;
        }
        let wake = engine.next_due().map(|due| engine.real_time_until(due));
        tokio::select! {
            () = stop.cancelled() => {}
            () = bell => {}
            () = tokio::time::sleep(wake.unwrap_or(Duration::MAX)), if wake.is_some() => {}
        }
    }
}

/// Starts the workers once the caches are filled and we lead; returns only if leadership is lost or the caches' watches
/// are gone.
async fn lead(
    args: &Args,
    engine: &Engine,
    (mut synced, mut leading): (channel::Receiver<bool>, channel::Receiver<bool>),
    (workers, ending): (&mut JoinSet<()>, &CancellationToken),
) -> Result<(), Error> {
    let lost = || Error::LeadershipLost { lease: format!("{}/{}", args.lease_namespace, args.lease_name()) };
    synced.wait_for(|synced| *synced).await.map_err(|_| lost())?;
    leading.wait_for(|leading| *leading).await.map_err(|_| lost())?;
    engine.metrics().leading(true);
    tracing::info!(workers = args.workers, "working");
    for _ in 0..args.workers {
        workers.spawn(work(engine.clone(), ending.clone()));
    }
    let _ = leading.wait_for(|leading| !leading).await;
    engine.metrics().leading(false);
    Err(lost())
}

/// Begins to stand for election, if there is one.
fn stand_for_election(
    args: &Args,
    engine: &Engine,
    leadership: Leadership,
    services: &CancellationToken,
) -> (JoinHandle<()>, channel::Receiver<bool>) {
    let election = Election {
        lease: ObjectName::new(&args.lease_namespace, args.lease_name()),
        identity: args.identity.clone(),
        lease_duration: args.lease_duration,
        renew_deadline: args.renew_deadline,
        retry_period: args.retry_period,
    };
    if !args.leader_elect {
        let (always, leading) = channel::channel(true);
        let stop = services.clone();
        let holding = tokio::spawn(async move {
            stop.cancelled().await;
            drop(always);
        });
        return (holding, leading);
    }
    let (candidate, leading) = Candidate::new(engine.cluster().clone(), Arc::new(SystemClock), election, leadership);
    let stop = services.clone();
    (tokio::spawn(candidate.run(async move { stop.cancelled().await })), leading)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::{Value, json};
    use tokio::sync::oneshot;

    use super::*;
    use crate::fake::{self, Asked, NoSource};

    /// One AnalysisRun, no Istio, a Lease that anybody gets.
    fn answer(asked: &Asked) -> (u16, Value) {
        if asked.path.contains("/leases") && asked.method == "GET" {
            return fake::status(404, "NotFound");
        }
        if asked.path.contains("/leases") {
            let mut lease = asked.body.clone();
            lease["metadata"]["resourceVersion"] = json!("1");
            return (200, lease);
        }
        if asked.path.contains("networking.istio.io") {
            return fake::status(404, "NotFound");
        }
        if asked.query.contains("watch=true") {
            return fake::status(503, "ServiceUnavailable");
        }
        if asked.method != "GET" {
            return (200, json!({"metadata": {"resourceVersion": "4"}}));
        }
        let run = json!({
            "metadata": {"namespace": "shop", "name": "run", "uid": "u", "resourceVersion": "3"},
            "spec": {"metrics": [{"name": "m", "provider": {"prometheus": {"address": "http://p", "query": "up"}}}]},
        });
        let items = if asked.path.ends_with("/analysisruns") { vec![run] } else { Vec::new() };
        (200, json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "9"}, "items": items}))
    }

    #[tokio::test]
    async fn it_lists_leads_works_and_gives_the_lease_back() {
        let (client, log) = fake::client(answer);
        let args = Args {
            listen: Ipv4Addr::LOCALHOST.into(),
            metrics_port: 0,
            healthz_port: 0,
            identity: "me".to_owned(),
            ..Args::default()
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            run_until(&args, client, Arc::new(NoSource), async move { drop(stopped.await) }).await
        });
        log.until(|asked| asked.method == "PATCH" && asked.path.ends_with("/analysisruns/run")).await;
        stop.send(()).expect("it runs");
        running.await.expect("joined").expect("stopped in order");
        let last = log.all().into_iter().rfind(|asked| asked.path.contains("/leases")).expect("a lease");
        assert_eq!(last.body.pointer("/spec/holderIdentity"), Some(&json!("")), "{last:?}");
        let first_write = log.all().iter().position(|asked| asked.method == "PATCH");
        let lease = log.all().iter().position(|asked| asked.method == "POST" && asked.path.contains("/leases"));
        assert!(lease < first_write, "nothing is written before the lease is held");
    }
}
