//! Regular expressions: rewrites Go's syntax into that of the `regex` crate.
//!
//! Both descend from RE2 and differ in detail: Go's `\d`, `\w`, `\s` and `\b` are ASCII, a brace that starts no
//! repetition is a literal, and a class knows neither nesting nor set operations.

use regex::{Regex, RegexBuilder};

use super::limits::REGEX_BYTES_MAX;

/// Compiles a pattern written in Go's syntax.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let rewritten = rewrite(pattern).map_err(|what| format!("error parsing regexp: {what}: `{pattern}`"))?;
    RegexBuilder::new(&rewritten)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .nest_limit(100)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!("expression too large: `{pattern}`"),
            error => format!("error parsing regexp: {}: `{pattern}`", summary(&error.to_string())),
        })
}

/// The last line of the crate's message, which draws a picture over several lines.
fn summary(message: &str) -> &str {
    message.lines().last().unwrap_or_default().trim_start_matches("error: ")
}

fn rewrite(pattern: &str) -> Result<String, String> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut at = 0;
    let mut repeated = Repeated::No;
    while let Some(&c) = chars.get(at) {
        let start = at;
        at = match c {
            '\\' => escape(&chars, at + 1, &mut out)?,
            '[' => class(&chars, at, &mut out)?,
            '{' => brace(&chars, at, &mut out)?,
            '}' => {
                out.push_str("\\}");
                at + 1
            }
            '(' if chars.get(at + 1) == Some(&'?') => group(&chars, at, &mut out)?,
            _ => {
                out.push(c);
                at + 1
            }
        };
        let repetition = matches!(c, '*' | '+' | '?') || c == '{' && at > start + 1;
        repeated = repeated.then(repetition, c)?;
    }
    Ok(out)
}

/// Whether the last thing read was a repetition. Go refuses to repeat one without a group around it.
#[derive(Clone, Copy)]
enum Repeated {
    No,
    Yes,
    /// A repetition followed by the question mark that makes it lazy.
    Lazily,
}

impl Repeated {
    fn then(self, repetition: bool, c: char) -> Result<Self, String> {
        match self {
            Self::No => Ok(if repetition { Self::Yes } else { Self::No }),
            Self::Yes if c == '?' => Ok(Self::Lazily),
            Self::Yes | Self::Lazily if repetition => Err(format!("invalid nested repetition operator at {c}")),
            Self::Yes | Self::Lazily => Ok(Self::No),
        }
    }
}

/// A backslash outside of a class; `at` is the character after it.
fn escape(chars: &[char], at: usize, out: &mut String) -> Result<usize, String> {
    let Some(&c) = chars.get(at) else { return Err("trailing backslash at end of expression".to_owned()) };
    match c {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        's' => out.push_str("[\\t\\n\\f\\r ]"),
        'S' => out.push_str("[^\\t\\n\\f\\r ]"),
        'b' => out.push_str("(?-u:\\b)"),
        // A boundary that is not one can lie inside a character, which text cannot express without Unicode's rule.
        'B' => out.push_str("\\B"),
        'Q' => return Ok(quotation(chars, at + 1, out)),
        'p' | 'P' | 'x' if chars.get(at + 1) == Some(&'{') => {
            let length = chars.iter().skip(at).position(|&c| c == '}').ok_or("missing closing }")?;
            out.push('\\');
            out.extend(chars.get(at..=at + length).unwrap_or_default());
            return Ok(at + length + 1);
        }
        'A' | 'z' | 'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'p' | 'P' | 'x' => {
            out.push('\\');
            out.push(c);
        }
        '0'..='7' => return octal(chars, at, out),
        _ if c.is_ascii_punctuation() => {
            out.push('\\');
            out.push(c);
        }
        _ => return Err(format!("invalid escape sequence: `\\{c}`")),
    }
    Ok(at + 1)
}

