//! The static check of calls: what each function takes and gives.

use std::sync::Arc;

use super::ast::{BinaryOp, Kind, Loop, Node, with_predicate};
use super::check::Checker;
use super::error::Fault;
use super::types::Type;
use super::value::{DictKind, ListKind};

/// What a function without special rules takes at one position.
#[derive(Clone, Copy)]
enum Parameter {
    Any,
    Text,
    Int,
    Float,
    List(ListKind),
}

use Parameter::{Any, Float, Int, List, Text};

/// The parameters of each accepted form, and the result.
type Signature = (&'static [&'static [Parameter]], Type);

impl<'a> Checker<'a> {
    /// A call of a function of the environment.
    pub(super) fn function(&mut self, node: &'a Node, name: &str, arguments: &'a [Arc<Node>]) -> Result<Type, Fault> {
        let found = self.arguments(arguments)?;
        let (parameters, result): (&[Parameter], Type) = match name {
            "asInt" => (&[Any], Type::Int64),
            "asFloat" => (&[Any], Type::Float),
            "isNaN" | "isInf" => (&[Float], Type::Bool),
            "isNil" => (&[Any], Type::Bool),
            "default" => (&[Any, Any], Type::Any),
            "result" => {
                let result = self.result.clone().unwrap_or(Type::Nil);
                if result.is_unknown() {
                    return Ok(Type::Unknown);
                }
                return Err(Fault::typed(node.at, format!("{result} is not callable")));
            }
            _ => return Err(Fault::typed(node.at, format!("unknown name {name}"))),
        };
        if self.result.is_none() && !matches!(name, "isNaN" | "isInf") {
            return Err(Fault::typed(node.at, format!("unknown name {name}")));
        }
        accept(name, parameters, &found).map_err(|message| Fault::typed(node.at, message))?;
        for (parameter, (argument, found)) in parameters.iter().zip(arguments.iter().zip(&found)) {
            if matches!(parameter, Float) && found.is_integer() {
                self.make_float(argument);
            }
        }
        Ok(result)
    }

    /// Notes that integer literals stand for floats, as Go's untyped constants do.
    fn make_float(&mut self, node: &Node) {
        match &node.kind {
            Kind::Int(_) => self.note(node, Type::Float),
            Kind::Unary(_, of) => self.make_float(of),
            Kind::Binary(BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply, left, right) => {
                self.make_float(left);
                self.make_float(right);
            }
            _ => {}
        }
    }

    fn arguments(&mut self, arguments: &'a [Arc<Node>]) -> Result<Vec<Type>, Fault> {
        arguments.iter().map(|argument| self.visit(argument)).collect()
    }

    /// A call of a builtin.
    pub(super) fn builtin(
        &mut self,
        node: &'a Node,
        name: &'static str,
        arguments: &'a [Arc<Node>],
    ) -> Result<Type, Fault> {
        if let Some((over, body)) = with_predicate(arguments) {
            return self.predicate_call(name, over, body);
        }
        let found = self.arguments(arguments)?;
        let result = match signature(name) {
            Some((forms, result)) => one_of(name, forms, &found).map(|()| result),
            None => special(name, &found),
        };
        result.map_err(|message| Fault::typed(node.at, message))
    }

    fn predicate_call(&mut self, name: &'static str, over: Loop<'a>, body: &'a Node) -> Result<Type, Fault> {
        let Loop { list, more, .. } = over;
        let collection = self.visit(list)?;
        only_list(name, &collection).map_err(|message| Fault::typed(list.at, message))?;
        let answer = self.predicate(name, &collection, body)?;
        if answer == Type::Nil {
            return Err(Fault::typed(body.at, "a predicate must give a value, not nil"));
        }
        if let Some(argument) = more {
            let found = self.visit(argument)?;
            if name == "sortBy" && found != Type::Text && !found.is_unknown() {
                return Err(Fault::typed(argument.at, format!("sortBy order argument must be a string (got {found})")));
            }
        }
        let of_element = if collection.is_unknown() { Type::Unknown } else { collection.element() };
        let result = match name {
            "map" => return Ok(answer.list_of()),
            "sum" | "reduce" => return Ok(answer),
            "groupBy" => return Ok(Type::Dict(DictKind::Groups)),
            "sortBy" => return Ok(collection),
            "filter" if collection.is_unknown() => Type::any_list(),
            "filter" => of_element.list_of(),
            "count" | "findIndex" | "findLastIndex" => Type::Int,
            "find" | "findLast" => of_element,
            _ => Type::Bool,
        };
        if answer != Type::Bool && !answer.is_unknown() {
            return Err(Fault::typed(body.at, format!("predicate should return boolean (got {answer})")));
        }
        Ok(result)
    }
}

