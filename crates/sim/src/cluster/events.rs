//! The cluster's changes as code in the same process follows them.

use std::sync::{Arc, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use super::resource::Resource;
use super::store::Queue;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It was there and differs now.
    Modified,
    /// It is gone; the object is as it was last.
    Deleted,
}

impl ChangeKind {
    /// The word that watches use.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// One change of one object, in the order in which the changes were made.
#[derive(Clone, Debug)]
pub struct Change {
    /// The kind of the object.
    pub resource: Resource,
    /// What happened to it.
    pub kind: ChangeKind,
    /// The object after the change, in its storage version.
    pub object: Arc<Value>,
}

/// A subscription: begins with every object that exists as `Added`, and never misses a change.
#[derive(Debug)]
pub struct Events {
    pub(crate) queue: Arc<Queue>,
    pub(crate) news: watch::Receiver<u64>,
}

impl Events {
    /// Takes out everything that happened since the last call.
    pub fn drain(&mut self) -> Vec<Change> {
        self.news.mark_unchanged();
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Waits until there is something to drain; returns at once if there is already.
    pub async fn changed(&self) {
        let mut news = self.news.clone();
        while self.is_empty() {
            if news.changed().await.is_err() {
                return;
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}
