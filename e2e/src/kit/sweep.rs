//! Removes what interrupted runs left: their namespaces and load would take the others' share of the machine.

use std::collections::BTreeSet;

use anyhow::Result;
use futures::future::try_join_all;

use super::cluster::{Cluster, text};
use super::load::{Load, LoadSpec};
use super::place::{CASE, Place};
use crate::lab::layout::Layout;
use crate::lab::lock::Run;

/// Begins a run of these suites, once for all of them. What is left of any suite goes; while another run of this machine
/// is under way, only what is left of these suites. The other suites' may be in use.
///
/// # Errors
/// If something does not go.
pub(crate) async fn begin(cluster: &Cluster, suites: &BTreeSet<&str>) -> Result<Run> {
    let run = Run::begin(&Layout::here()?)?;
    let namespaces = cluster.list("v1", "Namespace", "", CASE).await?;
    let names = namespaces.iter().map(|namespace| text(namespace, "/metadata/name"));
    let removals = names.filter(|name| run.is_alone() || is_of(name, suites)).map(|name| remove(cluster, name));
    try_join_all(removals).await?;
    run.let_others_in()?;
    Ok(run)
}

/// The namespace of a case.
pub(crate) fn namespace(suite: &str, case: &str) -> String {
    format!("e2e-{suite}-{}", case.replace(' ', "-"))
}

fn is_of(namespace: &str, suites: &BTreeSet<&str>) -> bool {
    suites.iter().any(|suite| namespace.starts_with(&self::namespace(suite, "")))
}

async fn remove(cluster: &Cluster, namespace: &str) -> Result<()> {
    stop_loads(cluster, namespace).await?;
    Place { cluster: cluster.clone(), namespace: namespace.to_owned() }.remove().await
}

/// Ends whatever load goes to a namespace.
pub(crate) async fn stop_loads(cluster: &Cluster, namespace: &str) -> Result<()> {
    for spec in
        [LoadSpec::mesh(namespace, ""), LoadSpec::with_header(namespace, "", ""), LoadSpec::gateway(namespace, "")]
    {
        Load::named(cluster, &spec.name).stop().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_told_apart_by_their_suite() {
        let suites = BTreeSet::from(["canary", "leader"]);
        assert!(is_of(&namespace("leader", "killed twice"), &suites));
        assert!(!is_of(&namespace("lossless", "commands by hash"), &suites));
        assert!(!is_of("serin-canary", &suites));
    }
}
