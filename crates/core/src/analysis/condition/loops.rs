//! Functions that run a predicate over a list.

use std::collections::BTreeMap;

use super::ast::{BinaryOp, Loop, Node};
use super::equal::equal;
use super::eval::{Machine, Scope, Step, at, elements};
use super::number;
use super::order::{ascending, sort_by};
use super::value::{DictKind, Key, List, ListKind, Value};

impl<'a> Machine<'a> {
    /// Evaluates something inside one round of a predicate.
    pub(super) fn round<T>(&mut self, item: Value, index: usize, body: impl FnOnce(&mut Self) -> Step<T>) -> Step<T> {
        self.scopes.push(Scope { item, index, accumulator: Value::Nil });
        let value = body(self);
        self.scopes.pop();
        value
    }

    /// Calls a function that runs over a list.
    pub(super) fn over(&mut self, node: &'a Node, name: &str, over: Loop<'a>) -> Step<Value> {
        let Loop { list, body, more } = over;
        let value = self.eval(list)?;
        let items = at(list, elements(&value))?;
        match (name, body) {
            ("sum", body) => self.sum(node, &items, body),
            ("count", body) => Ok(Value::Int(self.matching(list, &items, body)?.len() as i64)),
            ("reduce", Some(body)) => self.reduce(node, &items, body, more),
            ("sortBy", Some(body)) => self.sort_by(node, &items, body, more),
            ("groupBy", Some(body)) => self.group_by(node, &items, body),
            ("map", Some(body)) => {
                at(node, self.meter.elements(items.items.len() as u64))?;
                let mut out = Vec::with_capacity(items.items.len());
                for (index, item) in items.items.iter().enumerate() {
                    out.push(self.round(item.clone(), index, |machine| machine.eval(body))?);
                }
                at(node, Value::list(ListKind::Any, out))
            }
            ("filter", body) => {
                let found = self.matching(list, &items, body)?;
                at(node, self.meter.elements(found.len() as u64))?;
                let found = found.into_iter().filter_map(|index| items.items.get(index).cloned()).collect();
                at(node, Value::list(ListKind::Any, found))
            }
            ("one", body) => Ok(Value::Bool(self.matching(list, &items, body)?.len() == 1)),
            ("all", Some(body)) => Ok(Value::Bool(self.first(&items, body, Search::Failing)?.is_none())),
            ("any", Some(body)) => Ok(Value::Bool(self.first(&items, body, Search::Forward)?.is_some())),
            ("none", Some(body)) => Ok(Value::Bool(self.first(&items, body, Search::Forward)?.is_none())),
            (_, Some(body)) => {
                let backward = matches!(name, "findLast" | "findLastIndex");
                let search = if backward { Search::Backward } else { Search::Forward };
                let found = self.first(&items, body, search)?;
                let by_index = matches!(name, "findIndex" | "findLastIndex");
                Ok(match found {
                    Some(index) if by_index => Value::Int(index as i64),
                    Some(index) => items.items.get(index).cloned().unwrap_or(Value::Nil),
                    None => Value::Nil,
                })
            }
            (_, None) => at(node, Err(format!("{name} needs a predicate").into())),
        }
    }

    /// The indexes of the elements that fulfil the predicate, or that are true themselves.
    fn matching(&mut self, node: &Node, list: &List, body: Option<&'a Node>) -> Step<Vec<usize>> {
        let mut found = Vec::new();
        for (index, item) in list.items.iter().enumerate() {
            let holds = match (body, item) {
                (Some(body), _) => self.round(item.clone(), index, |machine| machine.truth(body))?,
                (None, Value::Bool(value)) => *value,
                (None, _) => {
                    let message = format!("count without a predicate needs bools, not {}", item.type_name());
                    return at(node, Err(message.into()));
                }
            };
            if holds {
                found.push(index);
            }
        }
        Ok(found)
    }

