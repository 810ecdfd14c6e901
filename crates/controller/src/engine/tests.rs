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
    let (client, log) = fake::client(answer);
    let clock = Arc::new(HandClock(Mutex::new(DateTime::UNIX_EPOCH + TimeDelta::days(20_000))));
    let (sender, reconciled) = mpsc::unbounded_channel();
    let deps =
        Deps { observer: Some(Arc::new(Channel(sender))), ..Deps::new(client, clock.clone(), Arc::new(NoSource)) };
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
