//! A tool that applies what is in git over and over.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::repository::{Repository, objects};
use crate::kit::Place;

/// Time between two applications. Less than the propagation delay, 2 s, keeps an update from its first weight: each
/// application changes the subsets, and the first weight waits until the proxies know them.
const EVERY: Duration = Duration::from_secs(3);

/// How it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Server-side apply with force, as Flux does.
    ServerSide,
    /// `kubectl apply`: three-way, on the side of the client.
    ThreeWay,
}

impl Way {
    /// The field manager that the API server records.
    pub(super) fn manager(self) -> &'static str {
        match self {
            Way::ServerSide => "kustomize-controller",
            Way::ThreeWay => "kubectl-client-side-apply",
        }
    }

    /// The field manager with its operation, as events name it.
    pub(super) fn culprit(self) -> String {
        let operation = if self == Way::ServerSide { "Apply" } else { "Update" };
        format!("{} ({operation})", self.manager())
    }

    /// Applies once what is in git now.
    pub(super) async fn apply(self, repository: &Repository, place: &Place) -> Result<()> {
        let folder = repository.pull().await?;
        match self {
            Way::ServerSide => place.cluster.apply(&objects(&folder)?, &place.namespace, self.manager()).await,
            Way::ThreeWay => kubectl(place, &["apply"], &folder).await.map(drop),
        }
    }
}

/// A tool that goes on until it is stopped or dropped.
pub(super) struct Tool {
    task: JoinHandle<Result<u32>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Tool {
    /// Starts to apply, at once and every few seconds from then on.
    pub(super) fn start(way: Way, repository: &Arc<Repository>, place: &Place) -> Self {
        let (repository, place) = (repository.clone(), place.clone());
        let (stop, mut stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let mut times = 0;
            let mut clock = tokio::time::interval(EVERY);
            clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = &mut stopped => return Ok(times),
                    _ = clock.tick() => {}
                }
                way.apply(&repository, &place).await?;
                times += 1;
            }
        });
        Tool { task, stop: Some(stop) }
    }

    /// Stops it after the application under way, and returns how often it applied.
    ///
    /// # Errors
    /// If an application failed.
    pub(super) async fn stop(mut self) -> Result<u32> {
        if let Some(stop) = self.stop.take() {
            // It has ended already if an application failed.
            let _ = stop.send(());
        }
        (&mut self.task).await.context("the tool broke down")?
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs `kubectl WORDS -f FOLDER` in the namespace of the case; returns what it printed.
pub(super) async fn kubectl(place: &Place, words: &[&str], path: &Path) -> Result<String> {
    let endpoints = &place.cluster.endpoints;
    let mut command = Command::new(&endpoints.kubectl);
    command.arg("--kubeconfig").arg(&endpoints.kubeconfig).args(["--namespace", &place.namespace]);
    let output = command.args(words).arg("-f").arg(path).output().await.context("failed to run kubectl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    // `kubectl diff` says by 1 that there are differences.
    let is_difference = words.first() == Some(&"diff") && output.status.code() == Some(1) && said.trim().is_empty();
    ensure!(output.status.success() || is_difference, "kubectl {words:?}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
