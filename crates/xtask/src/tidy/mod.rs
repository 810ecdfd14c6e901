//! What the repository demands of its own files.

mod layers;
mod links;
mod rust_files;
mod scan;
mod words;

use std::path::Path;

use anyhow::Result;

use crate::codegen;
use crate::repository::text_files;
use crate::violation::Violation;

/// Files that a reader expects at the root.
const EXPECTED: [&str; 6] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Cargo.lock"];

/// Everything that is not as it must be, sorted by file: sizes, openings and forbidden code of Rust files, forbidden
/// words, broken links, dependencies in the wrong direction, missing files, generated files that are not current.
///
/// # Errors
/// If a file cannot be read or `cargo metadata` fails.
pub fn check(root: &Path) -> Result<Vec<Violation>> {
    let files = text_files(root)?;
    let mut violations = rust_files::check(&files);
    violations.extend(words::check(&files));
    violations.extend(links::check(root, &files));
    violations.extend(layers::check(root)?);
    violations.extend(codegen::check(root)?);
    for name in EXPECTED {
        if !root.join(name).is_file() {
            violations.push(Violation::of_file(Path::new(name), "is missing"));
        }
    }
    violations.sort();
    Ok(violations)
}
