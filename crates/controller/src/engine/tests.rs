//! From a change to a write: caches, queue, ledger and measurements together, without watches.

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::change::Kind;
use crate::fake::{self, Asked, Log, NoSource};

/// A clock that is set by hand.
struct HandClock(Mutex<DateTime<Utc>>);

impl HandClock {
    fn advance(&self, by: TimeDelta) {
        *self.0.lock().expect("lock") += by;
    }
}

impl Clock for HandClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().expect("lock")
    }
}

struct Bench {
    engine: Engine,
    clock: Arc<HandClock>,
    log: Log,
    reconciled: mpsc::UnboundedReceiver<Key>,
}

struct Channel(mpsc::UnboundedSender<Key>);

impl Observer for Channel {
    fn reconciled(&self, key: &Key, _record: &Record<'_>) {
        let _ = self.0.send(key.clone());
    }
}

fn bench(answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> Bench {
    bench_over(Arc::new(NoSource), answer)
}

fn bench_over(transport: Arc<dyn Transport>, answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> Bench {
    let (client, log) = fake::client(answer);
    let clock = Arc::new(HandClock(Mutex::new(DateTime::UNIX_EPOCH + TimeDelta::days(20_000))));
    let (sender, reconciled) = mpsc::unbounded_channel();
    let deps = Deps { observer: Some(Arc::new(Channel(sender))), ..Deps::new(client, clock.clone(), transport) };
    Bench { engine: Engine::new(deps), clock, log, reconciled }
}

impl Bench {
    /// Steps until nothing is due now, and answers with the number of steps.
    async fn settle(&self) -> usize {
        let mut steps = 0;
        loop {
            while self.engine.step().await {
                steps += 1;
                assert!(steps < 100, "the engine does not settle");
            }
            self.engine.idle().await;
            if self.engine.next_due().is_none_or(|due| due > self.engine.now()) {
                return steps;
            }
        }
    }

    /// The bodies of the status patches so far.
    fn statuses(&self) -> Vec<Value> {
        let patches = self.log.all().into_iter().filter(|asked| asked.body.get("status").is_some());
        patches.map(|asked| asked.body["status"].clone()).collect()
    }
}

/// An AnalysisRun whose only metric needs a secret, in some version.
fn run(version: u32, status: &Value) -> Change {
    let object = json!({
        "metadata": {
            "namespace": "shop", "name": "run", "uid": "u", "resourceVersion": version.to_string(),
            "creationTimestamp": "2024-10-04T00:00:00Z",
        },
        "spec": {
            "args": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "credentials", "key": "token"}}}],
            "metrics": [{
                "name": "rate",
                "successCondition": "result[0] > 0.9",
                "provider": {"prometheus": {"address": "http://prometheus", "query": "up{t=\"{{args.token}}\"}"}},
            }],
        },
        "status": status,
    });
    Change::Applied(Kind::AnalysisRun, Arc::new(object))
}

fn accept(version: u32) -> (u16, Value) {
    (200, json!({"metadata": {"resourceVersion": version.to_string(), "uid": "u"}}))
}

#[tokio::test]
async fn a_measurement_that_lacks_its_secret_says_so_in_the_status() {
    let bench = bench(|asked| match asked.method.as_str() {
        "GET" if asked.path.ends_with("/secrets/credentials") => (200, json!({"data": {"other": "eA=="}})),
        _ => accept(2),
    });
    bench.engine.apply(run(1, &Value::Null));
    bench.settle().await;
    let first = bench.statuses().pop().unwrap_or(Value::Null);
    bench.clock.advance(TimeDelta::seconds(1));
    bench.engine.apply(run(2, &first));
    bench.settle().await;
    let last = bench.statuses().pop().expect("a status").to_string();
    assert!(last.contains("key 'token' does not exist in secret 'credentials'"), "{last}");
}

#[tokio::test]
async fn nothing_is_decided_on_a_cache_older_than_our_own_write() {
    let bench = bench(|asked| if asked.path.contains("secrets") { fake::status(404, "NotFound") } else { accept(5) });
    bench.engine.apply(run(1, &Value::Null));
    bench.settle().await;
    let written = bench.statuses().len();
    assert!(written > 0, "the first decision writes a status");
    bench.engine.apply(run(4, &Value::Null));
    bench.settle().await;
    assert_eq!(bench.statuses().len(), written, "version 4 is older than our write of 5");
    bench.clock.advance(crate::ledger::LAG_MAX);
    bench.settle().await;
    assert!(bench.statuses().len() > written, "a watch that stays behind is not waited for for ever");
}

#[tokio::test]
async fn a_conflict_leads_to_a_fresh_observation_and_measurements_are_not_lost() {
    let answered = Mutex::new(0);
    let bench = bench(move |asked| {
        let mut answered = answered.lock().expect("lock");
        match asked.method.as_str() {
            "GET" => fake::status(404, "NotFound"),
            "PATCH" => {
                *answered += 1;
                if *answered == 2 { fake::status(409, "Conflict") } else { accept(*answered) }
            }
            _ => accept(1),
        }
    });
    bench.engine.apply(run(1, &Value::Null));
    for _ in 0..5 {
        bench.settle().await;
        bench.clock.advance(TimeDelta::seconds(1));
    }
    let statuses = bench.statuses();
    let with_measurement = statuses.iter().filter(|s| s.to_string().contains("secret 'credentials'")).count();
    assert!(with_measurement >= 2, "the dropped status is decided again with the same measurement: {statuses:?}");
}

