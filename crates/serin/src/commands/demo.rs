//! `serin demo`: the real controller on a simulated cluster, in accelerated time, for everybody to watch.

mod audience;
mod script;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serin_sim::demo::{Afterwards, Moment, Options, demo};
use serin_sim::stage::StageError;
use tokio::net::TcpListener;
use tokio::sync::Notify;

use crate::commands::lint;
use crate::console::Console;
use crate::exit::{BadInput, Exit};
use audience::Audience;

const EXAMPLES: &str = "\
Examples:
  serin demo
  serin demo --listen 127.0.0.1:8001      # then: kubectl -s http://127.0.0.1:8001 get rollouts -A
  serin demo --manifests deploy/ --speed 20

A good version is promoted step by step; then a bad one comes, is caught by its metrics, and is taken back.
Nothing outside this process is touched. On a terminal it goes on until Ctrl-C; --once ends it with the story.";

/// Watch a good version being promoted and a bad one being caught, on a simulated cluster.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demo {
    /// Serve the simulated cluster here for kubectl [default on a terminal: any free port of 127.0.0.1].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Seconds of the simulation in a second.
    #[arg(long, value_name = "N", default_value = "40", value_parser = speed)]
    speed: f64,
    /// Show these manifests instead of our own.
    #[arg(long, value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// End when the story is over.
    #[arg(long)]
    once: bool,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (1.0..=1000.0).contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err("must be a number from 1 to 1000".to_owned()),
    }
}

impl Demo {
    /// Shows the story.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        let manifests = match &self.manifests {
            Some(path) => lint::checked_manifests(std::slice::from_ref(path), None)?,
            None => script::our_own()?,
        };
        let chapters = script::chapters(&manifests).map_err(BadInput::one)?;
        let is_watched = console.is_terminal();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let shown: anyhow::Result<()> = runtime.block_on(async {
            let default = is_watched.then(|| SocketAddr::from(([127, 0, 0, 1], 0)));
            let listener = listen(self.listen.or(default)).await?;
            let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
            let stays = !self.once && (is_watched || self.listen.is_some());
            let options = Options {
                manifests,
                namespace: None,
                chapters,
                speed: self.speed,
                listener,
                afterwards: if stays { Afterwards::GoOn } else { Afterwards::End },
            };
            let mut audience = Audience::new(address, console)?;
            let gone = Notify::new();
            let ended = {
                let mut show = |moment: &Moment<'_>| {
                    if audience.show(moment).is_err() {
                        gone.notify_one();
                    }
                };
                tokio::select! {
                    ended = demo(options, &mut show) => ended,
                    interrupted = tokio::signal::ctrl_c() => interrupted.map_err(anyhow::Error::from).map(|()| Ok(()))?,
                    () = gone.notified() => Ok(()),
                }
            };
            audience.end()?;
            ended.map_err(|error| match error {
                StageError::Invalid(errors) => BadInput::all(&errors).into(),
                StageError::Defect(defect) => defect.into(),
            })
        });
        shown.map(|()| Exit::Done)
    }
}

async fn listen(address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let bound = TcpListener::bind(address).await;
    Ok(Some(bound.with_context(|| format!("--listen: {address} cannot be listened on; name another port"))?))
}
