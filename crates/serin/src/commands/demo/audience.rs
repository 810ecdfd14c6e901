//! Shows each moment of the demo: as a picture on a terminal, line by line elsewhere.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serin_controller::{Kind, ObjectName};
use serin_core::plan::EventKind;
use serin_sim::World;
use serin_sim::cluster::{
    ANALYSIS_RUNS, ANALYSIS_TEMPLATES, CLUSTER_ANALYSIS_TEMPLATES, DEPLOYMENTS, DESTINATION_RULES, EXPERIMENTS,
    POD_TEMPLATES, PODS, REPLICA_SETS, ROLLOUTS, Resource, SERVICES, VIRTUAL_SERVICES,
};
use serin_sim::demo::Moment;
use serin_sim::timeline::{Entry, What};

use crate::bar::fit;
use crate::console::{Console, Paint};
use crate::observed::Objects;
use crate::story;
use crate::view::{Live, RolloutView, Screen, Traffic, live_lines};

/// Number of entries of the time line on the screen.
const NEWS_MAX: usize = 6;
/// The time between two pictures, at least.
const PICTURE: Duration = Duration::from_millis(100);
/// The simulated time over which the rate of requests is taken.
const RATE_WINDOW: TimeDelta = TimeDelta::seconds(30);

/// Whoever watches.
#[derive(Debug)]
pub(super) struct Audience<'c> {
    console: &'c mut Console,
    /// `None` if nobody watches.
    screen: Option<Screen>,
    hints: Vec<String>,
    address: Option<SocketAddr>,
    headline: String,
    news: VecDeque<String>,
    served: VecDeque<(DateTime<Utc>, u64)>,
    last: Traffic,
    painted: Option<Instant>,
}

impl<'c> Audience<'c> {
    /// An audience before the first moment.
    pub(super) fn new(address: Option<SocketAddr>, console: &'c mut Console) -> anyhow::Result<Self> {
        let screen = if console.is_terminal() { Some(Screen::begin(console)?) } else { None };
        if let (None, Some(address)) = (&screen, address) {
            console.line(format_args!("kubectl -s http://{address} get rollouts -A"))?;
            console.flush()?;
        }
        Ok(Audience {
            console,
            screen,
            hints: Vec::new(),
            address,
            headline: String::new(),
            news: VecDeque::new(),
            served: VecDeque::new(),
            last: Traffic::default(),
            painted: None,
        })
    }

    /// Shows a moment.
    pub(super) fn show(&mut self, moment: &Moment<'_>) -> anyhow::Result<()> {
        self.last = self.traffic(moment);
        if self.screen.is_none() {
            return self.tell(moment);
        }
        for entry in moment.entries.iter().filter(|entry| is_news(entry)) {
            let line = story::line(entry, moment.began, Paint::PLAIN);
            self.news.push_back(fit(&line, 80));
        }
        while self.news.len() > NEWS_MAX {
            self.news.pop_front();
        }
        if self.painted.is_some_and(|painted| painted.elapsed() < PICTURE) {
            return Ok(());
        }
        self.painted = Some(Instant::now());
        let lines = live_lines(&self.live(moment), Screen::height(), self.console.paint());
        match &mut self.screen {
            Some(screen) => screen.paint(lines, self.console),
            None => Ok(()),
        }
    }

    /// Leaves the last picture, and says what became of the requests.
    pub(super) fn end(self) -> anyhow::Result<()> {
        let Audience { console, screen, last, .. } = self;
        if let Some(screen) = screen {
            screen.end(console)?;
        }
        console.line(format_args!(
            "{} requests served, {} failed, {} failed by routing",
            story::thousands(last.served),
            story::thousands(last.failed),
            story::thousands(last.failed_by_routing),
        ))?;
        console.flush()
    }

    /// Tells what happened since the last moment, in lines.
    fn tell(&mut self, moment: &Moment<'_>) -> anyhow::Result<()> {
        if self.headline != moment.headline {
            moment.headline.clone_into(&mut self.headline);
            let headline = self.console.paint().strong(moment.headline);
            self.console.line(format_args!("\n{headline}"))?;
        }
        let paint = self.console.paint();
        for entry in &moment.entries {
            self.console.line(story::line(entry, moment.began, paint))?;
        }
        self.console.flush()
    }

