//! Evictions: pods are asked to go, and disruption budgets may refuse.

use serde_json::Value;
use serin_core::plan::Write;

use crate::change::{Kind, ObjectName};
use crate::decision::Subject;
use crate::error::Error;
use crate::execute::{Executor, Outcome, Written};
use crate::write::{deleted, written};

impl Executor {
    /// Evicts a pod; `None` if it does not go now, because a disruption budget does not let it, or somebody else wrote it
    /// at the same time.
    ///
    /// The answer to an eviction says nothing about the pod, so it is read again: what follows must not be decided on
    /// a cache in which it still serves.
    pub(crate) async fn evict(&self, subject: &Subject, write: &Write, uid: &str) -> Result<Option<Written>, Outcome> {
        self.check_leadership()?;
        let name = ObjectName::new(&subject.key.object().namespace, &write.name);
        let gone = || Ok(Some(deleted(Kind::Pod, &name, uid)));
        let Err(error) = self.cluster.write(write, &name).await else {
            return match self.pod(&name, uid).await {
                Ok(Some(pod)) => Ok(Some(written(Kind::Pod, &name, "evict", &pod))),
                Ok(None) | Err(_) => gone(),
            };
        };
        match error.code() {
            Some(404) => gone(),
            // Another pod of this name, or this one as somebody else has written it meanwhile.
            Some(409) => match self.pod(&name, uid).await.map_err(Outcome::Failed)? {
                None => gone(),
                Some(_) => Ok(None),
            },
            Some(429) => {
                tracing::info!(pod = %name, %error, "the pod is not evicted now");
                Ok(None)
            }
            Some(_) | None => Err(Outcome::Failed(error)),
        }
    }

    /// The pod of this name, if it still has this UID.
    async fn pod(&self, name: &ObjectName, uid: &str) -> Result<Option<Value>, Error> {
        match self.cluster.get(&self.cluster.resource(Kind::Pod), name).await {
            Ok(pod) => Ok(Some(pod).filter(|pod| pod.pointer("/metadata/uid").and_then(Value::as_str) == Some(uid))),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
