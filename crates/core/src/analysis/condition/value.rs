//! The values that an evaluation computes with.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, FixedOffset};

use super::error::Trouble;
use super::limits::VALUE_DEPTH_MAX;
use super::types::Type;

/// A value. Cloning is cheap: lists, maps and text are shared.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    /// An integer from `asInt`. It equals an `Int`, but not as a key of a map.
    Int64(i64),
    /// An element of a string.
    Byte(u8),
    Float(f64),
    Text(Arc<str>),
    Time(DateTime<FixedOffset>),
    /// Nanoseconds.
    Duration(i64),
    /// A time zone.
    Zone(FixedOffset),
    List(Rc<List>),
    Dict(Rc<Dict>),
}

/// What a list is in the reference implementation: its element type decides what it equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    Any,
    Int,
    Float,
    Text,
    /// What `toPairs` gives.
    Pairs,
    /// An element of that.
    Pair,
}

/// A list.
#[derive(Debug)]
pub(super) struct List {
    pub(super) kind: ListKind,
    pub(super) items: Vec<Value>,
    /// An absent list has no elements and equals nil.
    pub(super) absent: bool,
    depth: u16,
}

/// What a map is in the reference implementation: `map[string]any`, `map[any]any` or `map[any][]any`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DictKind {
    Text,
    Any,
    /// What `groupBy` gives.
    Groups,
}

/// A map, in the order of its keys.
#[derive(Debug)]
pub(super) struct Dict {
    pub(super) kind: DictKind,
    pub(super) entries: BTreeMap<Key, Value>,
    depth: u16,
}

/// A key of a map. Keys of different types are different even if their values are equal as numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Nil,
    Bool(bool),
    Int(i64),
    Int64(i64),
    Byte(u8),
    /// The bits of a float, transformed so that they sort as the float does.
    Float(u64),
    /// Every NaN is a key of its own, which no lookup finds.
    NotANumber(usize),
    Text(Arc<str>),
    Duration(i64),
    Time(DateTime<FixedOffset>),
}

impl ListKind {
    /// The static type of an element.
    pub(super) fn element(self) -> Type {
        match self {
            Self::Any | Self::Pair => Type::Any,
            Self::Int => Type::Int,
            Self::Float => Type::Float,
            Self::Text => Type::Text,
            Self::Pairs => Type::List(Self::Pair, None),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "[]interface {}",
            Self::Int => "[]int",
            Self::Float => "[]float64",
            Self::Text => "[]string",
            Self::Pairs => "[][2]interface {}",
            Self::Pair => "[2]interface {}",
        }
    }
}

impl DictKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "map[string]interface {}",
            Self::Any => "map[interface {}]interface {}",
            Self::Groups => "map[interface {}][]interface {}",
        }
    }
}

impl Value {
    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A list of these items. Refused if it is nested too deeply: dropping and comparing values recurses.
    pub(super) fn list(kind: ListKind, items: Vec<Self>) -> Result<Self, Trouble> {
        let depth = deeper(items.iter())?;
        Ok(Self::List(Rc::new(List { kind, items, absent: false, depth })))
    }

    /// The list that equals nil.
    pub(super) fn absent_list() -> Self {
        Self::List(Rc::new(List { kind: ListKind::Any, items: Vec::new(), absent: true, depth: 1 }))
    }

    /// A map of these entries, with the same bound on its depth.
    pub(super) fn dict(kind: DictKind, entries: BTreeMap<Key, Self>) -> Result<Self, Trouble> {
        let depth = deeper(entries.values())?;
        Ok(Self::Dict(Rc::new(Dict { kind, entries, depth })))
    }

