//! Order of writes, what ends them, and what counts as done.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use serin_core::plan::{Effect, Event, Target};

use super::*;
use crate::change::Key;
use crate::decision::Subject;
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

fn order(effect: &Effect, event: Option<&Event>) -> Order {
    Order::new(effect, event, "web")
}

fn scale(name: &str) -> Order {
    let effect =
        Effect::ScaleReplicaSet { name: name.into(), uid: "u".into(), replicas: 1, annotations: BTreeMap::new() };
    order(&effect, Some(&Event::normal("ScalingReplicaSet", name)))
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
    let reasons: Vec<&str> = report.events.iter().map(|event| event.reason.as_str()).collect();
    assert_eq!(reasons, ["RolloutPaused", "ScalingReplicaSet", "ScalingReplicaSet"]);
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
async fn a_failed_effect_is_in_the_way_of_no_other_and_what_was_done_is_told() {
    let (executor, log) =
        executor(|asked| if asked.path.ends_with("/b") { fake::status(500, "InternalError") } else { accept(asked) });
    let report = run(&executor, &orders(vec![scale("a"), scale("b"), scale("c")])).await;
    assert!(matches!(report.outcome, Outcome::Failed(_)), "{report:?}");
    assert_eq!(log.short()[..4], ["PATCH web/status", "PATCH a", "PATCH b", "PATCH c"]);
    let told: Vec<&str> = report.events.iter().map(|event| event.message.as_str()).collect();
    let refused = "patch ReplicaSet shop/b: InternalError (500 InternalError); it is tried again";
    assert_eq!(told, ["Rollout is paused", "a", "c", refused]);
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
async fn a_refused_write_is_told() {
    let (executor, log) =
        executor(|asked| if asked.path.ends_with("/a") { fake::status(403, "Forbidden") } else { accept(asked) });
    run(&executor, &orders(vec![scale("a")])).await;
    assert_eq!(log.short(), ["PATCH web/status", "PATCH a", "POST events", "POST events"]);
    let told = log.all().pop().expect("an event").body;
    assert_eq!((&told["type"], &told["reason"]), (&json!("Warning"), &json!("WriteRefused")));
    assert_eq!(told["message"], "patch ReplicaSet shop/a: Forbidden (403 Forbidden); it is tried again");
}

#[tokio::test]
async fn a_refused_status_drops_everything_and_is_told() {
    // A subresource that is not there is answered like an object that is not.
    for code in [401, 403, 404, 413, 422, 500] {
        let (executor, log) = executor(move |asked| match asked.method.as_str() {
            "PATCH" => fake::status(code, "Refused"),
            "GET" => (200, json!({"metadata": {"uid": "r"}})),
            _ => accept(asked),
        });
        let report = run(&executor, &orders(vec![scale("a")])).await;
        assert!(report.dropped && matches!(report.outcome, Outcome::Failed(_)), "{code}: {report:?}");
        let messages: Vec<&str> = report.events.iter().map(|event| event.message.as_str()).collect();
        let expected = format!("patch status of Rollout shop/web: Refused ({code} Refused); it is tried again");
        assert_eq!(messages, [expected.as_str()]);
        assert!(!log.short().contains(&"PATCH a".to_owned()), "{code}");
    }
}

#[tokio::test]
async fn the_status_of_a_rollout_that_is_gone_is_nobodys_concern() {
    let (executor, log) = executor(|_| fake::status(404, "NotFound"));
    let report = run(&executor, &orders(vec![scale("a")])).await;
    assert!(report.dropped && matches!(report.outcome, Outcome::Conflict { .. }), "{report:?}");
    assert_eq!(log.short(), ["PATCH web/status", "GET web"]);
}

/// Name and message of the event about a write that is refused in these words.
async fn told_of(words: &str) -> (String, String) {
    let words = words.to_owned();
    let (executor, log) = executor(move |asked| {
        let (code, mut body) = fake::status(403, "Forbidden");
        body["message"] = json!(words);
        if asked.path.ends_with("/a") { (code, body) } else { accept(asked) }
    });
    run(&executor, &orders(vec![scale("a")])).await;
    let told = log.all().pop().expect("an event").body;
    let text = |place: &str| told.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("/metadata/name"), text("/message"))
}

#[tokio::test]
async fn a_refusal_in_other_words_is_the_same_event_and_none_is_too_long() {
    let (first, message) = told_of("denied, request 1").await;
    assert_eq!(message, "patch ReplicaSet shop/a: denied, request 1 (403 Forbidden); it is tried again");
    let (second, message) = told_of(&"é".repeat(5_000)).await;
    assert!(message.len() <= 1_024 && message.ends_with("é…"), "{message}");
    assert_eq!(first, second);
}

#[tokio::test]
async fn an_event_that_happens_again_says_what_was_said_last() {
    let (executor, log) = executor(|asked| match (asked.method.as_str(), asked.path.contains("/events")) {
        ("POST", true) => fake::status(409, "AlreadyExists"),
        (_, false) if asked.path.ends_with("/a") => fake::status(403, "Forbidden"),
        _ => accept(asked),
    });
    run(&executor, &Orders { events: Vec::new(), ..orders(vec![scale("a")]) }).await;
    let patch = log.all().pop().expect("a patch").body;
    assert_eq!(patch["message"], "patch ReplicaSet shop/a: Forbidden (403 Forbidden); it is tried again");
}

fn routes(name: &str) -> Order {
    let patch = vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": "9"})];
    order(&Effect::ApplyRoutes { namespace: "mesh".into(), name: name.into(), patch }, None)
}

/// The requests for these orders where those to `bad` are answered with `code`.
async fn tried(bad: &'static str, code: u16, effects: Vec<Order>) -> (Report, Vec<String>) {
    let (executor, log) = executor(move |asked| match asked.method.as_str() {
        _ if asked.path.contains("/events") => accept(asked),
        "GET" => (200, json!({"metadata": {"resourceVersion": "9"}})),
        _ if asked.path.split('/').any(|part| part == bad) => fake::status(code, "Refused"),
        _ => accept(asked),
    });
    let report = run(&executor, &Orders { status: None, events: Vec::new(), ..orders(effects) }).await;
    (report, log.short().into_iter().filter(|asked| !asked.contains("events")).collect())
}

#[tokio::test]
async fn what_takes_pods_away_waits_for_routes_that_cannot_be_changed_and_nothing_else_does() {
    let evict = || order(&Effect::EvictPod { name: "p".into(), uid: "u".into() }, None);
    let end = || order(&Effect::TerminateAnalysisRun { name: "run".into() }, None);
    let shape = |name: &str| {
        order(&Effect::PatchReplicaSet { name: name.into(), uid: "u".into(), patch: json!({"spec": {}}) }, None)
    };
    let tried = async |bad, effects| tried(bad, 403, effects).await.1;
    let all = tried("a", vec![routes("a"), routes("b"), scale("rs"), end(), evict()]).await;
    assert_eq!(all, ["PATCH a", "PATCH b", "PATCH run"], "pods stay, the other routes follow, the run ends");
    let all = tried("rs", vec![shape("rs"), scale("rs"), scale("other"), routes("a"), evict()]).await;
    assert_eq!(all, ["PATCH rs", "PATCH other", "PATCH a"], "no pod is born in the wrong role");
    let all = tried("rs", vec![scale("rs"), routes("a"), scale("other")]).await;
    assert_eq!(all, ["PATCH rs", "PATCH a", "PATCH other"], "a retreat does not wait for what cannot grow");
}

#[tokio::test]
async fn a_right_that_is_missing_for_many_objects_is_not_told_of_each() {
    let names = ["a", "b", "c", "d", "e"];
    let (executor, log) =
        executor(|asked| if asked.method == "PATCH" { fake::status(403, "Forbidden") } else { accept(asked) });
    let report =
        run(&executor, &Orders { status: None, events: Vec::new(), ..orders(names.map(scale).to_vec()) }).await;
    assert_eq!((report.failures().count(), report.events.len(), log.all().len()), (5, 3, 8));
}

#[tokio::test]
async fn whoever_does_not_answer_is_not_asked_for_ever() {
    let effects = || ["a", "b", "c"].map(routes).to_vec();
    let (executor, log) = executor(|_| fake::status(503, "ServiceUnavailable"));
    run(&executor, &Orders { status: None, events: Vec::new(), ..orders(effects()) }).await;
    assert_eq!(log.short(), ["PATCH a", "PATCH b"]);
    let (report, all) = tried("a", 503, effects()).await;
    assert_eq!(all, ["PATCH a", "PATCH b", "PATCH c"], "one that hangs is not the server");
    assert_eq!(report.next(None, DateTime::UNIX_EPOCH), Next::Retry(Backoff::Unavailable));
}

#[tokio::test]
async fn a_conflict_after_a_failure_ends_it_and_the_failure_is_told() {
    let (executor, log) = executor(|asked| match asked.path.rsplit('/').next() {
        Some("a") => fake::status(403, "Forbidden"),
        Some("b") => fake::status(409, "Conflict"),
        _ => accept(asked),
    });
    let report =
        run(&executor, &Orders { status: None, events: Vec::new(), ..orders(["a", "b", "c"].map(scale).to_vec()) })
            .await;
    assert_eq!(log.short(), ["PATCH a", "PATCH b", "POST events"]);
    assert!(matches!(report.outcome, Outcome::Conflict { .. }), "{report:?}");
    assert_eq!((report.failures().count(), report.events.len()), (1, 1));
    assert_eq!(report.next(None, DateTime::UNIX_EPOCH), Next::Retry(Backoff::Conflict));
}

#[tokio::test]
async fn routes_that_would_not_be_valid_are_no_conflict() {
    let (report, _) = tried("a", 422, vec![routes("a"), routes("b")]).await;
    assert!(matches!(report.outcome, Outcome::Failed(_)), "the version is the one that was tested: {report:?}");
    assert_eq!(report.events.len(), 1, "and people hear of it");
    let (executor, _log) = executor(|asked| match asked.method.as_str() {
        "GET" => (200, json!({"metadata": {"resourceVersion": "10"}})),
        _ => fake::status(422, "Invalid"),
    });
    let report = run(&executor, &Orders { status: None, ..orders(vec![routes("a")]) }).await;
    assert!(matches!(report.outcome, Outcome::Conflict { .. }), "somebody else wrote: {report:?}");
}

/// What comes of evicting pods `p` and `q` where the API server answers about `p` with `code`, and then shows it with `uid`.
async fn evicted(code: u16, uid: &'static str) -> (Report, Vec<String>) {
    let (executor, log) = executor(move |asked| match asked.method.as_str() {
        "POST" if asked.path.ends_with("/p/eviction") => fake::status(code, "Refused"),
        "GET" if uid.is_empty() => fake::status(404, "NotFound"),
        "GET" => (200, json!({"metadata": {"resourceVersion": "7", "uid": uid}})),
        _ => accept(asked),
    });
    let evict = |name: &str| order(&Effect::EvictPod { name: name.into(), uid: "u".into() }, None);
    let report =
        run(&executor, &Orders { status: None, events: Vec::new(), ..orders(vec![evict("p"), evict("q")]) }).await;
    let marks = report.writes.iter().map(|written| format!("{} {:?}", written.name.name, written.mark)).collect();
    let asked = log.all().iter().filter(|asked| asked.path.ends_with("/eviction")).count();
    assert_eq!(asked, 2, "{code}: no pod is in the way of another");
    (report, marks)
}

#[tokio::test]
async fn a_pod_counts_as_gone_only_if_it_is() {
    let is_done = |report: &Report| matches!(report.outcome, Outcome::Done);
    let (report, marks) = evicted(500, "u").await;
    assert!(matches!(report.outcome, Outcome::Failed(_)), "{report:?}");
    assert_eq!(marks, ["q Version(\"7\")"]);
    let (report, marks) = evicted(409, "u").await;
    assert!(is_done(&report), "somebody else wrote the pod; it is tried again: {report:?}");
    assert_eq!(marks, ["q Version(\"7\")"]);
    let (report, marks) = evicted(409, "v").await;
    assert!(is_done(&report), "{report:?}");
    assert_eq!(marks, ["p Gone(\"u\")", "q Gone(\"u\")"], "another pod of this name");
    let (report, marks) = evicted(404, "").await;
    assert!(is_done(&report), "{report:?}");
    assert_eq!(marks, ["p Gone(\"u\")", "q Gone(\"u\")"]);
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
    let (report, now) = (Report::default(), DateTime::UNIX_EPOCH);
    let wake = |seconds| Wake { at: now + TimeDelta::seconds(seconds), why: String::new() };
    assert_eq!(report.next(Some(&wake(5)), now), Next::At(now + TimeDelta::seconds(5)));
    assert_eq!(report.next(Some(&wake(0)), now), Next::At(now + TimeDelta::seconds(1)));
    assert_eq!(report.next(Some(&wake(-9)), now), Next::At(now + TimeDelta::seconds(1)));
    assert_eq!(report.next(None, now), Next::OnChange);
}