    fn live(&mut self, moment: &Moment<'_>) -> Live {
        let rollouts = rollouts(moment.world);
        if self.hints.is_empty() {
            self.hints = hints(self.address, rollouts.first());
        }
        Live {
            headline: moment.headline.to_owned(),
            elapsed: moment.world.now() - moment.began,
            now: moment.world.now(),
            rollouts,
            traffic: self.last,
            news: self.news.iter().cloned().collect(),
            hints: self.hints.clone(),
        }
    }

    fn traffic(&mut self, moment: &Moment<'_>) -> Traffic {
        let (now, served) = (moment.world.now(), moment.world.served());
        self.served.push_back((now, served.requests));
        while self.served.front().is_some_and(|(at, _)| now - *at > RATE_WINDOW) && self.served.len() > 2 {
            self.served.pop_front();
        }
        let per_second = match self.served.front() {
            Some((at, before)) if now > *at => {
                let millis = (now - *at).num_milliseconds();
                #[expect(clippy::cast_precision_loss, reason = "some thousands of requests and of milliseconds")]
                let rate = (served.requests - before) as f64 * 1000.0 / millis as f64;
                rate
            }
            Some(_) | None => 0.0,
        };
        Traffic {
            per_second,
            served: served.requests,
            failed: served.failed,
            failed_by_routing: served.failed_by_routing,
        }
    }
}

/// Expected events repeat what the other entries say.
fn is_news(entry: &Entry) -> bool {
    match &entry.what {
        What::Event { kind, .. } => *kind == EventKind::Warning,
        What::Phase { .. }
        | What::Weight { .. }
        | What::Step { .. }
        | What::Measurement { .. }
        | What::Hold { .. }
        | What::Person { .. } => true,
    }
}

fn hints(address: Option<SocketAddr>, rollout: Option<&RolloutView>) -> Vec<String> {
    let mut hints = Vec::new();
    if let (Some(address), Some(rollout)) = (address, rollout) {
        let RolloutView { namespace, name, .. } = rollout;
        hints.push(format!("alias k='kubectl -s http://{address} -n {namespace}'"));
        hints.push(format!("k get rollouts,pods     k annotate rollout {name} serin.dev/promote=now"));
    }
    hints.push("Ctrl-C ends it.".to_owned());
    hints
}

/// All Rollouts of the simulated cluster, by name.
fn rollouts(world: &World) -> Vec<RolloutView> {
    const READ: [(&Resource, Kind); 13] = [
        (&ROLLOUTS, Kind::Rollout),
        (&REPLICA_SETS, Kind::ReplicaSet),
        (&PODS, Kind::Pod),
        (&DEPLOYMENTS, Kind::Deployment),
        (&POD_TEMPLATES, Kind::PodTemplate),
        (&REPLICA_SETS, Kind::WorkloadReplicaSet),
        (&SERVICES, Kind::Service),
        (&VIRTUAL_SERVICES, Kind::VirtualService),
        (&DESTINATION_RULES, Kind::DestinationRule),
        (&ANALYSIS_TEMPLATES, Kind::AnalysisTemplate),
        (&CLUSTER_ANALYSIS_TEMPLATES, Kind::ClusterAnalysisTemplate),
        (&ANALYSIS_RUNS, Kind::AnalysisRun),
        (&EXPERIMENTS, Kind::Experiment),
    ];
    let (now, mut objects) = (world.now(), Objects::default());
    for (resource, kind) in READ {
        for object in world.cluster().list(resource, None) {
            objects.add(kind, object, now);
        }
    }
    let names = world.cluster().list(&ROLLOUTS, None).into_iter().map(|rollout| {
        let text = |field: &str| rollout["metadata"][field].as_str().unwrap_or_default().to_owned();
        ObjectName::new(text("namespace"), text("name"))
    });
    let views = names.filter_map(|name| Some(RolloutView::of(&objects.observe(&name, now)?)));
    views.collect()
}
