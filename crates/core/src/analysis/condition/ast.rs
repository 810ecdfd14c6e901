//! The syntax tree of a condition.

use std::sync::Arc;

use regex::Regex;

/// One node. `id` indexes the table of static types, `at` is a character offset for errors.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: u32,
    pub(super) at: u32,
    /// 1 for a leaf, one more than the deepest child otherwise.
    pub(super) depth: u16,
    /// What the node always evaluates to, where that is plain from the literals in it.
    pub(super) constant: Constant,
    pub(super) kind: Kind,
}

/// The literal that a node folds to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Constant {
    No,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Kind {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    /// A variable, or the environment's `result`.
    Name(String),
    /// `#`, `#acc`, `#index`; the name is empty for `#`.
    Pointer(String),
    Unary(UnaryOp, Arc<Node>),
    Binary(BinaryOp, Arc<Node>, Arc<Node>),
    /// `left matches "literal"`, with the literal already compiled.
    Matches(Arc<Node>, Box<Regex>),
    Member {
        of: Arc<Node>,
        key: Arc<Node>,
        optional: bool,
    },
    /// The extent that a `?.` on a nil value skips.
    Chain(Arc<Node>),
    Slice {
        of: Arc<Node>,
        from: Option<Arc<Node>>,
        to: Option<Arc<Node>>,
    },
    /// A call of anything that is not a builtin.
    Call {
        callee: Arc<Node>,
        arguments: Vec<Arc<Node>>,
    },
    Builtin {
        name: &'static str,
        arguments: Vec<Arc<Node>>,
    },
    /// The second argument of `all`, `map` and their like.
    Predicate(Arc<Node>),
    Let {
        name: String,
        value: Arc<Node>,
        body: Arc<Node>,
    },
    Sequence(Vec<Arc<Node>>),
    Conditional {
        condition: Arc<Node>,
        yes: Arc<Node>,
        no: Arc<Node>,
    },
    Array(Vec<Arc<Node>>),
    Map(Vec<(Arc<Node>, Arc<Node>)>),
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnaryOp {
    Not,
    Plus,
    Minus,
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    More,
    MoreOrEqual,
    LessOrEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Coalesce,
}

impl BinaryOp {
    /// The operator as the reference implementation spells it in messages.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::More => ">",
            Self::MoreOrEqual => ">=",
            Self::LessOrEqual => "<=",
            Self::In => "in",
            Self::Matches => "matches",
            Self::Contains => "contains",
            Self::StartsWith => "startsWith",
            Self::EndsWith => "endsWith",
            Self::Range => "..",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::Coalesce => "??",
        }
    }
}

impl Node {
    /// True if both trees have the same shape and literals, wherever they stand in the text.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Nil, Kind::Nil) => true,
            (Kind::Bool(a), Kind::Bool(b)) => a == b,
            (Kind::Int(a), Kind::Int(b)) => a == b,
            (Kind::Text(a), Kind::Text(b)) => a == b,
            (Kind::Name(a), Kind::Name(b)) | (Kind::Pointer(a), Kind::Pointer(b)) => a == b,
            (Kind::Float(a), Kind::Float(b)) => a == b,
            (Kind::Matches(a, x), Kind::Matches(b, y)) => a.same(b) && x.as_str() == y.as_str(),
            (Kind::Conditional { condition: a, yes: b, no: c }, Kind::Conditional { condition: x, yes: y, no: z }) => {
                a.same(x) && b.same(y) && c.same(z)
            }
            (Kind::Let { name: a, .. }, Kind::Let { name: b, .. }) if a != b => false,
            (Kind::Builtin { name: a, .. }, Kind::Builtin { name: b, .. }) if a != b => false,
            (Kind::Unary(a, _), Kind::Unary(b, _)) if a != b => false,
            (Kind::Binary(a, _, _), Kind::Binary(b, _, _)) if a != b => false,
            (Kind::Member { optional: a, .. }, Kind::Member { optional: b, .. }) if a != b => false,
            (Kind::Slice { from: a, .. }, Kind::Slice { from: b, .. }) if a.is_some() != b.is_some() => false,
            (a, b) => {
                let (x, y) = (children(a), children(b));
                std::mem::discriminant(a) == std::mem::discriminant(b)
                    && !x.is_empty()
                    && x.len() == y.len()
                    && x.iter().zip(&y).all(|(x, y)| x.same(y))
            }
        }
    }
}

/// The nodes directly below a node, in the order of the text.
pub(super) fn children(kind: &Kind) -> Vec<&Node> {
    match kind {
        Kind::Nil
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Text(_)
        | Kind::Name(_)
        | Kind::Pointer(_) => Vec::new(),
        Kind::Unary(_, of) | Kind::Chain(of) | Kind::Predicate(of) | Kind::Matches(of, _) => vec![of],
        Kind::Binary(_, left, right) => vec![left, right],
        Kind::Member { of, key, .. } => vec![of, key],
        Kind::Slice { of, from, to } => std::iter::once(of).chain(from).chain(to).map(AsRef::as_ref).collect(),
        Kind::Call { callee, arguments } => std::iter::once(callee).chain(arguments).map(AsRef::as_ref).collect(),
        Kind::Builtin { arguments, .. } => arguments.iter().map(AsRef::as_ref).collect(),
        Kind::Let { value, body, .. } => vec![value, body],
        Kind::Sequence(nodes) | Kind::Array(nodes) => nodes.iter().map(AsRef::as_ref).collect(),
        Kind::Conditional { condition, yes, no } => vec![condition, yes, no],
        Kind::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key.as_ref(), value.as_ref()]).collect(),
    }
}

/// The arguments of a function that runs over a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loop<'a> {
    pub(super) list: &'a Node,
    /// The body of the predicate; `sum` and `count` can do without one.
    pub(super) body: Option<&'a Node>,
    /// The order of `sortBy`, the initial value of `reduce`.
    pub(super) more: Option<&'a Node>,
}

/// The list and the body of the predicate, and the argument after it, if these are the arguments of a call with a
/// predicate.
pub(super) fn with_predicate(arguments: &[Arc<Node>]) -> Option<(Loop<'_>, &Node)> {
    let [list, predicate, more @ ..] = arguments else { return None };
    let Kind::Predicate(body) = &predicate.kind else { return None };
    Some((Loop { list, body: Some(body), more: more.first().map(AsRef::as_ref) }, body))
}