/// `\Q…\E` quotes everything between.
fn quotation(chars: &[char], start: usize, out: &mut String) -> usize {
    let mut at = start;
    while let Some(&c) = chars.get(at) {
        if c == '\\' && chars.get(at + 1) == Some(&'E') {
            return at + 2;
        }
        out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
        at += 1;
    }
    at
}

/// `\123`; a single digit other than zero would be a back reference, which neither engine has.
fn octal(chars: &[char], at: usize, out: &mut String) -> Result<usize, String> {
    let digits: String = chars.iter().skip(at).take(3).take_while(|c| matches!(c, '0'..='7')).collect();
    if digits.len() == 1 && digits != "0" {
        return Err(format!("invalid escape sequence: `\\{digits}`"));
    }
    let value = u32::from_str_radix(&digits, 8).unwrap_or_default();
    out.push_str(&format!("\\x{{{value:x}}}"));
    Ok(at + digits.len())
}

/// A class from its `[` on.
fn class(chars: &[char], start: usize, out: &mut String) -> Result<usize, String> {
    let mut at = start + 1;
    out.push('[');
    if chars.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    loop {
        let Some(&c) = chars.get(at) else { return Err("missing closing ]".to_owned()) };
        match c {
            ']' if at > first => break,
            '\\' if matches!(chars.get(at + 1), Some('b' | 'B' | 'A' | 'z' | 'Q')) => {
                return Err("invalid escape sequence in a character class".to_owned());
            }
            '\\' => {
                at = escape(chars, at + 1, out)?;
                continue;
            }
            '[' if chars.get(at + 1) == Some(&':') => {
                if let Some(end) = posix(chars, at) {
                    out.extend(chars.get(at..end).unwrap_or_default());
                    at = end;
                    continue;
                }
                out.push_str("\\[");
            }
            // A dash is a range where it stands between two characters, as in both engines.
            '-' if at == first || chars.get(at + 1) == Some(&']') => out.push_str("\\-"),
            '-' => out.push('-'),
            '[' | ']' | '&' | '~' | '^' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
        at += 1;
    }
    out.push(']');
    Ok(at + 1)
}

/// The end of a class such as `[:alpha:]`.
fn posix(chars: &[char], at: usize) -> Option<usize> {
    let end = chars.iter().skip(at + 2).position(|&c| c == ':')? + at + 2;
    (chars.get(end + 1) == Some(&']')).then_some(end + 2)
}

/// A repetition such as `{2,5}`, or a brace that stands for itself.
fn brace(chars: &[char], at: usize, out: &mut String) -> Result<usize, String> {
    let body: String = chars.iter().skip(at + 1).take_while(|&&c| c != '}').collect();
    let closed = chars.get(at + 1 + body.chars().count()) == Some(&'}');
    let mut parts = body.splitn(2, ',');
    let low = parts.next().unwrap_or_default();
    let high = parts.next();
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if !closed || !digits(low) || high.is_some_and(|high| !high.is_empty() && !digits(high)) {
        out.push_str("\\{");
        return Ok(at + 1);
    }
    let too_large = |text: &str| text.parse::<u32>().map_or(true, |count| count > 1000);
    if too_large(low) || high.is_some_and(|high| !high.is_empty() && too_large(high)) {
        return Err(format!("invalid repeat count: `{{{body}}}`"));
    }
    out.push_str(&format!("{{{body}}}"));
    Ok(at + body.len() + 2)
}

/// `(?…`: Go knows the flags i, m, s and U, and named groups.
fn group(chars: &[char], at: usize, out: &mut String) -> Result<usize, String> {
    let rest: String = chars.iter().skip(at + 2).take_while(|&&c| c != ':' && c != ')' && c != '<').collect();
    let named = matches!(rest.as_str(), "P" | "") && chars.get(at + 2 + rest.len()) == Some(&'<');
    let flags = rest.chars().all(|c| matches!(c, 'i' | 'm' | 's' | 'U' | '-'));
    if !named && !flags {
        return Err(format!("invalid or unsupported Perl syntax: `(?{rest}`"));
    }
    out.push_str("(?");
    Ok(at + 2)
}
