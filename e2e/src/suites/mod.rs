//! The suites, and which of them are run.

mod canary;
mod gitops;
mod install;
mod istiod;
mod kubectl;
mod leader;
mod lossless;
mod methods;
mod skywalking;

use std::path::Path;

use anyhow::{Result, ensure};

use crate::kit::{Case, Cluster, Pace, kept, run};

/// What is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Test {
    /// Suites or SUITE/CASE, all if none is given; a part of the name is enough
    names: Vec<String>,
    /// Only the few cases that every change has to pass
    #[arg(long)]
    smoke: bool,
    /// Only list the cases
    #[arg(long)]
    list: bool,
    /// Write the table to e2e/RESULTS.md
    #[arg(long)]
    record: bool,
    /// How many suites run at a time
    #[arg(long, default_value_t = 1)]
    lanes: usize,
    /// How often a case that fails is run again, such as on a machine with other work; the table tells
    #[arg(long, default_value_t = 0)]
    again: usize,
    /// What came before, for the record: names and values.
    #[arg(skip)]
    before: Vec<(String, String)>,
}

impl Test {
    /// Runs the chosen cases.
    ///
    /// # Errors
    /// If no case has such a name, the cluster cannot be used, or a case fails.
    pub fn run(&self) -> Result<()> {
        let cases: Vec<Case> = all().into_iter().filter(|case| self.chooses(case)).collect();
        ensure!(!cases.is_empty(), "no case is named so; `serin-e2e test --list` shows them all");
        if self.list {
            for case in &cases {
                println!("{}/{}", case.suite, case.name);
            }
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let mut report = runtime.block_on(async {
            let cluster = Cluster::connect().await?;
            run(&cluster, &cases, &kept(), &Pace { lanes: self.lanes, again: self.again }).await
        })?;
        report.ground.extend(self.before.iter().cloned());
        if self.record {
            report.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md"))?;
        }
        let failed = report.failed();
        ensure!(
            failed == 0,
            "{failed} of {} cases failed; what happened is kept in {}",
            report.rows.len(),
            kept().display()
        );
        ensure!(report.rows.len() == cases.len(), "interrupted after {} of {} cases", report.rows.len(), cases.len());
        println!("all {} cases passed", report.rows.len());
        Ok(())
    }

    /// Every suite, recorded, with what is known of the time before.
    #[must_use]
    pub fn everything(lanes: usize, before: Vec<(String, String)>) -> Self {
        Test { names: Vec::new(), smoke: false, list: false, record: true, lanes, again: 0, before }
    }

    fn chooses(&self, case: &Case) -> bool {
        let name = format!("{}/{}", case.suite, case.name);
        let named =
            (self.names.is_empty() && !case.on_demand) || self.names.iter().any(|part| name.contains(part.as_str()));
        named && (case.smoke || !self.smoke)
    }
}

/// All cases in the order in which they are run.
fn all() -> Vec<Case> {
    let suites = [
        // The longest goes first, so that a second lane is never the only one left.
        lossless::cases(),
        kubectl::cases(),
        canary::cases(),
        methods::cases(),
        skywalking::cases(),
        gitops::cases(),
        istiod::cases(),
        leader::cases(),
        install::cases(),
    ];
    suites.into_iter().flatten().collect()
}
