//! The server: what it is told by flags or environment variables, and its life from start to exit.

mod answer;
mod drain;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::net::TcpListener;

use crate::flags::{self, When};
use crate::log;
use crate::signals::Termination;

/// Flags of the server; each is an environment variable too.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// What every answer's header `x-version` says
    #[arg(long, env, value_parser = flags::version)]
    version: String,
    /// Port to listen on; 0 for any that is free
    #[arg(long, env, default_value_t = 9080)]
    port: u16,
    /// Address to listen on
    #[arg(long, env, default_value = "0.0.0.0")]
    listen: IpAddr,
    /// Name of the pod, which every answer's header `x-pod` says
    #[arg(long, env = "HOSTNAME", value_name = "HOSTNAME")]
    #[arg(value_parser = flags::version, default_value = "unknown")]
    pod: String,
    /// Share of the requests that are answered with 500, from 0 to 1
    #[arg(long, env, value_parser = flags::share, default_value = "0")]
    error_rate: f64,
    /// Time before an answer, in milliseconds or as a duration such as 250ms
    #[arg(long, env, value_parser = flags::milliseconds, default_value = "0")]
    latency: Duration,
    /// Share of the requests that wait for the latency, from 0 to 1
    #[arg(long, env, value_parser = flags::share, default_value = "1")]
    latency_rate: f64,
    /// When /readyz becomes 200: seconds after the start, or never
    #[arg(long, env, value_parser = flags::when, default_value = "0")]
    ready_after: When,
    /// When the process exits with 1, without a farewell: seconds after the start, or never
    #[arg(long, env, value_parser = flags::when, default_value = "never")]
    crash_after: When,
    /// How long to go on serving after SIGTERM, in seconds
    #[arg(long, env, value_parser = flags::seconds, default_value = "5")]
    drain: Duration,
}

/// Serves until SIGTERM, goes on for the time of the drain, finishes what is in flight, and returns.
///
/// # Errors
/// The port is taken.
pub(crate) async fn run(args: Args) -> Result<()> {
    let mut termination = Termination::catch()?;
    if let When::After(time) = args.crash_after {
        tokio::spawn(crash(time));
    }
    let place = (args.listen, args.port);
    let listener = TcpListener::bind(place).await.with_context(|| format!("cannot listen on {place:?}; see PORT"))?;
    log::event("listening", json!({ "address": listener.local_addr()?, "version": args.version, "pod": args.pod }));
    let drain = args.drain;
    let site = Arc::new(answer::Site::new(args));
    let mut open = drain::Open::new(listener, site.clone());
    tokio::select! {
        () = open.serve() => {}
        () = termination.requested() => {}
    }
    site.leave();
    log::event("draining", json!({ "seconds": drain.as_secs_f64() }));
    tokio::select! {
        () = open.serve() => {}
        () = tokio::time::sleep(drain) => {}
    }
    open.finish().await?;
    log::event("drained", json!({ "answered": site.answered() }));
    Ok(())
}

async fn crash(after: Duration) {
    tokio::time::sleep(after).await;
    log::event("crashing", json!({ "seconds": after.as_secs_f64() }));
    std::process::exit(1);
}
