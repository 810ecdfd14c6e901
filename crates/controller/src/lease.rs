//! Leader election on a Lease of `coordination.k8s.io`, and the fence that keeps a former leader from writing.
//!
//! Every change of the Lease carries its resourceVersion, so two candidates cannot both take it. Whether another's lease
//! has run out is judged by our own monotonic clock since we last saw the Lease change, never by comparing wall clocks.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use serin_api::Time;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::change::ObjectName;
use crate::clock::Clock;
use crate::cluster::{Cluster, Resource};
use crate::error::Error;

/// How an election is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    /// Namespace and name of the Lease.
    pub lease: ObjectName,
    /// Who we are; unique among the candidates.
    pub identity: String,
    /// How long a lease lasts that is not renewed.
    pub lease_duration: Duration,
    /// How long the leader goes on writing without having renewed; less than the lease's duration.
    pub renew_deadline: Duration,
    /// Time between two tries.
    pub retry_period: Duration,
}

/// Whether we may write; clones are the same.
#[derive(Clone)]
pub struct Leadership(Option<Arc<Mutex<Option<Instant>>>>);

impl Leadership {
    /// For a controller that is alone.
    #[must_use]
    pub fn always() -> Self {
        Leadership(None)
    }

    /// For a candidate; it may not write before it is elected.
    #[must_use]
    pub fn candidate() -> Self {
        Leadership(Some(Arc::new(Mutex::new(None))))
    }

    /// Whether a write that begins now is ours to make.
    #[must_use]
    pub fn may_write(&self) -> bool {
        self.0.as_ref().is_none_or(|until| {
            let until = until.lock().unwrap_or_else(PoisonError::into_inner);
            until.is_some_and(|until| Instant::now() < until)
        })
    }

    fn hold_until(&self, until: Option<Instant>) {
        if let Some(held) = &self.0 {
            *held.lock().unwrap_or_else(PoisonError::into_inner) = until;
        }
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leadership").field(&self.may_write()).finish()
    }
}

/// One candidate of an election.
pub struct Candidate {
    cluster: Cluster,
    clock: Arc<dyn Clock>,
    election: Election,
    leadership: Leadership,
    leading: watch::Sender<bool>,
    seen: Option<SeenLease>,
}

/// The Lease as we last saw it change.
struct SeenLease {
    version: String,
    object: Value,
    at: Instant,
}

/// What a try to take or renew the Lease came to.
#[derive(Debug, PartialEq, Eq)]
enum Try {
    Ours,
    Theirs,
}

