//! The subcommands.

mod abort;
mod act;
mod condition;
mod controller;
mod crds;
mod demo;
mod get;
mod lint;
mod pause;
mod promote;
mod retry;
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
    /// Watch a good version being promoted and a bad one being caught, on a simulated cluster.
    Demo(demo::Demo),
    /// Show what a Rollout or an Experiment does, and why it waits.
    Get(Box<get::Get>),
    /// Go on to the next step, or skip all that is left.
    Promote(promote::Promote),
    /// Take the traffic back to the stable version.
    Abort(abort::Abort),
    /// Start an aborted update again.
    Retry(retry::Retry),
    /// Halt a Rollout where it is.
    Pause(pause::Pause),
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
            Command::Demo(command) => command.run(console),
            Command::Get(command) => command.run(console),
            Command::Promote(command) => command.run(console),
            Command::Abort(command) => command.run(console),
            Command::Retry(command) => command.run(console),
            Command::Pause(command) => command.run(console),
            Command::Simulate(command) => command.run(console),
            Command::Condition(command) => command.run(console),
            Command::Lint(command) => command.run(console),
            Command::Crds(command) => command.run(console),
            Command::Version(command) => command.run(console),
        }
    }
}
