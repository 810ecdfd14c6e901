//! JSON as text.

use super::super::error::Trouble;
use super::super::format::{float_json, time_rfc3339};
use super::super::limits::Meter;
use super::super::value::{DictKind, Key, Value};

/// Decodes a document.
pub(in super::super) fn read(text: &str, meter: &mut Meter) -> Result<Value, Trouble> {
    // A document of n bytes has at most n/2 values; they are paid for before they exist.
    meter.elements(text.len() as u64 / 2)?;
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| Trouble::from(error.to_string()))?;
    Value::from_json(&json)
}

/// Encodes a value the way Go's `json.MarshalIndent` with two blanks does.
pub(in super::super) fn write(value: &Value, meter: &mut Meter) -> Result<String, Trouble> {
    let mut out = String::new();
    encode(value, 0, &mut out, meter)?;
    Ok(out)
}

fn encode(value: &Value, indent: usize, out: &mut String, meter: &mut Meter) -> Result<(), Trouble> {
    let before = out.len();
    match value {
        Value::Nil => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) | Value::Int64(value) | Value::Duration(value) => out.push_str(&value.to_string()),
        Value::Byte(value) => out.push_str(&value.to_string()),
        Value::Float(value) if value.is_finite() => out.push_str(&float_json(*value)),
        Value::Float(value) => return Err(format!("json: unsupported value: {value}").into()),
        Value::Text(text) => quote(text, out),
        Value::Time(time) => quote(&time_rfc3339(time), out),
        Value::Zone(_) => out.push_str("{}"),
        Value::List(list) if list.absent => out.push_str("null"),
        Value::List(list) => {
            let items = list.items.iter().map(|item| (None, item));
            sequence(('[', ']'), items, indent, out, meter)?;
        }
        Value::Dict(dict) => match dict.kind {
            DictKind::Text => {
                let items = dict.entries.iter().map(|(key, value)| (Some(key), value));
                sequence(('{', '}'), items, indent, out, meter)?;
            }
            DictKind::Any | DictKind::Groups => {
                return Err(format!("json: unsupported type: {}", dict.kind.name()).into());
            }
        },
    }
    meter.text(out.len() - before)
}

fn sequence<'a>(
    (open, close): (char, char),
    items: impl Iterator<Item = (Option<&'a Key>, &'a Value)>,
    indent: usize,
    out: &mut String,
    meter: &mut Meter,
) -> Result<(), Trouble> {
    out.push(open);
    let mut empty = true;
    for (key, value) in items {
        if !empty {
            out.push(',');
        }
        empty = false;
        new_line(indent + 1, out);
        if let Some(Key::Text(name)) = key {
            quote(name, out);
            out.push_str(": ");
        }
        encode(value, indent + 1, out, meter)?;
    }
    if !empty {
        new_line(indent, out);
    }
    out.push(close);
    Ok(())
}

fn new_line(indent: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", indent));
}

/// Beside what JSON demands, Go escapes what could end a script element or a JavaScript string.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}
