//! Methods of times and durations.

use chrono::{DateTime, Datelike, FixedOffset, Timelike};

use super::error::Trouble;
use super::format::{display, duration};
use super::limits::Meter;
use super::number::{between, shift};
use super::types::Type;
use super::value::Value;

/// The static type of what a method gives.
pub(super) fn result(base: &Type, name: &str, arguments: &[Type]) -> Result<Type, String> {
    let time = *base == Type::Time;
    let (parameters, result): (&[Type], Type) = match name {
        "Year" | "Day" | "Hour" | "Minute" | "Second" | "Nanosecond" | "YearDay" if time => (&[], Type::Int),
        "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano" if time => (&[], Type::Int64),
        "Add" if time => (&[Type::Duration], Type::Time),
        "Sub" if time => (&[Type::Time], Type::Duration),
        "Before" | "After" | "Equal" if time => (&[Type::Time], Type::Bool),
        "IsZero" if time => (&[], Type::Bool),
        "UTC" if time => (&[], Type::Time),
        "Hours" | "Minutes" | "Seconds" if !time => (&[], Type::Float),
        "Milliseconds" | "Microseconds" | "Nanoseconds" if !time => (&[], Type::Int64),
        "Abs" if !time => (&[], Type::Duration),
        "String" => (&[], Type::Text),
        _ => return Err(format!("type {base} has no method {name} that conditions can call")),
    };
    if parameters.len() != arguments.len() {
        return Err(format!("{name} takes {} arguments, got {}", parameters.len(), arguments.len()));
    }
    match parameters.iter().zip(arguments).find(|(wanted, given)| wanted != given && !given.is_unknown()) {
        Some((wanted, given)) => Err(format!("cannot use {given} as argument (type {wanted}) to call {name}")),
        None => Ok(result),
    }
}

/// Calls a method.
pub(super) fn call(base: &Value, name: &Value, arguments: &[Value]) -> Result<Value, Trouble> {
    let found = match (base, name) {
        (Value::Time(time), Value::Text(name)) => of_time(time, name, arguments)?,
        (Value::Duration(span), Value::Text(name)) => of_duration(*span, name, arguments),
        _ => None,
    };
    let name = if let Value::Text(name) = name { name } else { "value" };
    found.ok_or_else(|| format!("{} has no method {name} for these arguments", base.type_name()).into())
}

fn of_time(time: &DateTime<FixedOffset>, name: &str, arguments: &[Value]) -> Result<Option<Value>, Trouble> {
    let value = match (name, arguments) {
        ("Year", []) => Value::Int(i64::from(time.year())),
        ("Day", []) => Value::Int(i64::from(time.day())),
        ("Hour", []) => Value::Int(i64::from(time.hour())),
        ("Minute", []) => Value::Int(i64::from(time.minute())),
        ("Second", []) => Value::Int(i64::from(time.second())),
        ("Nanosecond", []) => Value::Int(i64::from(time.timestamp_subsec_nanos())),
        ("YearDay", []) => Value::Int(i64::from(time.ordinal())),
        ("Unix", []) => Value::Int64(time.timestamp()),
        ("UnixMilli", []) => Value::Int64(time.timestamp_millis()),
        ("UnixMicro", []) => Value::Int64(time.timestamp_micros()),
        ("UnixNano", []) => match time.timestamp_nanos_opt() {
            Some(nanoseconds) => Value::Int64(nanoseconds),
            None => return Err("time out of range".into()),
        },
        ("Add", [Value::Duration(span)]) => shift(time, *span)?,
        ("Sub", [Value::Time(other)]) => Value::Duration(between(time, other)),
        ("Before", [Value::Time(other)]) => Value::Bool(time < other),
        ("After", [Value::Time(other)]) => Value::Bool(time > other),
        ("Equal", [Value::Time(other)]) => Value::Bool(time == other),
        // Go's zero time is the first of January of the year 1.
        ("IsZero", []) => Value::Bool(time.timestamp() == -62_135_596_800 && time.timestamp_subsec_nanos() == 0),
        ("UTC", []) => Value::Time(time.to_utc().fixed_offset()),
        ("String", []) => Value::text(display(&Value::Time(*time), &mut Meter::new())?),
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn of_duration(span: i64, name: &str, arguments: &[Value]) -> Option<Value> {
    if !arguments.is_empty() {
        return None;
    }
    Some(match name {
        "Hours" => Value::Float(span as f64 / 3.6e12),
        "Minutes" => Value::Float(span as f64 / 6e10),
        "Seconds" => Value::Float(span as f64 / 1e9),
        "Milliseconds" => Value::Int64(span / 1_000_000),
        "Microseconds" => Value::Int64(span / 1_000),
        "Nanoseconds" => Value::Int64(span),
        "Abs" => Value::Duration(span.saturating_abs()),
        "String" => Value::text(duration(span)),
        _ => return None,
    })
}
