//! Parses expressions: operators, their precedence, `let`, `if`, `?:`.

use std::sync::Arc;

use super::ast::{BinaryOp, Kind, Node, UnaryOp};
use super::build::Builder;
use super::error::Fault;
use super::lexer::{Spanned, Token, tokens};
use super::limits::{NESTING_MAX, SOURCE_BYTES_MAX};

/// What parsing yields.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) root: Arc<Node>,
    /// Number of ids given to nodes.
    pub(super) nodes: u32,
    /// True if the expression calls one of the functions that look at absence.
    pub(super) handles_absence: bool,
}

/// Parses a whole expression.
pub(super) fn parse(source: &str) -> Result<Parsed, Fault> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(Fault::limit(0, format!("the expression is longer than {SOURCE_BYTES_MAX} bytes")));
    }
    let mut parser = Parser {
        tokens: tokens(source)?,
        next: 0,
        predicates: 0,
        nesting: 0,
        build: Builder::default(),
        handles_absence: false,
    };
    let root = parser.sequence()?;
    if *parser.token() != Token::End {
        return Err(parser.unexpected());
    }
    Ok(Parsed { root, nodes: parser.build.count(), handles_absence: parser.handles_absence })
}

pub(super) struct Parser {
    tokens: Vec<Spanned>,
    next: usize,
    /// Predicates around the current position: `#` and a leading dot are allowed inside one only.
    pub(super) predicates: u32,
    nesting: u16,
    pub(super) build: Builder,
    pub(super) handles_absence: bool,
}

/// What [`Parser::operator_after`] saw.
enum Operator {
    Pipe,
    Binary { op: BinaryOp, negated: bool },
}