#[tokio::test]
async fn a_job_that_cannot_be_deleted_keeps_no_metric_from_being_measured() {
    let bench = bench(|asked| match asked.method.as_str() {
        "GET" => (200, json!({"data": {"token": "eA=="}})),
        "DELETE" => fake::status(403, "Forbidden"),
        _ => accept(2),
    });
    let Change::Applied(kind, object) = run(1, &Value::Null) else { panic!("a run is applied") };
    let mut object = (*object).clone();
    let pod = json!({"containers": [{"name": "c", "image": "i"}]});
    object["spec"]["metrics"].as_array_mut().expect("metrics").push(json!({
        "name": "check", "provider": {"job": {"spec": {"template": {"spec": pod}}}},
    }));
    let over = json!({
        "phase": "Error", "metadata": {"job-name": "u.check.1"},
        "startedAt": "2024-10-03T23:00:00Z", "finishedAt": "2024-10-03T23:00:00Z",
    });
    let results = json!([{"name": "check", "phase": "Running", "error": 1, "measurements": [over]}]);
    object["status"] = json!({"phase": "Running", "startedAt": "2024-10-03T23:00:00Z", "metricResults": results});
    bench.engine.apply(Change::Applied(kind, Arc::new(object)));
    bench.engine.apply(Change::Applied(
        Kind::Job,
        Arc::new(json!({"metadata": {
            "namespace": "shop", "name": "u.check.1", "uid": "j", "resourceVersion": "1",
            "labels": {serin_api::labels::ANALYSIS_RUN_UID: "u"},
            "ownerReferences": [{"controller": true, "kind": "AnalysisRun", "name": "run", "uid": "u"}],
        }})),
    ));
    assert!(bench.engine.step().await);
    bench.engine.idle().await;
    let asked = bench.log.short();
    let asked = &asked[asked.iter().position(|asked| asked == "DELETE u.check.1").expect("a refusal")..];
    assert!(asked.contains(&"POST jobs".to_owned()), "the next Job begins: {asked:?}");
    let secrets = asked.iter().filter(|asked| *asked == "GET credentials").count();
    assert_eq!(secrets, 2, "one for the Job, one for the metric that is measured: {asked:?}");
}

/// A metrics source at which the client itself breaks down.
struct Broken;

#[async_trait::async_trait]
impl Transport for Broken {
    async fn send(
        &self,
        _request: http::Request<bytes::Bytes>,
        _options: &serin_providers::TransportOptions,
    ) -> Result<http::Response<bytes::Bytes>, serin_providers::TransportError> {
        panic!("a defect")
    }
}

#[tokio::test]
async fn a_measurement_that_breaks_down_is_an_error_and_not_under_way_for_ever() {
    let bench = bench_over(Arc::new(Broken), |asked| match asked.method.as_str() {
        "GET" => (200, json!({"data": {"token": "eA=="}})),
        _ => accept(2),
    });
    bench.engine.apply(run(1, &Value::Null));
    bench.settle().await;
    bench.clock.advance(TimeDelta::seconds(1));
    bench.engine.apply(run(2, &bench.statuses().pop().unwrap_or(Value::Null)));
    bench.settle().await;
    let last = bench.statuses().pop().expect("a status").to_string();
    assert!(last.contains("the measurement broke down"), "{last}");
}

#[tokio::test]
async fn what_is_left_behind_is_lifted_although_one_object_refuses() {
    let bench = bench(|asked| match (asked.method.as_str(), asked.path.rsplit('/').next()) {
        ("GET", _) => fake::status(404, "NotFound"),
        (_, Some("a")) => fake::status(403, "Forbidden"),
        _ => accept(9),
    });
    for name in ["a", "b"] {
        let service = json!({
            "metadata": {
                "namespace": "shop", "name": name, "uid": name, "resourceVersion": "1",
                "annotations": {serin_api::labels::MANAGED_BY_ROLLOUTS: "web"},
            },
            "spec": {"selector": {serin_api::labels::POD_TEMPLATE_HASH: "a1"}},
        });
        bench.engine.apply(Change::Applied(Kind::Service, Arc::new(service)));
    }
    let rollout = Arc::new(json!({
        "metadata": {"namespace": "shop", "name": "web", "uid": "r", "resourceVersion": "1"}, "spec": {},
    }));
    bench.engine.apply(Change::Applied(Kind::Rollout, rollout.clone()));
    bench.engine.apply(Change::Deleted(Kind::Rollout, rollout));
    assert!(bench.engine.step().await);
    assert_eq!(bench.log.short(), ["GET web", "PATCH a", "PATCH b"]);
    assert!(bench.engine.next_due().is_some(), "the one that refused is tried again");
}

#[tokio::test]
async fn an_object_that_is_gone_is_forgotten() {
    let bench = bench(|_| accept(2));
    bench.engine.apply(run(1, &Value::Null));
    bench.engine.apply(Change::Replaced(Kind::AnalysisRun, Vec::new()));
    bench.settle().await;
    assert_eq!(bench.engine.next_due(), None);
    assert!(bench.log.all().is_empty());
    assert!(!bench.engine.metrics().render().contains("name=\"run\""));
}

#[tokio::test]
async fn a_worker_reacts_to_a_change_without_polling_and_ends_when_told() {
    let mut bench = bench(|_| accept(2));
    let stop = CancellationToken::new();
    let worker = tokio::spawn(crate::run::work(bench.engine.clone(), stop.clone()));
    tokio::task::yield_now().await;
    bench.engine.apply(run(1, &Value::Null));
    assert_eq!(bench.reconciled.recv().await, Some(Key::analysis_run("shop", "run")));
    stop.cancel();
    worker.await.expect("joined");
}
