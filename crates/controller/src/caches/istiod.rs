//! Whether istiod is there, from the EndpointSlices of its Service.
//!
//! A proxy is connected to one istiod. When that goes the proxy keeps what it knows, and finds another one, or the next
//! one, within a time that only experience tells. So every ready endpoint that goes begins such a time, and it ends that
//! long after the last one went and one was ready.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use serin_core::rollout::ControlPlane;

use super::decode::Identity;
use crate::change::ObjectName;

/// The label by which an EndpointSlice says whose it is.
/// Source: <https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/>
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// When a pod behind an EndpointSlice last changed, as far as Kubernetes tells it.
/// Source: <https://kubernetes.io/docs/reference/labels-annotations-taints/#endpoints-kubernetes-io-last-change-trigger-time>
const LAST_CHANGE: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The EndpointSlices of istiod, and what became of its endpoints.
#[derive(Debug, Default)]
pub(super) struct Istiod {
    slices: BTreeMap<ObjectName, Slice>,
    /// The ready endpoints when they were last looked at together.
    ready: BTreeSet<String>,
    /// When one went while all was well: proxies may know nothing that was changed after.
    lost: Option<DateTime<Utc>>,
    /// The last moment at which one went, or the first was ready again.
    shaken: Option<DateTime<Utc>>,
}

#[derive(Debug)]
struct Slice {
    identity: Identity,
    ready: BTreeSet<String>,
    /// When a pod behind it last changed.
    changed_at: Option<DateTime<Utc>>,
}

impl Istiod {
    pub(super) fn applied(&mut self, identity: Identity, object: &Value) {
        let ready = ready_endpoints(object);
        self.slices.insert(identity.name.clone(), Slice { identity, ready, changed_at: changed_at(object) });
    }

    pub(super) fn removed(&mut self, name: &ObjectName) {
        self.slices.remove(name);
    }

    pub(super) fn shown(&self, name: &ObjectName) -> Option<(&String, &String)> {
        self.slices.get(name).map(|slice| (&slice.identity.version, &slice.identity.uid))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.slices.keys()
    }

    /// Looks at all slices together, after a change that was seen at `now`; true if decisions may depend on it.
    pub(super) fn look(&mut self, now: DateTime<Utc>, reconnect: TimeDelta) -> bool {
        let ready: BTreeSet<String> = self.slices.values().flat_map(|slice| &slice.ready).cloned().collect();
        let was_known = self.shaken.is_some() || !self.ready.is_empty();
        let is_lost = self.ready.iter().any(|endpoint| !ready.contains(endpoint));
        let is_first = self.ready.is_empty() && !ready.is_empty();
        // Found without any endpoint: nobody knows for how long.
        let begins_away = !was_known && ready.is_empty() && !self.slices.is_empty();
        let changed = is_lost || begins_away || (is_first && was_known);
        let unseen = self.changed_unseen(now, reconnect).filter(|_| !was_known && is_first);
        if unseen.is_some() {
            (self.lost, self.shaken) = (unseen, unseen);
        } else if changed {
            let is_over = self.shaken.is_none_or(|at| !self.ready.is_empty() && at + reconnect <= now);
            if is_over {
                self.lost = Some(now);
            }
            self.shaken = Some(now);
        }
        self.ready = ready;
        changed || unseen.is_some()
    }

    /// When an endpoint changed before anybody here looked: a controller that starts while proxies look for istiod must not
    /// take it for one that has always been there.
    fn changed_unseen(&self, now: DateTime<Utc>, reconnect: TimeDelta) -> Option<DateTime<Utc>> {
        let latest = self.slices.values().filter_map(|slice| slice.changed_at).max()?;
        (latest + reconnect > now).then_some(latest.min(now))
    }

    /// What is known at a moment, with the time that proxies are given to find istiod again.
    pub(super) fn control_plane(&self, now: DateTime<Utc>, reconnect: TimeDelta) -> ControlPlane {
        // That an istiod is gone is noticed late, at the latest when the proxies would have found another one.
        let known = self.lost.map_or(now, |lost| lost - reconnect);
        let is_away = self.ready.is_empty() && !self.slices.is_empty();
        match self.shaken.map(|at| at + reconnect) {
            Some(_) if is_away => ControlPlane::Away { known },
            Some(until) if until > now => ControlPlane::Reconnecting { known, until },
            Some(_) | None if self.ready.is_empty() => ControlPlane::Unknown,
            Some(_) | None => ControlPlane::Listening,
        }
    }
}

fn changed_at(slice: &Value) -> Option<DateTime<Utc>> {
    slice.get("metadata")?.get("annotations")?.get(LAST_CHANGE)?.as_str()?.parse().ok()
}

