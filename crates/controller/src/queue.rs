//! Which key to work on next: a queue without threads and clocks, so that its order can be reproduced.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::change::Key;

/// Why a key comes back sooner than anything asks for it, and so how long it waits at first; the soonest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backoff {
    /// Somebody else wrote first: 1 ms at first, observe again.
    Conflict,
    /// The caches are older than our own last write: 5 ms at first; the watch usually comes sooner.
    Stale,
    /// The API server failed or could not be reached: 100 ms at first.
    Unavailable,
    /// The API server refused, or a decision broke down: 1 s at first.
    Refused,
}

impl Backoff {
    fn first_ms(self) -> i64 {
        match self {
            Backoff::Conflict => 1,
            Backoff::Stale => 5,
            Backoff::Unavailable => 100,
            Backoff::Refused => 1_000,
        }
    }
}

/// When a key is to be worked on again, seen from the end of a reconcile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Only when something changes.
    OnChange,
    /// At this time at the latest.
    At(DateTime<Utc>),
    /// After a back-off that grows with each try, up to 10 s.
    Retry(Backoff),
    /// The same, and at this time at the latest: a write that fails must not make a pause end late.
    RetryBy(Backoff, DateTime<Utc>),
    /// The object is gone, or not ours any more.
    Forget,
}

/// The longest back-off.
const BACKOFF_MAX_MS: i64 = 10_000;

/// Keys and the times at which they are due; each key is there once, and with one worker at most.
#[derive(Clone, Debug)]
pub struct Queue {
    due_of: BTreeMap<Key, DateTime<Utc>>,
    by_due: BTreeSet<(DateTime<Utc>, Key)>,
    working: BTreeMap<Key, Option<DateTime<Utc>>>,
    tries: BTreeMap<Key, u32>,
    jitter: Jitter,
}

impl Queue {
    /// An empty queue; equal seeds give equal back-offs.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Queue {
            due_of: BTreeMap::new(),
            by_due: BTreeSet::new(),
            working: BTreeMap::new(),
            tries: BTreeMap::new(),
            jitter: Jitter(seed),
        }
    }

    /// Makes a key due at a time, or sooner if it already is. A key that is being worked on becomes due after that.
    pub fn add(&mut self, key: Key, at: DateTime<Utc>) {
        if let Some(pending) = self.working.get_mut(&key) {
            *pending = Some(pending.map_or(at, |earlier| earlier.min(at)));
            return;
        }
        if let Some(&due) = self.due_of.get(&key) {
            if due <= at {
                return;
            }
            self.by_due.remove(&(due, key.clone()));
        }
        self.due_of.insert(key.clone(), at);
        self.by_due.insert((at, key));
    }

    /// Takes the key that has been due longest, if any is; it counts as being worked on until [`Queue::done`].
    pub fn pop(&mut self, now: DateTime<Utc>) -> Option<Key> {
        let first = self.by_due.first().filter(|(due, _)| *due <= now)?.clone();
        self.by_due.remove(&first);
        let (_, key) = first;
        self.due_of.remove(&key);
        self.working.insert(key.clone(), None);
        Some(key)
    }

    /// The time at which the next key is due, among those that nobody works on.
    #[must_use]
    pub fn next_due(&self) -> Option<DateTime<Utc>> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Ends the work on a key. Whatever asked for it in the meantime wins over a later `next`.
    pub fn done(&mut self, key: &Key, next: &Next, now: DateTime<Utc>) {
        let pending = self.working.remove(key).flatten();
        let due = match next {
            Next::Retry(backoff) => {
                let delay = self.back_off(key, *backoff);
                earliest(pending, Some(now + delay))
            }
            Next::RetryBy(backoff, at) => {
                let delay = self.back_off(key, *backoff);
                earliest(pending, Some((now + delay).min(*at)))
            }
            Next::OnChange => {
                self.tries.remove(key);
                pending
            }
            Next::At(at) => {
                self.tries.remove(key);
                earliest(pending, Some(*at))
            }
            Next::Forget => {
                self.tries.remove(key);
                pending
            }
        };
        if let Some(due) = due {
            self.add(key.clone(), due);
        }
    }

    /// How often in a row a key has come back without having been done.
    #[must_use]
    pub fn tries(&self, key: &Key) -> u32 {
        self.tries.get(key).copied().unwrap_or(0)
    }

    /// Number of keys that wait or are being worked on.
    #[must_use]
    pub fn len(&self) -> usize {
        self.due_of.len() + self.working.len()
    }

    /// Number of keys that are due and wait for a worker.
    #[must_use]
    pub fn ready(&self, now: DateTime<Utc>) -> usize {
        self.by_due.iter().take_while(|(due, _)| *due <= now).count()
    }

    /// Whether nothing waits and nothing is being worked on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn back_off(&mut self, key: &Key, backoff: Backoff) -> TimeDelta {
        let tries = self.tries.entry(key.clone()).or_insert(0);
        let full = backoff.first_ms().saturating_mul(1 << (*tries).min(20)).min(BACKOFF_MAX_MS);
        *tries = tries.saturating_add(1);
        // Between half and all of it, so that keys that failed together do not come back together.
        let full_us = full * 1_000;
        TimeDelta::microseconds(full_us / 2 + self.jitter.below(full_us / 2))
    }
}

