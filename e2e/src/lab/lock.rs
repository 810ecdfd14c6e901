//! One command at a time builds, and one changes the cluster.

use std::fs::{File, TryLockError};

use anyhow::{Context, Result};

use super::layout::Layout;

/// Is held until dropped, and by no child.
#[derive(Debug)]
pub struct Lock {
    // Closing it is what releases it.
    _file: File,
}

/// What only one command at a time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Writes artefacts. Each appears at once, so that a cluster may start meanwhile.
    Artefacts,
    /// Starts or stops.
    Cluster,
}

/// Takes it, waiting for whoever has it.
///
/// # Errors
/// If the file cannot be opened.
pub fn take(layout: &Layout, subject: Subject) -> Result<Lock> {
    layout.make()?;
    let (name, deed) = match subject {
        Subject::Artefacts => ("build.lock", "builds"),
        Subject::Cluster => ("cluster.lock", "starts or stops the cluster"),
    };
    let path = layout.home().join(name);
    let file = File::create(&path).with_context(|| format!("failed to write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            println!("waiting for another command that {deed}");
            file.lock().with_context(|| format!("failed to lock {}", path.display()))?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("failed to lock {}", path.display()));
        }
    }
    Ok(Lock { _file: file })
}
