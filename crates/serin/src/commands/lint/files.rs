//! The manifests of all files that can be read, and an error for each that cannot.

use std::fs;
use std::path::{Path, PathBuf};

use serin_sim::manifests::{self, Manifest, ManifestError};

use super::finding::{Finding, Severity};

/// Reads files and folders. A file that cannot be read does not keep the others from being checked.
pub(super) fn load(paths: &[PathBuf]) -> (Vec<Manifest>, Vec<Finding>) {
    let (mut manifests, mut findings) = (Vec::new(), Vec::new());
    for path in paths {
        match manifests::load(std::slice::from_ref(path)) {
            Ok(found) => manifests.extend(found),
            // A folder says nothing of its good files if there are bad ones.
            Err(errors) => match entries(path) {
                Some(entries) if !entries.is_empty() => {
                    let (more, found) = load(&entries);
                    manifests.extend(more);
                    findings.extend(found);
                }
                Some(_) | None => findings.extend(errors.into_iter().map(finding)),
            },
        }
    }
    (manifests, findings)
}

fn finding(error: ManifestError) -> Finding {
    Finding { severity: Severity::Error, file: error.file, object: None, field: error.field, message: error.message }
}

/// Folders and manifests of a folder, by name; `None` if it is no folder.
fn entries(path: &Path) -> Option<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> = fs::read_dir(path).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.retain(|entry| {
        let is_manifest = entry.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
        // A folder without manifests is no error within another folder.
        is_manifest || (entry.is_dir() && entries_below(entry))
    });
    entries.sort();
    Some(entries)
}

fn entries_below(folder: &Path) -> bool {
    entries(folder).is_some_and(|entries| !entries.is_empty())
}