fn only_list(name: &str, collection: &Type) -> Result<(), String> {
    if collection.is_list() || collection.is_unknown() {
        return Ok(());
    }
    Err(format!("builtin {name} takes only array (got {collection})"))
}

/// Functions whose parameters are a plain list.
fn signature(name: &str) -> Option<Signature> {
    const LISTS: [Parameter; 4] =
        [List(ListKind::Any), List(ListKind::Int), List(ListKind::Float), List(ListKind::Text)];
    Some(match name {
        "type" | "string" | "toJSON" => (&[&[Any]], Type::Text),
        "upper" | "lower" | "toBase64" | "fromBase64" => (&[&[Text]], Type::Text),
        "trim" | "trimPrefix" | "trimSuffix" => (&[&[Text, Text], &[Text]], Type::Text),
        "split" | "splitAfter" => (&[&[Text, Text], &[Text, Text, Int]], Type::List(ListKind::Text, None)),
        "replace" => (&[&[Text, Text, Text, Int], &[Text, Text, Text]], Type::Text),
        "repeat" => (&[&[Text, Int]], Type::Text),
        "join" => (
            &[
                &[List(ListKind::Text), Text],
                &[List(ListKind::Any), Text],
                &[List(ListKind::Any)],
                &[List(ListKind::Text)],
            ],
            Type::Text,
        ),
        "indexOf" | "lastIndexOf" => (&[&[Text, Text]], Type::Int),
        "hasPrefix" | "hasSuffix" => (&[&[Text, Text]], Type::Bool),
        "fromJSON" => (&[&[Text]], Type::Any),
        "duration" => (&[&[Text]], Type::Duration),
        "timezone" => (&[&[Text]], Type::Zone),
        "sort" => (
            &[
                &[LISTS[0], Text],
                &[LISTS[1], Text],
                &[LISTS[2], Text],
                &[LISTS[3], Text],
                &[LISTS[0]],
                &[LISTS[1]],
                &[LISTS[2]],
                &[LISTS[3]],
            ],
            Type::any_list(),
        ),
        "bitand" | "bitor" | "bitxor" | "bitnand" | "bitshl" | "bitshr" | "bitushr" => (&[&[Int, Int]], Type::Int),
        "bitnot" => (&[&[Int]], Type::Int),
        _ => return None,
    })
}

fn one_of(name: &str, forms: &[&[Parameter]], found: &[Type]) -> Result<(), String> {
    let mut last = Ok(());
    for form in forms {
        last = accept(name, form, found);
        if last.is_ok() {
            break;
        }
    }
    last
}

fn accept(name: &str, parameters: &[Parameter], found: &[Type]) -> Result<(), String> {
    if found.len() != parameters.len() {
        let amount = if found.len() > parameters.len() { "too many" } else { "not enough" };
        return Err(format!("{amount} arguments to call {name}"));
    }
    for (parameter, found) in parameters.iter().zip(found) {
        let fits = match parameter {
            Any => true,
            Text => *found == Type::Text,
            Int => found.is_integer(),
            Float => found.is_number(),
            List(kind) => matches!(found, Type::List(of, _) if of == kind),
        };
        if !fits && !found.is_unknown() {
            let wanted = match parameter {
                Any => "interface {}",
                Text => "string",
                Int => "int",
                Float => "float64",
                List(kind) => kind.name(),
            };
            return Err(format!("cannot use {found} as argument (type {wanted}) to call {name}"));
        }
    }
    Ok(())
}