impl Candidate {
    /// A candidate that has not tried yet, and whether it leads.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        clock: Arc<dyn Clock>,
        election: Election,
        leadership: Leadership,
    ) -> (Self, watch::Receiver<bool>) {
        let (leading, is_leading) = watch::channel(false);
        (Candidate { cluster, clock, election, leadership, leading, seen: None }, is_leading)
    }

    /// Tries to lead, and to go on leading, until `stop` completes; then gives the Lease back.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.attempt() => {}
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = sleep(self.until_next_try()) => {}
            }
        }
        self.release().await;
    }

    /// The usual time between tries, or less if another's lease runs out before: nobody leads from then on.
    fn until_next_try(&self) -> Duration {
        let usual = self.election.retry_period;
        let Some(seen) = self.seen.as_ref().filter(|_| !*self.leading.borrow()) else { return usual };
        let left = self.duration_of(seen).saturating_sub(seen.at.elapsed());
        if left.is_zero() { usual } else { usual.min(left) }
    }

    async fn attempt(&mut self) {
        let started = Instant::now();
        let tried = timeout(self.election.renew_deadline, self.try_acquire()).await;
        match tried {
            // The time that we may write is counted from before the request: the Lease cannot have been renewed earlier.
            Ok(Ok(Try::Ours)) => {
                self.leadership.hold_until(Some(started + self.election.renew_deadline));
                self.tell(true);
            }
            Ok(Ok(Try::Theirs)) => {
                self.leadership.hold_until(None);
                self.tell(false);
            }
            Ok(Err(error)) => {
                tracing::warn!(lease = %self.election.lease, %error, "the lease could not be taken or renewed");
                self.tell_if_over();
            }
            Err(_elapsed) => {
                tracing::warn!(lease = %self.election.lease, "the API server did not answer about the lease");
                self.tell_if_over();
            }
        }
    }

    async fn try_acquire(&mut self) -> Result<Try, Error> {
        let resource = resource();
        let lease = match self.cluster.get(&resource, &self.election.lease).await {
            Ok(lease) => lease,
            Err(error) if error.code() == Some(404) => {
                let fresh = self.written(None);
                return self.settle(self.cluster.create(&resource, &self.election.lease, &fresh).await);
            }
            Err(error) => return Err(error),
        };
        self.see(&lease);
        let holder = text(&lease, "/spec/holderIdentity");
        if !holder.is_empty() && holder != self.election.identity && !self.has_run_out() {
            return Ok(Try::Theirs);
        }
        let taken = self.written(Some(&lease));
        self.settle(self.cluster.replace(&resource, &self.election.lease, &taken).await)
    }

    fn settle(&mut self, answer: Result<Value, Error>) -> Result<Try, Error> {
        match answer {
            Ok(lease) => {
                self.see(&lease);
                Ok(Try::Ours)
            }
            // Another candidate was faster, or our view is old; the next try will tell which.
            Err(error) if error.code() == Some(409) => {
                if self.leadership.may_write() {
                    Err(error)
                } else {
                    Ok(Try::Theirs)
                }
            }
            Err(error) => Err(error),
        }
    }

    fn see(&mut self, lease: &Value) {
        let version = text(lease, "/metadata/resourceVersion");
        if self.seen.as_ref().is_none_or(|seen| seen.version != version) {
            self.seen = Some(SeenLease { version: version.to_owned(), object: lease.clone(), at: Instant::now() });
        }
    }

    fn has_run_out(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.at.elapsed() >= self.duration_of(seen))
    }

    /// The holder's own duration counts, since it may be set up differently.
    fn duration_of(&self, seen: &SeenLease) -> Duration {
        let seconds = seen.object.pointer("/spec/leaseDurationSeconds").and_then(Value::as_u64);
        seconds.map_or(self.election.lease_duration, Duration::from_secs)
    }

    /// The Lease as it is when we hold it.
    fn written(&self, old: Option<&Value>) -> Value {
        let now = self.clock.now();
        let was_ours = old.is_some_and(|old| text(old, "/spec/holderIdentity") == self.election.identity);
        let transitions =
            old.and_then(|old| old.pointer("/spec/leaseTransitions")).and_then(Value::as_i64).unwrap_or(0);
        let acquired = old.and_then(|old| old.pointer("/spec/acquireTime")).filter(|_| was_ours).cloned();
        let mut metadata = json!({"name": self.election.lease.name, "namespace": self.election.lease.namespace});
        if let Some(old) = old {
            metadata = old.get("metadata").cloned().unwrap_or(metadata);
        }
        json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": self.election.identity,
                "leaseDurationSeconds": self.election.lease_duration.as_secs(),
                "acquireTime": acquired.unwrap_or_else(|| micro_time(now)),
                "renewTime": micro_time(now),
                "leaseTransitions": if was_ours || old.is_none() { transitions } else { transitions.saturating_add(1) },
            },
        })
    }

    /// Gives the Lease back so that another candidate need not wait for its end.
    async fn release(&mut self) {
        let held = *self.leading.borrow();
        self.leadership.hold_until(None);
        self.tell(false);
        let Some(seen) = self.seen.as_ref().filter(|_| held) else {
            return;
        };
        match timeout(self.election.retry_period, self.give_back(&seen.object)).await {
            Ok(Ok(())) => tracing::info!(lease = %self.election.lease, "gave the lease back"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
            }
            Err(_elapsed) => {
                tracing::warn!("the lease could not be given back in time; it runs out by itself");
            }
        }
    }

    async fn give_back(&self, seen: &Value) -> Result<(), Error> {
        let (resource, name) = (resource(), &self.election.lease);
        let answer = self.cluster.replace(&resource, name, &self.released(seen)).await;
        if answer.as_ref().err().and_then(Error::code) != Some(409) {
            return answer.map(drop);
        }
        // The stop may have cut off a renewal whose answer we never saw; then the Lease is newer, and still ours.
        let lease = self.cluster.get(&resource, name).await?;
        if text(&lease, "/spec/holderIdentity") != self.election.identity {
            return Ok(());
        }
        self.cluster.replace(&resource, name, &self.released(&lease)).await.map(drop)
    }

    /// The Lease as it is when nobody holds it.
    fn released(&self, held: &Value) -> Value {
        let mut lease = held.clone();
        if let Some(spec) = lease.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("holderIdentity".to_owned(), json!(""));
            spec.insert("leaseDurationSeconds".to_owned(), json!(1));
            spec.insert("renewTime".to_owned(), micro_time(self.clock.now()));
        }
        lease
    }

    fn tell_if_over(&self) {
        if !self.leadership.may_write() {
            self.leadership.hold_until(None);
            self.tell(false);
        }
    }

    fn tell(&self, leading: bool) {
        let changed = self.leading.send_if_modified(|was| std::mem::replace(was, leading) != leading);
        if changed {
            tracing::info!(lease = %self.election.lease, identity = %self.election.identity, leading, "leadership");
        }
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("election", &self.election).finish_non_exhaustive()
    }
}

fn resource() -> Resource {
    Resource { kind: "Lease", root: "apis/coordination.k8s.io/v1".to_owned(), plural: "leases" }
}

fn micro_time(time: DateTime<Utc>) -> Value {
    json!(Time(time).to_kubernetes_micro())
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
