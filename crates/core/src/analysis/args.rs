//! Arguments of an analysis: their values, and the `{{ args.name }}` in metrics that stand for them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serin_api::{Argument, Metric};

use super::sample::ArgValue;

pub use super::field_path::field_path;
pub use super::merge::{ArgSources, given, merge};

/// Replaces every `{{ args.name }}` in a metric by the argument's value.
///
/// A value is always text within the string that it stands in, whatever characters it has; only a limit or count that
/// then holds a number becomes one.
///
/// # Errors
/// `failed to resolve {{…}}`, naming every placeholder that stands for no argument.
pub fn substitute(metric: &Metric, values: &BTreeMap<String, String>) -> Result<Metric, String> {
    let resolved = resolve(metric, &|name| values.get(name).map_or(Slot::Unknown, |value| Slot::Text(value)));
    resolved.map_err(|unknown| format!("failed to resolve {}", unknown.join(", ")))
}

/// The values of a run's arguments by name; secrets stay references.
///
/// # Errors
/// `argument "x" was not supplied`, for the first argument without a value.
pub fn arg_values(args: &[Argument]) -> Result<BTreeMap<String, ArgValue>, String> {
    args.iter()
        .map(|arg| match arg_value(arg) {
            Some(value) => Ok((arg.name.clone(), value)),
            None => Err(format!("argument \"{}\" was not supplied", arg.name)),
        })
        .collect()
}

/// The value of one argument, if it has one.
pub(super) fn arg_value(arg: &Argument) -> Option<ArgValue> {
    if let Some(value) = &arg.value {
        return Some(ArgValue::Known(value.clone()));
    }
    let secret = arg.value_from.as_ref()?.secret_key_ref.as_ref()?;
    Some(ArgValue::Secret { name: secret.name.clone(), key: secret.key.clone() })
}

/// What a placeholder stands for.
pub(super) enum Slot<'a> {
    /// This text.
    Text(&'a str),
    /// A value that is not known yet: the placeholder stays.
    Open,
    /// Nothing.
    Unknown,
}

/// Replaces the placeholders of a metric; `lookup` is asked with the name of the argument.
///
/// Fails with the placeholders that stand for nothing, in order and each once.
pub(super) fn resolve<'a>(metric: &Metric, lookup: &dyn Fn(&str) -> Slot<'a>) -> Result<Metric, Vec<String>> {
    let mut json = serde_json::to_value(metric).map_err(|error| vec![format!("the metric: {error}")])?;
    let mut unknown = Vec::new();
    replace_in(&mut json, lookup, &mut unknown);
    if !unknown.is_empty() {
        return Err(unknown);
    }
    read_numbers(&mut json);
    serde_json::from_value(json).map_err(|error| vec![format!("the metric: {error}")])
}

/// Names of the arguments that a text refers to.
pub(super) fn references(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for piece in pieces(text) {
        if let Piece::Placeholder(tag) = piece
            && let Some(name) = argument_of(tag)
        {
            names.insert(name.to_owned());
        }
    }
    names
}

fn replace_in<'a>(json: &mut Value, lookup: &dyn Fn(&str) -> Slot<'a>, unknown: &mut Vec<String>) {
    match json {
        Value::String(text) => *text = replace(text, lookup, unknown),
        Value::Array(items) => items.iter_mut().for_each(|item| replace_in(item, lookup, unknown)),
        Value::Object(fields) => {
            let old = std::mem::take(fields);
            for (key, mut value) in old {
                replace_in(&mut value, lookup, unknown);
                fields.insert(replace(&key, lookup, unknown), value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn replace<'a>(text: &str, lookup: &dyn Fn(&str) -> Slot<'a>, unknown: &mut Vec<String>) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Placeholder(tag) => {
                let whole = format!("{{{{{tag}}}}}");
                match argument_of(tag).map_or(Slot::Unknown, lookup) {
                    Slot::Text(value) => out.push_str(value),
                    Slot::Open => out.push_str(&whole),
                    Slot::Unknown if unknown.contains(&whole) => {}
                    Slot::Unknown => unknown.push(whole),
                }
            }
        }
    }
    out
}

/// What placeholders outside of metrics stand for, by what is between their braces.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placeholders(BTreeMap<String, String>);

impl Placeholders {
    /// The values of some placeholders.
    pub(crate) fn new(values: BTreeMap<String, String>) -> Self {
        Placeholders(values)
    }

    /// A text with all of its placeholders replaced.
    ///
    /// # Errors
    /// The placeholders that stand for nothing.
    pub(crate) fn replace(&self, text: &str) -> Result<String, Vec<String>> {
        let (mut out, mut unknown) = (String::with_capacity(text.len()), Vec::new());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Placeholder(tag) => match self.0.get(tag.trim()) {
                    Some(value) => out.push_str(value),
                    None => unknown.push(format!("{{{{{tag}}}}}")),
                },
            }
        }
        if unknown.is_empty() { Ok(out) } else { Err(unknown) }
    }
}

enum Piece<'t> {
    Text(&'t str),
    /// What stands between `{{` and `}}`.
    Placeholder(&'t str),
}

/// Cuts a text at its placeholders; a `{{` that nothing closes is text.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((tag, tail)) = after.split_once("}}") else { break };
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Placeholder(tag));
        rest = tail;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn argument_of(tag: &str) -> Option<&str> {
    tag.trim().strip_prefix("args.")
}

