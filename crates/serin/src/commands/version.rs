//! `serin version`.

use clap::Args;

use crate::console::Console;
use crate::exit::Exit;

/// Takes no arguments.
#[derive(Debug, Args)]
pub(crate) struct Version {}

impl Version {
    /// Prints the version, and the API that it speaks.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        let Version {} = self;
        console.line(format_args!("serin {} ({})", env!("CARGO_PKG_VERSION"), serin_api::labels::API_VERSION))?;
        Ok(Exit::Done)
    }
}
