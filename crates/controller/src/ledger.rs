//! What we wrote ourselves, so that nothing is decided on caches that do not know of it yet.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::change::{Key, Kind, ObjectName};

/// How long a watch may lag behind our own write before we stop waiting for it.
pub const LAG_MAX: TimeDelta = TimeDelta::seconds(10);

/// The last write of each key to each object, until the caches have caught up with it.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    written: BTreeMap<Key, BTreeMap<(Kind, ObjectName), Entry>>,
}

/// What a cache must show to be as new as our write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The object in this resourceVersion or a later one.
    Version(String),
    /// No object of this UID.
    Gone(String),
}

/// What a cache shows of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// `metadata.resourceVersion`.
    pub version: &'a str,
    /// `metadata.uid`.
    pub uid: &'a str,
}

#[derive(Clone, Debug)]
struct Entry {
    mark: Mark,
    at: DateTime<Utc>,
}

impl Ledger {
    /// Notes a write that a reconcile of `key` has made.
    pub fn wrote(&mut self, key: &Key, object: (Kind, ObjectName), mark: Mark, now: DateTime<Utc>) {
        self.written.entry(key.clone()).or_default().insert(object, Entry { mark, at: now });
    }

    /// The first object that the caches show older than `key` left it, if any; forgets what they have caught up with,
    /// and what they have not caught up with for [`LAG_MAX`].
    pub fn behind<'a>(
        &mut self,
        key: &Key,
        now: DateTime<Utc>,
        shown: impl Fn(Kind, &ObjectName) -> Option<Shown<'a>>,
    ) -> Option<(Kind, ObjectName)> {
        let entries = self.written.get_mut(key)?;
        entries.retain(|(kind, name), entry| now - entry.at < LAG_MAX && !entry.mark.is_reached(shown(*kind, name)));
        let first = entries.keys().next().cloned();
        if first.is_none() {
            self.written.remove(key);
        }
        first
    }

    /// Notes that a watch reported an object as deleted: it has seen all that was ever written to it.
    pub fn deleted(&mut self, kind: Kind, name: &ObjectName) {
        let object = (kind, name.clone());
        for entries in self.written.values_mut() {
            entries.remove(&object);
        }
    }

    /// Forgets all writes of a key that is no more.
    pub fn forget(&mut self, key: &Key) {
        self.written.remove(key);
    }
}

impl Mark {
    fn is_reached(&self, shown: Option<Shown<'_>>) -> bool {
        match (self, shown) {
            (Mark::Version(wanted), Some(shown)) => is_as_new(shown.version, wanted),
            (Mark::Version(_), None) => false,
            (Mark::Gone(uid), Some(shown)) => shown.uid != uid,
            (Mark::Gone(_), None) => true,
        }
    }
}

/// Whether one resourceVersion is as new as another. Versions that are not numbers cannot be compared, and count as new.
fn is_as_new(shown: &str, wanted: &str) -> bool {
    match (shown.parse::<u128>(), wanted.parse::<u128>()) {
        (Ok(shown), Ok(wanted)) => shown >= wanted,
        (Err(_), _) | (_, Err(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key::rollout("shop", "web")
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[track_caller]
    fn check(case: &str, mark: Mark, shown: Option<(&str, &str)>, stale: bool) {
        let mut ledger = Ledger::default();
        ledger.wrote(&key(), (Kind::Service, ObjectName::new("shop", "web")), mark, at(0));
        let behind = ledger.behind(&key(), at(1), |_, _| shown.map(|(version, uid)| Shown { version, uid }));
        assert_eq!(behind.is_some(), stale, "{case}");
    }

    #[test]
    fn a_cache_is_stale_until_it_shows_our_write() {
        let version = |v: &str| Mark::Version(v.to_owned());
        check("an older version is stale", version("10"), Some(("9", "u")), true);
        check("our own version will do", version("10"), Some(("10", "u")), false);
        check("a later version will do", version("9"), Some(("10", "u")), false);
        check("versions are compared as numbers", version("100"), Some(("99", "u")), true);
        check("versions that are no numbers cannot be compared", version("b"), Some(("a", "u")), false);
        check("an object that we made and nobody shows is stale", version("10"), None, true);
        check("a deleted object that is still shown is stale", Mark::Gone("u".into()), Some(("9", "u")), true);
        check(
            "another object of the same name is not the one we deleted",
            Mark::Gone("u".into()),
            Some(("9", "v")),
            false,
        );
        check("a deleted object that is not shown will do", Mark::Gone("u".into()), None, false);
    }

    #[test]
    fn a_watch_that_stays_behind_is_not_waited_for_forever() {
        let mut ledger = Ledger::default();
        ledger.wrote(&key(), (Kind::Service, ObjectName::new("shop", "web")), Mark::Version("10".into()), at(0));
        let shown = |_: Kind, _: &ObjectName| Some(Shown { version: "9", uid: "u" });
        assert!(ledger.behind(&key(), at(9), shown).is_some());
        assert!(ledger.behind(&key(), at(10), shown).is_none());
    }

    #[test]
    fn an_object_that_was_seen_to_go_is_not_waited_for() {
        let mut ledger = Ledger::default();
        let web = ObjectName::new("shop", "web");
        ledger.wrote(&key(), (Kind::Service, web.clone()), Mark::Version("10".into()), at(0));
        assert!(ledger.behind(&key(), at(1), |_, _| None).is_some());
        ledger.deleted(Kind::Service, &web);
        assert!(ledger.behind(&key(), at(1), |_, _| None).is_none());
    }

    #[test]
    fn a_key_waits_for_its_own_writes_only() {
        let mut ledger = Ledger::default();
        ledger.wrote(&key(), (Kind::Service, ObjectName::new("shop", "web")), Mark::Version("10".into()), at(0));
        let other = Key::rollout("shop", "other");
        assert!(ledger.behind(&other, at(1), |_, _| None).is_none());
        assert!(ledger.behind(&key(), at(1), |_, _| None).is_some());
    }
}
