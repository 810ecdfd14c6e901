//! Watches: a stream of changes that begins where the client says.

use std::collections::VecDeque;
use std::convert::Infallible;

use bytes::Bytes;
use futures::stream::{self, Stream};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Cluster;
use super::error::ApiError;
use super::events::ChangeKind;
use super::form::View;
use super::meta;
use super::registry::KindId;
use super::selector::Selector;
use super::store::Entry;
use super::store::Store;

/// What one watch follows.
pub(crate) struct Watch {
    cluster: Cluster,
    kind: KindId,
    filter: Filter,
    view: View,
    cursor: u64,
    ready: VecDeque<Bytes>,
    news: watch::Receiver<u64>,
    drops: u64,
    ended: bool,
}

/// Which objects of the kind a watch shows.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub selector: Selector,
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With every object there is.
    Now,
    /// With every object there is, and a bookmark after the last of them.
    Streaming,
    /// With the first change after this version.
    After(u64),
}

impl Filter {
    pub(crate) fn shows(&self, object: &Value) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| namespace == meta::namespace(object))
            && self.name.as_deref().is_none_or(|name| name == meta::name(object))
            && self.selector.matches(object)
    }
}

impl Watch {
    /// Opens the watch under the lock of the store, so that nothing falls between list and stream.
    pub(crate) fn open(
        cluster: &Cluster,
        store: &Store,
        (kind, filter, view): (KindId, Filter, View),
        start: Start,
    ) -> Self {
        let mut opened = Self {
            cluster: cluster.clone(),
            kind,
            filter,
            view,
            cursor: store.version(),
            ready: VecDeque::new(),
            news: cluster.news(),
            drops: cluster.faults().drops(),
            ended: false,
        };
        match start {
            Start::After(version) => opened.cursor = version,
            Start::Now => opened.begin(store),
            Start::Streaming => {
                opened.begin(store);
                opened.bookmark();
            }
        }
        opened
    }

    /// The lines of the response, without an end of its own.
    pub(crate) fn lines(self) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        stream::unfold(self, |mut watch| async move {
            let line = watch.next().await?;
            Some((Ok(line), watch))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.ended || self.cluster.faults().drops() != self.drops {
                return None;
            }
            self.news.mark_unchanged();
            self.fill();
            if self.ready.is_empty() && !self.ended && self.news.changed().await.is_err() {
                return None;
            }
        }
    }

    fn begin(&mut self, store: &Store) {
        let objects = store.list(self.kind, self.filter.namespace.as_deref());
        for (_, object) in objects.filter(|(_, object)| self.filter.shows(object)) {
            let line = line("ADDED", &self.view.object(object));
            self.ready.push_back(line);
        }
    }

    fn bookmark(&mut self) {
        let object = json!({
            "kind": self.view.kind.resource.kind, "apiVersion": self.view.api_version,
            "metadata": {
                "resourceVersion": self.cursor.to_string(), "creationTimestamp": null,
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
        });
        self.ready.push_back(line("BOOKMARK", &object));
    }

    fn fill(&mut self) {
        if self.cluster.faults().withholds(&self.view.kind.resource) {
            return;
        }
        let cluster = self.cluster.clone();
        let store = cluster.lock();
        self.view.now = cluster.now();
        match store.since(self.kind, self.cursor) {
            Ok(entries) => {
                for entry in entries {
                    if let Some((word, object)) = self.seen(entry) {
                        self.ready.push_back(line(word, &self.view.object(object)));
                    }
                }
                self.cursor = store.version();
            }
            Err(error) => {
                self.ready.push_back(last_line(&error));
                self.ended = true;
            }
        }
    }

    /// A change as this watch sees it: objects may enter or leave what its selector shows.
    fn seen<'a>(&self, entry: &'a Entry) -> Option<(&'static str, &'a Value)> {
        let after = self.filter.shows(&entry.object);
        let before = entry.previous.as_ref().is_some_and(|previous| self.filter.shows(previous));
        match (entry.change, before, after) {
            (ChangeKind::Deleted, false, _) | (_, false, false) => None,
            (ChangeKind::Deleted, true, _) | (_, true, false) => Some(("DELETED", &entry.object)),
            (ChangeKind::Added | ChangeKind::Modified, false, true) => Some(("ADDED", &entry.object)),
            (ChangeKind::Added | ChangeKind::Modified, true, true) => Some(("MODIFIED", &entry.object)),
        }
    }
}

/// The one line of a watch that the server gives up: with status 200, as clients expect of an expired version.
pub(crate) fn last_line(error: &ApiError) -> Bytes {
    line("ERROR", &error.status())
}

fn line(word: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{{\"type\":\"{word}\",\"object\":{object}}}\n"))
}
