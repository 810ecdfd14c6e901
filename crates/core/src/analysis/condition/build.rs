//! Makes the nodes of the syntax tree: counts them, bounds their depth and folds literals.

use std::sync::Arc;

use super::ast::{BinaryOp, Constant, Kind, Node, UnaryOp, children};
use super::error::Fault;
use super::limits::{DEPTH_MAX, NODES_MAX, PATTERNS_MAX};
use super::pattern::compile;

/// Hands out node ids.
#[derive(Debug, Default)]
pub(super) struct Builder {
    count: u32,
    patterns: u32,
}

impl Builder {
    /// Nodes made so far.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// A node of this kind at a character offset.
    pub(super) fn node(&mut self, at: u32, kind: Kind) -> Result<Arc<Node>, Fault> {
        if self.count == NODES_MAX {
            return Err(Fault::limit(at, format!("the expression has more than {NODES_MAX} nodes")));
        }
        let depth = children(&kind).iter().map(|child| child.depth).max().unwrap_or(0) + 1;
        if depth > DEPTH_MAX {
            return Err(Fault::limit(at, format!("the expression is deeper than {DEPTH_MAX} levels")));
        }
        let id = self.count;
        self.count += 1;
        let constant = fold(&kind).map_err(|message| Fault::typed(at, message))?;
        Ok(Arc::new(Node { id, at, depth, constant, kind }))
    }

    /// An operator with two operands. A literal pattern of `matches` is compiled here.
    pub(super) fn binary(
        &mut self,
        at: u32,
        op: BinaryOp,
        left: Arc<Node>,
        right: Arc<Node>,
    ) -> Result<Arc<Node>, Fault> {
        if op == BinaryOp::Matches
            && let Kind::Text(pattern) = &right.kind
        {
            if self.patterns == PATTERNS_MAX {
                return Err(Fault::limit(at, format!("the expression has more than {PATTERNS_MAX} patterns")));
            }
            self.patterns += 1;
            let pattern = compile(pattern).map_err(|message| Fault::typed(right.at, message))?;
            return self.node(at, Kind::Matches(left, Box::new(pattern)));
        }
        self.node(at, Kind::Binary(op, left, right))
    }
}

/// What a node of literals evaluates to. The reference implementation folds the same way before it evaluates, which
/// shows: `x && false` never evaluates `x`, and a literal division by zero is an error even in a branch not taken.
fn fold(kind: &Kind) -> Result<Constant, String> {
    Ok(match kind {
        Kind::Bool(value) => Constant::Bool(*value),
        Kind::Int(value) => Constant::Int(*value),
        Kind::Text(text) => Constant::Text(text.clone()),
        Kind::Float(value) => Constant::Float(*value),
        Kind::Unary(op, of) => match (op, &of.constant) {
            (UnaryOp::Minus, Constant::Int(value)) => Constant::Int(value.wrapping_neg()),
            (UnaryOp::Minus, Constant::Float(value)) => Constant::Float(-value),
            (UnaryOp::Plus, Constant::Int(_) | Constant::Float(_)) => of.constant.clone(),
            (UnaryOp::Not, Constant::Bool(value)) => Constant::Bool(!value),
            (UnaryOp::Minus | UnaryOp::Plus | UnaryOp::Not, _) => Constant::No,
        },
        Kind::Binary(BinaryOp::And, left, right) => decided(&left.constant, &right.constant, false),
        Kind::Binary(BinaryOp::Or, left, right) => decided(&left.constant, &right.constant, true),
        Kind::Binary(op, left, right) => folded(*op, &left.constant, &right.constant)?,
        Kind::Nil
        | Kind::Name(_)
        | Kind::Pointer(_)
        | Kind::Matches(..)
        | Kind::Member { .. }
        | Kind::Chain(_)
        | Kind::Slice { .. }
        | Kind::Call { .. }
        | Kind::Builtin { .. }
        | Kind::Predicate(_)
        | Kind::Let { .. }
        | Kind::Sequence(_)
        | Kind::Conditional { .. }
        | Kind::Array(_)
        | Kind::Map(_) => Constant::No,
    })
}

/// `&&` and `||` with a literal operand: one that equals `absorbing` decides, two others give the neutral value.
fn decided(left: &Constant, right: &Constant, absorbing: bool) -> Constant {
    if *left == Constant::Bool(absorbing) || *right == Constant::Bool(absorbing) {
        Constant::Bool(absorbing)
    } else if *left == Constant::Bool(!absorbing) && *right == Constant::Bool(!absorbing) {
        Constant::Bool(!absorbing)
    } else {
        Constant::No
    }
}

/// An operator with two literal operands. A part of what can be folded: where it makes no difference, it is left out.
fn folded(op: BinaryOp, left: &Constant, right: &Constant) -> Result<Constant, String> {
    use Constant::{Bool, Float, Int, No, Text};
    if let (Int(a), Int(b)) = (left, right) {
        return Ok(match op {
            BinaryOp::Add => Int(a.wrapping_add(*b)),
            BinaryOp::Subtract => Int(a.wrapping_sub(*b)),
            BinaryOp::Multiply => Int(a.wrapping_mul(*b)),
            BinaryOp::Divide => Float(*a as f64 / *b as f64),
            BinaryOp::Power => Float((*a as f64).powf(*b as f64)),
            BinaryOp::Modulo if *b == 0 => return Err("integer divide by zero".to_owned()),
            BinaryOp::Modulo => Int(a.wrapping_rem(*b)),
            BinaryOp::Equal => Bool(a == b),
            _ => No,
        });
    }
    Ok(match (op, left, right) {
        (BinaryOp::Add, Text(a), Text(b)) => Text([&**a, &**b].concat().into()),
        (BinaryOp::Equal, Text(a), Text(b)) => Bool(a == b),
        (BinaryOp::Equal, Bool(a), Bool(b)) => Bool(a == b),
        (op, Int(_) | Float(_), Int(_) | Float(_)) => {
            let float = |constant: &Constant| match constant {
                Int(value) => *value as f64,
                Float(value) => *value,
                No | Bool(_) | Text(_) => f64::NAN,
            };
            let (a, b) = (float(left), float(right));
            match op {
                BinaryOp::Add => Float(a + b),
                BinaryOp::Subtract => Float(a - b),
                BinaryOp::Multiply => Float(a * b),
                BinaryOp::Divide => Float(a / b),
                BinaryOp::Power => Float(a.powf(b)),
                _ => No,
            }
        }
        _ => No,
    })
}
