//! Under constant load without retries no request is lost, whatever happens to a rollout.
//!
//! Envoy's retries are off as well, so that a route without an endpoint shows as a failure. What fails for a cause
//! outside Serin is shown to fail without a rollout too: the histories of [`control`].

mod control;
mod event;
mod propagation;
mod run;

use std::time::Duration;

use anyhow::Result;

use crate::kit::{Case, Stage};

use event::Event;
use run::{Run, Shape};

const SUITE: &str = "lossless";
const LIMIT: Duration = Duration::from_secs(420);

/// What happens one after the other to one Rollout, once with each shape.
struct History {
    by_hash: &'static str,
    by_role: &'static str,
    replicas: u32,
    events: &'static [Event],
}

const HISTORIES: [History; 7] = [
    History {
        by_hash: "commands by hash",
        by_role: "commands by role",
        replicas: 3,
        events: &[Event::Promote, Event::PromoteFull, Event::Abort, Event::Retry],
    },
    History {
        by_hash: "revisions by hash",
        by_role: "revisions by role",
        replicas: 3,
        events: &[Event::NewRevision, Event::Rollback, Event::RollbackOfAbort],
    },
    History {
        by_hash: "scaling by hash",
        by_role: "scaling by role",
        replicas: 3,
        events: &[Event::ScaleUp, Event::ScaleDown, Event::ScaleInPromotion],
    },
    History {
        by_hash: "pods deleted by hash",
        by_role: "pods deleted by role",
        replicas: 3,
        events: &[Event::CanaryPodDeleted, Event::StablePodDeleted],
    },
    History {
        by_hash: "a lone pod by hash",
        by_role: "a lone pod by role",
        replicas: 1,
        events: &[Event::Promote, Event::PromoteFull, Event::Abort, Event::Retry],
    },
    History {
        by_hash: "controller killed by hash",
        by_role: "controller killed by role",
        replicas: 3,
        events: &[
            Event::KilledBeforeWeight,
            Event::KilledAtStep,
            Event::KilledAtFullWeight,
            Event::KilledAfterPromotion,
        ],
    },
    History { by_hash: "a git tool by hash", by_role: "a git tool by role", replicas: 3, events: &[Event::GitTool] },
];

/// The histories in which the mesh's control plane goes down, last: every other suite needs it too.
const OUTAGES: History = History {
    by_hash: "istiod killed by hash",
    by_role: "istiod killed by role",
    replicas: 3,
    events: &[Event::IstiodKilledAtStep, Event::IstiodKilledInPromotion],
};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for history in HISTORIES.iter().chain([&OUTAGES]) {
        for (name, shape) in [(history.by_hash, Shape::Hash), (history.by_role, Shape::Role)] {
            cases.push(Case::new(SUITE, name, LIMIT, move |stage| play(stage, shape, history)));
        }
    }
    for (name, upset) in control::UPSETS {
        cases.push(Case::new(SUITE, name, LIMIT, move |stage| control::play(stage, upset)));
    }
    cases.extend(propagation::cases());
    cases
}

async fn play(stage: Stage, shape: Shape, history: &History) -> Result<()> {
    let mut run = Run::begin(stage, shape.manifests(history.replicas)?).await?;
    for event in history.events {
        event.happen(&mut run).await?;
        run.account(event.name()).await?;
    }
    run.finish().await
}