/// Turns the limits that are written as text into numbers where they are numbers.
fn read_numbers(metric: &mut Value) {
    for field in NUMBERS {
        if let Some(value) = metric.get_mut(field)
            && let Some(number) = value.as_str().and_then(|text| text.trim().parse::<i64>().ok())
        {
            *value = Value::from(number);
        }
    }
}

/// The fields of a metric that may be a number or a text.
const NUMBERS: [&str; 5] =
    ["count", "failureLimit", "inconclusiveLimit", "consecutiveErrorLimit", "consecutiveSuccessLimit"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metric(query: &str) -> Metric {
        let json = json!({"name": "m", "provider": {"prometheus": {"address": "http://p", "query": query}}});
        serde_json::from_value(json).expect("a metric")
    }

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn check(what: &str, query: &str, expected: Result<&str, &str>) {
        let args = values(&[
            ("service", "reviews"),
            ("service-name", "a b"),
            ("quoted", r#"say "hi" \ there"#),
            ("lines", "one\ntwo\t\u{7}"),
            ("astral", "🐦\u{10FFFF}é"),
            ("braces", "{{args.service}}"),
            ("empty", ""),
        ]);
        let got = substitute(&metric(query), &args);
        let got = got.map(|metric| metric.provider.prometheus.and_then(|p| p.query).expect("a query"));
        assert_eq!(got.as_deref().map_err(String::as_str), expected, "{what}");
    }

    #[test]
    fn placeholders_become_values() {
        check("one", "up{app=\"{{args.service}}\"}", Ok("up{app=\"reviews\"}"));
        check("two, with spaces and a dash", "{{ args.service }}/{{args.service-name }}", Ok("reviews/a b"));
        check("quotes and backslashes stay", "{{args.quoted}}", Ok(r#"say "hi" \ there"#));
        check("control characters stay", "{{args.lines}}", Ok("one\ntwo\t\u{7}"));
        check("characters beyond 16 bits stay", "{{args.astral}}", Ok("🐦\u{10FFFF}é"));
        check("a value is not looked through again", "{{args.braces}}", Ok("{{args.service}}"));
        check("an empty value is a value", "a{{args.empty}}b", Ok("ab"));
        check("an unknown argument", "{{args.nobody}}", Err("failed to resolve {{args.nobody}}"));
        check("each unknown one once", "{{args.a}}{{ b }}{{args.a}}", Err("failed to resolve {{args.a}}, {{ b }}"));
        check("something that is no argument", "{{.Values.x}}", Err("failed to resolve {{.Values.x}}"));
        check("braces that nothing closes are text", "{{args.service", Ok("{{args.service"));
        check("single braces are text", "{args.service}", Ok("{args.service}"));
    }

    proptest::proptest! {
        #[test]
        fn every_value_arrives_as_it_is(value in ".*") {
            let got = substitute(&metric("a{{args.v}}b"), &values(&[("v", &value)])).expect("resolved");
            let query = got.provider.prometheus.and_then(|p| p.query);
            proptest::prop_assert_eq!(query, Some(format!("a{value}b")));
        }

        #[test]
        fn no_text_is_too_odd(text in "[{}a-z. ]{0,40}") {
            let _ = substitute(&metric(&text), &values(&[("a", "1")]));
        }
    }

    #[test]
    fn limits_become_numbers_and_other_fields_do_not() {
        let json = json!({
            "name": "m", "count": "{{args.n}}", "failureLimit": " 3 ", "inconclusiveLimit": "{{args.text}}",
            "interval": "{{args.n}}s", "successCondition": "result > {{args.n}}",
            "provider": {"prometheus": {"query": "{{args.n}}"}},
        });
        let metric: Metric = serde_json::from_value(json).expect("a metric");
        let got = substitute(&metric, &values(&[("n", "5"), ("text", "many")])).expect("resolved");
        assert_eq!(got.count, Some(5.into()));
        assert_eq!(got.failure_limit, Some(3.into()));
        assert_eq!(got.inconclusive_limit, Some("many".into()));
        assert_eq!(got.interval.as_deref(), Some("5s"));
        assert_eq!(got.success_condition.as_deref(), Some("result > 5"));
        assert_eq!(got.provider.prometheus.and_then(|p| p.query).as_deref(), Some("5"));
    }

    #[test]
    fn keys_are_replaced_too() {
        let json = json!({"name": "m", "provider": {"plugin": {"x/y": {"{{args.n}}": ["{{args.n}}", 1, null]}}}});
        let metric: Metric = serde_json::from_value(json).expect("a metric");
        let got = substitute(&metric, &values(&[("n", "five")])).expect("resolved");
        assert_eq!(got.provider.plugin["x/y"], json!({"five": ["five", 1, null]}));
    }

    #[test]
    fn secrets_stay_references_and_a_missing_value_is_named() {
        let args: Vec<Argument> = serde_json::from_value(json!([
            {"name": "a", "value": "1"},
            {"name": "token", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ]))
        .expect("arguments");
        let got = arg_values(&args).expect("all have values");
        assert_eq!(got["a"], ArgValue::Known("1".into()));
        assert_eq!(got["token"], ArgValue::Secret { name: "s".into(), key: "k".into() });

        let bare = Argument { name: "x".into(), ..Argument::default() };
        assert_eq!(arg_values(&[bare]), Err("argument \"x\" was not supplied".into()));
    }
}
