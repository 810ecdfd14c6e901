//! The CustomResourceDefinitions as files, one for each kind.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

/// The list of the definitions for kustomize. It has no extension, so that `kubectl apply -f crds/` passes it over.
pub(super) const KUSTOMIZATION: &str = "Kustomization";

const HEADER: &str = "# Made by `cargo xtask codegen` from crates/api: change the types there, not this file.\n";

/// The files of `crds/` by name: one for each definition, and the [`KUSTOMIZATION`].
pub(super) fn files(definitions: &[Value]) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for definition in definitions {
        let kind = definition["spec"]["names"]["kind"].as_str().context("a definition without a kind")?;
        let yaml = serde_saphyr::to_string(definition).with_context(|| format!("failed to write {kind} as YAML"))?;
        files.insert(file_name(kind), format!("{HEADER}{yaml}"));
    }
    let mut list = format!("{HEADER}apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n");
    for name in files.keys() {
        let _ = writeln!(list, "- {name}");
    }
    files.insert(KUSTOMIZATION.to_owned(), list);
    Ok(files)
}

/// `AnalysisRun` is in `analysis-run-crd.yaml`, where users of Argo Rollouts look for it.
fn file_name(kind: &str) -> String {
    let mut name = String::new();
    for letter in kind.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name + "-crd.yaml"
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn files_are_named_as_upstream_names_them() {
        for (kind, name) in [
            ("Rollout", "rollout-crd.yaml"),
            ("AnalysisRun", "analysis-run-crd.yaml"),
            ("ClusterAnalysisTemplate", "cluster-analysis-template-crd.yaml"),
        ] {
            assert_eq!(file_name(kind), name);
        }
    }
}
