//! Text: case, trimming, splitting, replacing, searching, and conversions from and to text.

use super::super::error::Trouble;
use super::super::format::display;
use super::super::limits::Meter;
use super::super::number::to_int;
use super::super::value::{ListKind, Value};
use super::{base64, json};

/// Calls a function of this group.
pub(in super::super) fn call(meter: &mut Meter, name: &str, arguments: &[Value]) -> Result<Option<Value>, Trouble> {
    let value = match (name, arguments) {
        ("string", [value]) => Value::text(display(value, meter)?),
        ("type", [value]) => Value::text(type_of(value)),
        ("len", [Value::Text(text)]) => Value::Int(text.chars().count() as i64),
        ("toJSON", [value]) => Value::text(json::write(value, meter)?),
        ("fromJSON", [Value::Text(text)]) => json::read(text, meter)?,
        ("join", [Value::List(list)]) => join(meter, &list.items, "")?,
        ("join", [Value::List(list), Value::Text(glue)]) => join(meter, &list.items, glue)?,
        ("repeat", [Value::Text(text), count]) => repeat(meter, text, to_int(count)?)?,
        ("split" | "splitAfter" | "replace", [Value::Text(text), ..]) => return cut(meter, name, text, arguments),
        (_, [Value::Text(text)]) => return one(meter, name, text),
        (_, [Value::Text(a), Value::Text(b)]) => match name {
            "trim" => trimmed(meter, a, a.trim_matches(|c| b.contains(c)))?,
            "trimPrefix" => trimmed(meter, a, a.strip_prefix(&**b).unwrap_or(a))?,
            "trimSuffix" => trimmed(meter, a, a.strip_suffix(&**b).unwrap_or(a))?,
            "indexOf" => Value::Int(a.find(&**b).map_or(-1, |at| at as i64)),
            "lastIndexOf" => Value::Int(a.rfind(&**b).map_or(-1, |at| at as i64)),
            "hasPrefix" => Value::Bool(a.starts_with(&**b)),
            "hasSuffix" => Value::Bool(a.ends_with(&**b)),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// Functions of one text.
fn one(meter: &mut Meter, name: &str, text: &str) -> Result<Option<Value>, Trouble> {
    let value = match name {
        "trim" => trimmed(meter, text, text.trim())?,
        "trimPrefix" => trimmed(meter, text, text.strip_prefix(' ').unwrap_or(text))?,
        "trimSuffix" => trimmed(meter, text, text.strip_suffix(' ').unwrap_or(text))?,
        "upper" => {
            meter.text(text.len())?;
            Value::text(text.chars().map(|c| single(c, c.to_uppercase())).collect::<String>())
        }
        "lower" => {
            meter.text(text.len())?;
            Value::text(text.chars().map(|c| single(c, c.to_lowercase())).collect::<String>())
        }
        "toBase64" => {
            meter.text(text.len() * 2)?;
            Value::text(base64::encode(text.as_bytes()))
        }
        "fromBase64" => {
            meter.text(text.len())?;
            let bytes = base64::decode(text).ok_or_else(|| Trouble::from("illegal base64 data"))?;
            let text =
                String::from_utf8(bytes).map_err(|_| Trouble::from("fromBase64 gives bytes that are no text"))?;
            Value::text(text)
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// Case is mapped character by character; where the mapping is longer than one character, it is left out, as in Go.
fn single(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(only), None) => only,
        _ => c,
    }
}

fn trimmed(meter: &mut Meter, whole: &str, part: &str) -> Result<Value, Trouble> {
    meter.text(whole.len())?;
    Ok(Value::text(part))
}

/// The name that the function `type` gives.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Int64(_) => "int",
        Value::Byte(_) => "uint",
        Value::Float(_) => "float",
        Value::Text(_) => "string",
        Value::Time(_) => "time.Time",
        Value::Duration(_) => "time.Duration",
        Value::Zone(_) => "unknown",
        Value::List(_) => "array",
        Value::Dict(_) => "map",
    }
}

fn join(meter: &mut Meter, items: &[Value], glue: &str) -> Result<Value, Trouble> {
    meter.steps(items.len() as u64)?;
    let mut parts = Vec::with_capacity(items.len());
    let mut length = glue.len().saturating_mul(items.len());
    for item in items {
        let Value::Text(text) = item else {
            return Err(format!("join takes strings only, not {}", item.type_name()).into());
        };
        length = length.saturating_add(text.len());
        parts.push(&**text);
    }
    meter.text(length)?;
    Ok(Value::text(parts.join(glue)))
}

fn repeat(meter: &mut Meter, text: &str, count: i64) -> Result<Value, Trouble> {
    let Ok(count) = usize::try_from(count) else {
        return Err(format!("invalid argument for repeat (expected positive integer, got {count})").into());
    };
    let length = text.len().saturating_mul(count);
    // Here the reference implementation counts every byte.
    meter.elements(length.max(if count > 1_000_000 { count } else { 0 }) as u64)?;
    Ok(Value::text(text.repeat(count)))
}

fn cut(meter: &mut Meter, name: &str, text: &str, arguments: &[Value]) -> Result<Option<Value>, Trouble> {
    let value = match (name, arguments) {
        ("replace", [_, Value::Text(old), Value::Text(new)]) => replace(meter, text, (old, new), -1)?,
        ("replace", [_, Value::Text(old), Value::Text(new), count]) => {
            replace(meter, text, (old, new), to_int(count)?)?
        }
        ("split" | "splitAfter", [_, Value::Text(separator)]) => split(meter, text, separator, (name, -1))?,
        ("split" | "splitAfter", [_, Value::Text(separator), count]) => {
            split(meter, text, separator, (name, to_int(count)?))?
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn replace(meter: &mut Meter, text: &str, (old, new): (&str, &str), count: i64) -> Result<Value, Trouble> {
    let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    let count = usize::try_from(count).map_or(found, |count| count.min(found));
    meter.text(text.len().saturating_add(new.len().saturating_mul(count)))?;
    Ok(Value::text(text.replacen(old, new, count)))
}

/// At most `count` parts, all of them for a negative count. `splitAfter` leaves the separator in the parts.
fn split(meter: &mut Meter, text: &str, separator: &str, (name, count): (&str, i64)) -> Result<Value, Trouble> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    if most == 0 {
        return Ok(Value::absent_list());
    }
    meter.text(text.len())?;
    let kept = if name == "splitAfter" { separator.len() } else { 0 };
    let mut rest = text;
    let mut parts = Vec::new();
    while parts.len() + 1 < most {
        // An empty separator splits after each character.
        let (end, next) = if separator.is_empty() {
            match rest.char_indices().nth(1) {
                Some((at, _)) => (at, at),
                None => break,
            }
        } else {
            match rest.find(separator) {
                Some(at) => (at + kept, at + separator.len()),
                None => break,
            }
        };
        let (Some(part), Some(after)) = (rest.get(..end), rest.get(next..)) else { break };
        parts.push(Value::text(part));
        rest = after;
    }
    // Nothing is left of an empty text that is split into its characters.
    if !(separator.is_empty() && rest.is_empty()) {
        parts.push(Value::text(rest));
    }
    meter.elements(parts.len() as u64)?;
    Value::list(ListKind::Text, parts)
}
