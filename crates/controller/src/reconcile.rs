//! One reconcile: observe, decide, execute, tell.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde_json::Value;

use crate::change::Key;
use crate::decision::{self, Decision};
use crate::engine::{Engine, Seen};
use crate::error::Error;
use crate::farewell;
use crate::observe::Sight;
use crate::queue::{Backoff, Next};

/// Works on one key, and says when to do so again.
pub(crate) async fn reconcile(key: &Key, engine: &Engine) -> Next {
    let now = engine.now();
    let seen = match engine.observe(key, now) {
        Sight::Gone => return farewell::bid(key, engine).await.unwrap_or_else(|| engine.gone(key)),
        Sight::Stale(..) => return Next::Retry(Backoff::Stale),
        Sight::Seen(seen) => seen,
    };
    let (decision, status) = match decide(key, seen) {
        Ok(decided) => decided,
        Err(error) => return engine.broke_down(key, &error),
    };
    let report = engine.execute(&decision.orders(&status), now).await;
    engine.conclude(key, &decision, &report, now);
    report.next(decision.wake(), now)
}

/// Decides; a decision that breaks down costs its own object a back-off, and nobody else anything.
fn decide(key: &Key, seen: Seen) -> Result<(Decision, Arc<Value>), Error> {
    let decided = catch_unwind(AssertUnwindSafe(|| match seen {
        Seen::Rollout(seen) => decision::decide_rollout(*seen),
        Seen::Run(seen) => decision::decide_run(*seen),
        Seen::Experiment(seen) => decision::decide_experiment(*seen),
    }));
    decided.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Error::Panicked { key: key.to_string(), message }
    })
}
