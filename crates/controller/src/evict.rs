//! Evictions: pods are asked to go, and disruption budgets may refuse.

use serin_core::plan::Write;

use crate::change::{Kind, ObjectName};
use crate::decision::Subject;
use crate::execute::{Executor, Outcome, Written, deleted, written};

impl Executor {
    /// Evicts a pod; `None` if a disruption budget does not let it go now.
    ///
    /// The answer to an eviction says nothing about the pod, so it is read again: what follows must not be decided on
    /// a cache in which it still serves.
    pub(crate) async fn evict(&self, subject: &Subject, write: &Write, uid: &str) -> Result<Option<Written>, Outcome> {
        self.check_leadership()?;
        let name = ObjectName::new(&subject.key.object().namespace, &write.name);
        if let Err(error) = self.cluster.write(write, &name).await {
            return match error.code() {
                Some(404 | 409) => Ok(Some(deleted(Kind::Pod, &name, uid))),
                Some(429) => {
                    tracing::info!(pod = %name, %error, "the pod is not evicted now");
                    Ok(None)
                }
                Some(_) | None => Err(Outcome::Failed(error)),
            };
        }
        let pod = self.cluster.get(&self.cluster.resource(Kind::Pod), &name).await.ok();
        let same = pod.filter(|pod| pod.pointer("/metadata/uid").and_then(|value| value.as_str()) == Some(uid));
        Ok(Some(match same {
            Some(pod) => written(Kind::Pod, &name, "evict", &pod),
            None => deleted(Kind::Pod, &name, uid),
        }))
    }
}
