//! Reads Rust as far as sizes need it: where code is, where tests are, where functions begin and end.
//!
//! It relies on the layout of rustfmt and understands comments, strings and braces, not the grammar.

use std::iter::Peekable;
use std::ops::RangeInclusive;
use std::str::Chars;

/// The source with the contents of comments, strings and characters replaced by spaces; its lines stay where they are.
pub(super) fn blank(source: &str) -> String {
    let mut blanker = Blanker { rest: source.chars().peekable(), out: String::with_capacity(source.len()) };
    blanker.run();
    blanker.out
}

struct Blanker<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
}

impl Blanker<'_> {
    fn run(&mut self) {
        // Whether the last character belongs to a name, so that an `r` or `'` behind it opens nothing.
        let mut in_name = false;
        while let Some(letter) = self.rest.next() {
            match (letter, self.rest.peek()) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('r', Some('"' | '#')) if !in_name => self.raw_string(),
                // A byte string or byte character is blanked by what follows its prefix.
                ('b' | 'c', Some('"' | '\'' | 'r')) if !in_name => {
                    self.out.push(letter);
                    continue;
                }
                ('\'', _) => self.character(),
                _ => self.out.push(letter),
            }
            in_name = letter.is_alphanumeric() || letter == '_';
        }
    }

    fn hide(&mut self, letter: char) {
        self.out.push(if letter == '\n' { '\n' } else { ' ' });
    }

    fn line_comment(&mut self) {
        self.out.push(' ');
        while let Some(letter) = self.rest.next_if(|letter| *letter != '\n') {
            self.hide(letter);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        let mut before = '/';
        self.out.push(' ');
        while let Some(letter) = self.rest.next() {
            self.hide(letter);
            match (before, letter) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth = depth.saturating_sub(1),
                _ => {
                    before = letter;
                    continue;
                }
            }
            if depth == 0 {
                return;
            }
            // The character that closed one pair opens no other.
            before = ' ';
        }
    }

    fn string(&mut self) {
        self.out.push('"');
        while let Some(letter) = self.rest.next() {
            match letter {
                '"' => return self.out.push('"'),
                '\\' => {
                    self.out.push(' ');
                    if let Some(escaped) = self.rest.next() {
                        self.hide(escaped);
                    }
                }
                _ => self.hide(letter),
            }
        }
    }

    fn raw_string(&mut self) {
        self.out.push('r');
        let mut hashes = 0_usize;
        while self.rest.next_if_eq(&'#').is_some() {
            hashes += 1;
            self.out.push('#');
        }
        if self.rest.next_if_eq(&'"').is_none() {
            // A raw name such as `r#type`.
            return;
        }
        self.out.push('"');
        let mut closing: Option<usize> = None;
        while closing != Some(hashes) {
            let Some(letter) = self.rest.next() else { return };
            closing = match (letter, closing) {
                ('"', _) => Some(0),
                ('#', Some(count)) => Some(count + 1),
                _ => None,
            };
            self.hide(letter);
        }
        self.out.push('"');
    }

    /// A character, or the quote of a lifetime.
    fn character(&mut self) {
        self.out.push('\'');
        let mut ahead = self.rest.clone();
        let is_character = match (ahead.next(), ahead.next()) {
            (Some('\\'), _) => true,
            (Some(_), Some(second)) => second == '\'',
            _ => false,
        };
        if !is_character {
            return;
        }
        let mut escaped = false;
        while let Some(letter) = self.rest.next() {
            if letter == '\'' && !escaped {
                return self.out.push('\'');
            }
            escaped = letter == '\\' && !escaped;
            self.hide(letter);
        }
    }
}

/// An item that is compiled for tests only.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TestItem {
    /// Its lines, counted from zero.
    pub(super) lines: RangeInclusive<usize>,
    /// The name of the module if it is one in a file of its own.
    pub(super) file: Option<String>,
}

/// Items under `#[cfg(test)]` in blanked source.
pub(super) fn test_items(blanked: &str) -> Vec<TestItem> {
    let lines: Vec<&str> = blanked.lines().collect();
    let mut items: Vec<TestItem> = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let is_inside = items.last().is_some_and(|item| item.lines.contains(&first));
        if is_inside || line.trim() != "#[cfg(test)]" {
            continue;
        }
        let start = lines[first..].iter().position(|line| !line.trim().is_empty() && !line.trim().starts_with("#["));
        let Some(start) = start.map(|offset| first + offset) else { continue };
        let last = end_of_item(&lines, start);
        let name = lines[start].trim().strip_suffix(';').and_then(|item| item.rsplit_once("mod "));
        let file = name.map(|(_, name)| name.trim().to_owned());
        items.push(TestItem { lines: first..=last, file });
    }
    items
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// From the line of `fn` to that of its closing brace, counted from zero.
    pub(super) lines: RangeInclusive<usize>,
}

