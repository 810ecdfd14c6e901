//! Which crate may depend on which, and what the decisions must never depend on.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::violation::Violation;

/// Our crates with those that each may depend on, in tests too.
const LAYERS: [(&str, &[&str]); 9] = [
    ("serin-api", &[]),
    ("serin-core", &["serin-api"]),
    ("serin-providers", &["serin-api", "serin-core"]),
    ("serin-controller", &["serin-api", "serin-core", "serin-providers"]),
    ("serin-sim", &["serin-api", "serin-core", "serin-providers", "serin-controller"]),
    ("serin", &["serin-api", "serin-core", "serin-providers", "serin-controller", "serin-sim"]),
    ("xtask", &["serin-api", "serin-core", "serin-providers", "serin-controller", "serin-sim", "serin"]),
    // Tests from outside: they know the API and nothing of how it is served.
    ("serin-workload", &[]),
    ("serin-e2e", &["serin-api", "serin-workload"]),
];

/// The crate that decides. It is pure, so nothing that waits, talks, logs or draws lots is in what it is built from.
const PURE: &str = "serin-core";

/// What the pure crate is not built from, however indirectly.
const IMPURE: [&str; 8] = ["tokio", "kube", "kube-client", "kube-runtime", "reqwest", "hyper", "rand", "tracing"];

/// Checks the dependencies of the workspace.
pub(super) fn check(root: &Path) -> Result<Vec<Violation>> {
    let metadata = cargo(root, &["metadata", "--format-version", "1", "--no-deps", "--offline"])?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata answered with something else")?;
    let packages: Vec<Package> = metadata["packages"].as_array().into_iter().flatten().map(Package::of).collect();
    let mut violations = directions(root, &packages);
    // The lock file is current wherever the tests are built.
    let tree = cargo(
        root,
        &["tree", "--locked", "--package", PURE, "--edges", "normal", "--prefix", "none", "--format", "{p}"],
    )?;
    violations.extend(impurities(&tree));
    Ok(violations)
}

/// A crate of ours with the names of what it depends on, for whatever purpose.
struct Package {
    name: String,
    manifest: PathBuf,
    dependencies: Vec<String>,
}

impl Package {
    fn of(package: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        Package {
            name: text(&package["name"]),
            manifest: text(&package["manifest_path"]).into(),
            dependencies: dependencies.map(|dependency| text(&dependency["name"])).collect(),
        }
    }
}

fn directions(root: &Path, packages: &[Package]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in packages {
        let path = package.manifest.strip_prefix(root).unwrap_or(&package.manifest);
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == package.name) else {
            let message = format!("`{}` has no layer; give it one in crates/xtask/src/tidy/layers.rs", package.name);
            violations.push(Violation::of_file(path, message));
            continue;
        };
        let ours = |name: &&String| packages.iter().any(|package| package.name == **name);
        for dependency in package.dependencies.iter().filter(ours) {
            if !allowed.contains(&dependency.as_str()) {
                let message = format!("`{}` must not depend on `{dependency}`", package.name);
                violations.push(Violation::of_file(path, message));
            }
        }
    }
    violations
}

/// `tree` has a line for each package: its name, a space, its version.
fn impurities(tree: &str) -> Vec<Violation> {
    let mut found: Vec<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    found.retain(|name| IMPURE.contains(name));
    found.sort_unstable();
    found.dedup();
    let why =
        |name| format!("`{PURE}` must not be built from `{name}`; see `cargo tree --package {PURE} --invert {name}`");
    found.iter().map(|name| Violation::of_file(Path::new("crates/core/Cargo.toml"), why(name))).collect()
}

fn cargo(root: &Path, args: &[&str]) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(args).current_dir(root).output().context("failed to run cargo")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo {} failed\n{error}", args.join(" "));
    String::from_utf8(output.stdout).context("cargo answered with something that is not text")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_directions(what: &str, name: &str, dependency: &str, expected: usize) {
        let package = |name: &str, dependencies: &[&str]| Package {
            name: name.to_owned(),
            manifest: "crates/a/Cargo.toml".into(),
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
        };
        let packages = [package(name, &[dependency]), package("serin-controller", &[])];
        assert_eq!(directions(Path::new(""), &packages).len(), expected, "{what}");
    }

    #[test]
    fn dependencies_point_down() {
        check_directions("down", "serin-sim", "serin-controller", 0);
        check_directions("up", "serin-core", "serin-controller", 1);
        check_directions("out of the repository", "serin-core", "serde", 0);
        check_directions("a crate without a layer", "serin-new", "serin-controller", 1);
    }

    #[test]
    fn impure_crates_are_found_once() {
        let tree = "serin-core v0.1.0 (/a)\nkube-core v5.0.0\ntokio v1.54.0\nserde v1.0.0\ntokio v1.54.0 (*)\n";
        assert_eq!(impurities(tree).len(), 1);
    }
}
