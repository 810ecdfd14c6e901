//! The controller that is tested, as a process with the cluster's network, where the suite asks it for its metrics.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::lab::command::until;
use crate::lab::daemon::{self, Daemon};
use crate::lab::kubectl;
use crate::lab::layout::Layout;

use super::ground::NAMESPACE;

/// The instance label of everything that the suite applies.
pub(super) const INSTANCE: &str = "argo-rollouts-e2e";

/// A program with its arguments.
#[derive(Clone, Debug)]
pub(super) struct Controller {
    /// What people call it.
    pub(super) name: String,
    command: Vec<String>,
}

impl Controller {
    /// Serin.
    pub(super) fn serin(program: &Path, further: &[String]) -> Self {
        let own = ["controller", "--lease-namespace", NAMESPACE, "--instance-id", INSTANCE];
        Self { name: "Serin".to_owned(), command: words(program, &own, further) }
    }

    /// One that takes Argo Rollouts' flags.
    pub(super) fn other(program: &Path, further: &[String]) -> Self {
        let own = ["--instance-id", INSTANCE];
        Self { name: program.display().to_string(), command: words(program, &own, further) }
    }

    /// Starts it, and waits until it leads.
    ///
    /// # Errors
    /// If it ends, or does not lead in time.
    pub(super) fn start(&self, layout: &Layout) -> Result<()> {
        self.stop(layout)?;
        // Nobody waits for the lease of one that was killed.
        kubectl::run(layout, &["delete", "leases", "--all", "--namespace", NAMESPACE])?;
        let daemon = self.daemon(layout);
        daemon::launch(layout, &daemon)?;
        until("the controller has its lease", Duration::from_secs(60), || {
            daemon::expect_alive(layout, &daemon.name)?;
            let holders = "--output=jsonpath={.items[*].spec.holderIdentity}";
            Ok(!kubectl::run(layout, &["get", "leases", "--namespace", NAMESPACE, holders])?.is_empty())
        })
    }

    /// Ends it, if it runs.
    ///
    /// # Errors
    /// If it does not end, even killed.
    pub(super) fn stop(&self, layout: &Layout) -> Result<()> {
        daemon::end(layout, &self.daemon(layout))
    }

    /// Fails if it has ended.
    ///
    /// # Errors
    /// If it has, with the end of its log.
    pub(super) fn expect_alive(&self, layout: &Layout) -> Result<()> {
        daemon::expect_alive(layout, &self.daemon(layout).name)
    }

    /// What it says, from its start in the first run on.
    pub(super) fn log(&self, layout: &Layout) -> PathBuf {
        layout.log(&self.daemon(layout).name)
    }

    fn daemon(&self, layout: &Layout) -> Daemon {
        let kubeconfig = format!("KUBECONFIG={}", layout.inner_kubeconfig("admin").display());
        let command = ["env".to_owned(), kubeconfig].into_iter().chain(self.command.iter().cloned()).collect();
        Daemon::inside("upstream-controller", command)
    }
}

fn words(program: &Path, own: &[&str], further: &[String]) -> Vec<String> {
    let own = own.iter().map(|&word| word.to_owned());
    [program.display().to_string()].into_iter().chain(own).chain(further.iter().cloned()).collect()
}
