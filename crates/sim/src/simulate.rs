//! What a new version would do, in virtual time: from healthy, through the change of an image, to its end.

mod experiments;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::cluster::ROLLOUTS;
use crate::image::{Changed, SetImage, set_image};
use crate::manifests::Manifest;
use crate::mesh::{Quality, Served, Telemetry, Versions};
use crate::person;
use crate::rollout_object::{is_observed, status_text};
use crate::source::WebAnswer;
use crate::stage::{self, Setup, StageError};
use crate::timeline::{Entry, Timeline, What};
use crate::world::{Defect, World, WorldConfig};

/// How the new version and its surroundings behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// The new version is as good as the old one.
    #[default]
    Healthy,
    /// It fails 20 % of its requests.
    Errors,
    /// It answers in 3 s.
    Slow,
    /// The metrics source has no samples of it.
    NoData,
    /// Nobody calls.
    NoTraffic,
    /// The metrics source refuses connections.
    BackendDown,
}

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    /// The manifests.
    pub manifests: Vec<Manifest>,
    /// Namespace of objects that name none; see [`stage::set`].
    pub namespace: Option<String>,
    /// The new version; without one, the first deployment is all that happens.
    pub set_image: Option<SetImage>,
    /// How the new version behaves.
    pub conduct: Conduct,
    /// What web endpoints answer; all others are out of reach.
    pub answers: Vec<WebAnswer>,
    /// How long a pause that only a person ends lasts until one promotes, more than nothing; without it nobody does.
    pub promote_after: Option<TimeDelta>,
    /// Where all chance starts.
    pub seed: u64,
    /// How long to watch after the change, in virtual time.
    pub horizon: TimeDelta,
}

/// How a simulation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The new version is promoted, and everything is Healthy.
    Healthy,
    /// It was aborted; or an Experiment that no Rollout started did not succeed.
    Aborted,
    /// Neither, when the horizon was reached.
    Waiting,
}

/// The end of a simulation.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// How it ended.
    pub end: End,
    /// When.
    pub at: DateTime<Utc>,
    /// When the image was changed; the beginning of the story.
    pub began: DateTime<Utc>,
    /// Phase of the Rollout, or of the Experiments, that the story is about.
    pub phase: String,
    /// Its message.
    pub message: String,
    /// What became of the requests since the change.
    pub requests: Served,
    /// What was set up.
    pub setup: Setup,
    /// What was changed; `None` if nothing was.
    pub changed: Option<Changed>,
}

/// Why there is nothing to tell.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The manifests cannot be used.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The image cannot be set.
    #[error("--set-image: {0}")]
    SetImage(String),
}

/// How long the story goes on after its end, so that what the end leaves behind is seen too: pods that are scaled
/// down, the last requests on their way.
const AFTERMATH: TimeDelta = TimeDelta::minutes(2);

/// Runs a simulation; every entry of the timeline since the change is handed to `tell`.
///
/// # Errors
/// The manifests or the image cannot be used; all that is wrong with them.
pub async fn simulate(options: Options, tell: &mut dyn FnMut(&Entry)) -> Result<Summary, SimulateError> {
    let timeline = Timeline::default();
    let config = WorldConfig { seed: options.seed, ..WorldConfig::default() };
    let mut world = World::new(config, Some(Arc::new(timeline.clone())));
    world.transport().set_answers(options.answers.clone());
    let setup = stage::set(&world, &options.manifests, options.namespace.as_deref())?;
    if experiments::are_alone(world.cluster()) {
        return experiments::unfold(world, (&options, setup), &timeline, tell).await;
    }
    let is_up = stage::bring_up(&mut world, &options.manifests).await?;
    let began = world.now();
    let mut story = Story { setup, changed: None, began };
    match &options.set_image {
        Some(change) if is_up => {
            drop(timeline.take());
            story.changed = Some(set_image(world.cluster(), change).map_err(SimulateError::SetImage)?);
            behave(&mut world, options.conduct, &change.image);
        }
        Some(_) | None => {
            tell_all(&timeline, tell);
            let end = if is_up { End::Healthy } else { End::Waiting };
            return Ok(story.summary(&world, end));
        }
    }
    let horizon = began + options.horizon;
    let mut hear = |entry: Option<Entry>| {
        tell_all(&timeline, tell);
        if let Some(entry) = entry {
            tell(&entry);
        }
    };
    let end = story.unfold(&mut world, (horizon, options.promote_after), &mut hear);
    let end = end.await.map_err(StageError::from)?;
    if end.is_some() {
        let rest = world.now() + AFTERMATH;
        world.run_until(rest, |_| false).await.map_err(StageError::from)?;
    }
    tell_all(&timeline, tell);
    Ok(story.summary(&world, end.unwrap_or(End::Waiting)))
}

