//! The static check of an expression against the type of the metric result.

use std::sync::Arc;

use super::ast::{BinaryOp, Kind, Node, UnaryOp};
use super::error::Fault;
use super::methods;
use super::names::is_reserved;
use super::types::{Check, Type};
use super::value::DictKind;

/// Static types by node id.
pub(super) type Types = Vec<Option<Type>>;

/// Checks the tree of `nodes` nodes. Without a `result` type the environment has no `result` and no functions but
/// the builtins, as where a time is computed.
pub(super) fn check(root: &Node, nodes: u32, result: Option<Type>) -> Result<(Type, Types), Fault> {
    let mut checker =
        Checker { result, types: vec![None; nodes as usize], variables: Vec::new(), predicates: Vec::new() };
    let root = checker.visit(root)?;
    Ok((root, checker.types))
}

pub(super) struct Checker<'a> {
    pub(super) result: Option<Type>,
    pub(super) types: Types,
    variables: Vec<(&'a str, Type)>,
    predicates: Vec<Scope>,
}

/// What `#` and its like mean inside a predicate.
struct Scope {
    collection: Type,
    index: bool,
    accumulator: bool,
}

impl<'a> Checker<'a> {
    /// The type of a node, which is also noted in the table.
    pub(super) fn visit(&mut self, node: &'a Node) -> Result<Type, Fault> {
        // A node that two parents share is checked once.
        if let Some(Some(known)) = self.types.get(node.id as usize) {
            return Ok(known.clone());
        }
        let found = self.kind(node)?;
        self.note(node, found.clone());
        Ok(found)
    }

    /// Writes a type into the table.
    pub(super) fn note(&mut self, node: &Node, found: Type) {
        if let Some(slot) = self.types.get_mut(node.id as usize) {
            *slot = Some(found);
        }
    }

    fn kind(&mut self, node: &'a Node) -> Result<Type, Fault> {
        match &node.kind {
            Kind::Nil => Ok(Type::Nil),
            Kind::Bool(_) => Ok(Type::Bool),
            Kind::Int(_) => Ok(Type::Int),
            Kind::Float(_) => Ok(Type::Float),
            Kind::Text(_) => Ok(Type::Text),
            Kind::Name(name) => self.name(node, name),
            Kind::Pointer(name) => self.pointer(node, name),
            Kind::Unary(op, of) => self.unary(node, *op, of),
            Kind::Binary(op, left, right) => self.binary(node, *op, left, right),
            Kind::Matches(left, _) => {
                let left = self.visit(left)?;
                if left == Type::Text || left.is_unknown() {
                    return Ok(Type::Bool);
                }
                Err(mismatch(node, BinaryOp::Matches, &left, &Type::Text))
            }
            Kind::Member { of, key, .. } => self.member(node, of, key),
            Kind::Chain(inner) => self.visit(inner),
            Kind::Slice { of, from, to } => self.slice(node, of, from.as_deref(), to.as_deref()),
            Kind::Call { callee, arguments } => self.call(node, callee, arguments),
            Kind::Builtin { name, arguments } => self.builtin(node, name, arguments),
            Kind::Predicate(body) => self.visit(body),
            Kind::Let { name, value, body } => self.variable(node, name, value, body),
            Kind::Sequence(nodes) => {
                let mut last = Type::Nil;
                for node in nodes {
                    last = self.visit(node)?;
                }
                Ok(last)
            }
            Kind::Conditional { condition, yes, no } => self.conditional(condition, yes, no),
            Kind::Array(nodes) => self.array(nodes),
            Kind::Map(pairs) => {
                for (key, value) in pairs {
                    self.visit(key)?;
                    self.visit(value)?;
                }
                Ok(Type::Dict(DictKind::Text))
            }
        }
    }