    fn depth(&self) -> u16 {
        match self {
            Self::List(list) => list.depth,
            Self::Dict(dict) => dict.depth,
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Int64(_)
            | Self::Byte(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Time(_)
            | Self::Duration(_)
            | Self::Zone(_) => 0,
        }
    }

    /// Decodes JSON. Every number becomes a float.
    pub(super) fn from_json(json: &serde_json::Value) -> Result<Self, Trouble> {
        Self::from_json_at(json, 0)
    }

    fn from_json_at(json: &serde_json::Value, depth: u16) -> Result<Self, Trouble> {
        if depth == VALUE_DEPTH_MAX {
            return Err(too_deep());
        }
        match json {
            serde_json::Value::Null => Ok(Self::Nil),
            serde_json::Value::Bool(value) => Ok(Self::Bool(*value)),
            serde_json::Value::Number(number) => Ok(Self::Float(number.as_f64().unwrap_or(f64::NAN))),
            serde_json::Value::String(text) => Ok(Self::text(text.as_str())),
            serde_json::Value::Array(items) => {
                let items = items.iter().map(|item| Self::from_json_at(item, depth + 1)).collect::<Result<_, _>>()?;
                Self::list(ListKind::Any, items)
            }
            serde_json::Value::Object(fields) => {
                let entries = fields
                    .iter()
                    .map(|(name, value)| Ok((Key::Text(name.as_str().into()), Self::from_json_at(value, depth + 1)?)))
                    .collect::<Result<_, Trouble>>()?;
                Self::dict(DictKind::Text, entries)
            }
        }
    }

    /// True for nil and for the absent list.
    pub(super) fn is_nil(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::List(list) => list.absent,
            Self::Bool(_)
            | Self::Int(_)
            | Self::Int64(_)
            | Self::Byte(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Time(_)
            | Self::Duration(_)
            | Self::Zone(_)
            | Self::Dict(_) => false,
        }
    }

    /// The name of the value's type in messages.
    pub(super) fn type_name(&self) -> String {
        match self {
            Self::Byte(_) => "uint8".to_owned(),
            Self::Nil => "<nil>".to_owned(),
            _ => Type::of(self).to_string(),
        }
    }

    /// The value as a key of a map; lists and maps cannot be one.
    pub(super) fn key(&self) -> Result<Key, Trouble> {
        Ok(match self {
            Self::Nil => Key::Nil,
            Self::Bool(value) => Key::Bool(*value),
            Self::Int(value) => Key::Int(*value),
            Self::Int64(value) => Key::Int64(*value),
            Self::Byte(value) => Key::Byte(*value),
            Self::Float(value) if value.is_nan() => Key::NotANumber(usize::MAX),
            Self::Float(value) => Key::Float(sortable(*value)),
            Self::Text(text) => Key::Text(text.clone()),
            Self::Duration(value) => Key::Duration(*value),
            Self::Time(value) => Key::Time(*value),
            Self::Zone(_) | Self::List(_) | Self::Dict(_) => {
                return Err(format!("{} cannot be a key of a map", self.type_name()).into());
            }
        })
    }
}

impl Key {
    /// The key as the value that it was made of.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Int64(value) => Value::Int64(*value),
            Self::Byte(value) => Value::Byte(*value),
            Self::Float(bits) => Value::Float(unsortable(*bits)),
            Self::NotANumber(_) => Value::Float(f64::NAN),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Duration(value) => Value::Duration(*value),
            Self::Time(value) => Value::Time(*value),
        }
    }
}

const SIGN: u64 = 1 << 63;

fn sortable(value: f64) -> u64 {
    // Zero has two signs, which are equal.
    let bits = if value == 0.0 { 0 } else { value.to_bits() };
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn unsortable(bits: u64) -> f64 {
    f64::from_bits(if bits & SIGN == 0 { !bits } else { bits & !SIGN })
}

fn deeper<'a>(values: impl Iterator<Item = &'a Value>) -> Result<u16, Trouble> {
    let depth = values.map(Value::depth).max().unwrap_or(0) + 1;
    if depth > VALUE_DEPTH_MAX { Err(too_deep()) } else { Ok(depth) }
}

fn too_deep() -> Trouble {
    Trouble::limit(format!("a value is nested deeper than {VALUE_DEPTH_MAX} levels"))
}