/// All functions in blanked source.
pub(super) fn functions(blanked: &str) -> Vec<Function> {
    let lines: Vec<&str> = blanked.lines().collect();
    let mut functions = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        if let Some(name) = function_name(line) {
            let last = end_of_item(&lines, first);
            if lines[last].trim_end().ends_with('}') {
                functions.push(Function { name: name.to_owned(), lines: first..=last });
            }
        }
    }
    functions
}

/// The name of the function that a line opens; a type such as `fn(u8)` has none.
fn function_name(line: &str) -> Option<&str> {
    let words = line.trim_start();
    let before = words.find("fn ")?;
    let qualifiers = words[..before].split_whitespace();
    let is_item = qualifiers.into_iter().all(|word| {
        matches!(word, "pub" | "const" | "async" | "unsafe" | "extern" | "default" | "\"" | "in")
            || word.starts_with("pub(")
            || word.ends_with(')')
            || word.starts_with('"')
    });
    let name = &words[before + 3..];
    let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    (is_item && end > 0).then_some(&name[..end])
}

/// The line on which the item that begins on `start` ends: that of its `;`, or of the brace that closes its body.
fn end_of_item(lines: &[&str], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (number, line) in lines.iter().enumerate().skip(start) {
        for letter in line.chars() {
            match letter {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                '{' => depth += 1,
                '}' if depth <= 1 => return number,
                '}' => depth -= 1,
                ';' if depth == 0 && brackets == 0 => return number,
                _ => {}
            }
        }
    }
    lines.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_blank(what: &str, source: &str, expected: &str) {
        assert_eq!(blank(source), expected, "{what}");
    }

    #[test]
    fn only_code_is_left() {
        check_blank("a comment ends with its line", "a // {\nb", "a     \nb");
        check_blank("block comments nest", "a/* /* { */ } */b", "a               b");
        check_blank("an escaped quote does not end a string", r#"f("\"{", '{')"#, r#"f("   ", ' ')"#);
        check_blank("hashes hold a raw string together", "r#\"a\"{\"#;", "r#\"     \";");
        check_blank("a raw name is no string", "r#type {", "r#type {");
        check_blank("a lifetime is no character", "fn a<'a>(b: &'a str) {}", "fn a<'a>(b: &'a str) {}");
        check_blank("an escaped quote is a character", r"'\'' {", "'  ' {");
        check_blank("a byte string is a string", "b\"{\" br\"{\" b'{'", "b\" \" br\"  \" b' '");
        check_blank("a name may end in r", "for\"{\"", "for\" \"");
    }

    fn check_functions(what: &str, source: &str, expected: &[(&str, RangeInclusive<usize>)]) {
        let found = functions(&blank(source));
        let found: Vec<_> = found.iter().map(|function| (function.name.as_str(), function.lines.clone())).collect();
        assert_eq!(found, expected, "{what}");
    }

    #[test]
    fn functions_end_with_their_brace() {
        check_functions("a short one", "fn a() {}\n", &[("a", 0..=0)]);
        check_functions("a body with braces", "pub(crate) async fn a()\n{\n  if b {\n  }\n}\n", &[("a", 0..=4)]);
        check_functions("one without a body", "trait A {\n    fn a(&self);\n}\n", &[]);
        check_functions("an array in the signature", "fn a(b: [u8; 2]) {\n}\n", &[("a", 0..=1)]);
        check_functions("a pointer is none", "type A = fn (u8);\n", &[]);
        check_functions("one in a string is none", "const A: &str = \"\nfn a() {\n\";\n", &[]);
        check_functions("one in another", "fn a() {\n    fn b() {\n    }\n}\n", &[("a", 0..=3), ("b", 1..=2)]);
    }

    fn check_test_items(what: &str, source: &str, expected: &[(RangeInclusive<usize>, Option<&str>)]) {
        let found = test_items(&blank(source));
        let found: Vec<_> = found.iter().map(|item| (item.lines.clone(), item.file.as_deref())).collect();
        assert_eq!(found, expected, "{what}");
    }

    #[test]
    fn tests_are_told_from_code() {
        check_test_items("a module", "a\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nc\n", &[(1..=4, None)]);
        check_test_items("a file", "#[cfg(test)]\nmod tests;\n", &[(0..=1, Some("tests"))]);
        check_test_items("a public file", "#[cfg(test)]\npub(crate) mod a;\n", &[(0..=1, Some("a"))]);
        check_test_items("an import", "#[cfg(test)]\nuse a::{b, c};\nfn d() {}\n", &[(0..=1, None)]);
        check_test_items("with another attribute", "#[cfg(test)]\n#[path = \"a\"]\nmod b {\n}\n", &[(0..=3, None)]);
        check_test_items("not in a comment", "// #[cfg(test)]\nmod a {}\n", &[]);
    }
}