    fn name(&mut self, node: &Node, name: &str) -> Result<Type, Fault> {
        if let Some((_, found)) = self.variables.iter().rev().find(|(known, _)| *known == name) {
            return Ok(found.clone());
        }
        match (&self.result, name) {
            (Some(result), "result") => Ok(result.clone()),
            (_, "$env") => Err(Fault::typed(node.at, "$env is not supported; use result")),
            (_, name) if name != "result" && is_reserved(name) => {
                Err(Fault::typed(node.at, format!("{name} is a function: call it")))
            }
            (_, name) => Err(Fault::typed(node.at, format!("unknown name {name}"))),
        }
    }

    fn pointer(&mut self, node: &Node, name: &str) -> Result<Type, Fault> {
        let Some(scope) = self.predicates.last() else {
            return Err(Fault::typed(node.at, "cannot use pointer accessor outside predicate"));
        };
        match name {
            "" if scope.collection.is_unknown() => Ok(Type::Unknown),
            "" => Ok(scope.collection.element()),
            "index" if scope.index => Ok(Type::Int),
            "acc" if scope.accumulator => Ok(Type::Unknown),
            name => Err(Fault::typed(node.at, format!("unknown pointer #{name}"))),
        }
    }

    /// Checks the body of a predicate over `collection`.
    pub(super) fn predicate(&mut self, function: &str, collection: &Type, body: &'a Node) -> Result<Type, Fault> {
        let accumulator = function == "reduce";
        let index = accumulator || function == "map";
        self.predicates.push(Scope { collection: collection.clone(), index, accumulator });
        let body = self.visit(body);
        self.predicates.pop();
        body
    }

    fn unary(&mut self, node: &'a Node, op: UnaryOp, of: &'a Node) -> Result<Type, Fault> {
        let operand = self.visit(of)?;
        match op {
            UnaryOp::Not if operand == Type::Bool || operand.is_unknown() => Ok(Type::Bool),
            UnaryOp::Plus | UnaryOp::Minus if operand.is_number() => Ok(operand),
            UnaryOp::Plus | UnaryOp::Minus if operand.is_unknown() => Ok(Type::Unknown),
            UnaryOp::Not => Err(Fault::typed(node.at, format!("invalid operation: ! (mismatched type {operand})"))),
            UnaryOp::Plus => Err(Fault::typed(node.at, format!("invalid operation: + (mismatched type {operand})"))),
            UnaryOp::Minus => Err(Fault::typed(node.at, format!("invalid operation: - (mismatched type {operand})"))),
        }
    }

    fn binary(&mut self, node: &'a Node, op: BinaryOp, left: &'a Node, right: &'a Node) -> Result<Type, Fault> {
        let l = self.visit(left)?;
        let r = self.visit(right)?;
        let found = match op {
            BinaryOp::Equal | BinaryOp::NotEqual => l.comparable_to(&r).then_some(Type::Bool),
            BinaryOp::Or | BinaryOp::And => {
                let both = l == Type::Bool && r == Type::Bool;
                (both || l.maybe_compatible(&r, &[Check::Bool])).then_some(Type::Bool)
            }
            BinaryOp::Less | BinaryOp::More | BinaryOp::MoreOrEqual | BinaryOp::LessOrEqual => ordered(&l, &r),
            BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply => arithmetic(op, &l, &r),
            BinaryOp::Divide | BinaryOp::Power => {
                let both = l.is_number() && r.is_number();
                (both || l.maybe_compatible(&r, &[Check::Number])).then_some(Type::Float)
            }
            BinaryOp::Modulo => integers(&l, &r).then_some(Type::Int),
            BinaryOp::Range => integers(&l, &r).then(|| Type::Int.list_of()),
            BinaryOp::Matches | BinaryOp::Contains | BinaryOp::StartsWith | BinaryOp::EndsWith => {
                let both = l == Type::Text && r == Type::Text;
                (both || l.maybe_compatible(&r, &[Check::Text])).then_some(Type::Bool)
            }
            BinaryOp::In => return contained(node, &l, &r),
            BinaryOp::Coalesce => Some(match (&l, &r) {
                (Type::Nil, _) => r.clone(),
                (_, Type::Nil) => l.clone(),
                _ if r.assignable_to(&l) => l.clone(),
                _ => Type::Unknown,
            }),
        };
        found.ok_or_else(|| mismatch(node, op, &l, &r))
    }

