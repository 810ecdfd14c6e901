//! What the suites deploy: a server that can be slow or wrong, and a generator of load that counts every answer.

mod flags;
mod load;
mod log;
mod serve;
mod signals;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A server that can be slow or wrong, and a generator of load that counts every answer.
#[derive(Debug, Parser)]
#[command(name = "serin-workload", disable_help_subcommand = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answers every request with its version, after a latency or with an error if told so.
    Serve(serve::Args),
    /// Sends requests at a constant rate and counts what becomes of each.
    Load(load::Args),
}

/// Exits with 2 for a bad flag or variable, 1 for another failure.
fn main() -> ExitCode {
    let args = Args::parse();
    // Two threads do for some thousands of requests a second; a node has many pods of this.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let result = runtime.block_on(async {
            match args.command {
                Command::Serve(args) => serve::run(args).await,
                Command::Load(args) => load::run(args).await,
            }
        });
        // Requests of the generator that still wait must not keep the process.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
