//! Keeps secrets out of everything that is stored or shown.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serin_core::analysis::sample::Outcome;

use crate::Answer;
use crate::address::percent_encode;

/// What a secret is replaced by.
const STARS: &str = "*****";

/// Replaces secrets, however they are encoded, in text.
#[derive(Debug, Default)]
pub(crate) struct Redactor {
    /// Longest first, so that no part of a longer one stays.
    forms: Vec<String>,
}

impl Redactor {
    /// A redactor of these values; empty ones hide nothing.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let forms: BTreeSet<String> = secrets.into_iter().filter(|secret| !secret.is_empty()).flat_map(forms).collect();
        let mut forms: Vec<String> = forms.into_iter().collect();
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self { forms }
    }

    /// Redacts all that leaves the process. The measured value itself stays, since it is to be judged.
    pub(crate) fn answer(&self, answer: Answer) -> Answer {
        if self.forms.is_empty() {
            return answer;
        }
        let outcome = match answer.outcome {
            Outcome::Measured(result) => Outcome::Measured(result),
            Outcome::NoData { message } => Outcome::NoData { message: self.text(&message) },
            Outcome::SourceDown { message } => Outcome::SourceDown { message: self.text(&message) },
            Outcome::Wrong { message } => Outcome::Wrong { message: self.text(&message) },
        };
        let metadata = answer.metadata.iter().map(|(key, value)| (self.text(key), self.text(value))).collect();
        Answer { outcome, value: self.text(&answer.value), metadata }
    }

    /// Redacts one text, in one pass: what stands for a secret is not looked at again.
    pub(crate) fn text(&self, text: &str) -> String {
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(first) = rest.chars().next() {
            if let Some(form) = self.forms.iter().find(|form| rest.starts_with(form.as_str())) {
                out.push_str(STARS);
                rest = &rest[form.len()..];
            } else {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        out
    }
}

/// All ways in which a secret may stand in a text.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), secret.trim().to_owned()];
    forms.push(percent_encode(secret));
    forms.push(percent_encode(secret).replace("%20", "+"));
    forms.push(lower_hex(&percent_encode(secret)));
    // Once for JSON, twice for JSON that stands in JSON; the same escapes are used by GraphQL and in quoted messages.
    let escaped = escape(secret);
    forms.push(escape(&escaped));
    forms.push(escaped);
    forms.push(STANDARD.encode(secret));
    forms.push(STANDARD_NO_PAD.encode(secret));
    forms.push(URL_SAFE.encode(secret));
    forms.push(URL_SAFE_NO_PAD.encode(secret));
    forms.retain(|form| !form.is_empty());
    forms
}

/// Percent-encoded text with its codes in lower case, as some programs write them.
fn lower_hex(encoded: &str) -> String {
    let mut pieces = encoded.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (code, rest) = piece.split_at(piece.len().min(2));
        out.push_str(&format!("%{}{rest}", code.to_ascii_lowercase()));
    }
    out
}

fn escape(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(what: &str, secrets: &[&str], text: &str, expected: &str) {
        assert_eq!(Redactor::new(secrets.iter().copied()).text(text), expected, "{what}");
    }

    #[test]
    fn secrets_are_replaced_in_every_form() {
        check("as it is", &["hunter2"], "password hunter2 refused", "password ***** refused");
        check("more than once", &["x"], "axbx", "a*****b*****");
        check("a single character", &["7"], "[0.97]", "[0.9*****]");
        check("percent-encoded", &["a b/c"], "?q=a%20b%2Fc&r=a+b%2Fc&s=a%20b%2fc", "?q=*****&r=*****&s=*****");
        check("escaped in JSON", &["a\"b"], r#"{"k":"a\"b"}"#, r#"{"k":"*****"}"#);
        check("escaped twice", &["a\"b"], r#""{\"k\":\"a\\\"b\"}""#, r#""{\"k\":\"*****\"}""#);
        check("a quote at its start", &["\"x"], r#"say \"x"#, "say *****");
        check("in base64", &["hunter2"], "Basic aHVudGVyMg==", "Basic *****");
        check("in base64 without padding", &["hunter2"], "aHVudGVyMg.", "*****.");
        check("with the line feed that files end with", &["token\n"], "Bearer token", "Bearer *****");
        check("the longer of two first", &["abc", "abcdef"], "abcdef abc", "***** *****");
        check("stars are not replaced again", &["*", "s"], "s", "*****");
        check("an empty secret hides nothing", &[""], "text", "text");
        check("beyond ASCII", &["é🐦"], "sé🐦t", "s*****t");
    }
}
