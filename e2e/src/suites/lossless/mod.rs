//! Under constant load without retries no request is lost, whatever happens to a rollout.
//!
//! Envoy's retries are off as well, so that a route without an endpoint shows as a failure. What fails for a cause
//! outside Serin is shown to fail without a rollout too: the histories of [`control`].

mod control;
mod event;
mod fault;
mod propagation;
mod run;

use std::time::Duration;

use anyhow::Result;

use crate::kit::{Case, Stage};

use event::Event::{self, *};
use run::{Run, Shape};

const SUITE: &str = "lossless";
/// The same while Istio's control plane is away, which nobody else can stand.
const OUTAGE: &str = "outage";
const LIMIT: Duration = Duration::from_secs(600);

/// What happens one after the other to one Rollout of so many pods; its name with each of the two shapes.
struct History {
    by_hash: &'static str,
    by_role: &'static str,
    replicas: u32,
    /// How many seconds pods without traffic stay.
    delay: u32,
    events: &'static [Event],
}

static HISTORIES: [History; 9] = [
    history("commands by hash", "commands by role", 3, &[Promote, PromoteFull, Abort, Retry]),
    history("revisions by hash", "revisions by role", 3, &[NewRevision, Rollback, RollbackOfAbort]),
    history("scaling by hash", "scaling by role", 3, &[ScaleUp, ScaleDown, ScaleInPromotion]),
    history(
        "pods deleted by hash",
        "pods deleted by role",
        3,
        &[CanaryPodDeleted, StablePodDeleted, LoneCanaryPodDeleted],
    ),
    history("a lone pod by hash", "a lone pod by role", 1, &[Promote, PromoteFull, Abort, Retry]),
    history(
        "controller killed by hash",
        "controller killed by role",
        3,
        &[KilledBeforeWeight, KilledAtStep, KilledAtFullWeight, KilledInHandover],
    ),
    history("a git tool by hash", "a git tool by role", 3, &[GitTool, GitToolWithRule]),
    history(
        "a git tool in hand over by hash",
        "a git tool in hand over by role",
        3,
        &[GitToolInHandover, GitToolWithRuleInHandover],
    ),
    history(
        "changes in hand over by hash",
        "changes in hand over by role",
        3,
        &[RevisionInHandover, RollbackInHandover, PodDeletedInHandover],
    ),
];

/// Proxies may take half a minute to find istiod again, and ask pods that they remember until then: the delay is for that.
static ISTIOD_AWAY: History = history(
    "istiod away by hash",
    "istiod away by role",
    3,
    &[IstiodRestarted, IstiodKilledAtStep, IstiodKilledInPromotion],
)
.patient();

const fn history(by_hash: &'static str, by_role: &'static str, replicas: u32, events: &'static [Event]) -> History {
    History { by_hash, by_role, replicas, delay: 1, events }
}

impl History {
    /// With the delay that Rollouts have unless they say otherwise.
    const fn patient(mut self) -> Self {
        self.delay = 30;
        self
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = HISTORIES.iter().flat_map(|history| told(SUITE, history)).collect();
    let upset = |suite, (name, upset)| Case::new(suite, name, LIMIT, move |stage| control::play(stage, upset));
    cases.extend(control::UPSETS.map(|named| upset(SUITE, named)));
    cases.extend(propagation::cases());
    cases.extend(told(OUTAGE, &ISTIOD_AWAY).map(Case::alone));
    cases.extend(control::OUTAGES.map(|named| upset(OUTAGE, named).alone()));
    cases
}

/// A history with each of the two shapes.
fn told(suite: &'static str, history: &'static History) -> [Case; 2] {
    [(history.by_hash, Shape::Hash), (history.by_role, Shape::Role)]
        .map(|(name, shape)| Case::new(suite, name, LIMIT, move |stage| play(stage, shape, history)))
}

async fn play(stage: Stage, shape: Shape, history: &History) -> Result<()> {
    let mut run = Run::begin(stage, shape.manifests(history.replicas, history.delay)?).await?;
    for event in history.events {
        event.happen(&mut run).await?;
        run.account(event.name(), event.costs()).await?;
    }
    run.finish().await
}
