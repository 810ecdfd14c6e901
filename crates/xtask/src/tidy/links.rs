//! What the documents say about other files of the repository: links, and the paths of code.

use std::path::Path;

use crate::repository::TextFile;
use crate::violation::Violation;

/// Where the code is that documents name in code spans, from the root.
const CODE: &str = "crates/";

/// Checks that what every Markdown file links to exists, and the code that it names. Addresses elsewhere are not followed.
pub(super) fn check(root: &Path, files: &[TextFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| file.has_extension("md")) {
        let folder = root.join(file.path.parent().unwrap_or(Path::new("")));
        let links = targets(&file.text).into_iter().map(|(line, target)| (line, target, folder.join(target)));
        let code = code_paths(&file.text).into_iter().map(|(line, path)| (line, path, root.join(path)));
        for (line, path, _) in links.chain(code).filter(|(_, _, full)| !full.exists()) {
            violations.push(Violation::at_line(&file.path, line, format!("names `{path}`, which is not there")));
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

/// Paths of code in code spans, with the line of each; patterns and commands are none.
fn code_paths(text: &str) -> Vec<(usize, &str)> {
    let spans = text.lines().enumerate().flat_map(|(number, line)| {
        let spans = line.split('`').skip(1).step_by(2);
        spans.map(move |span| (number + 1, span))
    });
    let is_path = |span: &str| span.starts_with(CODE) && !span.contains(|letter: char| " *<>{}".contains(letter));
    spans.filter(|(_, span)| is_path(span)).collect()
}

#[cfg(test)]
mod tests {
    use super::{code_paths, targets};

    #[test]
    fn code_is_named_in_spans() {
        for (what, text, expected) in [
            ("a file", "see `crates/a.rs` and `b`", vec![(1, "crates/a.rs")]),
            ("not in prose", "crates/a.rs", vec![]),
            ("a pattern", "`crates/*/a.rs` `crates/<name>`", vec![]),
        ] {
            assert_eq!(code_paths(text), expected, "{what}");
        }
    }

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
