//! The command line of Serin: one file for each subcommand, and what they share.
//!
//! ```text
//!   main ─► commands::* ─► core · controller · sim        Exit ─► exit code
//!                 └──────► console (stdout, colours)      error ─► stderr, with its causes
//! ```

mod bar;
mod cluster;
mod commands;
mod console;
mod exit;
mod observed;
mod story;
mod view;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};

use console::{Console, When};
use exit::{BadInput, Exit};

/// Brings new versions behind Istio into traffic step by step, judged by your metrics.
#[derive(Debug, Parser)]
#[command(name = "serin", version, propagate_version = true, after_help = exit::EXIT_CODES)]
struct Cli {
    /// Whether to use colours; NO_COLOR in the environment turns them off, too.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: When,
    #[command(subcommand)]
    command: commands::Command,
}

/// Reads the arguments, carries out the subcommand, and tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let mut console = Console::standard(cli.color);
    match cli.command.run(&mut console).and_then(|exit| console.flush().map(|()| exit)) {
        Ok(exit) => exit.into(),
        // Whoever reads our output has seen enough, as `head` does.
        Err(error) if is_broken_pipe(&error) => Exit::Done.into(),
        Err(error) => {
            console.tell_error(&error);
            if error.downcast_ref::<BadInput>().is_some() { Exit::BadInput.into() } else { Exit::No.into() }
        }
    }
}

/// As a plugin we are called `kubectl-serin`, and people type `kubectl serin`.
fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let name = arguments.first().and_then(|path| Path::new(path).file_stem()).and_then(|name| name.to_str());
    let command = match name {
        Some("kubectl-serin") => Cli::command().bin_name("kubectl serin"),
        Some(_) | None => Cli::command(),
    };
    let mut matches = command.try_get_matches_from(arguments)?;
    Cli::from_arg_matches_mut(&mut matches)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.into_iter().any(|error| error.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn as_a_plugin_it_calls_itself_as_people_do() {
        let usage = |program: &str| {
            let arguments: Vec<OsString> = [program, "no-such-thing"].into_iter().map(OsString::from).collect();
            parse(&arguments).expect_err("there is no such subcommand").to_string()
        };
        assert!(usage("/usr/local/bin/kubectl-serin").contains("Usage: kubectl serin"));
        assert!(usage("serin").contains("Usage: serin"));
    }
}