fn earliest(a: Option<DateTime<Utc>>, b: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// A small generator of random numbers (SplitMix64); statistics do not matter for jitter, the seed does.
#[derive(Clone, Debug)]
struct Jitter(u64);

impl Jitter {
    /// A number from 0 up to, and without, `bound`; 0 if there is none.
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let bound = u64::try_from(bound).unwrap_or(0).max(1);
        i64::try_from(z % bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::rollout("shop", name)
    }

    fn at(milliseconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds)
    }

    /// Runs a script of `+key@ms`, `pop@ms`, `done:key@ms`, and compares what `pop` gave.
    #[track_caller]
    fn check(case: &str, script: &str, popped: &[&str]) {
        let mut queue = Queue::new(1);
        let mut got = Vec::new();
        for word in script.split_whitespace() {
            let (what, ms) = word.split_once('@').expect("a time");
            let ms = ms.parse().expect("milliseconds");
            if let Some(name) = what.strip_prefix('+') {
                queue.add(key(name), at(ms));
            } else if let Some(name) = what.strip_prefix("done:") {
                queue.done(&key(name), &Next::OnChange, at(ms));
            } else if let Some(name) = what.strip_prefix("wake:") {
                queue.done(&key(name), &Next::At(at(ms)), at(ms));
            } else {
                got.push(queue.pop(at(ms)).map_or("-".to_owned(), |k| k.object().name.clone()));
            }
        }
        assert_eq!(got, popped, "{case}");
    }

    #[test]
    fn keys_come_out_in_order_and_once() {
        check("a key that was added twice comes once", "+a@0 +a@0 pop@0 done:a@0 pop@0", &["a", "-"]);
        check("the key that has been due longest comes first", "+b@5 +a@9 pop@10 pop@10", &["b", "a"]);
        check("nothing comes before it is due", "+a@10 pop@9 pop@10", &["-", "a"]);
        check("an earlier time wins over a later one", "+a@10 +a@5 pop@5 pop@10", &["a", "-"]);
        check("a later time does not put off an earlier one", "+a@5 +a@10 pop@5", &["a"]);
        check("a key has one worker at most", "+a@0 pop@0 +a@0 pop@0 done:a@1 pop@1", &["a", "-", "a"]);
        check("a wake-up is due at its time", "+a@0 pop@0 wake:a@9 pop@8 pop@9", &["a", "-", "a"]);
        check("a change during the work wins over a later wake-up", "+a@0 pop@0 +a@1 wake:a@9 pop@1", &["a", "a"]);
    }

    #[test]
    fn back_off_grows_to_its_bound_and_is_forgotten_after_success() {
        let mut queue = Queue::new(7);
        let mut now = at(0);
        let mut delays = Vec::new();
        queue.add(key("a"), now);
        for _ in 0..20 {
            now = queue.next_due().expect("due").max(now);
            let popped = queue.pop(now).expect("popped");
            queue.done(&popped, &Next::Retry(Backoff::Conflict), now);
            delays.push((queue.next_due().expect("due") - now).num_microseconds().expect("short"));
        }
        assert!((500..1_000).contains(&delays[0]), "{delays:?}");
        assert!(delays.iter().all(|&us| us <= 10_000_000), "{delays:?}");
        assert!(delays[19] >= 5_000_000, "{delays:?}");
        assert_eq!(queue.tries(&key("a")), 20);
        now = queue.next_due().expect("due");
        let popped = queue.pop(now).expect("popped");
        queue.done(&popped, &Next::OnChange, now);
        assert!(queue.is_empty());
        assert_eq!(queue.tries(&key("a")), 0);
        queue.add(key("a"), now);
        let popped = queue.pop(now).expect("popped");
        queue.done(&popped, &Next::Retry(Backoff::Conflict), now);
        assert!((queue.next_due().expect("due") - now) < TimeDelta::milliseconds(1));
    }

    #[test]
    fn equal_seeds_give_equal_back_offs() {
        let due = |seed| {
            let mut queue = Queue::new(seed);
            queue.add(key("a"), at(0));
            let popped = queue.pop(at(0)).expect("popped");
            queue.done(&popped, &Next::Retry(Backoff::Refused), at(0));
            queue.next_due()
        };
        assert_eq!(due(3), due(3));
        assert_ne!(due(3), due(4));
    }

    #[test]
    fn a_back_off_does_not_outlast_what_is_due() {
        let mut queue = Queue::new(7);
        queue.add(key("a"), at(0));
        for second in 0..9 {
            let popped = queue.pop(queue.next_due().expect("due")).expect("popped");
            queue.done(&popped, &Next::RetryBy(Backoff::Refused, at(20)), at(second));
            assert!(queue.next_due() <= Some(at(20)), "try {second}");
        }
        let popped = queue.pop(at(20)).expect("popped");
        queue.done(&popped, &Next::RetryBy(Backoff::Refused, at(21)), at(20));
        assert_eq!(queue.next_due(), Some(at(21)), "the back-off has grown beyond a second by now");
    }

    #[test]
    fn a_change_need_not_wait_for_the_end_of_a_back_off() {
        let mut queue = Queue::new(7);
        queue.add(key("a"), at(0));
        let popped = queue.pop(at(0)).expect("popped");
        queue.done(&popped, &Next::Retry(Backoff::Refused), at(0));
        queue.add(key("a"), at(1));
        assert_eq!(queue.next_due(), Some(at(1)));
    }
}
