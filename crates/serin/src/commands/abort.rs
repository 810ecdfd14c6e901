//! `serin abort`: takes the traffic back to stable.

use clap::Args;
use serde_json::json;
use serin_api::Rollout;

use super::act::{Act, Targets, act_on, is_promoted, status_of, unseen};
use crate::console::Console;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  serin abort reviews
  serin abort reviews ratings -n shop

All traffic goes back to the stable version. The spec keeps the new one: a change of it, or `serin retry`, starts anew.";

/// Take the traffic back to the stable version.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Abort {
    #[command(flatten)]
    targets: Targets,
}

impl Abort {
    /// Aborts the update of each Rollout.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        act_on(&self.targets, &abort, console)
    }
}

fn abort(rollout: &Rollout) -> Act {
    let status = status_of(rollout);
    if status.abort {
        return Act::Nothing("nothing to do: the update was aborted before".to_owned());
    }
    // An unseen update is aborted all the same once it is seen; a promoted one has nothing to go back to.
    if unseen(rollout).is_none() && is_promoted(&status) {
        return Act::Nothing("nothing to abort: no update is in progress".to_owned());
    }
    Act::Status { fields: json!({"abort": true}), done: "aborted: traffic goes back to the stable version".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::act::example;

    #[test]
    fn an_update_is_aborted_once() {
        let check = |case: &str, status: serde_json::Value, acts: bool| {
            let act = abort(&example(&json!({}), &status));
            assert_eq!(matches!(act, Act::Status { .. }), acts, "{case}: {act:?}");
        };
        check("in the middle", json!({"currentStepIndex": 1}), true);
        check("again", json!({"abort": true}), false);
        check("when it is over", json!({"stableRS": "new"}), false);
        check("before it is seen", json!({"stableRS": "new", "observedGeneration": "0"}), true);
    }
}
