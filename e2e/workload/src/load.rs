//! The generator of load: what it is told by flags or environment variables, and its life from start to exit.
//!
//! The loop is open: requests begin at times that the rate alone decides, however long the answers take, and none is
//! sent twice.

mod cause;
mod client;
mod connection;
mod control;
mod names;
mod schedule;
mod spread;
mod tally;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ArgAction;
use clap::builder::BoolishValueParser;
use http::{HeaderName, HeaderValue, Uri};
use serde_json::json;
use tokio::net::TcpListener;

use crate::flags;
use crate::log;
use crate::signals::Termination;

/// Time between two lines of the log.
const REPORT: Duration = Duration::from_secs(10);

/// Flags of the generator; each is an environment variable too.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// URL that is asked, with GET
    #[arg(long, env, value_parser = flags::target)]
    target: Uri,
    /// Value of the header `host`; that of the URL if absent
    #[arg(long, env, value_parser = flags::host)]
    host: Option<HeaderValue>,
    /// A further header of each request, such as `x-team: shop`
    #[arg(long, env, value_parser = flags::header)]
    header: Option<(HeaderName, HeaderValue)>,
    /// Requests a second
    #[arg(long, env, value_parser = flags::rate, default_value = "100")]
    rate: f64,
    /// How long a request may take, connecting included, in seconds or as a duration such as 500ms
    #[arg(long, env, value_parser = flags::time_limit, default_value = "10s")]
    timeout: Duration,
    /// Port of the control API; 0 for any that is free
    #[arg(long, env, default_value_t = 9081)]
    port: u16,
    /// Address of the control API
    #[arg(long, env, default_value = "0.0.0.0")]
    listen: IpAddr,
    /// Use a new connection for each request
    #[arg(long, env, action = ArgAction::Set, value_parser = BoolishValueParser::new(), default_value = "false")]
    #[arg(default_missing_value = "true", num_args = 0..=1, require_equals = true)]
    fresh: bool,
    /// Number of connections to keep and use in turn
    #[arg(long, env, value_parser = clap::value_parser!(u16).range(1..=1000), default_value_t = 4)]
    connections: u16,
    /// Send nothing until POST /resume
    #[arg(long, env, action = ArgAction::Set, value_parser = BoolishValueParser::new(), default_value = "false")]
    #[arg(default_missing_value = "true", num_args = 0..=1, require_equals = true)]
    paused: bool,
}

/// Sends and counts until SIGTERM.
///
/// # Errors
/// The port of the control API is taken.
pub(crate) async fn run(args: Args) -> Result<()> {
    let mut termination = Termination::catch()?;
    let place = (args.listen, args.port);
    let listener = TcpListener::bind(place).await.with_context(|| format!("cannot listen on {place:?}; see PORT"))?;
    log::event("listening", json!({ "address": listener.local_addr()?, "target": args.target.to_string() }));
    let tally = Arc::new(tally::Tally::new(schedule::Pace { per_second: args.rate, paused: args.paused }));
    let client = Arc::new(client::Client::new(&args)?);
    tokio::spawn(control::serve(listener, tally.clone()));
    tokio::spawn(report(tally.clone()));
    tokio::select! {
        () = send(client, tally.clone()) => {}
        () = termination.requested() => {}
    }
    log::event("ended", tally.counts());
    Ok(())
}

/// Begins requests at their times.
async fn send(client: Arc<client::Client>, tally: Arc<tally::Tally>) {
    let mut schedule = schedule::Schedule::new(tally.pace());
    while schedule.next().await.is_some() {
        // A pause that came in between is decided here.
        if let Some(request) = tally.begin() {
            let (client, tally) = (client.clone(), tally.clone());
            tokio::spawn(async move {
                let outcome = client.get().await;
                tally.end(request, outcome);
            });
        }
    }
}

async fn report(tally: Arc<tally::Tally>) {
    let mut ticks = tokio::time::interval(REPORT);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        log::event("counts", tally.counts());
    }
}
