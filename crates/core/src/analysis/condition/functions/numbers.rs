//! Numbers: rounding, conversion, bits, and the aggregates `max`, `min`, `mean` and `median`.

use std::cmp::Ordering;

use super::super::ast::BinaryOp;
use super::super::error::Trouble;
use super::super::limits::Meter;
use super::super::number::{Number, compare, truncate};
use super::super::value::{ListKind, Value};

/// Calls a function of this group.
pub(in super::super) fn call(meter: &mut Meter, name: &str, arguments: &[Value]) -> Result<Option<Value>, Trouble> {
    let value = match (name, arguments) {
        ("max", _) => extreme(meter, name, BinaryOp::Less, arguments)?,
        ("min", _) => extreme(meter, name, BinaryOp::More, arguments)?,
        ("mean", _) => {
            let all = flat(meter, name, arguments)?;
            let sum = all.iter().fold(0.0, |sum, value| sum + value);
            Value::Float(if all.is_empty() { 0.0 } else { sum / all.len() as f64 })
        }
        ("median", _) => Value::Float(median(flat(meter, name, arguments)?)),
        ("abs", [value]) => absolute(value)?,
        ("ceil" | "floor" | "round", [value]) => match Number::of(value) {
            Some(Number::Int(value)) => Value::Float(value as f64),
            Some(Number::Float(value)) => Value::Float(match name {
                "ceil" => value.ceil(),
                "floor" => value.floor(),
                _ => value.round(),
            }),
            None => return Err(format!("invalid argument for {name} (type {})", value.type_name()).into()),
        },
        ("int", [value]) => Value::Int(int(value)?),
        ("float", [Value::Text(text)]) => match parse_float(text) {
            Some(value) => Value::Float(value),
            None => return Err(format!("invalid operation: float({text})").into()),
        },
        ("float", [value]) => match Number::of(value) {
            Some(number) => Value::Float(number.float()),
            None => return Err(format!("invalid operation: float({})", value.type_name()).into()),
        },
        ("bitnot", [value]) => Value::Int(!bits(name, value)?),
        ("bitand" | "bitor" | "bitxor" | "bitnand" | "bitshl" | "bitshr" | "bitushr", [a, b]) => {
            Value::Int(bitwise(name, bits(name, a)?, bits(name, b)?)?)
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// A float as Go's `strconv.ParseFloat` reads it, without hexadecimal floats. `None` if it is none or too large.
pub(in super::super) fn parse_float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let word = text.trim_start_matches(['+', '-']);
    let spelled = word.starts_with(|c: char| c.is_ascii_alphabetic());
    match () {
        () if value.is_nan() && word.len() != text.len() => None,
        () if value.is_infinite() && !spelled => None,
        () => Some(value),
    }
}

fn absolute(value: &Value) -> Result<Value, Trouble> {
    match value {
        Value::Int(value) => Ok(Value::Int(value.wrapping_abs())),
        Value::Int64(value) => Ok(Value::Int64(value.wrapping_abs())),
        Value::Byte(value) => Ok(Value::Byte(*value)),
        Value::Float(value) => Ok(Value::Float(if *value < 0.0 { -value } else { *value })),
        _ => Err(format!("invalid argument for abs (type {})", value.type_name()).into()),
    }
}

fn int(value: &Value) -> Result<i64, Trouble> {
    match value {
        Value::Text(text) => text.parse().map_err(|_| format!("invalid operation: int({text})").into()),
        Value::Duration(span) => Ok(*span),
        _ => match Number::of(value) {
            Some(Number::Int(value)) => Ok(value),
            Some(Number::Float(value)) => Ok(truncate(value)),
            None => Err(format!("invalid operation: int({})", value.type_name()).into()),
        },
    }
}

fn bits(name: &str, value: &Value) -> Result<i64, Trouble> {
    match Number::of(value) {
        Some(Number::Int(value)) => Ok(value),
        Some(Number::Float(_)) | None => {
            Err(format!("cannot use {} as argument (type int) to call {name}", value.type_name()).into())
        }
    }
}

fn bitwise(name: &str, a: i64, b: i64) -> Result<i64, Trouble> {
    Ok(match name {
        "bitand" => a & b,
        "bitor" => a | b,
        "bitxor" => a ^ b,
        "bitnand" => a & !b,
        _ if b < 0 => return Err(format!("invalid operation: negative shift count {b} (type int)").into()),
        "bitshl" if b > 63 => 0,
        "bitshl" => a << b,
        "bitshr" => a >> b.min(63),
        _ if b > 63 => 0,
        _ => ((a as u64) >> b) as i64,
    })
}

/// The largest or smallest number in the arguments and the lists in them; nil if there is none.
fn extreme(meter: &mut Meter, name: &str, worse: BinaryOp, arguments: &[Value]) -> Result<Value, Trouble> {
    let mut best: Option<Value> = None;
    for argument in arguments {
        let candidate = match argument {
            Value::List(list) => {
                meter.steps(list.items.len() as u64)?;
                let mut inner: Option<Value> = None;
                for item in &list.items {
                    let item = match item {
                        Value::List(_) => extreme(meter, name, worse, std::slice::from_ref(item))?,
                        item if Number::of(item).is_some() => item.clone(),
                        item => return Err(format!("invalid argument for {name} (type {})", item.type_name()).into()),
                    };
                    // A nested list without numbers counts for nothing, except in a list of pairs.
                    if !matches!(item, Value::Nil) {
                        inner = Some(better(worse, inner, item)?);
                    } else if list.kind == ListKind::Pairs {
                        return Err(format!("invalid argument for {name} (type <nil>)").into());
                    }
                }
                inner
            }
            Value::Duration(_) => Some(argument.clone()),
            _ if Number::of(argument).is_some() => Some(argument.clone()),
            _ if arguments.len() == 1 => return Ok(argument.clone()),
            _ => return Err(format!("invalid argument for {name} (type {})", argument.type_name()).into()),
        };
        if let Some(candidate) = candidate {
            best = Some(better(worse, best, candidate)?);
        }
    }
    Ok(best.unwrap_or(Value::Nil))
}

/// The second value if there is no first one or the first one is worse. NaN is never replaced and never replaces.
fn better(worse: BinaryOp, best: Option<Value>, candidate: Value) -> Result<Value, Trouble> {
    let Some(best) = best else { return Ok(candidate) };
    let wanted = if worse == BinaryOp::Less { Ordering::Less } else { Ordering::Greater };
    Ok(if compare(worse, &best, &candidate)? == Some(wanted) { candidate } else { best })
}

/// All numbers in the arguments and the lists in them.
fn flat(meter: &mut Meter, name: &str, arguments: &[Value]) -> Result<Vec<f64>, Trouble> {
    meter.steps(arguments.len() as u64)?;
    let mut all = Vec::new();
    for argument in arguments {
        match argument {
            Value::List(list) => all.extend(flat(meter, name, &list.items)?),
            Value::Duration(span) => all.push(*span as f64),
            _ => match Number::of(argument) {
                Some(number) => all.push(number.float()),
                None => return Err(format!("invalid argument for {name} (type {})", argument.type_name()).into()),
            },
        }
    }
    Ok(all)
}

fn median(values: Vec<f64>) -> f64 {
    let mut values = values;
    // NaN sorts first, as in Go.
    values.sort_by(|a, b| b.is_nan().cmp(&a.is_nan()).then(a.partial_cmp(b).unwrap_or(Ordering::Equal)));
    let middle = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => at(middle),
        _ => (at(middle - 1) + at(middle)) / 2.0,
    }
}