/// Functions with rules of their own.
fn special(name: &str, found: &[Type]) -> Result<Type, String> {
    match (name, found) {
        ("max" | "min" | "mean" | "median", _) => aggregate(name, found),
        ("now", [] | [Type::Zone]) => Ok(Type::Time),
        ("now", _) => Err(format!("invalid number of arguments (expected 0, got {})", found.len())),
        ("date", []) => Err("invalid number of arguments (expected at least 1, got 0)".to_owned()),
        ("date", _) if found.len() - usize::from(found.first() == Some(&Type::Zone)) > 3 => {
            Err(format!("invalid number of arguments (expected at most 3, got {})", found.len()))
        }
        ("date", _) => Ok(Type::Time),
        ("concat", []) => Err("invalid number of arguments (expected at least 1, got 0)".to_owned()),
        ("concat", _) => match found.iter().find(|found| !found.is_list() && !found.is_unknown()) {
            Some(wrong) => Err(format!("cannot concat {wrong}")),
            None => Ok(Type::any_list()),
        },
        ("get", [base, key]) => get(base, key),
        ("take", [list, count]) => take(list, count),
        ("count", [list]) => only_list(name, list).map(|()| Type::Int),
        ("sum", [list]) => {
            only_list(name, list).map(|()| if list.is_unknown() { Type::Unknown } else { list.element() })
        }
        ("get" | "take", _) => Err(format!("invalid number of arguments (expected 2, got {})", found.len())),
        (_, [argument]) => single(name, argument),
        _ => Err(format!("invalid number of arguments (expected 1, got {})", found.len())),
    }
}

/// Functions with one argument whose type decides.
fn single(name: &str, argument: &Type) -> Result<Type, String> {
    let unknown = argument.is_unknown();
    let number = argument.is_number() || *argument == Type::Duration;
    let dict = matches!(argument, Type::Dict(_));
    let list = argument.is_list();
    let result = match name {
        "len" if unknown || list || dict || *argument == Type::Text => Some(Type::Int),
        "abs" if unknown => Some(Type::Any),
        "abs" if number => Some(argument.clone()),
        "ceil" | "floor" | "round" if unknown || number => Some(Type::Float),
        "int" if unknown || number || *argument == Type::Text => Some(Type::Int),
        "float" if unknown || number || *argument == Type::Text => Some(Type::Float),
        "first" | "last" if unknown => Some(Type::Any),
        // The reference implementation looks at the Go type here, which forgets what a literal contains.
        "first" | "last" => match argument {
            Type::List(kind, _) => Some(kind.element()),
            _ => None,
        },
        "keys" | "values" | "toPairs" if unknown || dict => Some(Type::any_list()),
        "fromPairs" if unknown || list => Some(Type::Dict(DictKind::Any)),
        "reverse" | "uniq" | "flatten" if unknown || list => Some(Type::any_list()),
        _ => None,
    };
    result.ok_or_else(|| format!("invalid argument for {name} (type {argument})"))
}

fn aggregate(name: &str, found: &[Type]) -> Result<Type, String> {
    for argument in found {
        match argument {
            Type::Unknown | Type::Any | Type::List(..) => return Ok(Type::Any),
            Type::Int | Type::Int64 | Type::Float | Type::Duration => {}
            Type::Nil | Type::Bool | Type::Text | Type::Time | Type::Zone | Type::Dict(_) => {
                return Err(format!("invalid argument for {name} (type {argument})"));
            }
        }
    }
    found.first().cloned().ok_or_else(|| format!("not enough arguments to call {name}"))
}

fn get(base: &Type, key: &Type) -> Result<Type, String> {
    match base {
        Type::Unknown | Type::Any => Ok(Type::Unknown),
        Type::List(..) if key.is_integer() || key.is_unknown() => Ok(base.element()),
        Type::List(..) => Err(format!("non-integer slice index {key}")),
        Type::Dict(kind) if key.assignable_to(&Type::key(*kind)) || key.is_unknown() => Ok(base.element()),
        Type::Dict(_) => Err(format!("cannot use {key} to get an element from {base}")),
        Type::Nil
        | Type::Bool
        | Type::Int
        | Type::Int64
        | Type::Float
        | Type::Text
        | Type::Time
        | Type::Duration
        | Type::Zone => Err(format!("type {base} does not support indexing")),
    }
}

fn take(list: &Type, count: &Type) -> Result<Type, String> {
    let result = match list {
        Type::List(kind, _) => Type::List(*kind, None),
        Type::Unknown | Type::Any => Type::Any,
        _ => return Err(format!("cannot take from {list}")),
    };
    if count.is_integer() || count.is_unknown() || *count == Type::Duration {
        return Ok(result);
    }
    Err(format!("cannot take {count} elements"))
}
