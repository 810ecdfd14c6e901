//! Evaluates the syntax tree.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, FixedOffset};

use super::ast::{BinaryOp, Constant, Kind, Node, UnaryOp};
use super::builtins;
use super::check::Types;
use super::equal::{contains, equal, lookup};
use super::error::{Fault, Trouble};
use super::limits::{Meter, REGEX_STEPS};
use super::number::{self, to_int};
use super::pattern;
use super::quantifier::Quantifier;
use super::types::Type;
use super::value::{DictKind, ListKind, Value};

/// Why an evaluation does not go on to the next node.
#[derive(Debug)]
pub(super) enum Stop {
    Fault(Box<Fault>),
    /// A `?.` met nil: the rest of the chain is skipped.
    Chain,
}

pub(super) type Step<T> = Result<T, Stop>;

/// The state of one evaluation.
pub(super) struct Machine<'a> {
    pub(super) result: Value,
    pub(super) now: DateTime<FixedOffset>,
    pub(super) meter: Meter,
    types: &'a Types,
    variables: Vec<(&'a str, Value)>,
    pub(super) scopes: Vec<Scope>,
}

/// One round of a predicate.
pub(super) struct Scope {
    pub(super) item: Value,
    pub(super) index: usize,
    pub(super) accumulator: Value,
}

/// Evaluates a checked tree.
pub(super) fn run(root: &Node, types: &Types, result: Value, now: DateTime<FixedOffset>) -> Result<Value, Fault> {
    let mut machine = Machine { result, now, meter: Meter::new(), types, variables: Vec::new(), scopes: Vec::new() };
    match machine.eval(root) {
        Ok(value) => Ok(value),
        Err(Stop::Fault(fault)) => Err(*fault),
        Err(Stop::Chain) => Ok(Value::Nil),
    }
}

/// Gives a trouble the place of a node.
pub(super) fn at<T>(node: &Node, result: Result<T, Trouble>) -> Step<T> {
    result.map_err(|trouble| Stop::Fault(Box::new(trouble.at(node.at))))
}

impl<'a> Machine<'a> {
    /// The value of a node.
    pub(super) fn eval(&mut self, node: &'a Node) -> Step<Value> {
        at(node, self.meter.steps(1))?;
        match &node.kind {
            Kind::Nil => Ok(Value::Nil),
            Kind::Bool(value) => Ok(Value::Bool(*value)),
            Kind::Int(value) => Ok(self.integer(node, *value)),
            Kind::Float(value) => Ok(Value::Float(*value)),
            Kind::Text(text) => Ok(Value::Text(text.clone())),
            Kind::Name(name) => Ok(self.name(name)),
            Kind::Pointer(name) => self.pointer(node, name),
            Kind::Unary(op, of) => self.unary(node, *op, of),
            Kind::Binary(op, left, right) => self.binary(node, *op, left, right),
            Kind::Matches(left, pattern) => {
                let left = self.eval(left)?;
                self.matches(node, &left, pattern)
            }
            Kind::Member { of, key, optional } => self.member(node, of, key, *optional),
            Kind::Chain(inner) => match self.eval(inner) {
                Ok(value) if value.is_nil() => Ok(Value::Nil),
                Err(Stop::Chain) => Ok(Value::Nil),
                other => other,
            },
            Kind::Slice { of, from, to } => self.slice(node, of, from.as_deref(), to.as_deref()),
            Kind::Call { callee, arguments } => builtins::call(self, node, callee, arguments),
            Kind::Builtin { name, arguments } => builtins::builtin(self, node, name, arguments),
            Kind::Predicate(body) => self.eval(body),
            Kind::Let { name, value, body } => {
                let value = self.eval(value)?;
                self.variables.push((name, value));
                let body = self.eval(body);
                self.variables.pop();
                body
            }
            Kind::Sequence(nodes) => nodes.iter().try_fold(Value::Nil, |_, node| self.eval(node)),
            Kind::Conditional { condition, yes, no } => {
                let branch = if self.truth(condition)? { yes } else { no };
                self.eval(branch)
            }
            Kind::Array(nodes) => self.array(node, nodes),
            Kind::Map(pairs) => self.map(node, pairs),
        }
    }

    /// The value of a node that must be a bool.
    pub(super) fn truth(&mut self, node: &'a Node) -> Step<bool> {
        match self.eval(node)? {
            Value::Bool(value) => Ok(value),
            other => at(node, Err(format!("expected bool, but got {}", other.type_name()).into())),
        }
    }

    /// The static type of a node.
    fn static_type(&self, node: &Node) -> Option<&Type> {
        self.types.get(node.id as usize).and_then(Option::as_ref)
    }

