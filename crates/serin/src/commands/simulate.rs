//! `serin simulate`: what a new version, or an Experiment, would do, in virtual time.

use std::path::PathBuf;

use chrono::{SecondsFormat, TimeDelta};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use serin_core::time::{format_duration, parse_duration};
use serin_sim::image::SetImage;
use serin_sim::simulate::{Conduct, End, Options, SimulateError, Summary, simulate};
use serin_sim::source::WebAnswer;
use serin_sim::stage::StageError;
use serin_sim::timeline::Entry;

use crate::commands::lint;
use crate::console::Console;
use crate::exit::{BadInput, Exit};
use crate::story;

const EXAMPLES: &str = "\
Examples:
  serin simulate -f deploy/ --set-image reviews=registry/reviews:v2
  serin simulate -f deploy/ --set-image reviews=registry/reviews:v2 --world errors
  serin simulate -f deploy/ --set-image reviews/app=registry/reviews:v2 --world no-data -o json
  serin simulate -f deploy/ --set-image reviews=registry/reviews:v2 --promote-after 10m
  serin simulate -f deploy/ --set-image reviews=registry/reviews:v2 --answer 'http://quality/={\"ok\": true}'
  serin simulate -f experiment.yaml -f templates/

The manifests are applied to a simulated cluster with a mesh and metrics sources; when all is Healthy the image is
changed, and the time line begins. Experiments without any Rollout run to their ends. Time is virtual: hours of pauses take a moment. Equal input gives equal output.

Exit codes:
  0  the update ended Healthy, or every Experiment was Successful
  2  bad input: every error is told with its file and field
  3  it was aborted, or an Experiment did not succeed
  4  it still waits at the end of the horizon";

/// How the new version and its surroundings behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum World {
    /// As good as the old version.
    #[default]
    Healthy,
    /// The new version fails 20 % of its requests.
    Errors,
    /// The new version answers in 3 s.
    Slow,
    /// The metrics source has no samples of the new version.
    NoData,
    /// Nobody calls.
    NoTraffic,
    /// The metrics source refuses connections.
    BackendDown,
}

/// How to print the time line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line; the last is of kind `result`.
    Json,
}

/// Show what a new version would do, in virtual time, without a cluster.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Simulate {
    /// A file, or a folder with .yaml, .yml and .json files; may be repeated.
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true, num_args = 1..)]
    paths: Vec<PathBuf>,
    /// Namespace of the objects that name none [default: the only Namespace among the manifests, or default].
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// The new image of a Rollout, or of the workload that a Rollout refers to.
    #[arg(long, value_name = "WORKLOAD[/CONTAINER]=IMAGE")]
    set_image: Option<SetImage>,
    /// How the new version and its surroundings behave.
    #[arg(long, value_enum, default_value_t)]
    world: World,
    /// Promote each pause that only a person ends after this long; without it nobody does.
    #[arg(long, value_name = "DURATION", value_parser = patience)]
    promote_after: Option<TimeDelta>,
    /// What web endpoints whose address begins so answer, for metrics with provider `web`; may be repeated.
    #[arg(long = "answer", value_name = "URL=BODY")]
    answers: Vec<WebAnswer>,
    /// Where all chance starts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How to print the time line.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// How long to watch after the change, in virtual time, such as 6h or 90m.
    #[arg(long, default_value = "6h", value_parser = horizon)]
    horizon: TimeDelta,
}

fn horizon(text: &str) -> Result<TimeDelta, String> {
    let horizon = parse_duration(text)?;
    if horizon > TimeDelta::zero() && horizon <= TimeDelta::days(366) {
        Ok(horizon)
    } else {
        Err(format!("`{text}` must be longer than nothing and at most a year (8784h)"))
    }
}

fn patience(text: &str) -> Result<TimeDelta, String> {
    let patience = parse_duration(text)?;
    if patience > TimeDelta::zero() { Ok(patience) } else { Err(format!("`{text}` must be longer than nothing")) }
}

