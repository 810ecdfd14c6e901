//! What may happen to a rollout. Each event begins and ends with a Rollout at rest, but for an abort and its retry.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::kit::until;

use super::fault::{self, End};
use super::run::{LIMIT, Run};

/// Something that happens to a rollout.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// Each pause is ended by annotation.
    Promote,
    /// All steps are skipped at the first pause.
    PromoteFull,
    /// The update is given up at 60 %.
    Abort,
    /// An aborted update is tried again, and succeeds.
    Retry,
    /// A third version comes while the second has 60 %.
    NewRevision,
    /// The stable version comes back while the second has 60 %.
    Rollback,
    /// The stable version comes back after an abort.
    RollbackOfAbort,
    /// The Rollout is scaled up at 60 %, and back at the end.
    ScaleUp,
    /// The Rollout is scaled down at 60 %, and back at the end.
    ScaleDown,
    /// The Rollout is scaled up and down while it is promoted.
    ScaleInPromotion,
    /// One of the canary's pods is deleted at 60 %.
    CanaryPodDeleted,
    /// One of stable's pods is deleted at 60 %.
    StablePodDeleted,
    /// The leader is killed before the canary has its first weight.
    KilledBeforeWeight,
    /// The leader is killed at 20 %.
    KilledAtStep,
    /// The leader is killed when the canary gets all traffic.
    KilledAtFullWeight,
    /// The leader is killed while traffic is handed over to the stable side.
    KilledInHandover,
    /// A git tool applies the VirtualService as it was written, three times, at 60 %.
    GitTool,
    /// A git tool applies VirtualService and DestinationRule as they were written, three times, at 60 %.
    GitToolWithRule,
    /// A git tool applies the VirtualService as it was written, again and again from the promotion on.
    GitToolInHandover,
    /// A git tool applies VirtualService and DestinationRule as they were written, again and again from the promotion on.
    GitToolWithRuleInHandover,
    /// Another version comes while traffic is handed over.
    RevisionInHandover,
    /// The version before comes back while traffic is handed over.
    RollbackInHandover,
    /// A pod of the new stable revision is deleted while traffic is handed over.
    PodDeletedInHandover,
    /// The canary's only pod is deleted at 20 %.
    LoneCanaryPodDeleted,
    /// Istio's control plane is stopped in order at 20 %, and comes back.
    IstiodRestarted,
    /// Istio's control plane is killed at 20 %, and comes back.
    IstiodKilledAtStep,
    /// Istio's control plane is killed while the canary is promoted, and comes back.
    IstiodKilledInPromotion,
}

/// What an event may cost for causes outside Serin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cost {
    /// Nothing may be lost.
    Nothing,
    /// A share of the traffic has a single pod behind it, which is deleted: what comes until the traffic is elsewhere, or
    /// until a new pod is ready, finds nobody.
    RequestsWithoutEndpoint,
}

impl Event {
    /// Its name in the table of results.
    pub(super) fn name(self) -> &'static str {
        match self {
            Event::Promote => "promote",
            Event::PromoteFull => "promote-full",
            Event::Abort => "abort",
            Event::Retry => "retry",
            Event::NewRevision => "new revision",
            Event::Rollback => "rollback",
            Event::RollbackOfAbort => "rollback after abort",
            Event::ScaleUp => "scaled up",
            Event::ScaleDown => "scaled down",
            Event::ScaleInPromotion => "scaled in promotion",
            Event::CanaryPodDeleted => "canary pod deleted",
            Event::StablePodDeleted => "stable pod deleted",
            Event::KilledBeforeWeight => "killed before weight",
            Event::KilledAtStep => "killed at a step",
            Event::KilledAtFullWeight => "killed at full weight",
            Event::KilledInHandover => "killed in hand-over",
            Event::GitTool => "git tool",
            Event::GitToolWithRule => "git tool with rule",
            Event::GitToolInHandover => "git tool in hand-over",
            Event::GitToolWithRuleInHandover => "git tool with rule in hand-over",
            Event::RevisionInHandover => "revision in hand-over",
            Event::RollbackInHandover => "rollback in hand-over",
            Event::PodDeletedInHandover => "pod deleted in hand-over",
            Event::LoneCanaryPodDeleted => "lone canary pod deleted",
            Event::IstiodRestarted => "istiod restarted",
            Event::IstiodKilledAtStep => "istiod killed at a step",
            Event::IstiodKilledInPromotion => "istiod killed in promotion",
        }
    }

    /// What the event costs with or without a rollout, as the controls show.
    pub(super) fn costs(self) -> Cost {
        if matches!(self, Event::LoneCanaryPodDeleted | Event::PodDeletedInHandover) {
            Cost::RequestsWithoutEndpoint
        } else {
            Cost::Nothing
        }
    }

    /// Makes it happen, and waits until the Rollout is at rest.
    pub(super) async fn happen(self, run: &mut Run) -> Result<()> {
        let outcome = match self {
            Event::Promote => promote(run).await,
            Event::PromoteFull => promote_full(run).await,
            Event::Abort => abort(run).await,
            Event::Retry => retry(run).await,
            Event::NewRevision => new_revision(run).await,
            Event::Rollback => rollback(run).await,
            Event::RollbackOfAbort => rollback_of_abort(run).await,
            Event::ScaleUp => scale(run, 5).await,
            Event::ScaleDown => scale(run, 1).await,
            Event::ScaleInPromotion => scale_in_promotion(run).await,
            Event::CanaryPodDeleted => fault::delete_pod(run, fault::Side::Canary).await,
            Event::StablePodDeleted => fault::delete_pod(run, fault::Side::Stable).await,
            Event::KilledBeforeWeight => fault::killed_before_weight(run).await,
            Event::KilledAtStep => fault::killed_at_step(run).await,
            Event::KilledAtFullWeight => fault::killed_at_full_weight(run).await,
            Event::KilledInHandover => fault::killed_in_handover(run).await,
            Event::GitTool => fault::git_tool(run, &fault::ROUTES).await,
            Event::GitToolWithRule => fault::git_tool(run, &fault::ROUTES_AND_RULE).await,
            Event::GitToolInHandover => fault::git_tool_in_handover(run, &fault::ROUTES).await,
            Event::GitToolWithRuleInHandover => fault::git_tool_in_handover(run, &fault::ROUTES_AND_RULE).await,
            Event::RevisionInHandover => revision_in_handover(run).await,
            Event::RollbackInHandover => rollback_in_handover(run).await,
            Event::PodDeletedInHandover => fault::pod_deleted_in_handover(run).await,
            Event::LoneCanaryPodDeleted => fault::lone_canary_pod_deleted(run).await,
            Event::IstiodRestarted => fault::istiod_away(run, End::InOrder).await,
            Event::IstiodKilledAtStep => fault::istiod_away(run, End::Killed).await,
            Event::IstiodKilledInPromotion => fault::istiod_killed_in_promotion(run).await,
        };
        outcome.context(self.name())
    }
}