    fn first(&mut self, list: &List, body: &'a Node, search: Search) -> Step<Option<usize>> {
        let length = list.items.len();
        for round in 0..length {
            let index = if search == Search::Backward { length - 1 - round } else { round };
            let Some(item) = list.items.get(index) else { break };
            if self.round(item.clone(), index, |machine| machine.truth(body))? != (search == Search::Failing) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn sum(&mut self, node: &'a Node, list: &List, body: Option<&'a Node>) -> Step<Value> {
        let mut sum = Value::Int(0);
        for (index, item) in list.items.iter().enumerate() {
            let term = match body {
                Some(body) => self.round(item.clone(), index, |machine| machine.eval(body))?,
                None => item.clone(),
            };
            at(node, self.meter.steps(1))?;
            sum = at(node, number::arithmetic(BinaryOp::Add, &term, &sum))?;
        }
        Ok(sum)
    }

    fn reduce(&mut self, node: &'a Node, list: &List, body: &'a Node, initial: Option<&'a Node>) -> Step<Value> {
        let (mut accumulator, start) = match (initial, list.items.first()) {
            (Some(initial), _) => (self.eval(initial)?, 0),
            (None, Some(first)) => (first.clone(), 1),
            (None, None) => return at(node, Err("reduce of empty array with no initial value".into())),
        };
        for (index, item) in list.items.iter().enumerate().skip(start) {
            self.scopes.push(Scope { item: item.clone(), index, accumulator });
            let value = self.eval(body);
            self.scopes.pop();
            accumulator = value?;
        }
        Ok(accumulator)
    }

    fn group_by(&mut self, node: &'a Node, list: &List, body: &'a Node) -> Step<Value> {
        at(node, self.meter.elements(list.items.len() as u64))?;
        let mut groups: BTreeMap<Key, Vec<Value>> = BTreeMap::new();
        for (index, item) in list.items.iter().enumerate() {
            let key = self.round(item.clone(), index, |machine| machine.eval(body))?;
            let key = match at(body, key.key())? {
                Key::NotANumber(_) => Key::NotANumber(index),
                key => key,
            };
            groups.entry(key).or_default().push(item.clone());
        }
        let entries = groups
            .into_iter()
            .map(|(key, items)| Ok((key, Value::list(ListKind::Any, items)?)))
            .collect::<Result<BTreeMap<_, _>, _>>();
        let entries = at(node, entries)?;
        at(node, Value::dict(DictKind::Groups, entries))
    }

    fn sort_by(&mut self, node: &'a Node, list: &List, body: &'a Node, order: Option<&'a Node>) -> Step<Value> {
        let order = match order {
            Some(order) => Some(self.eval(order)?),
            None => None,
        };
        let ascending = at(node, ascending(order.as_ref()))?;
        at(node, self.meter.elements(list.items.len() as u64))?;
        let mut keyed = Vec::with_capacity(list.items.len());
        for (index, item) in list.items.iter().enumerate() {
            keyed.push((self.round(item.clone(), index, |machine| machine.eval(body))?, item.clone()));
        }
        at(node, sort_by(&mut keyed, ascending, &mut self.meter))?;
        at(node, Value::list(ListKind::Any, keyed.into_iter().map(|(_, item)| item).collect()))
    }

    /// Elements without the repeated ones.
    pub(super) fn distinct(&mut self, list: &List) -> Result<Value, super::error::Trouble> {
        self.meter.elements(list.items.len() as u64)?;
        let mut kept: Vec<Value> = Vec::new();
        'items: for item in &list.items {
            for known in &kept {
                if equal(item, known, &mut self.meter)? {
                    continue 'items;
                }
            }
            kept.push(item.clone());
        }
        Value::list(ListKind::Any, kept)
    }
}

/// Which element a search looks for.
#[derive(Clone, Copy, PartialEq)]
enum Search {
    /// The first one that fulfils the predicate.
    Forward,
    /// The last one that does.
    Backward,
    /// The first one that does not.
    Failing,
}
