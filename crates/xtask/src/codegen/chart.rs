//! The plain manifests that render from the chart.
//!
//! Only helm renders a chart, and it is not wanted on every machine that runs the tests. So the manifests say in their
//! first lines from which files they were rendered, and the test compares that.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::repository::{TextFile, text_files};
use crate::violation::Violation;

const CHART: &str = "charts/serin";
const MANIFESTS: &str = "install.yaml";
const NAMESPACE: &str = "serin";
const SUM: &str = "# Chart: ";

/// Renders the chart's manifests with the values that it comes with, for a release `serin` in the namespace `serin`.
///
/// # Errors
/// If helm cannot be run or refuses the chart, or a file cannot be read or written.
pub fn render(root: &Path, helm: &Path) -> Result<()> {
    let chart = root.join(CHART);
    run(helm, &["lint", "--strict", "--quiet"], &chart)?;
    // Without a cluster helm supposes the oldest API server that it knows.
    let version = ["--kube-version", "1.33.0"];
    let rendered = run(helm, &[&["template", "serin", "--namespace", NAMESPACE][..], &version].concat(), &chart)?;
    // Helm creates the namespace of a release by itself; whoever applies a file wants to find it there.
    let text = format!(
        "# Rendered from charts/serin by `cargo xtask codegen --helm PATH`: change the chart, not this file.\n\
         # Install the definitions of crds/ first.\n\
         {SUM}{}\n\
         ---\n\
         apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n{rendered}",
        sum(root)?
    );
    let path = chart.join(MANIFESTS);
    fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// Whether the manifests were rendered from the chart as it is.
pub(super) fn check(root: &Path) -> Result<Vec<Violation>> {
    let path = Path::new(CHART).join(MANIFESTS);
    let Ok(text) = fs::read_to_string(root.join(&path)) else {
        return Ok(vec![Violation::of_file(&path, "is missing; run `cargo xtask codegen --helm PATH`")]);
    };
    let recorded = text.lines().find_map(|line| line.strip_prefix(SUM));
    if recorded == Some(sum(root)?.as_str()) {
        return Ok(Vec::new());
    }
    Ok(vec![Violation::of_file(&path, "is older than the chart; run `cargo xtask codegen --helm PATH`")])
}

fn run(helm: &Path, args: &[&str], chart: &Path) -> Result<String> {
    let output = Command::new(helm)
        .args(args)
        .arg(chart)
        .output()
        .with_context(|| format!("failed to run {}", helm.display()))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(
        output.status.success(),
        "helm {} failed\n{}{}",
        args.join(" "),
        said(&output.stdout),
        said(&output.stderr)
    );
    Ok(said(&output.stdout))
}

/// A sum over names and contents of the files that the manifests depend on.
fn sum(root: &Path) -> Result<String> {
    let files = text_files(&root.join(CHART))?;
    let parts = files.iter().filter(|file| matters(file)).flat_map(|file| {
        let path = file.path.to_string_lossy().into_owned();
        [path, file.text.clone()]
    });
    let hash = parts.fold(0xcbf2_9ce4_8422_2325, |hash, part| fnv1a(fnv1a(hash, part.as_bytes()), &[0]));
    Ok(format!("{hash:016x}"))
}

/// The definitions are not rendered, and neither are notes and prose.
fn matters(file: &TextFile) -> bool {
    let is_yaml = file.has_extension("yaml") || file.has_extension("tpl") || file.has_extension("json");
    is_yaml && file.path != Path::new(MANIFESTS) && !file.path.starts_with("crds")
}

fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