impl Parser {
    /// Expressions separated by `;`.
    pub(super) fn sequence(&mut self) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        let first = self.expression(0)?;
        if self.is(";") { self.rest_of_sequence(at, first) } else { Ok(first) }
    }

    fn rest_of_sequence(&mut self, at: u32, first: Arc<Node>) -> Result<Arc<Node>, Fault> {
        let mut nodes = vec![first];
        while self.is(";") {
            self.advance();
            if *self.token() == Token::End {
                break;
            }
            nodes.push(self.expression(0)?);
        }
        // A last semicolon makes no sequence.
        match nodes.pop() {
            Some(only) if nodes.is_empty() => Ok(only),
            Some(last) => {
                nodes.push(last);
                self.build.node(at, Kind::Sequence(nodes))
            }
            None => Err(self.unexpected()),
        }
    }

    /// An expression whose operators all bind at least as tightly as `precedence`.
    pub(super) fn expression(&mut self, precedence: u16) -> Result<Arc<Node>, Fault> {
        if self.nesting == NESTING_MAX {
            return Err(Fault::limit(self.at(), format!("the expression is nested deeper than {NESTING_MAX} levels")));
        }
        self.nesting += 1;
        let node = match () {
            () if precedence == 0 && self.is("let") => self.variable(),
            () if precedence == 0 && self.is("if") => self.if_else(),
            () => self.operators(precedence),
        };
        self.nesting -= 1;
        node
    }

    fn operators(&mut self, precedence: u16) -> Result<Arc<Node>, Fault> {
        let mut left = self.primary()?;
        let mut coalesced = false;
        while let Some(operator) = self.operator_after(precedence)? {
            let at = self.at();
            self.advance();
            match operator {
                Operator::Pipe => {
                    left = self.pipe(left)?;
                    coalesced = false;
                }
                Operator::Binary { op, .. } if coalesced && op != BinaryOp::Coalesce => {
                    return Err(Fault::parse(
                        at,
                        format!(
                            "operator ({}) and coalesce expressions (??) cannot be mixed; wrap either in parentheses",
                            op.text()
                        ),
                    ));
                }
                Operator::Binary { op, .. } if is_comparison(op) => {
                    left = self.comparison(left, op, at)?;
                    coalesced = false;
                }
                Operator::Binary { op, negated } => {
                    left = self.combined(left, op, at)?;
                    if negated {
                        left = self.build.node(at, Kind::Unary(UnaryOp::Not, left))?;
                    }
                    coalesced = op == BinaryOp::Coalesce;
                }
            }
        }
        if precedence == 0 { self.ternary(left) } else { Ok(left) }
    }

    fn combined(&mut self, left: Arc<Node>, op: BinaryOp, at: u32) -> Result<Arc<Node>, Fault> {
        // `**` alone groups to the right.
        let tighter = u16::from(op != BinaryOp::Power);
        let right = self.expression(precedence_of(op) + tighter)?;
        self.build.binary(at, op, left, right)
    }

    /// The operator at the current token if it binds tightly enough. For `not in` and its like, `not` is consumed.
    fn operator_after(&mut self, precedence: u16) -> Result<Option<Operator>, Fault> {
        let Token::Symbol(symbol) = self.token() else { return Ok(None) };
        if symbol == "|" {
            return Ok((precedence == 0).then_some(Operator::Pipe));
        }
        let negated = symbol == "not";
        let ahead = usize::from(negated);
        let Some(Token::Symbol(symbol)) = self.tokens.get(self.next + ahead).map(|spanned| &spanned.token) else {
            return if negated { Err(self.unexpected_at(self.next + 1)) } else { Ok(None) };
        };
        if negated && !matches!(symbol.as_str(), "in" | "matches" | "contains" | "startsWith" | "endsWith") {
            return Err(self.unexpected_at(self.next + 1));
        }
        match binary_op(symbol) {
            Some(op) if precedence_of(op) >= precedence => {
                self.next += ahead;
                Ok(Some(Operator::Binary { op, negated }))
            }
            Some(_) | None => Ok(None),
        }
    }

    fn pipe(&mut self, left: Arc<Node>) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        let Token::Identifier(name) = self.token().clone() else { return Err(self.unexpected()) };
        self.advance();
        self.call(&name, at, vec![left])
    }

    /// `a < b < c` compares each neighbour: `a < b && b < c`, with one node for both `b`.
    fn comparison(&mut self, left: Arc<Node>, op: BinaryOp, at: u32) -> Result<Arc<Node>, Fault> {
        let (mut left, mut op, mut at) = (left, op, at);
        let mut root: Option<Arc<Node>> = None;
        loop {
            let right = self.expression(precedence_of(op) + 1)?;
            let compared = self.build.binary(at, op, left, right.clone())?;
            let so_far = match root {
                None => compared,
                Some(before) => self.build.binary(at, BinaryOp::And, before, compared)?,
            };
            let Token::Symbol(symbol) = self.token() else { return Ok(so_far) };
            let Some(next) = binary_op(symbol).filter(|op| is_comparison(*op)) else { return Ok(so_far) };
            (root, left, op, at) = (Some(so_far), right, next, self.at());
            self.advance();
        }
    }

    /// `let name = value; body`
    fn variable(&mut self) -> Result<Arc<Node>, Fault> {
        self.advance();
        let at = self.at();
        let Token::Identifier(name) = self.token().clone() else { return Err(self.unexpected()) };
        self.advance();
        self.expect("=")?;
        let value = self.expression(0)?;
        self.expect(";")?;
        let body = self.sequence()?;
        self.build.node(at, Kind::Let { name, value, body })
    }

    /// `if a { b } else { c }`, where `else` may be followed by another `if`.
    fn if_else(&mut self) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        self.advance();
        let condition = self.expression(0)?;
        self.expect("{")?;
        let yes = self.sequence()?;
        self.expect("}")?;
        self.expect("else")?;
        let no = if self.is("if") {
            self.expression(0)?
        } else {
            self.expect("{")?;
            let no = self.sequence()?;
            self.expect("}")?;
            no
        };
        self.build.node(at, Kind::Conditional { condition, yes, no })
    }

    /// `a ? b : c`, and `a ?: c`, which is `a ? a : c`.
    fn ternary(&mut self, condition: Arc<Node>) -> Result<Arc<Node>, Fault> {
        let mut node = condition;
        while self.is("?") {
            let at = self.at();
            self.advance();
            let condition = node;
            let yes = if self.is(":") { condition.clone() } else { self.expression(0)? };
            self.expect(":")?;
            let no = self.expression(0)?;
            node = self.build.node(at, Kind::Conditional { condition, yes, no })?;
        }
        Ok(node)
    }

    pub(super) fn token(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |spanned| &spanned.token)
    }

    pub(super) fn at(&self) -> u32 {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(0, |spanned| spanned.at)
    }

    pub(super) fn advance(&mut self) {
        self.next = (self.next + 1).min(self.tokens.len());
    }

    pub(super) fn is(&self, symbol: &str) -> bool {
        matches!(self.token(), Token::Symbol(text) if text == symbol)
    }

    pub(super) fn expect(&mut self, symbol: &str) -> Result<(), Fault> {
        if !self.is(symbol) {
            return Err(self.unexpected());
        }
        self.advance();
        Ok(())
    }

    pub(super) fn unexpected(&self) -> Fault {
        self.unexpected_at(self.next)
    }

    fn unexpected_at(&self, index: usize) -> Fault {
        let spanned = self.tokens.get(index).or(self.tokens.last());
        let what = match spanned.map_or(&Token::End, |spanned| &spanned.token) {
            Token::End => "end of the expression".to_owned(),
            Token::Identifier(name) => format!("name {name}"),
            Token::Number(digits) => format!("number {digits}"),
            Token::Text(text) => format!("string {text:?}"),
            Token::Symbol(symbol) => format!("token {symbol}"),
        };
        Fault::parse(spanned.map_or(0, |spanned| spanned.at), format!("unexpected {what}"))
    }
}

