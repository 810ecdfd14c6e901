//! Tolerant reading: one malformed field costs that field, never the object.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What was read, and what had to be left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded<T> {
    /// The object without the malformed fields.
    pub object: T,
    /// The malformed fields, in the order of the object's keys.
    pub dropped: Vec<DroppedField>,
}

/// A field that was left out because it could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedField {
    /// Where it is, such as `spec.strategy.canary.steps[3].setWeight`.
    pub path: String,
    /// Why it could not be read, such as `invalid type: string "x", expected i32`.
    pub reason: String,
}

impl fmt::Display for DroppedField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

/// Why an object could not be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// It is not a JSON object; carries what it is instead.
    NotAnObject(&'static str),
    /// `metadata.name` is missing or empty, so nothing could be said about it.
    NoName,
    /// Not even an object without any optional field could be read; carries the reason.
    Unreadable(String),
    /// So many fields are malformed that the rest would be a different object; carries the first of them.
    TooManyFields(DroppedField),
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject(kind) => write!(f, "expected a JSON object, found {kind}"),
            Self::NoName => f.write_str("metadata.name is missing or empty; give the object a name"),
            Self::Unreadable(reason) => f.write_str(reason),
            Self::TooManyFields(first) => {
                write!(f, "more than {DROPPED_MAX} fields are malformed, the first is {first}")
            }
        }
    }
}

impl std::error::Error for Undecodable {}

/// How many fields may be malformed. Each costs about twenty attempts to read the object, so this bounds the time that
/// one object can take from the others; people make a handful of mistakes, not hundreds.
const DROPPED_MAX: usize = 64;

/// Reads an object as `T`; malformed fields are left out one by one and reported.
///
/// # Errors
/// If it is not an object, has no `metadata.name`, or has too many malformed fields.
pub fn decode<T: DeserializeOwned>(value: Value) -> Result<Decoded<T>, Undecodable> {
    let members = match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(Undecodable::NotAnObject(kind_of(&value)));
        }
    };
    let name = members.get("metadata").and_then(|metadata| metadata["name"].as_str());
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Err(Undecodable::NoName);
    };
    if let Ok(object) = T::deserialize(&members) {
        return Ok(Decoded { object, dropped: Vec::new() });
    }
    let mut dropped = Vec::new();
    let fitted = fit_root(name, &members, &mut dropped, &|candidate| {
        T::deserialize(candidate).map(drop).map_err(|error| error.to_string())
    })?;
    let object = T::deserialize(fitted).map_err(|error| Undecodable::Unreadable(error.to_string()))?;
    Ok(Decoded { object, dropped })
}

/// Whether a candidate for some part of the object can be read in its place, and if not, why.
type Accepts<'a> = &'a dyn Fn(Value) -> Result<(), String>;

/// Begins with the least that can be an object, and adds as much of the members as can be read.
fn fit_root(
    name: &str,
    members: &Map<String, Value>,
    dropped: &mut Vec<DroppedField>,
    accepts: Accepts<'_>,
) -> Result<Value, Undecodable> {
    let mut kept = Map::new();
    kept.insert("metadata".to_owned(), serde_json::json!({ "name": name }));
    kept.insert("spec".to_owned(), Value::Object(Map::new()));
    accepts(Value::Object(kept.clone())).map_err(Undecodable::Unreadable)?;
    for (key, value) in members {
        let base = kept.clone();
        let place = |candidate| {
            let mut trial = base.clone();
            trial.insert(key.clone(), candidate);
            accepts(Value::Object(trial))
        };
        if let Some(fitted) = fit(value, key, dropped, &place) {
            kept.insert(key.clone(), fitted);
        }
        if dropped.len() > DROPPED_MAX {
            return Err(Undecodable::TooManyFields(dropped.swap_remove(0)));
        }
    }
    Ok(Value::Object(kept))
}

/// The largest part of `value` that can be read in its place, or nothing.
fn fit(value: &Value, path: &str, dropped: &mut Vec<DroppedField>, accepts: Accepts<'_>) -> Option<Value> {
    let Err(reason) = accepts(value.clone()) else {
        return Some(value.clone());
    };
    match value {
        Value::Object(members) if accepts(Value::Object(Map::new())).is_ok() => {
            let entries: Vec<_> = members.iter().collect();
            let mut kept = Map::new();
            fit_members(&entries, path, &mut kept, dropped, accepts);
            Some(Value::Object(kept))
        }
        Value::Array(items) if accepts(Value::Array(Vec::new())).is_ok() => {
            let entries: Vec<_> = items.iter().enumerate().collect();
            let mut kept = Vec::new();
            fit_items(&entries, path, &mut kept, dropped, accepts);
            Some(Value::Array(kept))
        }
        Value::Object(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            dropped.push(DroppedField { path: path.to_owned(), reason });
            None
        }
    }
}

/// Adds as many of the members as can be read: all at once if possible, else each half by itself.
fn fit_members(
    entries: &[(&String, &Value)],
    path: &str,
    kept: &mut Map<String, Value>,
    dropped: &mut Vec<DroppedField>,
    accepts: Accepts<'_>,
) {
    if dropped.len() > DROPPED_MAX {
        return;
    }
    let with = |base: &Map<String, Value>, added: &[(&String, Value)]| {
        let mut trial = base.clone();
        trial.extend(added.iter().map(|(key, value)| ((*key).clone(), value.clone())));
        trial
    };
    let all: Vec<_> = entries.iter().map(|(key, value)| (*key, (*value).clone())).collect();
    let trial = with(kept, &all);
    if accepts(Value::Object(trial.clone())).is_ok() {
        *kept = trial;
        return;
    }
    if let [(key, value)] = entries {
        let base = kept.clone();
        let place = |candidate| accepts(Value::Object(with(&base, &[(key, candidate)])));
        if let Some(fitted) = fit(value, &format!("{path}.{key}"), dropped, &place) {
            kept.insert((*key).clone(), fitted);
        }
        return;
    }
    let (first, second) = entries.split_at(entries.len() / 2);
    fit_members(first, path, kept, dropped, accepts);
    fit_members(second, path, kept, dropped, accepts);
}

/// Adds as many of the items as can be read: all at once if possible, else each half by itself.
fn fit_items(
    entries: &[(usize, &Value)],
    path: &str,
    kept: &mut Vec<Value>,
    dropped: &mut Vec<DroppedField>,
    accepts: Accepts<'_>,
) {
    if dropped.len() > DROPPED_MAX {
        return;
    }
    let mut trial = kept.clone();
    trial.extend(entries.iter().map(|(_, item)| (*item).clone()));
    if accepts(Value::Array(trial.clone())).is_ok() {
        *kept = trial;
        return;
    }
    if let [(index, item)] = entries {
        let base = kept.clone();
        let place = |candidate| {
            let mut trial = base.clone();
            trial.push(candidate);
            accepts(Value::Array(trial))
        };
        if let Some(fitted) = fit(item, &format!("{path}[{index}]"), dropped, &place) {
            kept.push(fitted);
        }
        return;
    }
    let (first, second) = entries.split_at(entries.len() / 2);
    fit_items(first, path, kept, dropped, accepts);
    fit_items(second, path, kept, dropped, accepts);
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