    fn integer(&self, node: &Node, value: i64) -> Value {
        // The check turns literals that are arguments of isNaN and isInf into floats.
        if self.static_type(node) == Some(&Type::Float) { Value::Float(value as f64) } else { Value::Int(value) }
    }

    fn name(&self, name: &str) -> Value {
        let variable = self.variables.iter().rev().find(|(known, _)| *known == name);
        variable.map_or_else(|| self.result.clone(), |(_, value)| value.clone())
    }

    fn pointer(&mut self, node: &Node, name: &str) -> Step<Value> {
        let Some(scope) = self.scopes.last() else {
            return at(node, Err("cannot use pointer accessor outside predicate".into()));
        };
        Ok(match name {
            "index" => Value::Int(scope.index as i64),
            "acc" => scope.accumulator.clone(),
            _ => scope.item.clone(),
        })
    }

    fn unary(&mut self, node: &'a Node, op: UnaryOp, of: &'a Node) -> Step<Value> {
        match op {
            UnaryOp::Not => self.truth(of).map(|value| Value::Bool(!value)),
            UnaryOp::Plus => self.eval(of),
            UnaryOp::Minus => {
                let value = self.eval(of)?;
                at(node, number::negate(&value))
            }
        }
    }

    fn binary(&mut self, node: &'a Node, op: BinaryOp, left: &'a Node, right: &'a Node) -> Step<Value> {
        match op {
            BinaryOp::And | BinaryOp::Or => self.logic(node, op, left, right),
            BinaryOp::Coalesce => {
                let value = self.eval(left)?;
                if value.is_nil() { self.eval(right) } else { Ok(value) }
            }
            BinaryOp::Equal => self.equal(node, left, right).map(Value::Bool),
            BinaryOp::NotEqual => self.equal(node, left, right).map(|same| Value::Bool(!same)),
            BinaryOp::In => self.within(node, left, right).map(Value::Bool),
            _ => {
                let left = self.eval(left)?;
                let right = self.eval(right)?;
                self.operate(node, op, &left, &right)
            }
        }
    }

    fn logic(&mut self, node: &'a Node, op: BinaryOp, left: &'a Node, right: &'a Node) -> Step<Value> {
        if let Constant::Bool(value) = node.constant {
            return Ok(Value::Bool(value));
        }
        if let Some(quantifier) = Quantifier::of(node) {
            return self.quantify(&quantifier).map(Value::Bool);
        }
        let decides = op == BinaryOp::Or;
        // A literal operand that does not decide has been folded away, so it does not even demand a bool.
        if left.constant == Constant::Bool(!decides) {
            return self.eval(right);
        }
        if right.constant == Constant::Bool(!decides) {
            return self.eval(left);
        }
        if self.truth(left)? == decides { Ok(Value::Bool(decides)) } else { self.eval(right) }
    }

    fn equal(&mut self, node: &'a Node, left: &'a Node, right: &'a Node) -> Step<bool> {
        let a = self.eval(left)?;
        let b = self.eval(right)?;
        // Where both are known to be integers or text, the reference implementation demands just that.
        let plain = match (self.static_type(left), self.static_type(right)) {
            (Some(Type::Int), Some(Type::Int)) => matches!((&a, &b), (Value::Int(_), Value::Int(_))),
            (Some(Type::Text), Some(Type::Text)) => matches!((&a, &b), (Value::Text(_), Value::Text(_))),
            _ => true,
        };
        if !plain {
            let message = format!("cannot compare {} and {}", a.type_name(), b.type_name());
            return at(node, Err(message.into()));
        }
        at(node, equal(&a, &b, &mut self.meter))
    }

