//! Static types, and how they relate.
//!
//! The reference implementation compiles a condition against the value at hand at every measurement, so a mismatch
//! is an error even in a branch that would not be evaluated. These types reproduce that.

use std::fmt;
use std::rc::Rc;

use super::value::{DictKind, ListKind, Value};

/// The static type of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    /// Nothing is known.
    Unknown,
    /// An element of decoded JSON: anything. It differs from `Unknown` in assignability only.
    Any,
    Nil,
    Bool,
    Int,
    /// What `asInt` gives: an integer of another width.
    Int64,
    Float,
    Text,
    Time,
    Duration,
    Zone,
    /// A list, with the type of its elements where more is known than the list itself says.
    List(ListKind, Option<Rc<Type>>),
    Dict(DictKind),
}

/// The kinds of type that an operator accepts beside an operand of unknown type.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Check {
    Bool,
    Text,
    Integer,
    Number,
    Time,
    Duration,
}

impl Type {
    /// The type that the environment gives a value.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Nil => Self::Nil,
            Value::Bool(_) => Self::Bool,
            Value::Int(_) => Self::Int,
            Value::Int64(_) | Value::Byte(_) => Self::Int64,
            Value::Float(_) => Self::Float,
            Value::Text(_) => Self::Text,
            Value::Time(_) => Self::Time,
            Value::Duration(_) => Self::Duration,
            Value::Zone(_) => Self::Zone,
            Value::List(list) => Self::List(list.kind, None),
            Value::Dict(dict) => Self::Dict(dict.kind),
        }
    }

    /// A list as literals and `map` make it, of these elements.
    pub(super) fn list_of(self) -> Self {
        Self::List(ListKind::Any, Some(Rc::new(self)))
    }

    pub(super) fn any_list() -> Self {
        Self::List(ListKind::Any, None)
    }

    pub(super) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown | Self::Any)
    }

    pub(super) fn is_integer(&self) -> bool {
        matches!(self, Self::Int | Self::Int64)
    }

    pub(super) fn is_number(&self) -> bool {
        self.is_integer() || *self == Self::Float
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::List(..))
    }

    /// The type of an element of a list or map.
    pub(super) fn element(&self) -> Self {
        match self {
            Self::List(_, Some(element)) => element.as_ref().clone(),
            Self::List(kind, None) => kind.element(),
            Self::Dict(DictKind::Groups) => Self::any_list(),
            Self::Dict(DictKind::Text | DictKind::Any) => Self::Any,
            Self::Unknown
            | Self::Any
            | Self::Nil
            | Self::Bool
            | Self::Int
            | Self::Int64
            | Self::Float
            | Self::Text
            | Self::Time
            | Self::Duration
            | Self::Zone => Self::Unknown,
        }
    }

    /// The type of the keys of a map.
    pub(super) fn key(kind: DictKind) -> Self {
        match kind {
            DictKind::Text => Self::Text,
            DictKind::Any | DictKind::Groups => Self::Any,
        }
    }

    /// Go's assignability, as far as these types need it.
    pub(super) fn assignable_to(&self, to: &Self) -> bool {
        match (self, to) {
            (Self::Unknown, _) | (_, Self::Unknown | Self::Nil) => false,
            (_, Self::Any) => true,
            (Self::Nil, Self::List(..) | Self::Dict(_) | Self::Zone) => true,
            (Self::List(a, _), Self::List(b, _)) => a == b,
            (a, b) => a == b,
        }
    }

    /// May the two be compared with `==`?
    pub(super) fn comparable_to(&self, other: &Self) -> bool {
        self.is_unknown()
            || other.is_unknown()
            || *self == Self::Nil
            || *other == Self::Nil
            || self.is_number() && other.is_number()
            || self.is_list() && other.is_list()
            || self.assignable_to(other)
    }

    fn is_one_of(&self, checks: &[Check]) -> bool {
        checks.iter().any(|check| match check {
            Check::Bool => *self == Self::Bool,
            Check::Text => *self == Self::Text,
            Check::Integer => self.is_integer(),
            Check::Number => self.is_number(),
            Check::Time => *self == Self::Time,
            Check::Duration => *self == Self::Duration,
        })
    }

    /// True if at least one operand is of unknown type and the other one, if known, is acceptable.
    pub(super) fn maybe_compatible(&self, other: &Self, checks: &[Check]) -> bool {
        match (self.is_unknown(), other.is_unknown()) {
            (true, true) => true,
            (true, false) => other.is_one_of(checks),
            (false, true) => self.is_one_of(checks),
            (false, false) => false,
        }
    }

    /// The type of a sum of two numbers.
    pub(super) fn promoted(&self, other: &Self) -> Self {
        if *self == Self::Float || *other == Self::Float { Self::Float } else { Self::Int }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Any => "interface {}",
            Self::Nil => "nil",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Float => "float64",
            Self::Text => "string",
            Self::Time => "time.Time",
            Self::Duration => "time.Duration",
            Self::Zone => "*time.Location",
            Self::List(kind, _) => kind.name(),
            Self::Dict(kind) => kind.name(),
        })
    }
}