/// Makes the new version and its surroundings behave as asked for.
pub fn behave(world: &mut World, conduct: Conduct, image: &str) {
    let (quality, telemetry) = match conduct {
        Conduct::Healthy | Conduct::NoTraffic | Conduct::BackendDown => (Quality::Healthy, Telemetry::Reported),
        Conduct::Errors => (Quality::Errors, Telemetry::Reported),
        Conduct::Slow => (Quality::Slow, Telemetry::Reported),
        Conduct::NoData => (Quality::Healthy, Telemetry::Missing),
    };
    world.set_versions(Versions { new_images: [image.to_owned()].into(), quality, telemetry });
    match conduct {
        Conduct::NoTraffic => world.set_streams(Vec::new()),
        Conduct::BackendDown => world.transport().take_down(),
        Conduct::Healthy | Conduct::Errors | Conduct::Slow | Conduct::NoData => {}
    }
}

/// What the end has to be told from.
struct Story {
    setup: Setup,
    changed: Option<Changed>,
    began: DateTime<Utc>,
}

impl Story {
    /// How the story ended, if it did.
    fn end(&self, world: &World) -> Option<End> {
        let changed = self.changed.as_ref()?;
        let rollout = world.cluster().get(&ROLLOUTS, &changed.namespace, &changed.rollout).ok()?;
        let status = &rollout["status"];
        let weight = status.pointer("/canary/weights/canary/weight").and_then(serde_json::Value::as_i64);
        if status["abort"] == true && weight.unwrap_or(0) == 0 {
            return Some(End::Aborted);
        }
        let is_new =
            status["stableRS"] == status["currentPodHash"] && is_observed(&rollout) && world.now() > self.began;
        (is_new && stage::all_healthy(world)).then_some(End::Healthy)
    }

    /// Lets the story go on until its end or the horizon; `tell` is called whenever something may have happened, and
    /// with what a person does.
    async fn unfold(
        &self,
        world: &mut World,
        (horizon, promote_after): (DateTime<Utc>, Option<TimeDelta>),
        tell: &mut dyn FnMut(Option<Entry>),
    ) -> Result<Option<End>, Defect> {
        loop {
            let stops =
                |world: &World| self.end(world).is_some() || promote_after.is_some() && self.awaits(world).is_some();
            let stopped = world.run_until(horizon, |world| {
                tell(None);
                stops(world)
            });
            if !stopped.await? || self.end(world).is_some() {
                return Ok(self.end(world));
            }
            let (Some(after), Some(changed)) = (promote_after, &self.changed) else { return Ok(None) };
            let due = (world.now() + after).min(horizon);
            let moved_on = world.run_until(due, |world| {
                tell(None);
                self.end(world).is_some() || self.awaits(world).is_none()
            });
            if moved_on.await? {
                continue;
            }
            let Some(awaited) = self.awaits(world).filter(|_| world.now() < horizon) else { return Ok(None) };
            let words = match person::promote(world.cluster(), changed) {
                Ok(()) => format!("promotes: {awaited} ends"),
                Err(error) => format!("tries to promote, in vain: {error}"),
            };
            let object = format!("{}/{}", changed.namespace, changed.rollout);
            tell(Some(Entry { at: world.now(), object, what: What::Person { words } }));
        }
    }

    /// What the Rollout waits for that only a person can end.
    fn awaits(&self, world: &World) -> Option<String> {
        let changed = self.changed.as_ref()?;
        person::awaited(&*world.cluster().get(&ROLLOUTS, &changed.namespace, &changed.rollout).ok()?)
    }

    fn summary(self, world: &World, end: End) -> Summary {
        let rollouts = world.cluster().list(&ROLLOUTS, None);
        let own = self.changed.as_ref().and_then(|changed| {
            rollouts.iter().find(|r| {
                r["metadata"]["name"] == changed.rollout.as_str()
                    && r["metadata"]["namespace"] == changed.namespace.as_str()
            })
        });
        let rollout =
            own.or_else(|| rollouts.iter().find(|r| status_text(r, "phase") != "Healthy")).or(rollouts.first());
        let text = |field: &str| rollout.map(|r| status_text(r, field).to_owned()).unwrap_or_default();
        Summary {
            end,
            at: world.now(),
            began: self.began,
            phase: text("phase"),
            message: text("message"),
            requests: world.served().clone(),
            setup: self.setup,
            changed: self.changed,
        }
    }
}

fn tell_all(timeline: &Timeline, tell: &mut dyn FnMut(&Entry)) {
    for entry in timeline.take() {
        tell(&entry);
    }
}