/// UIDs of the pods behind the ready endpoints of a slice; their first addresses where there are no pods.
fn ready_endpoints(slice: &Value) -> BTreeSet<String> {
    let endpoints = slice.get("endpoints").and_then(Value::as_array);
    // Whoever says nothing about readiness is to be taken for ready.
    let is_ready = |endpoint: &&Value| endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
    let identity = |endpoint: &Value| {
        let place = endpoint.pointer("/targetRef/uid").or_else(|| endpoint.pointer("/addresses/0"));
        place.and_then(Value::as_str).map(str::to_owned)
    };
    endpoints.into_iter().flatten().filter(is_ready).filter_map(identity).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::caches::decode;
    use crate::change::Kind;

    const RECONNECT: TimeDelta = TimeDelta::seconds(30);

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).expect("a time")
    }

    fn away(lost: i64) -> ControlPlane {
        ControlPlane::Away { known: at(lost) - RECONNECT }
    }

    fn back(lost: i64, until: i64) -> ControlPlane {
        ControlPlane::Reconnecting { known: at(lost) - RECONNECT, until: at(until) }
    }

    /// Lets the ready endpoints be these at these moments, none at all where there is no slice.
    #[track_caller]
    fn check(case: &str, story: &[(i64, Option<&[&str]>)], moments: &[(i64, ControlPlane)]) {
        let mut istiod = Istiod::default();
        let mut story = story.iter().peekable();
        for (moment, expected) in moments {
            while let Some((second, ready)) = story.next_if(|(second, _)| second <= moment) {
                let name = ObjectName::new("istio-system", "istiod-x");
                istiod.removed(&name);
                if let Some(ready) = ready {
                    let endpoint = |uid: &&str| json!({"addresses": ["10.0.0.1"], "targetRef": {"uid": uid}});
                    let endpoints: Vec<Value> = ready.iter().map(endpoint).collect();
                    let slice = json!({"metadata": {"namespace": name.namespace, "name": name.name},
                        "endpoints": endpoints});
                    istiod.applied(decode::identity(Kind::EndpointSlice, &slice).expect("a name"), &slice);
                }
                istiod.look(at(*second), RECONNECT);
            }
            assert_eq!(istiod.control_plane(at(*moment), RECONNECT), *expected, "{case}: at {moment}");
        }
    }

    #[test]
    fn endpoints_that_go_begin_a_time_in_which_proxies_reconnect() {
        use ControlPlane::{Listening, Unknown};
        check("no slice at all", &[(0, None)], &[(0, Unknown), (99, Unknown)]);
        check("there from the start", &[(0, Some(&["a"]))], &[(0, Listening)]);
        check(
            "away from the start",
            &[(0, Some(&[])), (50, Some(&["a"]))],
            &[(0, away(0)), (50, back(0, 80)), (80, Listening)],
        );
        check(
            "killed and back",
            &[(0, Some(&["a"])), (100, Some(&[])), (110, Some(&["b"]))],
            &[(99, Listening), (100, away(100)), (110, back(100, 140)), (139, back(100, 140)), (140, Listening)],
        );
        check(
            "replaced in one change",
            &[(0, Some(&["a"])), (100, Some(&["b"]))],
            &[(100, back(100, 130)), (130, Listening)],
        );
        check("another one comes", &[(0, Some(&["a"])), (100, Some(&["a", "b"]))], &[(100, Listening)]);
        check(
            "one of two goes, and then the other",
            &[(0, Some(&["a", "b"])), (100, Some(&["b"])), (120, Some(&["c"]))],
            &[(100, back(100, 130)), (120, back(100, 150)), (150, Listening)],
        );
        check(
            "a second time, long after the first",
            &[(0, Some(&["a"])), (100, Some(&["b"])), (200, Some(&["c"]))],
            &[(100, back(100, 130)), (200, back(200, 230))],
        );
        check("its Service is deleted", &[(0, Some(&["a"])), (100, None)], &[(100, back(100, 130)), (130, Unknown)]);
    }

    #[test]
    fn what_changed_before_the_controller_started_begins_such_a_time_too() {
        let first_look = |changed: &str| {
            let name = ObjectName::new("istio-system", "istiod-x");
            let slice = json!({
                "metadata": {"namespace": name.namespace, "name": name.name, "annotations": {LAST_CHANGE: changed}},
                "endpoints": [{"addresses": ["10.0.0.1"]}],
            });
            let mut istiod = Istiod::default();
            istiod.applied(decode::identity(Kind::EndpointSlice, &slice).expect("a name"), &slice);
            let concerns = istiod.look(at(100), RECONNECT);
            (concerns, istiod.control_plane(at(100), RECONNECT), istiod.control_plane(at(130), RECONNECT))
        };
        let listening = (false, ControlPlane::Listening, ControlPlane::Listening);
        assert_eq!(first_look("1970-01-01T00:01:30Z"), (true, back(90, 120), ControlPlane::Listening));
        assert_eq!(first_look("1970-01-01T00:01:10Z"), listening, "long enough ago");
        let ahead = first_look("1970-01-01T00:01:42.5Z");
        assert_eq!(ahead, (true, back(100, 130), ControlPlane::Listening), "by a clock that is ahead");
        assert_eq!(first_look("yesterday"), listening, "no time at all");
    }

    #[test]
    fn only_ready_endpoints_count() {
        let slice = json!({"endpoints": [
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "targetRef": {"uid": "a"}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}},
            {"addresses": ["10.0.0.3"]},
        ]});
        assert_eq!(ready_endpoints(&slice), BTreeSet::from(["10.0.0.3".to_owned(), "a".to_owned()]));
        assert!(ready_endpoints(&json!({"endpoints": null})).is_empty());
    }
}
