//! Numbers: conversions, arithmetic and comparison with Go's rules.

use std::cmp::Ordering;

use chrono::TimeDelta;

use super::ast::BinaryOp;
use super::error::Trouble;
use super::value::Value;

/// A number of either kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// The value as a number. Text is none, and neither is a duration.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Int(value) | Value::Int64(value) => Some(Self::Int(*value)),
            Value::Byte(value) => Some(Self::Int(i64::from(*value))),
            Value::Float(value) => Some(Self::Float(*value)),
            Value::Nil
            | Value::Bool(_)
            | Value::Text(_)
            | Value::Time(_)
            | Value::Duration(_)
            | Value::Zone(_)
            | Value::List(_)
            | Value::Dict(_) => None,
        }
    }

    pub(super) fn float(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    pub(super) fn int(self) -> i64 {
        match self {
            Self::Int(value) => value,
            Self::Float(value) => truncate(value),
        }
    }

    /// Two integers compare as integers, everything else as floats. NaN has no order.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }
}

/// A float as an integer. What does not fit becomes the least integer, as Go does it on amd64.
pub(super) fn truncate(value: f64) -> i64 {
    // 2^63 itself does not fit; -2^63 does.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

/// The number of elements or the index that a value stands for; a float is cut off.
pub(super) fn to_int(value: &Value) -> Result<i64, Trouble> {
    match Number::of(value) {
        Some(number) => Ok(number.int()),
        None => Err(format!("invalid operation: int({})", value.type_name()).into()),
    }
}

/// `-value`
pub(super) fn negate(value: &Value) -> Result<Value, Trouble> {
    match value {
        Value::Int(value) => Ok(Value::Int(value.wrapping_neg())),
        Value::Int64(value) => Ok(Value::Int64(value.wrapping_neg())),
        Value::Byte(value) => Ok(Value::Byte(value.wrapping_neg())),
        Value::Float(value) => Ok(Value::Float(-value)),
        _ => Err(format!("invalid operation: - {}", value.type_name()).into()),
    }
}

/// `+`, `-`, `*`, `/`, `%` and `**` of anything but text.
pub(super) fn arithmetic(op: BinaryOp, a: &Value, b: &Value) -> Result<Value, Trouble> {
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return numbers(op, a, b);
    }
    match (op, a, b) {
        (BinaryOp::Add, Value::Time(time), Value::Duration(span))
        | (BinaryOp::Add, Value::Duration(span), Value::Time(time)) => shift(time, *span),
        (BinaryOp::Subtract, Value::Time(time), Value::Duration(span)) => shift(time, span.wrapping_neg()),
        (BinaryOp::Subtract, Value::Time(a), Value::Time(b)) => Ok(Value::Duration(between(a, b))),
        (BinaryOp::Add, Value::Duration(a), Value::Duration(b)) => Ok(Value::Duration(a.wrapping_add(*b))),
        (BinaryOp::Subtract, Value::Duration(a), Value::Duration(b)) => Ok(Value::Duration(a.wrapping_sub(*b))),
        (BinaryOp::Multiply, Value::Duration(a), Value::Duration(b)) => Ok(Value::Duration(a.wrapping_mul(*b))),
        (BinaryOp::Multiply, Value::Duration(span), other) | (BinaryOp::Multiply, other, Value::Duration(span)) => {
            match Number::of(other) {
                Some(Number::Int(factor)) => Ok(Value::Duration(span.wrapping_mul(factor))),
                Some(Number::Float(factor)) => Ok(Value::Float(*span as f64 * factor)),
                None => Err(undefined(op, a, b)),
            }
        }
        _ => Err(undefined(op, a, b)),
    }
}

fn numbers(op: BinaryOp, a: Number, b: Number) -> Result<Value, Trouble> {
    let value = match (op, a, b) {
        (BinaryOp::Add, Number::Int(a), Number::Int(b)) => Value::Int(a.wrapping_add(b)),
        (BinaryOp::Subtract, Number::Int(a), Number::Int(b)) => Value::Int(a.wrapping_sub(b)),
        (BinaryOp::Multiply, Number::Int(a), Number::Int(b)) => Value::Int(a.wrapping_mul(b)),
        (BinaryOp::Modulo, Number::Int(_), Number::Int(0)) => return Err("integer divide by zero".into()),
        (BinaryOp::Modulo, Number::Int(a), Number::Int(b)) => Value::Int(a.wrapping_rem(b)),
        (BinaryOp::Add, a, b) => Value::Float(a.float() + b.float()),
        (BinaryOp::Subtract, a, b) => Value::Float(a.float() - b.float()),
        (BinaryOp::Multiply, a, b) => Value::Float(a.float() * b.float()),
        (BinaryOp::Divide, a, b) => Value::Float(a.float() / b.float()),
        (BinaryOp::Power, a, b) => Value::Float(a.float().powf(b.float())),
        _ => return Err(format!("invalid operation: {} is not defined on floats", op.text()).into()),
    };
    Ok(value)
}

/// A time plus a span in nanoseconds.
pub(super) fn shift(time: &chrono::DateTime<chrono::FixedOffset>, span: i64) -> Result<Value, Trouble> {
    time.checked_add_signed(TimeDelta::nanoseconds(span)).map(Value::Time).ok_or_else(|| "time out of range".into())
}

/// The nanoseconds from `b` to `a`, at most what a duration holds.
pub(super) fn between(a: &chrono::DateTime<chrono::FixedOffset>, b: &chrono::DateTime<chrono::FixedOffset>) -> i64 {
    let span = a.signed_duration_since(b);
    span.num_nanoseconds().unwrap_or(if span < TimeDelta::zero() { i64::MIN } else { i64::MAX })
}

/// The order of two values of the same sort. `None` is the order of NaN.
pub(super) fn compare(op: BinaryOp, a: &Value, b: &Value) -> Result<Option<Ordering>, Trouble> {
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return Ok(a.compare(b));
    }
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        (Value::Time(a), Value::Time(b)) => Ok(Some(a.cmp(b))),
        (Value::Duration(a), Value::Duration(b)) => Ok(Some(a.cmp(b))),
        _ => Err(undefined(op, a, b)),
    }
}

fn undefined(op: BinaryOp, a: &Value, b: &Value) -> Trouble {
    format!("invalid operation: {} {} {}", a.type_name(), op.text(), b.type_name()).into()
}
