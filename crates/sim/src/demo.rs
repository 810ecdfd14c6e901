//! A story in accelerated time: a good version is promoted, a bad one is caught, while anybody may look in with kubectl.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serin_core::rollout::observed::Settings;
use tokio::net::TcpListener;

use crate::cluster::ROLLOUTS;
use crate::image::{SetImage, set_image};
use crate::manifests::Manifest;
use crate::rollout_object::{is_observed, status_text};
use crate::simulate::{Conduct, behave};
use crate::stage::{self, Setup, StageError};
use crate::timeline::{Entry, Timeline};
use crate::world::{World, WorldConfig};

/// One chapter: a new version, and how it behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chapter {
    /// What the chapter tells, for the headline.
    pub headline: String,
    /// The new version.
    pub set_image: SetImage,
    /// How it behaves.
    pub conduct: Conduct,
}

/// What to show.
#[derive(Debug)]
pub struct Options {
    /// The manifests.
    pub manifests: Vec<Manifest>,
    /// Namespace of objects that name none.
    pub namespace: Option<String>,
    /// The chapters, told one after the other.
    pub chapters: Vec<Chapter>,
    /// Seconds of the simulation in a real second; at least 1.
    pub speed: f64,
    /// Where kubectl may connect.
    pub listener: Option<TcpListener>,
    /// What becomes of the simulation after the last chapter.
    pub afterwards: Afterwards,
}

/// What becomes of the simulation after the last chapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It ends.
    End,
    /// It goes on until the caller drops it.
    GoOn,
}

/// The state of the story at one moment, for whoever draws it.
#[derive(Debug)]
pub struct Moment<'w> {
    /// The world.
    pub world: &'w World,
    /// The present headline.
    pub headline: &'w str,
    /// When the simulation began.
    pub began: DateTime<Utc>,
    /// What was set up.
    pub setup: &'w Setup,
    /// What happened since the last moment.
    pub entries: Vec<Entry>,
}

/// The pause between two pictures.
const FRAME: Duration = Duration::from_millis(50);
/// How long a chapter's end is left to look at, in simulated time.
const REST: TimeDelta = TimeDelta::minutes(3);

/// The headline after the last chapter.
const EPILOGUE: &str = "The story is over; the cluster lives on";

/// Tells the story; `show` is called for every picture.
///
/// # Errors
/// The manifests cannot be used, or the controller never came to rest.
pub async fn demo(options: Options, show: &mut dyn FnMut(&Moment<'_>)) -> Result<(), StageError> {
    let timeline = Timeline::default();
    let start = DateTime::from_timestamp(Utc::now().timestamp(), 0).unwrap_or_default();
    let config = WorldConfig { start, settings: Settings::default(), ..WorldConfig::default() };
    let mut world = World::new(config, Some(Arc::new(timeline.clone())));
    let setup = stage::set(&world, &options.manifests, options.namespace.as_deref())?;
    let server = options.listener.map(|listener| {
        let cluster = world.cluster().clone();
        tokio::spawn(async move { cluster.serve(listener, std::future::pending::<()>()).await })
    });
    let mut story =
        Story { chapters: options.chapters, next: 0, headline: "The first deployment".to_owned(), rest: None };
    let mut pace = Pace { began: start, real_began: Instant::now(), speed: options.speed.max(1.0) };
    loop {
        pace.catch_up(&mut world).await?;
        let is_over = story.turn(&mut world)?;
        let entries = timeline.take();
        show(&Moment { world: &world, headline: &story.headline, began: start, setup: &setup, entries });
        if is_over && options.afterwards == Afterwards::End {
            break;
        }
        tokio::time::sleep(FRAME).await;
    }
    if let Some(server) = server {
        server.abort();
    }
    Ok(())
}

/// Simulated time against real time.
struct Pace {
    began: DateTime<Utc>,
    real_began: Instant,
    speed: f64,
}

impl Pace {
    /// Lets everything happen that is due by now.
    async fn catch_up(&mut self, world: &mut World) -> Result<(), StageError> {
        let elapsed = self.real_began.elapsed().as_secs_f64() * self.speed * 1_000.0;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a demonstration fit easily")]
        let target = self.began + TimeDelta::milliseconds(elapsed as i64);
        world.run_until(target, |_| false).await?;
        Ok(())
    }
}

struct Story {
    chapters: Vec<Chapter>,
    next: usize,
    headline: String,
    rest: Option<DateTime<Utc>>,
}

impl Story {
    /// Begins the next chapter once the one before is over and was there to be seen. True after the last.
    fn turn(&mut self, world: &mut World) -> Result<bool, StageError> {
        if !is_at_rest(world) {
            self.rest = None;
            return Ok(false);
        }
        if self.next == 0 && self.rest.is_none() {
            stage::open_streams(world);
        }
        let rest = *self.rest.get_or_insert(world.now() + if self.next == 0 { TimeDelta::minutes(1) } else { REST });
        if world.now() < rest {
            return Ok(false);
        }
        let Some(chapter) = self.chapters.get(self.next) else {
            EPILOGUE.clone_into(&mut self.headline);
            return Ok(true);
        };
        self.next += 1;
        self.rest = None;
        self.headline.clone_from(&chapter.headline);
        if set_image(world.cluster(), &chapter.set_image).is_ok() {
            behave(world, chapter.conduct, &chapter.set_image.image);
        }
        Ok(false)
    }
}

/// Whether every Rollout is Healthy or aborted.
fn is_at_rest(world: &World) -> bool {
    world
        .cluster()
        .list(&ROLLOUTS, None)
        .iter()
        .all(|rollout| is_observed(rollout) && matches!(status_text(rollout, "phase"), "Healthy" | "Degraded"))
}
