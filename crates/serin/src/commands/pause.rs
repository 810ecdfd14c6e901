//! `serin pause`: halts scaling and steps.

use clap::Args;
use serde_json::json;
use serin_api::Rollout;

use super::act::{Act, Targets, act_on};
use crate::console::Console;
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  serin pause reviews
  serin promote reviews                 goes on

This sets spec.paused; a tool that applies the Rollout from git may set it back.";

/// Halt a Rollout where it is.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Pause {
    #[command(flatten)]
    targets: Targets,
}

impl Pause {
    /// Pauses each Rollout.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        act_on(&self.targets, &pause, console)
    }
}

fn pause(rollout: &Rollout) -> Act {
    if rollout.spec.paused {
        return Act::Nothing("nothing to do: it is paused already".to_owned());
    }
    Act::Spec { fields: json!({"paused": true}), done: "paused; `serin promote` lets it go on".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::act::example;

    #[test]
    fn it_is_paused_once() {
        let act = pause(&example(&json!({}), &json!({})));
        assert!(matches!(act, Act::Spec { ref fields, .. } if *fields == json!({"paused": true})), "{act:?}");
        let act = pause(&example(&json!({"paused": true}), &json!({})));
        assert!(matches!(act, Act::Nothing(_)), "{act:?}");
    }
}
