//! Order of writes, what ends them, and what counts as done.

use std::collections::BTreeMap;

use serde_json::json;
use serin_core::plan::{Effect, Event, Target};

use super::*;
use crate::decision::Order;
use crate::fake::{self, Asked, Log};
use crate::metrics::Metrics;

fn executor(answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> (Executor, Log) {
    let (client, log) = fake::client(answer);
    let cluster = Cluster::new(client, None, Metrics::new());
    (Executor { cluster, leadership: Leadership::always() }, log)
}

fn accept(asked: &Asked) -> (u16, Value) {
    let _ = asked;
    (200, json!({"metadata": {"resourceVersion": "7", "uid": "u"}}))
}

fn order(effect: &Effect, event: Option<Event>) -> Order {
    Order { write: effect.write("web"), event }
}

fn scale(name: &str) -> Order {
    let effect =
        Effect::ScaleReplicaSet { name: name.into(), uid: "u".into(), replicas: 1, annotations: BTreeMap::new() };
    order(&effect, Some(Event::normal("ScalingReplicaSet", name)))
}

fn orders(effects: Vec<Order>) -> Orders {
    Orders {
        subject: Subject { key: Key::rollout("shop", "web"), uid: "r".into(), version: "5".into() },
        status: Some(json!({"metadata": {"resourceVersion": "5"}, "status": {"phase": "Paused"}})),
        effects,
        jobs: Vec::new(),
        events: vec![Event::normal("RolloutPaused", "Rollout is paused")],
    }
}

async fn run(executor: &Executor, orders: &Orders) -> Report {
    executor.execute(orders, DateTime::UNIX_EPOCH).await
}

#[tokio::test]
async fn the_status_comes_first_then_effects_in_order_then_events() {
    let (executor, log) = executor(accept);
    let report = run(&executor, &orders(vec![scale("a"), scale("b")])).await;
    assert!(matches!(report.outcome, Outcome::Done), "{report:?}");
    assert_eq!(log.short(), ["PATCH web/status", "PATCH a", "PATCH b", "POST events", "POST events", "POST events"]);
    assert_eq!(log.all()[0].media_type, "application/merge-patch+json");
    assert_eq!(log.all()[0].body.pointer("/metadata/resourceVersion"), Some(&json!("5")));
    assert!(report.status_written);
    assert_eq!(report.writes[1].mark, Mark::Version("7".into()));
    assert_eq!(report.events, 3);
}

#[tokio::test]
async fn a_conflict_about_the_status_drops_everything() {
    let (executor, log) = executor(|_| fake::status(409, "Conflict"));
    let report = run(&executor, &orders(vec![scale("a")])).await;
    assert!(matches!(report.outcome, Outcome::Conflict { .. }), "{report:?}");
    assert_eq!(log.short(), ["PATCH web/status"]);
    assert_eq!(report.next(None, DateTime::UNIX_EPOCH), Next::Retry(Backoff::Conflict));
}

#[tokio::test]
async fn effects_stop_at_the_first_failure_and_what_was_done_is_told() {
    let (executor, log) =
        executor(|asked| if asked.path.ends_with("/b") { fake::status(500, "InternalError") } else { accept(asked) });
    let report = run(&executor, &orders(vec![scale("a"), scale("b"), scale("c")])).await;
    assert!(matches!(report.outcome, Outcome::Failed(_)), "{report:?}");
    assert_eq!(log.short(), ["PATCH web/status", "PATCH a", "PATCH b", "POST events", "POST events"]);
    let now = DateTime::UNIX_EPOCH;
    assert_eq!(report.next(None, now), Next::Retry(Backoff::Unavailable));
    let wake =
        |seconds: i64| Wake { at: now + chrono::TimeDelta::seconds(seconds), why: "end of the pause".to_owned() };
    assert_eq!(
        report.next(Some(&wake(3)), now),
        Next::RetryBy(Backoff::Unavailable, wake(3).at),
        "a pause ends in time"
    );
    assert_eq!(report.next(Some(&wake(0)), now), Next::Retry(Backoff::Unavailable), "what was due already waits");
}

#[tokio::test]
async fn a_lost_event_fails_nothing_and_a_repeated_one_is_counted() {
    let (executor, log) = executor(|asked| match (asked.method.as_str(), asked.path.contains("/events")) {
        ("POST", true) => fake::status(409, "AlreadyExists"),
        ("GET", true) => (200, json!({"count": 2, "metadata": {"resourceVersion": "1"}})),
        _ => accept(asked),
    });
    let report = run(&executor, &orders(Vec::new())).await;
    assert!(matches!(report.outcome, Outcome::Done), "{report:?}");
    let patch = log.all().pop().expect("a patch");
    assert_eq!(patch.body.get("count"), Some(&json!(3)));
    let (refusing, _log) =
        self::executor(
            |asked| {
                if asked.path.contains("/events") { fake::status(403, "Forbidden") } else { accept(asked) }
            },
        );
    assert!(matches!(run(&refusing, &orders(Vec::new())).await.outcome, Outcome::Done));
}

#[tokio::test]
async fn nothing_is_written_without_leadership() {
    let (mut executor, log) = executor(accept);
    executor.leadership = Leadership::candidate();
    let report = run(&executor, &orders(vec![scale("a")])).await;
    assert!(matches!(report.outcome, Outcome::Fenced), "{report:?}");
    assert!(log.all().is_empty());
}

/// What a single effect comes to if the API server answers its first request with `code`.
#[track_caller]
fn check(case: &str, effect: &Effect, answer: (u16, &'static str), expected: &str) {
    let existing = json!({"metadata": {
        "resourceVersion": "9", "labels": {"rollouts-pod-template-hash": "a1"},
        "ownerReferences": [{"controller": true, "kind": "Rollout", "name": "web", "uid": "r"}],
    }});
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let _guard = runtime.enter();
    let (executor, _log) = executor(move |asked| match asked.method.as_str() {
        "GET" => (200, existing.clone()),
        _ if asked.path.contains("/events") => accept(asked),
        _ => fake::status(answer.0, answer.1),
    });
    let orders = Orders { status: None, ..orders(vec![order(effect, None)]) };
    let outcome = match runtime.block_on(run(&executor, &orders)).outcome {
        Outcome::Done => "done",
        Outcome::Conflict { .. } => "conflict",
        Outcome::Failed(Error::NameTaken { .. }) => "name taken",
        Outcome::Failed(_) => "failed",
        Outcome::Fenced => "fenced",
    };
    assert_eq!(outcome, expected, "{case}");
}

#[test]
fn answers_are_sorted_by_what_they_mean() {
    let made_by = |uid: &str, hash: &str| Effect::CreateReplicaSet {
        object: json!({"metadata": {
            "name": "web-1", "labels": {"rollouts-pod-template-hash": hash},
            "ownerReferences": [{"controller": true, "uid": uid}],
        }}),
    };
    let delete = Effect::DeleteReplicaSet { name: "web-1".into(), uid: "u".into() };
    let routes =
        Effect::ApplyRoutes { namespace: "mesh".into(), name: "web".into(), patch: vec![json!({"op": "test"})] };
    let scale = Effect::SetRolloutReplicas { replicas: 1 };
    check("an object that we made before counts as made", &made_by("r", "a1"), (409, "AlreadyExists"), "done");
    check("an object of somebody else does not", &made_by("other", "a1"), (409, "AlreadyExists"), "name taken");
    check("one for another pod template does not", &made_by("r", "b2"), (409, "AlreadyExists"), "name taken");
    check("what is gone counts as deleted", &delete, (404, "NotFound"), "done");
    check("another object of the same name is not ours to delete", &delete, (409, "Conflict"), "done");
    check("a failed test of a JSON patch is a conflict", &routes, (422, "Invalid"), "conflict");
    check("a stale JSON patch is a conflict", &routes, (409, "Conflict"), "conflict");
    check("an invalid merge patch is a failure", &scale, (422, "Invalid"), "failed");
    check("an object that went away is observed again", &scale, (404, "NotFound"), "conflict");
    check("a missing right is a failure", &scale, (403, "Forbidden"), "failed");
    assert_eq!(routes.write("web").target, Target::VirtualService);
}

#[test]
fn a_wake_up_that_is_due_already_does_not_spin() {
    let (done, now) = (Outcome::Done, DateTime::UNIX_EPOCH);
    let report = Report {
        outcome: done,
        status_written: false,
        writes: Vec::new(),
        refused: Vec::new(),
        names_taken: Vec::new(),
        events: 0,
    };
    let wake = |seconds| Wake { at: now + TimeDelta::seconds(seconds), why: String::new() };
    assert_eq!(report.next(Some(&wake(5)), now), Next::At(now + TimeDelta::seconds(5)));
    assert_eq!(report.next(Some(&wake(0)), now), Next::At(now + TimeDelta::seconds(1)));
    assert_eq!(report.next(Some(&wake(-9)), now), Next::At(now + TimeDelta::seconds(1)));
    assert_eq!(report.next(None, now), Next::OnChange);
}
