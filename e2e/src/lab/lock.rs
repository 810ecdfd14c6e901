//! One command at a time changes the lab.

use std::fs::{File, TryLockError};

use anyhow::{Context, Result};

use super::layout::Layout;

/// Is held until dropped, and by no child.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing the file is what releases it")] File);

/// Takes it, waiting for whoever has it.
///
/// # Errors
/// If the file cannot be opened.
pub fn take(layout: &Layout) -> Result<Lock> {
    layout.make()?;
    let path = layout.home().join("lock");
    let file = File::create(&path).with_context(|| format!("failed to write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            println!("waiting for another command that builds, starts or stops");
            file.lock().with_context(|| format!("failed to lock {}", path.display()))?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("failed to lock {}", path.display()));
        }
    }
    Ok(Lock(file))
}
