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

/// Is held by every run of suites, of which there may be several at a time.
#[derive(Debug)]
pub struct Run {
    file: File,
    alone: bool,
}

impl Run {
    /// Begins one. Others that begin wait until [`Run::let_others_in`].
    ///
    /// # Errors
    /// If the file cannot be opened or locked.
    pub fn begin(layout: &Layout) -> Result<Self> {
        layout.make()?;
        let path = layout.home().join("test.lock");
        let file = File::create(&path).with_context(|| format!("failed to write {}", path.display()))?;
        let alone = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                file.lock_shared().with_context(|| format!("failed to lock {}", path.display()))?;
                false
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("failed to lock {}", path.display()));
            }
        };
        Ok(Run { file, alone })
    }

    /// Whether no other run of this machine was under way when this one began.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.alone
    }

    /// Lets others begin, who will not be alone before this one is dropped.
    ///
    /// # Errors
    /// If the file cannot be locked.
    pub fn let_others_in(&self) -> Result<()> {
        // On Linux a lock becomes what its holder asks for last.
        self.file.lock_shared().context("failed to share the lock of the run")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::scratch::Scratch;

    #[test]
    fn the_first_of_several_runs_knows_that_it_is_alone() {
        let scratch = Scratch::new("runs");
        let layout = Layout::below(scratch.path("home"));
        let first = Run::begin(&layout).expect("a lock");
        assert!(first.is_alone());
        first.let_others_in().expect("shared");
        let second = Run::begin(&layout).expect("a lock");
        assert!(!second.is_alone());
        drop(first);
        assert!(!Run::begin(&layout).expect("a lock").is_alone(), "the second one goes on");
        drop(second);
        assert!(Run::begin(&layout).expect("a lock").is_alone());
    }
}
