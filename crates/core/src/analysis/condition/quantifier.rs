//! `all(x, p) && all(x, q)` and its like run as one loop.
//!
//! The reference implementation does so, and it shows: the combined loop meets the elements in another order, hence
//! other errors. Without it a condition could be true where the reference implementation reports an error.

use super::ast::{BinaryOp, Kind, Node, with_predicate};
use super::eval::{Machine, Step, at, elements};

/// Quantifiers over one list, with the predicates in the order of the text.
pub(super) struct Quantifier<'a> {
    name: &'static str,
    list: &'a Node,
    bodies: Vec<&'a Node>,
}

impl<'a> Quantifier<'a> {
    /// The combination that a `&&` or `||` amounts to, if it is one.
    pub(super) fn of(node: &'a Node) -> Option<Self> {
        let Kind::Binary(op, left, right) = &node.kind else { return None };
        let (left, right) = (Self::operand(left)?, Self::operand(right)?);
        let fits = match op {
            BinaryOp::And => matches!(left.name, "all" | "none"),
            BinaryOp::Or => left.name == "any",
            _ => false,
        };
        if !fits || left.name != right.name || !left.list.same(right.list) {
            return None;
        }
        let bodies = left.bodies.into_iter().chain(right.bodies).collect();
        Some(Self { name: left.name, list: left.list, bodies })
    }

    fn operand(node: &'a Node) -> Option<Self> {
        match &node.kind {
            Kind::Builtin { name: name @ ("all" | "any" | "none"), arguments } => {
                with_predicate(arguments).map(|(over, body)| Self { name, list: over.list, bodies: vec![body] })
            }
            Kind::Binary(BinaryOp::And | BinaryOp::Or, _, _) => Self::of(node),
            _ => None,
        }
    }
}

impl<'a> Machine<'a> {
    /// Runs the combined loop.
    pub(super) fn quantify(&mut self, quantifier: &Quantifier<'a>) -> Step<bool> {
        let list = self.eval(quantifier.list)?;
        let list = at(quantifier.list, elements(&list))?;
        // `all` ends at the first body that is false, the two others at the first one that is true.
        let decides = quantifier.name != "all";
        for (index, item) in list.items.iter().enumerate() {
            for body in &quantifier.bodies {
                if self.round(item.clone(), index, |machine| machine.truth(body))? == decides {
                    return Ok(quantifier.name == "any");
                }
            }
        }
        Ok(quantifier.name != "any")
    }
}
