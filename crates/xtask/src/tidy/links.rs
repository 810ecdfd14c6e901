//! Links in the documents to other files of the repository.

use std::path::Path;

use crate::repository::TextFile;
use crate::violation::Violation;

/// Checks that what every Markdown file links to exists. Addresses elsewhere are not followed.
pub(super) fn check(root: &Path, files: &[TextFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("md")) {
        let folder = root.join(file.path.parent().unwrap_or(Path::new("")));
        for (line, target) in targets(&file.text) {
            if !folder.join(target).exists() {
                violations.push(Violation::at_line(
                    &file.path,
                    line,
                    format!("links to `{target}`, which is not there"),
                ));
            }
        }
    }
    violations
}

/// Files that a document links to, with the line of each link.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut targets = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for after in line.split("](").skip(1) {
            let link = after.split([')', ' ']).next().unwrap_or_default();
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains(':') {
                targets.push((number + 1, file));
            }
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::targets;

    #[test]
    fn local_links_are_found() {
        for (what, text, expected) in [
            ("a file", "[a](b.md) and [c](d/e.md)", vec![(1, "b.md"), (1, "d/e.md")]),
            ("a part of a file", "\n[a](b.md#c)", vec![(2, "b.md")]),
            ("a part of this one", "[a](#c)", vec![]),
            ("elsewhere", "[a](https://example.org/b.md)", vec![]),
            ("an image with a title", "![a](b.svg \"c\")", vec![(1, "b.svg")]),
            ("in code", "```\n[a](b.md)\n```", vec![]),
        ] {
            assert_eq!(targets(text), expected, "{what}");
        }
    }
}
