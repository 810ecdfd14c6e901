//! Words that must not be in any file: paths of one machine, and who typed it with which tool.

use std::path::Path;

use crate::repository::TextFile;
use crate::violation::Violation;

/// In lower case, and in two parts, so that this file does not contain them.
const FORBIDDEN: [(&str, &str); 6] =
    [("../sha", "red"), ("/work/ma", "in"), ("clau", "de"), ("anthro", "pic"), ("chat", "gpt"), ("copi", "lot")];

/// Texts of others, which are as they are.
const FOREIGN: [&str; 2] = ["LICENSE", "Cargo.lock"];

/// Checks every file.
pub(super) fn check(files: &[TextFile]) -> Vec<Violation> {
    let words: Vec<String> = FORBIDDEN.iter().map(|(head, tail)| format!("{head}{tail}")).collect();
    let mut violations = Vec::new();
    for file in files.iter().filter(|file| !FOREIGN.iter().any(|name| file.path == Path::new(name))) {
        let text = file.text.to_lowercase();
        for word in words.iter().filter(|word| text.contains(word.as_str())) {
            let line = text.lines().position(|line| line.contains(word.as_str())).unwrap_or_default();
            violations.push(Violation::at_line(&file.path, line + 1, format!("`{word}` must not be here")));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case() {
        let text = format!("one\ntwo {}{}\n", "../SHA", "RED");
        let found = check(&[TextFile { path: "a.md".into(), text }]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, Some(2));
    }
}