impl Simulate {
    /// Prints the time line, and how it ended.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        self.check_flags()?;
        let manifests = lint::checked_manifests(&self.paths, self.namespace.as_deref())?;
        let options = Options {
            manifests,
            namespace: self.namespace,
            set_image: self.set_image.clone(),
            conduct: self.world.into(),
            answers: self.answers.clone(),
            promote_after: self.promote_after,
            seed: self.seed,
            horizon: self.horizon,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut entries: Vec<Entry> = Vec::new();
        let ended = runtime.block_on(simulate(options, &mut |entry| entries.push(entry.clone())));
        let summary = match ended {
            Ok(summary) => summary,
            Err(SimulateError::Stage(StageError::Defect(defect))) => return Err(defect.into()),
            Err(SimulateError::Stage(StageError::Invalid(errors))) => return Err(BadInput::all(&errors).into()),
            Err(error @ SimulateError::SetImage(_)) => return Err(BadInput::one(error.to_string()).into()),
        };
        match self.output {
            Output::Text => {
                let change = self.set_image.map(|image| (image, self.world));
                text(&entries, &summary, change.as_ref(), console)?;
            }
            Output::Json => {
                console.line(setup_line(&summary))?;
                for entry in &entries {
                    console.line(entry.to_json())?;
                }
                console.line(result_line(&summary))?;
            }
        }
        Ok(match summary.end {
            End::Healthy => Exit::Done,
            End::Aborted => Exit::Aborted,
            End::Waiting => Exit::Waiting,
        })
    }
}

impl Simulate {
    /// Flags that mean nothing by themselves would make people believe that they had been heeded.
    fn check_flags(&self) -> anyhow::Result<()> {
        let useless = [("--promote-after", self.promote_after.is_some()), ("--world", self.world != World::default())];
        let is_alone = |&(_, given): &(&str, bool)| given && self.set_image.is_none();
        let errors: Vec<String> = useless
            .into_iter()
            .filter(is_alone)
            .map(|(flag, _)| {
                format!("{flag}: there is no new version without --set-image; add --set-image WORKLOAD=IMAGE, or leave {flag} out")
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(BadInput::all(&errors).into()) }
    }
}

impl From<World> for Conduct {
    fn from(world: World) -> Self {
        match world {
            World::Healthy => Conduct::Healthy,
            World::Errors => Conduct::Errors,
            World::Slow => Conduct::Slow,
            World::NoData => Conduct::NoData,
            World::NoTraffic => Conduct::NoTraffic,
            World::BackendDown => Conduct::BackendDown,
        }
    }
}

fn text(
    entries: &[Entry],
    summary: &Summary,
    change: Option<&(SetImage, World)>,
    console: &mut Console,
) -> anyhow::Result<()> {
    let paint = console.paint();
    if !summary.setup.unknown_kinds.is_empty() {
        let kinds = summary.setup.unknown_kinds.join(", ");
        console.line(paint.faint(&format!("stored, and not simulated: {kinds}")))?;
    }
    if let (Some(changed), Some((image, world))) = (&summary.changed, change) {
        let world = world.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let head = format!("{} in {}: {} becomes {}", changed.patched, changed.namespace, changed.before, image.image);
        console.line(format_args!("{} (world: {world})", paint.strong(&head)))?;
    }
    for entry in entries {
        console.line(story::line(entry, summary.began, paint))?;
    }
    let Summary { phase, message, requests, .. } = summary;
    let how = match summary.end {
        End::Healthy => "ended",
        End::Aborted if summary.changed.is_none() => "ended",
        End::Aborted => "aborted:",
        End::Waiting => "still waiting at the end of the horizon:",
    };
    let message = if message.is_empty() { String::new() } else { format!(": {message}") };
    // The simulation goes on for a while after the end of the story.
    let ended = entries.last().filter(|_| summary.end != End::Waiting).map_or(summary.at, |entry| entry.at);
    let after = format_duration(ended - summary.began);
    console.line(format_args!("\n{} {}{message} (after {after})", paint.strong(how), paint.phase(phase)))?;
    let failed = format!("{} failed by routing", story::thousands(requests.failed_by_routing));
    console.line(format_args!(
        "{} requests served, {} failed, {}",
        story::thousands(requests.requests),
        story::thousands(requests.failed),
        if requests.failed_by_routing > 0 { paint.bad(&failed) } else { failed }
    ))
}

fn setup_line(summary: &Summary) -> Value {
    let changed = summary.changed.as_ref().map(|changed| {
        let object = format!("{}/{}", changed.namespace, changed.rollout);
        json!({"object": object, "patched": changed.patched, "imageBefore": changed.before})
    });
    json!({
        "at": summary.began.to_rfc3339_opts(SecondsFormat::Millis, true),
        "kind": "setup",
        "changed": changed,
        "notSimulated": summary.setup.unknown_kinds,
    })
}

fn result_line(summary: &Summary) -> Value {
    let requests = &summary.requests;
    json!({
        "at": summary.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "kind": "result",
        "end": match summary.end { End::Healthy => "healthy", End::Aborted => "aborted", End::Waiting => "waiting" },
        "phase": summary.phase,
        "message": summary.message,
        "requests": {
            "served": requests.requests,
            "failed": requests.failed,
            "failedByRouting": requests.failed_by_routing,
            "bySubset": requests.by_subset,
        },
    })
}
