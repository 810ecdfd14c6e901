//! Faults on the way to the API server: refusals, lost connections, crashes and late watches, all repeatable.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::cluster::{ApiError, Resource};

/// What a request meets instead of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 409: somebody else was faster.
    Conflict,
    /// 410: the resourceVersion is forgotten.
    Gone,
    /// 403: the client has no right to it.
    Forbidden,
    /// 404: the server has no such kind.
    NotServed,
    /// 429: slow down.
    TooManyRequests,
    /// 500: the server is broken.
    Internal,
    /// The connection breaks before the server has read the request.
    Disconnect,
    /// The connection breaks after the server has acted: the client does not know what became of its write.
    LostAnswer,
}

/// Which requests fail, and how; what is `None` matches all.
#[derive(Clone, Debug)]
pub struct Rule {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: Option<String>,
    /// The plural of the resource.
    pub plural: Option<String>,
    /// The subresource; `Some("")` means the object itself.
    pub subresource: Option<String>,
    /// How many matching requests pass before the first one fails.
    pub skip: u64,
    /// How many requests fail; further ones pass.
    pub times: u64,
    /// What the failing ones meet.
    pub failure: Failure,
}

impl Rule {
    /// Lets the next request of any kind fail.
    #[must_use]
    pub fn next(failure: Failure) -> Self {
        Self { verb: None, plural: None, subresource: None, skip: 0, times: 1, failure }
    }

    /// Narrows the rule to one verb and one plural.
    #[must_use]
    pub fn on(mut self, verb: &str, plural: &str) -> Self {
        self.verb = Some(verb.to_owned());
        self.plural = Some(plural.to_owned());
        self
    }

    /// Narrows the rule to a subresource; empty means the object itself.
    #[must_use]
    pub fn at(mut self, subresource: &str) -> Self {
        self.subresource = Some(subresource.to_owned());
        self
    }

    /// Lets `skip` matching requests pass, then fails `times`.
    #[must_use]
    pub fn after(mut self, skip: u64, times: u64) -> Self {
        self.skip = skip;
        self.times = times;
        self
    }
}

/// Where the client is cut off for good; writes are counted from 1 since the last reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The write with this number never reaches the server.
    Before(u64),
    /// The write with this number is carried out, and its answer is lost.
    After(u64),
}

/// A request as rules see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub verb: &'a str,
    pub plural: &'a str,
    pub subresource: &'a str,
}

impl Attempt<'_> {
    fn writes(&self) -> bool {
        !matches!(self.verb, "get" | "list" | "watch")
    }
}

/// What is to become of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    Pass,
    Refuse(ApiError),
    Disconnect,
    LoseAnswer,
}

/// The faults of one cluster; clones share them.
#[derive(Clone)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    news: Arc<watch::Sender<u64>>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<Rule>,
    crash: Option<Crash>,
    crashed: bool,
    writes: u64,
    withheld: BTreeSet<Resource>,
    drops: u64,
    noise: Option<Noise>,
}

#[derive(Debug)]
struct Noise {
    state: u64,
    per_thousand: u64,
}

impl Faults {
    pub(crate) fn new(news: Arc<watch::Sender<u64>>) -> Self {
        Self { state: Arc::default(), news }
    }

    /// Adds a rule; the oldest one that matches a request decides.
    pub fn add(&self, rule: Rule) {
        self.lock().rules.push(rule);
    }

    /// Cuts the client off at a write; from then on every request fails until `reset`.
    pub fn crash(&self, at: Crash) {
        self.lock().crash = Some(at);
    }

