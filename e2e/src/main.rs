//! The program `serin-e2e`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use serin_e2e::lab::{ability, commands};
use serin_e2e::{suites, upstream};

/// A real Kubernetes with Istio on this machine, and the suites that Serin has to pass there.
#[derive(Debug, Parser)]
enum Command {
    /// Build, start, run every suite, write e2e/RESULTS.md, stop
    All {
        /// How many suites run at a time
        #[arg(long, default_value_t = 2)]
        lanes: usize,
    },
    /// Say whether this machine can run the cluster
    Check,
    /// Build programs and images, each only if its recipe has changed
    Build(commands::Build),
    /// Start the cluster, or what of it does not run
    Start(commands::Start),
    /// Build Serin and the workload and give their images to the running node
    Load(commands::Load),
    /// Say what runs
    Status,
    /// Run a command inside the cluster's namespaces
    Exec {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Run kubectl as the administrator
    Kubectl {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Start, stop or kill one program of the cluster
    Daemon { deed: commands::Deed, name: String },
    /// Run the suites against the cluster, or that of KUBECONFIG
    Test(suites::Test),
    /// Run Argo Rollouts' own end-to-end suite against Serin
    Upstream(upstream::Upstream),
    /// Stop the cluster and check that nothing is left
    Stop(commands::Stop),
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::All { lanes } => all(lanes),
        Command::Check => ability::check(),
        Command::Build(build) => build.run(),
        Command::Start(start) => start.run(),
        Command::Load(load) => load.run(),
        Command::Status => commands::status(),
        Command::Exec { words } => commands::exec(&words),
        Command::Kubectl { arguments } => commands::kubectl(&arguments),
        Command::Daemon { deed, name } => commands::daemon(deed, &name),
        Command::Test(test) => test.run(),
        Command::Upstream(upstream) => upstream.run(),
        Command::Stop(stop) => stop.run(),
    }
}

/// The cluster is stopped whatever the suites say; what is kept of a failed case is in files.
fn all(lanes: usize) -> Result<()> {
    let began = Instant::now();
    commands::Build::everything().run()?;
    let built = began.elapsed();
    commands::Start::everything().run()?;
    let started = began.elapsed().saturating_sub(built);
    let seconds = |name: &str, time: Duration| (name.to_owned(), format!("{} s", time.as_secs()));
    let tested =
        suites::Test::everything(lanes, vec![seconds("Built in", built), seconds("Started in", started)]).run();
    commands::Stop::wiping().run()?;
    println!("everything took {} s", began.elapsed().as_secs());
    tested
}