fn binary_op(symbol: &str) -> Option<BinaryOp> {
    Some(match symbol {
        "or" | "||" => BinaryOp::Or,
        "and" | "&&" => BinaryOp::And,
        "==" => BinaryOp::Equal,
        "!=" => BinaryOp::NotEqual,
        "<" => BinaryOp::Less,
        ">" => BinaryOp::More,
        ">=" => BinaryOp::MoreOrEqual,
        "<=" => BinaryOp::LessOrEqual,
        "in" => BinaryOp::In,
        "matches" => BinaryOp::Matches,
        "contains" => BinaryOp::Contains,
        "startsWith" => BinaryOp::StartsWith,
        "endsWith" => BinaryOp::EndsWith,
        ".." => BinaryOp::Range,
        "+" => BinaryOp::Add,
        "-" => BinaryOp::Subtract,
        "*" => BinaryOp::Multiply,
        "/" => BinaryOp::Divide,
        "%" => BinaryOp::Modulo,
        "**" | "^" => BinaryOp::Power,
        "??" => BinaryOp::Coalesce,
        _ => return None,
    })
}

fn is_comparison(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Less | BinaryOp::More | BinaryOp::LessOrEqual | BinaryOp::MoreOrEqual)
}

fn precedence_of(op: BinaryOp) -> u16 {
    match op {
        BinaryOp::Or => 10,
        BinaryOp::And => 15,
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Less
        | BinaryOp::More
        | BinaryOp::MoreOrEqual
        | BinaryOp::LessOrEqual
        | BinaryOp::In
        | BinaryOp::Matches
        | BinaryOp::Contains
        | BinaryOp::StartsWith
        | BinaryOp::EndsWith => 20,
        BinaryOp::Range => 25,
        BinaryOp::Add | BinaryOp::Subtract => 30,
        BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => 60,
        BinaryOp::Power => 100,
        BinaryOp::Coalesce => 500,
    }
}
