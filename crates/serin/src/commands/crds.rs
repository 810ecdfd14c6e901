//! `serin crds`: the CustomResourceDefinitions as YAML.

use anyhow::Context;
use clap::Args;

use crate::console::Console;
use crate::exit::Exit;

/// Takes no arguments.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  serin crds | kubectl apply -f -")]
pub(crate) struct Crds {}

impl Crds {
    /// Prints one document for each kind.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        let Crds {} = self;
        for definition in serin_api::crds() {
            let name = definition.metadata.name.clone().unwrap_or_default();
            let yaml = serde_saphyr::to_string(&definition).with_context(|| format!("{name} is no YAML"))?;
            console.write("---\n")?;
            console.write(&yaml)?;
        }
        Ok(Exit::Done)
    }
}