async fn promote(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    promote_on(run).await
}

/// Ends all pauses from the first on.
pub(super) async fn promote_on(run: &mut Run) -> Result<()> {
    run.command("promote").await?;
    run.pause(1).await?;
    run.command("promote").await?;
    run.settled().await
}

async fn promote_full(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    run.command("promote-full").await?;
    run.settled().await
}

/// An update that waits at 60 %.
pub(super) async fn halfway(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    run.command("promote").await?;
    run.pause(1).await
}

async fn abort(run: &mut Run) -> Result<()> {
    halfway(run).await?;
    run.command("abort").await?;
    run.subject.aborted(LIMIT).await?;
    run.quiet().await
}

async fn retry(run: &mut Run) -> Result<()> {
    run.command("retry").await?;
    run.pause(0).await?;
    promote_on(run).await
}

async fn new_revision(run: &mut Run) -> Result<()> {
    halfway(run).await?;
    run.update().await?;
    run.pause(0).await?;
    promote_on(run).await
}

async fn rollback(run: &mut Run) -> Result<()> {
    halfway(run).await?;
    run.roll_back().await?;
    run.settled().await
}

async fn rollback_of_abort(run: &mut Run) -> Result<()> {
    abort(run).await?;
    run.roll_back().await?;
    run.settled().await
}

async fn scale(run: &mut Run, replicas: i64) -> Result<()> {
    halfway(run).await?;
    let seen = run.subject.seen().await?;
    let size = |replicas: i64| usize::try_from(replicas).context("not negative");
    run.subject.merge(json!({"spec": {"replicas": replicas}})).await?;
    run.serving(&seen.stable, size(replicas)?).await?;
    run.serving(&seen.current, size((replicas * 60 + 99) / 100)?).await?;
    run.subject.merge(json!({"spec": {"replicas": 3}})).await?;
    run.serving(&seen.stable, 3).await?;
    run.serving(&seen.current, 2).await?;
    run.command("promote").await?;
    run.settled().await
}

async fn scale_in_promotion(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    let current = run.subject.seen().await?.current;
    run.command("promote-full").await?;
    run.subject.merge(json!({"spec": {"replicas": 5}})).await?;
    run.weights((0, 100)).await?;
    run.subject.merge(json!({"spec": {"replicas": 2}})).await?;
    run.subject.healthy(LIMIT).await?;
    run.serving(&current, 2).await?;
    run.subject.merge(json!({"spec": {"replicas": 3}})).await?;
    run.settled().await
}

/// An update that is complete, and whose traffic is being handed over to the stable side.
pub(super) async fn handing_over(run: &mut Run) -> Result<()> {
    run.update().await?;
    run.pause(0).await?;
    run.command("promote-full").await?;
    run.weights((0, 100)).await?;
    until("traffic is handed over", LIMIT, || async {
        let (stable, _) = run.subject.weights().await?;
        ensure!(stable > 0, "stable has no weight yet");
        Ok(())
    })
    .await
}

async fn revision_in_handover(run: &mut Run) -> Result<()> {
    handing_over(run).await?;
    run.update().await?;
    run.pause(0).await?;
    promote_on(run).await
}

async fn rollback_in_handover(run: &mut Run) -> Result<()> {
    handing_over(run).await?;
    run.roll_back().await?;
    run.pause(0).await?;
    promote_on(run).await
}
