//! Lists and maps.

use std::collections::BTreeMap;

use super::super::error::Trouble;
use super::super::eval::{Machine, fetch};
use super::super::limits::Meter;
use super::super::number::to_int;
use super::super::order::{ascending, sort_by};
use super::super::value::{DictKind, Key, List, ListKind, Value};

/// Calls a function of this group.
pub(in super::super) fn call(
    machine: &mut Machine<'_>,
    name: &str,
    arguments: &[Value],
) -> Result<Option<Value>, Trouble> {
    let meter = &mut machine.meter;
    let value = match (name, arguments) {
        ("len", [Value::List(list)]) => Value::Int(list.items.len() as i64),
        ("len", [Value::Dict(dict)]) => Value::Int(dict.entries.len() as i64),
        ("first", [list]) => fetch(list, &Value::Int(0)).unwrap_or(Value::Nil),
        ("last", [list]) => fetch(list, &Value::Int(-1)).unwrap_or(Value::Nil),
        ("get", [from, key]) => get(from, key)?,
        ("take", [Value::List(list), count]) => take(meter, list, count)?,
        ("reverse", [Value::List(list)]) => {
            meter.elements(list.items.len() as u64)?;
            Value::list(ListKind::Any, list.items.iter().rev().cloned().collect())?
        }
        ("uniq", [Value::List(list)]) => machine.distinct(list)?,
        ("concat", _) => return concat(meter, arguments),
        ("flatten", [Value::List(list)]) => {
            let mut out = Vec::new();
            flatten(meter, list, &mut out)?;
            Value::list(ListKind::Any, out)?
        }
        ("sort", [list]) => sort(meter, list, None)?,
        ("sort", [list, order]) => sort(meter, list, Some(order))?,
        ("keys" | "values" | "toPairs", [Value::Dict(dict)]) => {
            meter.elements(dict.entries.len() as u64)?;
            match name {
                "keys" => Value::list(ListKind::Any, dict.entries.keys().map(Key::value).collect())?,
                "values" => Value::list(ListKind::Any, dict.entries.values().cloned().collect())?,
                _ => {
                    let pairs = dict.entries.iter();
                    let pairs = pairs.map(|(key, value)| Value::list(ListKind::Pair, vec![key.value(), value.clone()]));
                    Value::list(ListKind::Pairs, pairs.collect::<Result<_, _>>()?)?
                }
            }
        }
        ("fromPairs", [Value::List(list)]) => from_pairs(meter, list)?,
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// Like an index, but what is not there is nil.
fn get(from: &Value, key: &Value) -> Result<Value, Trouble> {
    match from {
        Value::List(_) | Value::Text(_) => {
            to_int(key)?;
            Ok(fetch(from, key).unwrap_or(Value::Nil))
        }
        Value::Dict(_) => match fetch(from, key)? {
            Value::List(list) if list.absent => Ok(Value::Nil),
            value => Ok(value),
        },
        _ => Ok(Value::Nil),
    }
}

fn take(meter: &mut Meter, list: &List, count: &Value) -> Result<Value, Trouble> {
    let length = list.items.len() as i64;
    let count = match count {
        Value::Int(count) | Value::Int64(count) | Value::Duration(count) => Some((*count).min(length)),
        _ => None,
    };
    let Some(count) = count else { return Err("take needs an integer".into()) };
    let Ok(count) = usize::try_from(count) else { return Err("take cannot take a negative number".into()) };
    meter.elements(count as u64)?;
    Value::list(list.kind, list.items.iter().take(count).cloned().collect())
}

fn concat(meter: &mut Meter, arguments: &[Value]) -> Result<Option<Value>, Trouble> {
    let mut out = Vec::new();
    for argument in arguments {
        let Value::List(list) = argument else { return Ok(None) };
        meter.elements(list.items.len() as u64)?;
        out.extend_from_slice(&list.items);
    }
    Ok(Some(if out.is_empty() { Value::absent_list() } else { Value::list(ListKind::Any, out)? }))
}

fn flatten(meter: &mut Meter, list: &List, out: &mut Vec<Value>) -> Result<(), Trouble> {
    meter.elements(list.items.len() as u64)?;
    for item in &list.items {
        match item {
            Value::List(inner) => flatten(meter, inner, out)?,
            item => out.push(item.clone()),
        }
    }
    Ok(())
}

fn sort(meter: &mut Meter, list: &Value, order: Option<&Value>) -> Result<Value, Trouble> {
    let ascending = ascending(order)?;
    let Value::List(list) = list else { return Ok(Value::absent_list()) };
    if list.absent || matches!(list.kind, ListKind::Pairs | ListKind::Pair) {
        return Ok(Value::absent_list());
    }
    meter.elements(list.items.len() as u64)?;
    let mut keyed: Vec<_> = list.items.iter().map(|item| (item.clone(), Value::Nil)).collect();
    sort_by(&mut keyed, ascending, meter)?;
    Value::list(ListKind::Any, keyed.into_iter().map(|(item, _)| item).collect())
}

fn from_pairs(meter: &mut Meter, list: &List) -> Result<Value, Trouble> {
    meter.elements(list.items.len() as u64)?;
    let mut entries = BTreeMap::new();
    for (index, pair) in list.items.iter().enumerate() {
        let Value::List(pair) = pair else { return Err(format!("invalid pair {}", pair.type_name()).into()) };
        let [key, value] = pair.items.as_slice() else { return Err("invalid pair length".into()) };
        let key = match key.key()? {
            Key::NotANumber(_) => Key::NotANumber(index),
            key => key,
        };
        entries.insert(key, value.clone());
    }
    Value::dict(DictKind::Any, entries)
}
