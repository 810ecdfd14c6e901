//! Elections among candidates against one Lease, in paused time.

use serde_json::json;
use tokio::sync::oneshot;

use super::*;
use crate::clock::SystemClock;
use crate::fake::{self, Log};
use crate::metrics::Metrics;

/// A Lease that checks resourceVersions, and whether the API server is reachable.
#[derive(Clone, Default)]
struct Server {
    lease: Arc<Mutex<Option<Value>>>,
    down: Arc<Mutex<bool>>,
}

impl Server {
    fn client(&self) -> (kube::Client, Log) {
        let server = self.clone();
        fake::client(move |asked| server.answer(asked))
    }

    fn answer(&self, asked: &fake::Asked) -> (u16, Value) {
        if *self.down.lock().expect("lock") {
            return fake::status(503, "ServiceUnavailable");
        }
        let mut lease = self.lease.lock().expect("lock");
        let version = |lease: &Value| text(lease, "/metadata/resourceVersion").parse::<u64>().unwrap_or(0);
        let next = match (asked.method.as_str(), lease.as_ref()) {
            ("GET", Some(lease)) => return (200, lease.clone()),
            ("POST", None) => 1,
            ("PUT", Some(old)) if version(old) == version(&asked.body) => version(old) + 1,
            ("GET" | "PUT", None) => return fake::status(404, "NotFound"),
            _ => return fake::status(409, "Conflict"),
        };
        let mut new = asked.body.clone();
        new["metadata"]["resourceVersion"] = json!(next.to_string());
        *lease = Some(new.clone());
        (200, new)
    }

    fn holder(&self) -> String {
        let lease = self.lease.lock().expect("lock");
        lease.as_ref().map(|lease| text(lease, "/spec/holderIdentity").to_owned()).unwrap_or_default()
    }

    fn set_down(&self, down: bool) {
        *self.down.lock().expect("lock") = down;
    }

    fn candidate(&self, identity: &str) -> Running {
        let (client, _log) = self.client();
        let cluster = Cluster::new(client, None, Metrics::new());
        let election = Election {
            lease: ObjectName::new("serin", "lock"),
            identity: identity.to_owned(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        };
        let leadership = Leadership::candidate();
        let (candidate, leading) = Candidate::new(cluster, Arc::new(SystemClock), election, leadership.clone());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(candidate.run(async move { drop(stopped.await) }));
        Running { leadership, leading, stop, task }
    }
}

struct Running {
    leadership: Leadership,
    leading: watch::Receiver<bool>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn until_leading(&mut self, leading: bool) {
        self.leading.wait_for(|now| *now == leading).await.expect("the candidate runs");
    }

    async fn stop(self) {
        self.stop.send(()).expect("the candidate runs");
        self.task.await.expect("joined");
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_two_leads_and_the_other_takes_over_at_once_after_a_release() {
    let server = Server::default();
    let mut first = server.candidate("first");
    first.until_leading(true).await;
    let mut second = server.candidate("second");
    sleep(Duration::from_secs(60)).await;
    assert!(first.leadership.may_write() && !second.leadership.may_write());
    assert_eq!(server.holder(), "first");
    let released = Instant::now();
    first.stop().await;
    second.until_leading(true).await;
    assert!(released.elapsed() <= Duration::from_secs(3), "{:?}", released.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_succeeded_after_the_lease_has_run_out() {
    let server = Server::default();
    let mut first = server.candidate("first");
    first.until_leading(true).await;
    let mut second = server.candidate("second");
    sleep(Duration::from_secs(5)).await;
    first.task.abort();
    let died = Instant::now();
    second.until_leading(true).await;
    let gap = died.elapsed();
    assert!(gap >= Duration::from_secs(10) && gap <= Duration::from_secs(18), "{gap:?}");
    let lease = server.lease.lock().expect("lock").clone().expect("a lease");
    assert_eq!(lease.pointer("/spec/leaseTransitions"), Some(&json!(1)));
}

#[tokio::test(start_paused = true)]
async fn whenever_the_leader_dies_nobody_leads_for_longer_than_the_lease_and_one_try() {
    for late in [100, 700, 1_300, 1_900] {
        for lives in [5_000, 5_600, 6_050, 6_900] {
            let server = Server::default();
            let mut first = server.candidate("first");
            first.until_leading(true).await;
            sleep(Duration::from_millis(late)).await;
            let mut second = server.candidate("second");
            sleep(Duration::from_millis(lives)).await;
            first.task.abort();
            let died = Instant::now();
            second.until_leading(true).await;
            let gap = died.elapsed();
            assert!(gap <= Duration::from_millis(17_010), "{late} ms late, dead after {lives} ms: {gap:?}");
            second.stop().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_writing_before_the_lease_runs_out() {
    let server = Server::default();
    let mut first = server.candidate("first");
    first.until_leading(true).await;
    server.set_down(true);
    sleep(Duration::from_millis(7_500)).await;
    assert!(first.leadership.may_write(), "a short outage is survived");
    sleep(Duration::from_secs(3)).await;
    assert!(!first.leadership.may_write());
    first.until_leading(false).await;
    server.set_down(false);
    first.until_leading(true).await;
    assert!(first.leadership.may_write());
}

#[tokio::test(start_paused = true)]
async fn a_lease_taken_by_somebody_else_ends_leadership() {
    let server = Server::default();
    let mut first = server.candidate("first");
    first.until_leading(true).await;
    {
        let mut lease = server.lease.lock().expect("lock");
        let lease = lease.as_mut().expect("a lease");
        lease["spec"]["holderIdentity"] = json!("thief");
        lease["metadata"]["resourceVersion"] = json!("99");
    }
    first.until_leading(false).await;
    assert!(!first.leadership.may_write());
}

#[tokio::test(start_paused = true)]
async fn of_many_candidates_never_two_may_write() {
    let server = Server::default();
    let candidates: Vec<Running> = (0..5).map(|i| server.candidate(&format!("c{i}"))).collect();
    for round in 0..200 {
        sleep(Duration::from_millis(700)).await;
        server.set_down(round % 40 > 15 && round % 40 < 35);
        let writers = candidates.iter().filter(|candidate| candidate.leadership.may_write()).count();
        assert!(writers <= 1, "round {round}: {writers} may write");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_changed_unseen_is_given_back_if_it_is_still_ours() {
    for (holder, after) in [("first", ""), ("thief", "thief")] {
        let server = Server::default();
        let mut first = server.candidate("first");
        first.until_leading(true).await;
        {
            let mut lease = server.lease.lock().expect("lock");
            let lease = lease.as_mut().expect("a lease");
            lease["spec"]["holderIdentity"] = json!(holder);
            lease["metadata"]["resourceVersion"] = json!("99");
        }
        first.stop().await;
        assert_eq!(server.holder(), after, "held by {holder}");
    }
}