    /// Whether the crash has happened.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.lock().crashed
    }

    /// Ends all faults, forgets all rules and counts writes from zero again; open watches stay.
    pub fn reset(&self) {
        let mut state = self.lock();
        let drops = state.drops;
        *state = State { drops, ..State::default() };
        drop(state);
        self.wake();
    }

    /// Ends every open watch, as a restart of the API server would.
    pub fn drop_watches(&self) {
        self.lock().drops += 1;
        self.wake();
    }

    /// Holds back the changes of a kind from open watches: readers see the past until `release`.
    pub fn withhold(&self, resource: &Resource) {
        self.lock().withheld.insert(resource.clone());
    }

    /// Delivers what was held back.
    pub fn release(&self, resource: &Resource) {
        self.lock().withheld.remove(resource);
        self.wake();
    }

    /// Lets `per_thousand` of a thousand requests fail (0 to 1000), chosen by the seed.
    pub fn noise(&self, seed: u64, per_thousand: u64) {
        self.lock().noise = Some(Noise { state: seed, per_thousand });
    }

    pub(crate) fn fate(&self, attempt: Attempt<'_>) -> Fate {
        let mut state = self.lock();
        if state.crashed {
            return Fate::Disconnect;
        }
        if attempt.writes() {
            state.writes += 1;
            let number = state.writes;
            match state.crash {
                Some(Crash::Before(at)) if number >= at => {
                    state.crashed = true;
                    return self.cut(state, Fate::Disconnect);
                }
                Some(Crash::After(at)) if number >= at => {
                    state.crashed = true;
                    return self.cut(state, Fate::LoseAnswer);
                }
                Some(Crash::Before(_) | Crash::After(_)) | None => {}
            }
        }
        let failure = state.by_rule(attempt).or_else(|| state.by_chance());
        failure.map_or(Fate::Pass, |failure| fate(failure, attempt))
    }

    pub(crate) fn drops(&self) -> u64 {
        self.lock().drops
    }

    pub(crate) fn withholds(&self, resource: &Resource) -> bool {
        let state = self.lock();
        state.crashed || state.withheld.contains(resource)
    }

    /// The crashed client's watches end too.
    fn cut(&self, mut state: MutexGuard<'_, State>, fate: Fate) -> Fate {
        state.drops += 1;
        drop(state);
        self.wake();
        fate
    }

    fn wake(&self) {
        self.news.send_modify(|_| {});
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn by_rule(&mut self, attempt: Attempt<'_>) -> Option<Failure> {
        let fits = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|w| w == is);
        let rule = self.rules.iter_mut().find(|rule| {
            rule.times > 0
                && fits(&rule.verb, attempt.verb)
                && fits(&rule.plural, attempt.plural)
                && fits(&rule.subresource, attempt.subresource)
        })?;
        if rule.skip > 0 {
            rule.skip -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.failure)
    }

    fn by_chance(&mut self) -> Option<Failure> {
        const KINDS: [Failure; 5] =
            [Failure::Conflict, Failure::TooManyRequests, Failure::Internal, Failure::Disconnect, Failure::LostAnswer];
        let noise = self.noise.as_mut()?;
        let draw = noise.draw();
        let index = usize::try_from(draw / 1000 % 5).unwrap_or(0);
        (draw % 1000 < noise.per_thousand).then_some(KINDS[index])
    }
}

impl Noise {
    /// The next number of a splitmix sequence, without its weakest bits.
    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) >> 8
    }
}

fn fate(failure: Failure, attempt: Attempt<'_>) -> Fate {
    let refuse = |code, reason, message: &str| Fate::Refuse(ApiError::new(code, reason, message));
    match failure {
        Failure::Conflict => {
            let message = format!(
                "Operation cannot be fulfilled on {}: the object has been modified; please apply your changes to the latest version and try again",
                attempt.plural
            );
            refuse(409, "Conflict", &message)
        }
        Failure::Forbidden => refuse(403, "Forbidden", &format!("{} is forbidden: no right to it", attempt.plural)),
        Failure::NotServed => Fate::Refuse(ApiError::unknown_path()),
        Failure::Gone => refuse(410, "Expired", "too old resource version"),
        Failure::TooManyRequests => refuse(
            429,
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        ),
        Failure::Internal => {
            refuse(500, "InternalError", "an error on the server has prevented the request from succeeding")
        }
        Failure::Disconnect => Fate::Disconnect,
        Failure::LostAnswer => Fate::LoseAnswer,
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults() -> Faults {
        Faults::new(Arc::new(watch::Sender::new(0)))
    }

    fn attempt<'a>(verb: &'a str, plural: &'a str) -> Attempt<'a> {
        Attempt { verb, plural, subresource: "" }
    }

    #[test]
    fn a_rule_skips_then_fails_then_is_spent() {
        let faults = faults();
        faults.add(Rule::next(Failure::Disconnect).on("patch", "rollouts").after(1, 2));
        let fates: Vec<bool> = (0..5).map(|_| faults.fate(attempt("patch", "rollouts")) == Fate::Pass).collect();
        assert_eq!(fates, [true, false, false, true, true]);
        assert_eq!(faults.fate(attempt("get", "rollouts")), Fate::Pass);
    }

    #[test]
    fn after_a_crash_nothing_passes_until_reset() {
        for (crash, at_second) in [(Crash::Before(2), Fate::Disconnect), (Crash::After(2), Fate::LoseAnswer)] {
            let faults = faults();
            faults.crash(crash);
            assert_eq!(faults.fate(attempt("list", "pods")), Fate::Pass);
            assert_eq!(faults.fate(attempt("create", "pods")), Fate::Pass);
            assert_eq!(faults.fate(attempt("patch", "pods")), at_second);
            assert!(faults.crashed());
            assert_eq!(faults.fate(attempt("get", "pods")), Fate::Disconnect);
            faults.reset();
            assert_eq!(faults.fate(attempt("patch", "pods")), Fate::Pass);
        }
    }

    #[test]
    fn noise_depends_on_the_seed_alone() {
        let run = |seed| -> Vec<bool> {
            let faults = faults();
            faults.noise(seed, 300);
            (0..200).map(|_| faults.fate(attempt("get", "pods")) == Fate::Pass).collect()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let failed = run(7).iter().filter(|passed| !**passed).count();
        assert!((30..90).contains(&failed), "{failed} of 200 failed");
    }
}