    fn member(&mut self, node: &'a Node, of: &'a Node, key: &'a Node) -> Result<Type, Fault> {
        let base = self.visit(of)?;
        let property = self.visit(key)?;
        let field = if let Kind::Text(name) = &key.kind { Some(name.as_ref()) } else { None };
        match &base {
            Type::Unknown | Type::Any => Ok(Type::Unknown),
            Type::Dict(kind) if property.assignable_to(&Type::key(*kind)) || property.is_unknown() => {
                Ok(base.element())
            }
            Type::Dict(_) => Err(Fault::typed(key.at, format!("cannot use {property} to get an element from {base}"))),
            Type::List(..) if property.is_integer() || property.is_unknown() => Ok(base.element()),
            Type::List(..) => Err(Fault::typed(
                key.at,
                format!("array elements can only be selected using an integer (got {property})"),
            )),
            Type::Nil
            | Type::Bool
            | Type::Int
            | Type::Int64
            | Type::Float
            | Type::Text
            | Type::Time
            | Type::Duration
            | Type::Zone => Err(Fault::typed(
                node.at,
                match field {
                    Some(name) => format!("type {base} has no field {name}"),
                    None => format!("type {base}[{property}] is undefined"),
                },
            )),
        }
    }

    fn slice(
        &mut self,
        node: &'a Node,
        of: &'a Node,
        from: Option<&'a Node>,
        to: Option<&'a Node>,
    ) -> Result<Type, Fault> {
        let sliced = self.visit(of)?;
        if !(sliced.is_unknown() || sliced.is_list() || sliced == Type::Text) {
            return Err(Fault::typed(node.at, format!("cannot slice {sliced}")));
        }
        for bound in [from, to].into_iter().flatten() {
            let found = self.visit(bound)?;
            // The bounds of a slice of something unknown are left to the evaluation.
            if !sliced.is_unknown() && !found.is_integer() && !found.is_unknown() {
                return Err(Fault::typed(bound.at, format!("non-integer slice index {found}")));
            }
        }
        Ok(if sliced.is_unknown() { Type::Unknown } else { sliced })
    }

    fn call(&mut self, node: &'a Node, callee: &'a Node, arguments: &'a [Arc<Node>]) -> Result<Type, Fault> {
        match &callee.kind {
            Kind::Member { of, key, .. } => {
                let base = self.visit(of)?;
                let arguments = arguments.iter().map(|node| self.visit(node)).collect::<Result<Vec<_>, _>>()?;
                if let Kind::Text(name) = &key.kind
                    && matches!(base, Type::Time | Type::Duration)
                {
                    return methods::result(&base, name, &arguments).map_err(|message| Fault::typed(node.at, message));
                }
                let callee = self.visit(callee)?;
                if callee.is_unknown() { Ok(Type::Unknown) } else { Err(not_callable(node, &callee)) }
            }
            Kind::Name(name) if !self.variables.iter().any(|(known, _)| known == name) => {
                self.function(node, name, arguments)
            }
            _ => {
                let callee = self.visit(callee)?;
                Err(not_callable(node, &callee))
            }
        }
    }

    fn variable(&mut self, node: &'a Node, name: &'a str, value: &'a Node, body: &'a Node) -> Result<Type, Fault> {
        if is_reserved(name) {
            return Err(Fault::typed(node.at, format!("cannot redeclare {name}")));
        }
        if self.variables.iter().any(|(known, _)| *known == name) {
            return Err(Fault::typed(node.at, format!("cannot redeclare variable {name}")));
        }
        let value = self.visit(value)?;
        self.variables.push((name, value));
        let body = self.visit(body);
        self.variables.pop();
        body
    }

