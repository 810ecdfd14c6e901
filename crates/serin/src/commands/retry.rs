//! `serin retry`: starts an aborted update again.

use clap::Args;
use serde_json::json;
use serin_api::Rollout;

use super::act::{Act, Targets, act_on, status_of};
use crate::console::Console;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  serin retry reviews
  serin retry reviews ratings -n shop

The update begins with its first step again.";

/// Start an aborted update again.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Retry {
    #[command(flatten)]
    targets: Targets,
}

impl Retry {
    /// Retries the update of each Rollout.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        act_on(&self.targets, &retry, console)
    }
}

fn retry(rollout: &Rollout) -> Act {
    if !status_of(rollout).abort {
        return Act::Nothing("nothing to retry: no update was aborted".to_owned());
    }
    Act::Status { fields: json!({"abort": false}), done: "starts again with its first step".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::act::example;

    #[test]
    fn only_what_was_aborted_is_retried() {
        let act = retry(&example(&json!({}), &json!({"abort": true})));
        assert!(matches!(act, Act::Status { ref fields, .. } if *fields == json!({"abort": false})), "{act:?}");
        let act = retry(&example(&json!({}), &json!({})));
        assert!(matches!(act, Act::Nothing(_)), "{act:?}");
    }
}
