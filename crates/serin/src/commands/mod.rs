//! The subcommands.

mod condition;
mod controller;
mod crds;
mod lint;
mod simulate;
mod version;

use clap::Subcommand;

use crate::console::Console;
use crate::exit::Exit;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the controller against a cluster.
    Controller(Box<controller::Controller>),
    /// Show what a new version would do, in virtual time, without a cluster.
    Simulate(simulate::Simulate),
    /// Try a successCondition or failureCondition on a result.
    Condition(condition::Condition),
    /// Check manifests without a cluster; tell every error.
    Lint(lint::Lint),
    /// Print the CustomResourceDefinitions.
    Crds(crds::Crds),
    /// Print the version.
    Version(version::Version),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        match self {
            Command::Controller(command) => command.run(console),
            Command::Simulate(command) => command.run(console),
            Command::Condition(command) => command.run(console),
            Command::Lint(command) => command.run(console),
            Command::Crds(command) => command.run(console),
            Command::Version(command) => command.run(console),
        }
    }
}
