//! `serin lint`: checks manifests without a cluster, and tells every error.

mod fields;
mod files;
mod finding;
mod references;
mod rules;

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use serin_sim::manifests::Manifest;

use crate::console::Console;
use crate::exit::{BadInput, Exit};
use finding::{Finding, Object, Severity};

const EXAMPLES: &str = "\
Examples:
  serin lint -f rollout.yaml
  serin lint -f deploy/ -f mesh/ -n shop
  kustomize build . | serin lint -f /dev/stdin -o json

Objects that are referred to and are not among the files give a warning, no error.

Exit codes:
  0  no errors
  2  errors, or nothing to check";

/// How to print the findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One line each, and a summary.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// Check manifests without a cluster; tell every error.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Lint {
    /// A file, or a folder with .yaml, .yml and .json files; may be repeated.
    #[arg(short = 'f', long = "filename", value_name = "PATH", required = true, num_args = 1..)]
    paths: Vec<PathBuf>,
    /// Namespace of the objects that name none [default: the only Namespace among the manifests, or default].
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    /// How to print the findings.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Lint {
    /// Prints the findings; bad input if one of them is an error.
    pub(crate) fn run(self, console: &mut Console) -> anyhow::Result<Exit> {
        let (manifests, mut findings) = files::load(&self.paths);
        let objects = objects(&manifests, self.namespace.as_deref());
        findings.extend(rules::check(&objects));
        let checked = Checked {
            files: objects.iter().map(|object| &object.file).collect::<BTreeSet<_>>().len(),
            objects: objects.iter().filter(|object| object.is_ours()).count(),
            errors: findings.iter().filter(|finding| finding.severity == Severity::Error).count(),
            warnings: findings.iter().filter(|finding| finding.severity == Severity::Warning).count(),
        };
        match self.output {
            Output::Text => text(&findings, &checked, console)?,
            Output::Json => {
                let findings: Vec<_> = findings.iter().map(Finding::to_json).collect();
                let Checked { files, objects, errors, warnings } = checked;
                let summary = json!({"files": files, "objects": objects, "errors": errors, "warnings": warnings});
                let report = json!({"findings": findings, "summary": summary});
                console.line(format_args!("{report:#}"))?;
            }
        }
        Ok(if checked.errors == 0 { Exit::Done } else { Exit::BadInput })
    }
}

/// Loads manifests for other subcommands.
///
/// # Errors
/// Every error that lint would tell.
pub(crate) fn checked_manifests(paths: &[PathBuf], namespace: Option<&str>) -> Result<Vec<Manifest>, BadInput> {
    let (manifests, mut findings) = files::load(paths);
    findings.extend(rules::check(&objects(&manifests, namespace)));
    findings.retain(|finding| finding.severity == Severity::Error);
    if findings.is_empty() {
        return Ok(manifests);
    }
    Err(BadInput::all(&findings))
}

/// The objects of some manifests with their namespaces.
fn objects(manifests: &[Manifest], namespace: Option<&str>) -> Vec<Object> {
    let of_kind = manifests.iter().filter(|manifest| manifest.object["kind"] == "Namespace");
    let names: Vec<&str> = of_kind.filter_map(|manifest| manifest.object["metadata"]["name"].as_str()).collect();
    let only = if let [only] = names.as_slice() { only } else { "default" };
    let namespace = namespace.unwrap_or(only);
    manifests.iter().map(|m| Object::new(m.file.clone(), m.object.clone(), namespace)).collect()
}

/// What was checked, in numbers.
#[derive(Clone, Copy, Debug)]
struct Checked {
    files: usize,
    objects: usize,
    errors: usize,
    warnings: usize,
}

fn text(findings: &[Finding], checked: &Checked, console: &mut Console) -> anyhow::Result<()> {
    let paint = console.paint();
    for finding in findings {
        let head = match finding.severity {
            Severity::Error => paint.bad("error:"),
            Severity::Warning => paint.warn("warning:"),
        };
        console.line(format_args!("{head} {finding}"))?;
    }
    let Checked { files, objects, errors, warnings } = *checked;
    let numbers = [
        counted(objects, "object"),
        format!("of Serin in {}", counted(files, "file")),
        format!("checked: {},", counted(errors, "error")),
        counted(warnings, "warning"),
    ];
    let line = numbers.join(" ");
    console.line(if errors > 0 { paint.bad(&line) } else { paint.good(&line) })
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
