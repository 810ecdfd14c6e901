//! Equality of values, and `in`.

use std::rc::Rc;

use super::error::Trouble;
use super::limits::Meter;
use super::number::Number;
use super::value::{Dict, DictKind, List, ListKind, Value};

/// `a == b`: numbers of all types compare by value, lists element by element, maps strictly.
pub(super) fn equal(a: &Value, b: &Value, meter: &mut Meter) -> Result<bool, Trouble> {
    meter.steps(1)?;
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return Ok(a.compare(b).is_some_and(std::cmp::Ordering::is_eq));
    }
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => {
            meter.read(a.len().min(b.len()))?;
            Ok(a == b)
        }
        (Value::Time(a), Value::Time(b)) => Ok(a == b),
        (Value::Duration(a), Value::Duration(b)) => Ok(a == b),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::List(x), Value::List(y)) if elementwise(x.kind, y.kind) => {
            if x.items.len() != y.items.len() {
                return Ok(false);
            }
            for (a, b) in x.items.iter().zip(&y.items) {
                if !equal(a, b, meter)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ if a.is_nil() && b.is_nil() => Ok(true),
        _ => identical(a, b, meter),
    }
}

/// Lists compare element by element if they have the same plain element type or one of them holds anything.
fn elementwise(a: ListKind, b: ListKind) -> bool {
    let plain = |kind| !matches!(kind, ListKind::Pairs | ListKind::Pair);
    plain(a) && plain(b) && (a == b || a == ListKind::Any || b == ListKind::Any)
}

/// Equality inside maps: the types must agree too, so that the integer 1 is not the float 1.
fn identical(a: &Value, b: &Value, meter: &mut Meter) -> Result<bool, Trouble> {
    meter.steps(1)?;
    match (a, b) {
        (Value::Nil, Value::Nil) => Ok(true),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b))
        | (Value::Int64(a), Value::Int64(b))
        | (Value::Duration(a), Value::Duration(b)) => Ok(a == b),
        (Value::Byte(a), Value::Byte(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Text(a), Value::Text(b)) => {
            meter.read(a.len().min(b.len()))?;
            Ok(a == b)
        }
        (Value::Time(a), Value::Time(b)) => Ok(a == b && a.offset() == b.offset()),
        (Value::Zone(a), Value::Zone(b)) => Ok(a == b),
        (Value::List(a), Value::List(b)) => lists(a, b, meter),
        (Value::Dict(a), Value::Dict(b)) => dicts(a, b, meter),
        _ => Ok(false),
    }
}

fn lists(a: &Rc<List>, b: &Rc<List>, meter: &mut Meter) -> Result<bool, Trouble> {
    if a.kind != b.kind || a.absent != b.absent || a.items.len() != b.items.len() {
        return Ok(false);
    }
    // The very same list is equal even if it holds NaN; an array such as a pair has no identity.
    if Rc::ptr_eq(a, b) && a.kind != ListKind::Pair {
        return Ok(true);
    }
    for (a, b) in a.items.iter().zip(&b.items) {
        if !identical(a, b, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn dicts(a: &Rc<Dict>, b: &Rc<Dict>, meter: &mut Meter) -> Result<bool, Trouble> {
    if a.kind != b.kind || a.entries.len() != b.entries.len() {
        return Ok(false);
    }
    if Rc::ptr_eq(a, b) {
        return Ok(true);
    }
    for ((key, value), (other_key, other)) in a.entries.iter().zip(&b.entries) {
        if matches!(key, super::value::Key::NotANumber(_)) || key != other_key || !identical(value, other, meter)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `needle in haystack`
pub(super) fn contains(needle: &Value, haystack: &Value, meter: &mut Meter) -> Result<bool, Trouble> {
    match haystack {
        Value::Nil => Ok(false),
        Value::List(list) => {
            for item in &list.items {
                if equal(item, needle, meter)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Dict(dict) => Ok(lookup(dict, needle)?.is_some()),
        _ => Err(format!("operator \"in\" not defined on {}", haystack.type_name()).into()),
    }
}

/// The entry of a map. A key of the wrong type is an error; nil stands for the empty string in a map of strings.
pub(super) fn lookup<'a>(dict: &'a Dict, key: &Value) -> Result<Option<&'a Value>, Trouble> {
    let key = match (dict.kind, key) {
        (DictKind::Text, Value::Nil) => Value::text("").key()?,
        (DictKind::Text, Value::Text(_)) | (DictKind::Any | DictKind::Groups, _) => key.key()?,
        (DictKind::Text, _) => {
            return Err(format!("a value of type {} is no key of a map of strings", key.type_name()).into());
        }
    };
    Ok(dict.entries.get(&key))
}