    fn conditional(&mut self, condition: &'a Node, yes: &'a Node, no: &'a Node) -> Result<Type, Fault> {
        let found = self.visit(condition)?;
        if found != Type::Bool && !found.is_unknown() {
            let message = format!("non-bool expression (type {found}) used as condition");
            return Err(Fault::typed(condition.at, message));
        }
        let yes = self.visit(yes)?;
        let no = self.visit(no)?;
        Ok(match (&yes, &no) {
            (Type::Nil, _) => no,
            (_, Type::Nil) => yes,
            _ if !yes.assignable_to(&no) => Type::Unknown,
            (Type::List(..), Type::List(..)) => {
                let (a, b) = (yes.element(), no.element());
                if a.assignable_to(&b) && b.assignable_to(&a) { yes } else { Type::any_list() }
            }
            _ => yes,
        })
    }

    fn array(&mut self, nodes: &'a [Arc<Node>]) -> Result<Type, Fault> {
        let mut last = Type::Unknown;
        let mut same = true;
        for (position, node) in nodes.iter().enumerate() {
            let found = self.visit(node)?;
            same &= position == 0 || std::mem::discriminant(&found) == std::mem::discriminant(&last);
            last = found;
        }
        Ok(if same { last.list_of() } else { Type::any_list() })
    }
}

fn integers(l: &Type, r: &Type) -> bool {
    l.is_integer() && r.is_integer() || l.maybe_compatible(r, &[Check::Integer])
}

fn ordered(l: &Type, r: &Type) -> Option<Type> {
    let same = matches!((l, r), (Type::Text, Type::Text) | (Type::Time, Type::Time) | (Type::Duration, Type::Duration));
    let checks = [Check::Number, Check::Text, Check::Time, Check::Duration];
    (same || l.is_number() && r.is_number() || l.maybe_compatible(r, &checks)).then_some(Type::Bool)
}

fn arithmetic(op: BinaryOp, l: &Type, r: &Type) -> Option<Type> {
    use BinaryOp::{Add, Multiply, Subtract};
    if l.is_number() && r.is_number() {
        return Some(l.promoted(r));
    }
    let checks: &[Check] = match op {
        Add => &[Check::Number, Check::Text, Check::Time, Check::Duration],
        Subtract => &[Check::Number, Check::Time, Check::Duration],
        _ => &[Check::Number, Check::Duration],
    };
    match (op, l, r) {
        (Add, Type::Text, Type::Text) => Some(Type::Text),
        (Add, Type::Time, Type::Duration) | (Add, Type::Duration, Type::Time) => Some(Type::Time),
        (Subtract, Type::Time, Type::Time) => Some(Type::Duration),
        (Subtract, Type::Time, Type::Duration) => Some(Type::Time),
        (_, Type::Duration, Type::Duration) => Some(Type::Duration),
        (Multiply, Type::Duration, _) if r.is_number() => Some(Type::Duration),
        (Multiply, _, Type::Duration) if l.is_number() => Some(Type::Duration),
        _ => l.maybe_compatible(r, checks).then_some(Type::Unknown),
    }
}

/// `left in right`
fn contained(node: &Node, l: &Type, r: &Type) -> Result<Type, Fault> {
    match r {
        Type::Dict(kind) => {
            let key = Type::key(*kind);
            if l.is_unknown() || l.assignable_to(&key) {
                return Ok(Type::Bool);
            }
            Err(Fault::typed(node.at, format!("cannot use {l} as type {key} in map key")))
        }
        Type::List(..) => {
            let element = r.element();
            if l.comparable_to(&element) {
                return Ok(Type::Bool);
            }
            Err(Fault::typed(node.at, format!("cannot use {l} as type {element} in array")))
        }
        Type::Unknown | Type::Any => Ok(Type::Bool),
        Type::Text if l.is_unknown() => Ok(Type::Bool),
        Type::Time if l.is_unknown() || *l == Type::Text => Ok(Type::Bool),
        _ => Err(mismatch(node, BinaryOp::In, l, r)),
    }
}

fn mismatch(node: &Node, op: BinaryOp, l: &Type, r: &Type) -> Fault {
    Fault::typed(node.at, format!("invalid operation: {} (mismatched types {l} and {r})", op.text()))
}

fn not_callable(node: &Node, callee: &Type) -> Fault {
    Fault::typed(node.at, format!("{callee} is not callable"))
}
