//! Files that follow from the types: written, or compared with what is checked in.

pub mod chart;
mod crds;
mod reference;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::violation::Violation;

/// Writes every generated file that is not current, save for those that helm renders.
///
/// # Errors
/// If a file cannot be written.
pub fn write(root: &Path) -> Result<()> {
    for (path, text) in outputs()? {
        let full = root.join(&path);
        if fs::read_to_string(&full).is_ok_and(|old| old == text) {
            continue;
        }
        if let Some(folder) = full.parent() {
            fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
        }
        fs::write(&full, text).with_context(|| format!("failed to write {}", full.display()))?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Compares every generated file with what would be generated now.
///
/// # Errors
/// If something cannot be generated or a file of the chart cannot be read.
pub fn check(root: &Path) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for (path, text) in outputs()? {
        match fs::read_to_string(root.join(&path)) {
            Ok(old) if old == text => {}
            Ok(_) => violations.push(Violation::of_file(&path, "is not current; run `cargo xtask codegen`")),
            Err(_) => violations.push(Violation::of_file(&path, "is missing; run `cargo xtask codegen`")),
        }
    }
    violations.extend(chart::check(root)?);
    Ok(violations)
}

/// All generated files but the rendered manifests, by path.
fn outputs() -> Result<BTreeMap<PathBuf, String>> {
    let definitions = serin_api::crds();
    let definitions: Vec<Value> = definitions.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    let mut outputs = BTreeMap::new();
    for (name, text) in crds::files(&definitions)? {
        // Helm installs definitions from the chart; a file that it does not know would be refused there.
        if name != crds::KUSTOMIZATION {
            outputs.insert(Path::new("charts/serin/crds").join(&name), text.clone());
        }
        outputs.insert(Path::new("crds").join(&name), text);
    }
    outputs.insert("docs/reference/api.md".into(), reference::page(&definitions)?);
    Ok(outputs)
}
