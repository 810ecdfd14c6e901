//! Parses operands: literals, names, calls, predicates, and what may follow an operand (`.field`, `[index]`, `[a:b]`).

use std::sync::Arc;

use super::ast::{Kind, Node, UnaryOp};
use super::error::Fault;
use super::lexer::{Token, is_alphabetic};
use super::names::{builtin, predicate_arguments, watches_absence};
use super::parser::Parser;

impl Parser {
    /// An operand with its unary operators and postfixes. Each sort of operand has a function of its own, which keeps
    /// the frames of the recursion small.
    pub(super) fn primary(&mut self) -> Result<Arc<Node>, Fault> {
        if let Some((op, precedence)) = self.unary_op() {
            return self.unary(op, precedence);
        }
        if self.is("(") {
            return self.parenthesized();
        }
        if self.predicates > 0 && (self.is("#") || self.is(".")) {
            return self.pointer();
        }
        if self.is("::") {
            return self.global_call();
        }
        self.literal()
    }

    fn unary(&mut self, op: UnaryOp, precedence: u16) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        self.advance();
        let of = self.expression(precedence)?;
        let node = self.build.node(at, Kind::Unary(op, of))?;
        self.postfix(node)
    }

    fn parenthesized(&mut self) -> Result<Arc<Node>, Fault> {
        self.advance();
        let node = self.sequence()?;
        self.expect(")")?;
        self.postfix(node)
    }

    /// `::name(…)`, the call of a builtin whatever the environment says.
    fn global_call(&mut self) -> Result<Arc<Node>, Fault> {
        self.advance();
        let at = self.at();
        let Token::Identifier(name) = self.token().clone() else { return Err(self.unexpected()) };
        self.advance();
        let node = self.call(&name, at, Vec::new())?;
        self.postfix(node)
    }

    fn unary_op(&self) -> Option<(UnaryOp, u16)> {
        let Token::Symbol(symbol) = self.token() else { return None };
        match symbol.as_str() {
            "not" | "!" => Some((UnaryOp::Not, 50)),
            "-" => Some((UnaryOp::Minus, 90)),
            "+" => Some((UnaryOp::Plus, 90)),
            _ => None,
        }
    }

    /// `#`, `#name`, or nothing before a leading dot.
    fn pointer(&mut self) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        let mut name = String::new();
        if self.is("#") {
            self.advance();
            if let Token::Identifier(word) = self.token().clone() {
                name = word;
                self.advance();
            }
        }
        let node = self.build.node(at, Kind::Pointer(name))?;
        self.postfix(node)
    }

    fn literal(&mut self) -> Result<Arc<Node>, Fault> {
        let node = match self.token() {
            Token::Identifier(_) => return self.identifier(),
            Token::Number(_) => return self.number(),
            Token::Text(text) => Kind::Text(Arc::from(text.as_str())),
            Token::Symbol(symbol) if symbol == "[" => return self.array(),
            Token::Symbol(symbol) if symbol == "{" => return self.map(),
            Token::Symbol(_) | Token::End => return Err(self.unexpected()),
        };
        let at = self.at();
        self.advance();
        let node = self.build.node(at, node)?;
        self.postfix(node)
    }

    /// A name or a call. `true`, `false` and `nil` take no postfix.
    fn identifier(&mut self) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        let Token::Identifier(name) = self.token().clone() else { return Err(self.unexpected()) };
        self.advance();
        let node = match name.as_str() {
            "true" => return self.build.node(at, Kind::Bool(true)),
            "false" => return self.build.node(at, Kind::Bool(false)),
            "nil" => return self.build.node(at, Kind::Nil),
            _ if self.is("(") => self.call(&name, at, Vec::new())?,
            _ => self.build.node(at, Kind::Name(name))?,
        };
        self.postfix(node)
    }

    /// A number, which takes no postfix either.
    fn number(&mut self) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        let Token::Number(digits) = self.token() else { return Err(self.unexpected()) };
        let kind = number(digits).map_err(|message| Fault::parse(at, message))?;
        self.advance();
        self.build.node(at, kind)
    }

    fn array(&mut self) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        self.advance();
        let nodes = self.list("]", Vec::new())?;
        let node = self.build.node(at, Kind::Array(nodes))?;
        self.postfix(node)
    }

    /// Expressions separated by commas, a last comma included, up to and with `close`.
    fn list(&mut self, close: &str, before: Vec<Arc<Node>>) -> Result<Vec<Arc<Node>>, Fault> {
        let mut nodes = before;
        let mut first = true;
        while !self.is(close) {
            if !first {
                self.expect(",")?;
                if self.is(close) {
                    break;
                }
            }
            nodes.push(self.expression(0)?);
            first = false;
        }
        self.advance();
        Ok(nodes)
    }

    fn map(&mut self) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        self.advance();
        let mut pairs = Vec::new();
        while !self.is("}") {
            if !pairs.is_empty() {
                self.expect(",")?;
                if self.is("}") {
                    break;
                }
            }
            let key = self.map_key()?;
            self.expect(":")?;
            pairs.push((key, self.expression(0)?));
        }
        self.advance();
        let node = self.build.node(at, Kind::Map(pairs))?;
        self.postfix(node)
    }

    fn map_key(&mut self) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        match self.token().clone() {
            Token::Identifier(text) | Token::Number(text) | Token::Text(text) => {
                self.advance();
                self.build.node(at, Kind::Text(Arc::from(text)))
            }
            Token::Symbol(symbol) if symbol == "(" => self.expression(0),
            Token::Symbol(_) | Token::End => Err(Fault::parse(
                at,
                "a map key must be a quoted string, a number, a name, or an expression in parentheses",
            )),
        }
    }

    /// The call of `name`; `before` holds the left-hand side of a pipe.
    pub(super) fn call(&mut self, name: &str, at: u32, before: Vec<Arc<Node>>) -> Result<Arc<Node>, Fault> {
        self.handles_absence |= watches_absence(name);
        if let Some((name, shape)) = predicate_arguments(name) {
            let arguments = self.predicate_call(shape, before)?;
            return self.build.node(at, Kind::Builtin { name, arguments });
        }
        let callee = match builtin(name) {
            Some(_) => None,
            None => Some(self.build.node(at, Kind::Name(name.to_owned()))?),
        };
        self.expect("(")?;
        let arguments = self.list(")", before)?;
        let kind = match (callee, builtin(name)) {
            (None, Some(name)) => Kind::Builtin { name, arguments },
            (Some(callee), _) => Kind::Call { callee, arguments },
            (None, None) => return Err(self.unexpected()),
        };
        self.build.node(at, kind)
    }

    /// The arguments of a function that takes a predicate: the list, the predicate and what follows.
    fn predicate_call(&mut self, shape: (usize, usize), before: Vec<Arc<Node>>) -> Result<Vec<Arc<Node>>, Fault> {
        let (required, most) = shape;
        let mut arguments = before;
        let piped = arguments.len();
        self.expect("(")?;
        for position in piped..most {
            if self.is(")") {
                if position >= required {
                    break;
                }
                return Err(Fault::parse(self.at(), format!("expected at least {required} arguments")));
            }
            if position > piped {
                self.expect(",")?;
            }
            let argument = if position == 1 { self.predicate()? } else { self.expression(0)? };
            arguments.push(argument);
        }
        if self.is(",") {
            self.advance();
        }
        self.expect(")")?;
        Ok(arguments)
    }

    fn predicate(&mut self) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        let braces = self.is("{");
        self.predicates += 1;
        let body = if braces {
            self.advance();
            self.sequence()?
        } else {
            let body = self.expression(0)?;
            if self.is(";") {
                return Err(Fault::parse(self.at(), "wrap predicate with brackets { and }"));
            }
            body
        };
        self.predicates -= 1;
        if braces {
            self.expect("}")?;
        }
        self.build.node(at, Kind::Predicate(body))
    }

    fn postfix(&mut self, node: Arc<Node>) -> Result<Arc<Node>, Fault> {
        let mut node = node;
        loop {
            if self.is(".") || self.is("?.") {
                let optional = self.is("?.");
                self.advance();
                node = if optional && self.is("[") { self.bracket(node, true)? } else { self.field(node, optional)? };
            } else if self.is("[") {
                node = self.bracket(node, false)?;
            } else {
                return Ok(node);
            }
        }
    }

    /// `.name` and `.name(…)`. A chain goes on, so that one nil skips all of `a?.b.c`.
    fn field(&mut self, of: Arc<Node>, optional: bool) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        let name = match self.token().clone() {
            Token::Identifier(name) => name,
            // Keywords are fine as field names.
            Token::Symbol(name) if name.starts_with(is_alphabetic) => name,
            Token::Symbol(_) | Token::Number(_) | Token::Text(_) | Token::End => {
                return Err(Fault::parse(at, "expected name"));
            }
        };
        self.advance();
        let key = self.build.node(at, Kind::Text(Arc::from(name)))?;
        let (of, chained) = match &of.kind {
            Kind::Chain(inner) => (inner.clone(), true),
            _ => (of, false),
        };
        let mut node = self.build.node(at, Kind::Member { of, key, optional })?;
        if self.is("(") {
            self.advance();
            let arguments = self.list(")", Vec::new())?;
            node = self.build.node(at, Kind::Call { callee: node, arguments })?;
        }
        if chained || optional {
            node = self.build.node(at, Kind::Chain(node))?;
        }
        Ok(node)
    }

    /// `[index]` and `[from:to]`.
    fn bracket(&mut self, of: Arc<Node>, optional: bool) -> Result<Arc<Node>, Fault> {
        let at = self.at();
        let of = of;
        self.advance();
        let from = if self.is(":") { None } else { Some(self.expression(0)?) };
        if self.is(":") {
            self.advance();
            let to = if self.is("]") { None } else { Some(self.expression(0)?) };
            let node = self.build.node(at, Kind::Slice { of, from, to })?;
            self.expect("]")?;
            return Ok(node);
        }
        let Some(key) = from else { return Err(self.unexpected()) };
        let mut node = self.build.node(at, Kind::Member { of, key, optional })?;
        if optional {
            node = self.build.node(at, Kind::Chain(node))?;
        }
        self.expect("]")?;
        Ok(node)
    }
}

/// The value of a number literal without underscores.
fn number(digits: &str) -> Result<Kind, String> {
    let lower = digits.to_ascii_lowercase();
    let radix = [("0x", 16, "hex"), ("0b", 2, "binary"), ("0o", 8, "octal")];
    if lower.contains(['.', 'e']) && !lower.starts_with("0x") {
        let value = lower.parse::<f64>().ok().filter(|value| value.is_finite());
        return value.map(Kind::Float).ok_or_else(|| format!("invalid float literal: {digits}"));
    }
    for (prefix, radix, name) in radix {
        if let Some(rest) = lower.strip_prefix(prefix) {
            let value = i64::from_str_radix(rest, radix).map_err(|_| format!("invalid {name} literal: {digits}"))?;
            return Ok(Kind::Int(value));
        }
    }
    lower.parse().map(Kind::Int).map_err(|_| format!("invalid integer literal: {digits}"))
}