    /// `left in right`, with the two short cuts of the reference implementation that change what an error is.
    fn within(&mut self, node: &'a Node, left: &'a Node, right: &'a Node) -> Step<bool> {
        let integer = self.static_type(left) == Some(&Type::Int);
        match &right.kind {
            Kind::Array(items) if !items.is_empty() && items.iter().all(|item| matches!(item.kind, Kind::Text(_))) => {
                let needle = self.eval(left)?;
                match &needle {
                    Value::Text(_) => {
                        self.eval(right).and_then(|list| at(node, contains(&needle, &list, &mut self.meter)))
                    }
                    Value::Nil => Ok(items.iter().any(|item| item.constant == Constant::Text("".into()))),
                    _ => at(node, Err(format!("cannot look for {} in a list of strings", needle.type_name()).into())),
                }
            }
            Kind::Array(items)
                if integer && !items.is_empty() && items.iter().all(|item| matches!(item.kind, Kind::Int(_))) =>
            {
                let needle = self.eval(left)?;
                match needle {
                    Value::Int(needle) => Ok(items.iter().any(|item| item.constant == Constant::Int(needle))),
                    Value::Nil => Ok(items.iter().any(|item| item.constant == Constant::Int(0))),
                    _ => at(node, Err(format!("cannot look for {} in a list of int", needle.type_name()).into())),
                }
            }
            Kind::Binary(BinaryOp::Range, from, to) if integer => match (&from.constant, &to.constant) {
                (Constant::Int(from), Constant::Int(to)) => {
                    let needle = self.eval(left)?;
                    match number::Number::of(&needle) {
                        Some(number::Number::Int(needle)) => Ok((from..=to).contains(&&needle)),
                        Some(number::Number::Float(needle)) => Ok(*from as f64 <= needle && needle <= *to as f64),
                        None => at(node, Err(format!("invalid operation: {} >= int", needle.type_name()).into())),
                    }
                }
                _ => self.search(node, left, right),
            },
            _ => self.search(node, left, right),
        }
    }

    fn search(&mut self, node: &'a Node, left: &'a Node, right: &'a Node) -> Step<bool> {
        let needle = self.eval(left)?;
        let haystack = self.eval(right)?;
        at(node, contains(&needle, &haystack, &mut self.meter))
    }

    fn operate(&mut self, node: &Node, op: BinaryOp, a: &Value, b: &Value) -> Step<Value> {
        match op {
            BinaryOp::Less | BinaryOp::More | BinaryOp::MoreOrEqual | BinaryOp::LessOrEqual => {
                let order = at(node, number::compare(op, a, b))?;
                Ok(Value::Bool(match op {
                    BinaryOp::Less => order.is_some_and(std::cmp::Ordering::is_lt),
                    BinaryOp::More => order.is_some_and(std::cmp::Ordering::is_gt),
                    BinaryOp::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
                    _ => order.is_some_and(std::cmp::Ordering::is_ge),
                }))
            }
            BinaryOp::Matches => match b {
                _ if a.is_nil() || b.is_nil() => Ok(Value::Bool(false)),
                Value::Text(pattern) => {
                    at(node, self.meter.steps(REGEX_STEPS + pattern.len() as u64))?;
                    let pattern = at(node, pattern::compile(pattern).map_err(Trouble::from))?;
                    self.matches(node, a, &pattern)
                }
                _ => at(node, Err(format!("{} is no pattern", b.type_name()).into())),
            },
            BinaryOp::Contains | BinaryOp::StartsWith | BinaryOp::EndsWith => match (a, b) {
                _ if a.is_nil() || b.is_nil() => Ok(Value::Bool(false)),
                (Value::Text(a), Value::Text(b)) => {
                    at(node, self.meter.read(a.len() + b.len()))?;
                    Ok(Value::Bool(match op {
                        BinaryOp::Contains => a.contains(&**b),
                        BinaryOp::StartsWith => a.starts_with(&**b),
                        _ => a.ends_with(&**b),
                    }))
                }
                _ => at(node, Err(format!("{} works on strings only", op.text()).into())),
            },
            BinaryOp::Range => self.range(node, a, b),
            BinaryOp::Add => match (a, b) {
                (Value::Text(a), Value::Text(b)) => {
                    at(node, self.meter.text(a.len() + b.len()))?;
                    Ok(Value::text([&**a, &**b].concat()))
                }
                _ => at(node, number::arithmetic(op, a, b)),
            },
            _ => at(node, number::arithmetic(op, a, b)),
        }
    }

    fn matches(&mut self, node: &Node, text: &Value, pattern: &regex::Regex) -> Step<Value> {
        match text {
            _ if text.is_nil() => Ok(Value::Bool(false)),
            Value::Text(text) => {
                // Matching is linear in the text, but each byte costs more than in any other operation.
                at(node, self.meter.steps(1 + (text.len() / 8) as u64))?;
                Ok(Value::Bool(pattern.is_match(text)))
            }
            _ => at(node, Err(format!("matches works on strings, not on {}", text.type_name()).into())),
        }
    }

    fn range(&mut self, node: &Node, from: &Value, to: &Value) -> Step<Value> {
        let from = at(node, to_int(from))?;
        let to = at(node, to_int(to))?;
        let count = if from > to { 0 } else { to.abs_diff(from).saturating_add(1) };
        at(node, self.meter.elements(count))?;
        let items = if count == 0 { Vec::new() } else { (from..=to).map(Value::Int).collect() };
        at(node, Value::list(ListKind::Int, items))
    }

