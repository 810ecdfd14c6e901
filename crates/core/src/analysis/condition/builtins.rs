//! Calls: the functions of the environment, methods, and the dispatch of the builtins.

use std::sync::Arc;

use super::ast::{Constant, Kind, Loop, Node, with_predicate};
use super::error::Trouble;
use super::eval::{Machine, Step, at};
use super::functions::{lists, numbers, texts, times};
use super::methods;
use super::number::{Number, truncate};
use super::value::Value;

/// Calls a function of the environment or a method.
pub(super) fn call<'a>(
    machine: &mut Machine<'a>,
    node: &'a Node,
    callee: &'a Node,
    arguments: &'a [Arc<Node>],
) -> Step<Value> {
    match &callee.kind {
        Kind::Name(name) => {
            let arguments = evaluated(machine, arguments)?;
            at(node, environment(machine, name, &arguments))
        }
        Kind::Member { of, key, optional } => {
            let base = machine.eval(of)?;
            if *optional && base.is_nil() {
                return Err(super::eval::Stop::Chain);
            }
            let key = machine.eval(key)?;
            let arguments = evaluated(machine, arguments)?;
            at(node, methods::call(&base, &key, &arguments))
        }
        _ => at(node, Err("only functions and methods can be called".into())),
    }
}

fn evaluated<'a>(machine: &mut Machine<'a>, arguments: &'a [Arc<Node>]) -> Step<Vec<Value>> {
    arguments.iter().map(|argument| machine.eval(argument)).collect()
}

/// The functions that the environment adds to the builtins. `isNil` and `default` look at the metric result,
/// whatever their first argument is.
fn environment(machine: &Machine<'_>, name: &str, arguments: &[Value]) -> Result<Value, Trouble> {
    match (name, arguments) {
        ("asInt", [value]) => as_int(value),
        ("asFloat", [value]) => as_float(value),
        ("isNaN", [Value::Float(value)]) => Ok(Value::Bool(value.is_nan())),
        ("isInf", [Value::Float(value)]) => Ok(Value::Bool(value.is_infinite())),
        ("isNaN" | "isInf", [other]) => Err(format!("{name} takes a float64, not {}", other.type_name()).into()),
        ("isNil", [_]) => Ok(Value::Bool(machine.result.is_nil())),
        ("default", [_, default]) => Ok(if machine.result.is_nil() { default.clone() } else { machine.result.clone() }),
        _ => Err(format!("{name} is not callable").into()),
    }
}

fn as_int(value: &Value) -> Result<Value, Trouble> {
    match value {
        Value::Text(text) => match text.parse() {
            Ok(value) => Ok(Value::Int64(value)),
            Err(_) => Err(format!("asInt: {text:?} is not an integer").into()),
        },
        _ => match Number::of(value) {
            Some(Number::Int(value)) => Ok(Value::Int64(value)),
            Some(Number::Float(value)) => Ok(Value::Int64(truncate(value))),
            None => Err(format!("asInt() not supported on {}", value.type_name()).into()),
        },
    }
}

fn as_float(value: &Value) -> Result<Value, Trouble> {
    match value {
        Value::Text(text) => match numbers::parse_float(text) {
            Some(value) => Ok(Value::Float(value)),
            None => Err(format!("asFloat: {text:?} is not a number").into()),
        },
        _ => match Number::of(value) {
            Some(number) => Ok(Value::Float(number.float())),
            None => Err(format!("asFloat() not supported on {}", value.type_name()).into()),
        },
    }
}

/// Calls a builtin.
pub(super) fn builtin<'a>(
    machine: &mut Machine<'a>,
    node: &'a Node,
    name: &'static str,
    arguments: &'a [Arc<Node>],
) -> Step<Value> {
    if let Some((over, _)) = with_predicate(arguments) {
        return machine.over(node, name, over);
    }
    match (name, arguments) {
        ("sum" | "count", [list]) => match &list.kind {
            Kind::Array(items)
                if name == "sum" && items.len() > 1 && items.iter().any(|item| item.constant == Constant::No) =>
            {
                chained_sum(machine, node, items)
            }
            _ => machine.over(node, name, Loop { list, body: None, more: None }),
        },
        _ => {
            let arguments = evaluated(machine, arguments)?;
            at(node, plain(machine, name, &arguments))
        }
    }
}

/// The sum of a list written out, but not of literals only, is the chain of its `+`: it adds from the last to the
/// first, and it also joins strings.
fn chained_sum<'a>(machine: &mut Machine<'a>, node: &'a Node, items: &'a [Arc<Node>]) -> Step<Value> {
    let mut values = evaluated(machine, items)?;
    let mut sum = values.pop().unwrap_or(Value::Nil);
    while let Some(value) = values.pop() {
        sum = match (&value, &sum) {
            (Value::Text(a), Value::Text(b)) => {
                at(node, machine.meter.text(a.len() + b.len()))?;
                Value::text([&**a, &**b].concat())
            }
            _ => at(node, super::number::arithmetic(super::ast::BinaryOp::Add, &value, &sum))?,
        };
    }
    Ok(sum)
}

/// Builtins that take values only. Each group of functions answers for its own names.
fn plain(machine: &mut Machine<'_>, name: &str, arguments: &[Value]) -> Result<Value, Trouble> {
    // Reading text costs what it weighs; what a function does with lists it pays for itself.
    for argument in arguments {
        if let Value::Text(text) = argument {
            machine.meter.read(text.len())?;
        }
    }
    let found = match numbers::call(&mut machine.meter, name, arguments)? {
        Some(value) => Some(value),
        None => match texts::call(&mut machine.meter, name, arguments)? {
            Some(value) => Some(value),
            None => match lists::call(machine, name, arguments)? {
                Some(value) => Some(value),
                None => times::call(machine.now, name, arguments)?,
            },
        },
    };
    found.ok_or_else(|| {
        let types: Vec<_> = arguments.iter().map(Value::type_name).collect();
        format!("{name} cannot be called with ({})", types.join(", ")).into()
    })
}
