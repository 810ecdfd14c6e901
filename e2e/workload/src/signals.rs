//! The request to end: SIGTERM, or SIGINT at a terminal.

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Catches the signals from its creation on, so that none kills the process while it starts.
pub(crate) struct Termination {
    terminate: Signal,
    interrupt: Signal,
}

impl Termination {
    /// # Errors
    /// The system refuses a handler.
    pub(crate) fn catch() -> Result<Self> {
        let caught = |kind| signal(kind).context("cannot catch signals");
        Ok(Termination { terminate: caught(SignalKind::terminate())?, interrupt: caught(SignalKind::interrupt())? })
    }

    /// Waits for the first of them.
    pub(crate) async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