    fn member(&mut self, node: &'a Node, of: &'a Node, key: &'a Node, optional: bool) -> Step<Value> {
        let base = self.eval(of)?;
        if optional && base.is_nil() {
            return Err(Stop::Chain);
        }
        let key = self.eval(key)?;
        at(node, fetch(&base, &key))
    }

    fn slice(&mut self, node: &'a Node, of: &'a Node, from: Option<&'a Node>, to: Option<&'a Node>) -> Step<Value> {
        let base = self.eval(of)?;
        let to = match to {
            Some(to) => Some(self.eval(to)?),
            None => None,
        };
        let from = match from {
            Some(from) => self.eval(from)?,
            None => Value::Int(0),
        };
        let cut = (|| {
            let length = match &base {
                Value::List(list) => list.items.len(),
                Value::Text(text) => text.len(),
                _ => return Err(Trouble::from(format!("cannot slice {}", base.type_name()))),
            };
            let from = to_int(&from)?;
            let to = to.as_ref().map_or(Ok(length as i64), to_int)?;
            let clamp = |bound: i64| (if bound < 0 { bound + length as i64 } else { bound }).clamp(0, length as i64);
            let end = clamp(to) as usize;
            Ok((clamp(from) as usize).min(end)..end)
        })();
        let range = at(node, cut)?;
        at(node, self.cut(&base, range))
    }

    fn cut(&mut self, base: &Value, range: std::ops::Range<usize>) -> Result<Value, Trouble> {
        match base {
            Value::List(list) => {
                self.meter.elements(range.len() as u64)?;
                Value::list(list.kind, list.items.get(range).unwrap_or_default().to_vec())
            }
            Value::Text(text) => {
                self.meter.text(range.len())?;
                match text.get(range) {
                    Some(part) => Ok(Value::text(part)),
                    None => Err("the slice cuts a character of several bytes".into()),
                }
            }
            _ => Err(format!("cannot slice {}", base.type_name()).into()),
        }
    }

    fn array(&mut self, node: &'a Node, nodes: &'a [Arc<Node>]) -> Step<Value> {
        at(node, self.meter.elements(nodes.len() as u64))?;
        let items = nodes.iter().map(|node| self.eval(node)).collect::<Step<Vec<_>>>()?;
        at(node, Value::list(ListKind::Any, items))
    }

    fn map(&mut self, node: &'a Node, pairs: &'a [(Arc<Node>, Arc<Node>)]) -> Step<Value> {
        at(node, self.meter.elements(pairs.len() as u64))?;
        let mut entries = BTreeMap::new();
        for (key, value) in pairs {
            let name = self.eval(key)?;
            let value = self.eval(value)?;
            if !matches!(name, Value::Text(_)) {
                return at(key, Err(format!("a map key must be a string, not {}", name.type_name()).into()));
            }
            // The reference implementation fills maps from the last pair to the first, so the first one stays.
            entries.entry(at(key, name.key())?).or_insert(value);
        }
        at(node, Value::dict(DictKind::Text, entries))
    }
}

/// `base[key]`: an index out of range is an error, a missing key is nil.
pub(super) fn fetch(base: &Value, key: &Value) -> Result<Value, Trouble> {
    match base {
        Value::List(list) => {
            let index = position(list.items.len(), key)?;
            Ok(list.items.get(index).cloned().unwrap_or(Value::Nil))
        }
        Value::Text(text) => {
            let index = position(text.len(), key)?;
            Ok(text.as_bytes().get(index).map_or(Value::Nil, |byte| Value::Byte(*byte)))
        }
        Value::Dict(dict) => Ok(match lookup(dict, key)? {
            Some(value) => value.clone(),
            None if dict.kind == DictKind::Groups => Value::absent_list(),
            None => Value::Nil,
        }),
        _ => {
            let name = if let Value::Text(name) = key { name.to_string() } else { key.type_name() };
            Err(format!("cannot fetch {name} from {}", base.type_name()).into())
        }
    }
}

fn position(length: usize, key: &Value) -> Result<usize, Trouble> {
    let key = to_int(key)?;
    let index = if key < 0 { key.saturating_add(length as i64) } else { key };
    match usize::try_from(index) {
        Ok(index) if index < length => Ok(index),
        Ok(_) | Err(_) => Err(format!("index out of range: {index} (array length is {length})").into()),
    }
}

/// The elements of a list that a predicate runs over.
pub(super) fn elements(value: &Value) -> Result<Rc<super::value::List>, Trouble> {
    match value {
        Value::List(list) => Ok(list.clone()),
        _ => Err(format!("a list is needed, not {}", value.type_name()).into()),
    }
}
