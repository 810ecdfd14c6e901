//! `serin get rollout`: what a Rollout does, and why it waits.

mod fetch;
mod watching;

use anyhow::Context;
use chrono::Utc;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use crate::cluster::{self, Connection};
use crate::console::Console;
use crate::exit::Exit;
use crate::view::{Detail, RolloutView, lines};
use fetch::{Fetched, Fetcher};

const EXAMPLES: &str = "\
Examples:
  serin get rollout reviews -n shop
  serin get rollout reviews -w
  serin get rollout reviews -o wide
  serin get rollout reviews -s http://127.0.0.1:8001 -n aviary";

/// How to print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Everything: old revisions and runs, full names of images, every pod.
    Wide,
    /// The Rollout as JSON.
    Json,
    /// The Rollout as YAML.
    Yaml,
}

/// Show what a Rollout does, and why it waits.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Get {
    #[command(subcommand)]
    kind: Kind,
}

/// What to show.
#[derive(Debug, Subcommand)]
enum Kind {
    /// A Rollout with its revisions, pods and analyses.
    #[command(visible_aliases = ["ro", "rollouts"], after_help = EXAMPLES)]
    Rollout(GetRollout),
}

/// Shows a Rollout.
#[derive(Debug, Args)]
struct GetRollout {
    /// Name of the Rollout.
    name: String,
    /// Namespace of the Rollout [default: that of the kubeconfig's context].
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    /// Go on showing it when something changes.
    #[arg(short, long)]
    watch: bool,
    /// How to print it [default: what matters now].
    #[arg(short, long, value_enum)]
    output: Option<Output>,
    #[command(flatten)]
    connection: Connection,
}

impl Get {
    /// Prints it, once or whenever it changes.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        let Kind::Rollout(get) = self.kind;
        cluster::install_tls();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (client, default) = get.connection.open().await?;
            let namespace = get.namespace.clone().unwrap_or(default);
            let fetcher = Fetcher::new(client, namespace, get.name.clone());
            let picture = |fetched: &Fetched, console: &Console| picture(fetched, get.output, console);
            if get.watch {
                watching::watch(&fetcher, &picture, console).await?;
            } else {
                let fetched = fetcher.fetch().await?;
                for line in picture(&fetched, console)? {
                    console.line(line)?;
                }
            }
            Ok(Exit::Done)
        })
    }
}

fn picture(fetched: &Fetched, output: Option<Output>, console: &Console) -> anyhow::Result<Vec<String>> {
    let now = Utc::now();
    let text = match output {
        Some(Output::Json) => serde_json::to_string_pretty(&bare(&fetched.rollout))?,
        Some(Output::Yaml) => serde_saphyr::to_string(&bare(&fetched.rollout))?,
        Some(Output::Wide) | None => {
            let detail = if output.is_some() { Detail::Wide } else { Detail::Short };
            let observed = fetched.objects.observe(&fetched.name, now);
            let observed = observed.context("the Rollout cannot be read; try -o yaml, and `serin lint`")?;
            let unseen = fetched.unseen.iter().map(|(kind, why)| format!("{kind}: {why}")).collect();
            let view = RolloutView { unseen, ..RolloutView::of(&observed) };
            return Ok(lines(&view, detail, now, console.paint()));
        }
    };
    Ok(text.lines().map(str::to_owned).collect())
}

/// The Rollout without what only the API server needs.
fn bare(rollout: &Value) -> Value {
    let mut rollout = rollout.clone();
    if let Some(metadata) = rollout["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    rollout
}
