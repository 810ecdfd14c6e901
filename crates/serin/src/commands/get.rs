//! `serin get rollout` and `serin get experiment`: what they do, and why they wait.

mod fetch;
mod watching;

use anyhow::Context;
use chrono::Utc;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use serin_controller::ObjectName;

use crate::cluster::{self, Connection};
use crate::console::Console;
use crate::exit::Exit;
use crate::view::{Detail, ExperimentTree, RolloutView, lines};
use fetch::{Fetched, Fetcher};

const EXAMPLES: &str = "\
Examples:
  serin get rollout reviews -n shop
  serin get rollout reviews -w
  serin get rollout reviews -o wide
  serin get rollout reviews -s http://127.0.0.1:8001 -n aviary
  serin get experiment reviews-7d9f8c66-2-1";

/// How to print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Everything: old revisions and runs, full names of images, every pod.
    Wide,
    /// The object as JSON.
    Json,
    /// The object as YAML.
    Yaml,
}

/// Show what a Rollout or an Experiment does, and why it waits.
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
    Rollout(Shown),
    /// An Experiment with its pods and analyses.
    #[command(visible_aliases = ["exp", "experiments"], after_help = EXAMPLES)]
    Experiment(Shown),
}

/// What to show, and how.
#[derive(Debug, Args)]
struct Shown {
    /// Name of the object.
    name: String,
    /// Namespace of the object [default: that of the kubeconfig's context].
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
        let (kind, get) = match self.kind {
            Kind::Rollout(get) => (serin_controller::Kind::Rollout, get),
            Kind::Experiment(get) => (serin_controller::Kind::Experiment, get),
        };
        cluster::install_tls();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (client, default) = get.connection.open().await?;
            let namespace = get.namespace.clone().unwrap_or(default);
            let fetcher = Fetcher::new(client, kind, ObjectName::new(namespace, &get.name));
            let picture = |fetched: &Fetched, console: &Console| picture(kind, fetched, get.output, console);
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

fn picture(
    kind: serin_controller::Kind,
    fetched: &Fetched,
    output: Option<Output>,
    console: &Console,
) -> anyhow::Result<Vec<String>> {
    let now = Utc::now();
    let text = match output {
        Some(Output::Json) => serde_json::to_string_pretty(&bare(&fetched.subject))?,
        Some(Output::Yaml) => serde_saphyr::to_string(&bare(&fetched.subject))?,
        Some(Output::Wide) | None => {
            let detail = if output.is_some() { Detail::Wide } else { Detail::Short };
            let unseen = fetched.unseen.iter().map(|(kind, why)| format!("{kind}: {why}")).collect();
            if kind == serin_controller::Kind::Experiment {
                let observed = fetched.objects.observe_experiment(&fetched.name, now);
                let (observed, pods) =
                    observed.context("the Experiment cannot be read; try -o yaml, and `serin lint`")?;
                return Ok(ExperimentTree::of(&observed, &pods, unseen).lines(detail, now, console.paint()));
            }
            let observed = fetched.objects.observe(&fetched.name, now);
            let observed = observed.context("the Rollout cannot be read; try -o yaml, and `serin lint`")?;
            let view = RolloutView { unseen, ..RolloutView::of(&observed) };
            return Ok(lines(&view, detail, now, console.paint()));
        }
    };
    Ok(text.lines().map(str::to_owned).collect())
}

/// The object without what only the API server needs.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
    object
}
