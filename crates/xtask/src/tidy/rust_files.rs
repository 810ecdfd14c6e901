//! Demands on Rust files: sizes, the opening sentence, and code that must not be there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::scan::{TestItem, blank, functions, test_items};
use crate::repository::TextFile;
use crate::violation::Violation;

/// A reader keeps a file of this length in mind; a longer one has two subjects.
const FILE_LINES_MAX: usize = 500;

/// A function of this length fits on a screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Code that says that something is unfinished or unused.
const FORBIDDEN: [&str; 5] = ["todo!(", "unimplemented!(", "#[ignore", "allow(dead_code", "allow(unused"];

/// Checks all Rust files among `files`.
pub(super) fn check(files: &[TextFile]) -> Vec<Violation> {
    let sources: Vec<Source<'_>> = files.iter().filter(|file| file.has_extension("rs")).map(Source::of).collect();
    let test_paths: BTreeSet<PathBuf> = sources.iter().flat_map(Source::test_paths).collect();
    sources.iter().flat_map(|source| source.check(&test_paths)).collect()
}

struct Source<'a> {
    file: &'a TextFile,
    blanked: String,
    test_items: Vec<TestItem>,
}

impl<'a> Source<'a> {
    fn of(file: &'a TextFile) -> Self {
        let blanked = blank(&file.text);
        let test_items = test_items(&blanked);
        Source { file, blanked, test_items }
    }

    /// Paths, without extension, of modules that this file declares for tests only.
    fn test_paths(&self) -> Vec<PathBuf> {
        let path = &self.file.path;
        let folder = match path.file_name().and_then(|name| name.to_str()) {
            Some("mod.rs" | "lib.rs" | "main.rs") => path.parent().unwrap_or(Path::new("")).to_owned(),
            Some(_) | None => path.with_extension(""),
        };
        self.test_items.iter().filter_map(|item| item.file.as_ref()).map(|name| folder.join(name)).collect()
    }

    fn check(&self, test_paths: &BTreeSet<PathBuf>) -> Vec<Violation> {
        let path = &self.file.path;
        let mut violations = Vec::new();
        if !self.file.text.starts_with("//!") {
            violations.push(Violation::at_line(path, 1, "begin with a `//!` sentence that says what the file is for"));
        }
        for (number, line) in self.blanked.lines().enumerate() {
            if let Some(code) = FORBIDDEN.iter().find(|code| line.contains(**code)) {
                violations.push(Violation::at_line(path, number + 1, format!("`{code}` must not be here")));
            }
        }
        if !is_test(path, test_paths) {
            violations.extend(self.check_sizes());
        }
        violations
    }

    fn check_sizes(&self) -> Vec<Violation> {
        let path = &self.file.path;
        let mut violations = Vec::new();
        let tests: usize = self.test_items.iter().map(|item| item.lines.clone().count()).sum();
        let lines = self.file.text.lines().count() - tests;
        if lines > FILE_LINES_MAX {
            let message = format!("{lines} lines without tests, at most {FILE_LINES_MAX} are allowed: split the file");
            violations.push(Violation::of_file(path, message));
        }
        for function in functions(&self.blanked) {
            let (first, lines) = (*function.lines.start(), function.lines.count());
            let is_test = self.test_items.iter().any(|item| item.lines.contains(&first));
            if lines > FUNCTION_LINES_MAX && !is_test {
                let name = function.name;
                let message = format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX} are allowed");
                violations.push(Violation::at_line(path, first + 1, message));
            }
        }
        violations
    }
}

/// Whether a file is compiled for tests only.
fn is_test(path: &Path, test_paths: &BTreeSet<PathBuf>) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || path.with_extension("").ancestors().any(|ancestor| test_paths.contains(ancestor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_files(what: &str, files: &[(&str, String)], expected: &[&str]) {
        let files: Vec<TextFile> =
            files.iter().map(|(path, text)| TextFile { path: path.into(), text: text.clone() }).collect();
        let found: Vec<String> = check(&files).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{what}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{what}: {found}");
        }
    }

    fn lines(count: usize) -> String {
        "//! A file.\n".to_owned() + &"const A: u8 = 1;\n".repeat(count - 1)
    }

    fn function(lines: usize) -> String {
        format!("fn a() {{\n{}}}\n", "    b();\n".repeat(lines - 2))
    }

    #[test]
    fn rust_files_are_checked() {
        check_files("500 lines are allowed", &[("a.rs", lines(500))], &[]);
        check_files("501 are not", &[("a.rs", lines(501))], &["a.rs: 501 lines"]);
        let with_tests = lines(500) + "#[cfg(test)]\nmod tests {\n}\n";
        check_files("tests do not count", &[("a.rs", with_tests)], &[]);
        check_files("files of tests are free", &[("a/tests/b.rs", lines(501))], &[]);
        let declaring = "//! A file.\n#[cfg(test)]\nmod b;\n".to_owned();
        check_files("declared ones too", &[("a.rs", declaring.clone()), ("a/b.rs", lines(501))], &[]);
        check_files("only where declared", &[("a.rs", declaring), ("b.rs", lines(501))], &["b.rs: 501"]);
        check_files("an opening is missing", &[("a.rs", "mod b;\n".to_owned())], &["a.rs:1: begin"]);
        let opened = |text: String| "//! A file.\n".to_owned() + &text;
        check_files("70 lines of function", &[("a.rs", opened(function(70)))], &[]);
        check_files("71 lines of function", &[("a.rs", opened(function(71)))], &["a.rs:2: `a` has 71 lines"]);
        let in_tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(71));
        check_files("a long test", &[("a.rs", opened(in_tests))], &[]);
        check_files(
            "unfinished code",
            &[("a.rs", opened("fn a() {\n    todo!()\n}\n".to_owned()))],
            &["a.rs:3: `todo!("],
        );
        check_files("a comment may name it", &[("a.rs", opened("// todo!()\n".to_owned()))], &[]);
    }
}
