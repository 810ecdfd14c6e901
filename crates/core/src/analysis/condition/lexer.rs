//! Splits the text of a condition into tokens.

use super::error::Fault;
use super::escape::unescape;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Identifier(String),
    /// The digits as written, without underscores.
    Number(String),
    Text(String),
    /// An operator, a keyword or a bracket.
    Symbol(String),
    End,
}

/// A token and the offset, in characters, of its first character.
#[derive(Clone, Debug)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) at: u32,
}

const KEYWORDS: [&str; 11] =
    ["not", "in", "or", "and", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"];

/// Splits `source` into tokens; the last one is always [`Token::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<Spanned>, Fault> {
    let mut lexer = Lexer { chars: source.chars().collect(), next: 0, out: Vec::new() };
    while let Some(c) = lexer.peek() {
        lexer.token(c)?;
    }
    let at = lexer.next.saturating_sub(1);
    lexer.push(Token::End, at);
    Ok(lexer.out)
}

/// True for what may start a name.
pub(super) fn is_alphabetic(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_alphabetic(c) || c.is_numeric()
}

struct Lexer {
    chars: Vec<char>,
    next: usize,
    out: Vec<Spanned>,
}

impl Lexer {
    fn token(&mut self, c: char) -> Result<(), Fault> {
        let start = self.next;
        match c {
            _ if c.is_whitespace() => self.next += 1,
            '\'' | '"' => self.quoted(c)?,
            '`' => self.raw()?,
            'b' | 'B' if matches!(self.peek_at(1), Some('\'' | '"')) => {
                return Err(Fault::parse(start as u32, "byte literals are not supported; use a string"));
            }
            '0'..='9' => self.number()?,
            '.' if matches!(self.peek_at(1), Some('0'..='9')) => self.number()?,
            '/' => self.slash()?,
            '#' => self.pointer(),
            '?' => self.symbol(&['.', '?']),
            '|' => self.symbol(&['|']),
            ':' => self.symbol(&[':']),
            '.' => self.symbol(&['.']),
            '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' | '%' | '+' | '-' | '^' => self.symbol(&[]),
            '&' | '!' | '=' | '*' | '<' | '>' => self.symbol(&['&', '=', '*']),
            _ if is_alphanumeric(c) => self.word(),
            _ => return Err(Fault::parse(start as u32, format!("unrecognized character: {c:?}"))),
        }
        Ok(())
    }

    fn symbol(&mut self, second: &[char]) {
        let start = self.next;
        self.next += 1;
        if self.peek().is_some_and(|c| second.contains(&c)) {
            self.next += 1;
        }
        let text = self.text(start);
        self.push(Token::Symbol(text), start);
    }

    fn word(&mut self) {
        let start = self.next;
        self.skip_while(is_alphanumeric);
        let text = self.text(start);
        let keyword = KEYWORDS.contains(&text.as_str());
        self.push(if keyword { Token::Symbol(text) } else { Token::Identifier(text) }, start);
    }

    /// `#`, and the name that may follow it: `#acc`, `#index`. That name is never a keyword.
    fn pointer(&mut self) {
        self.symbol(&['#']);
        let start = self.next;
        self.skip_while(is_alphanumeric);
        if self.next > start {
            let text = self.text(start);
            self.push(Token::Identifier(text), start);
        }
    }

    fn slash(&mut self) -> Result<(), Fault> {
        match self.peek_at(1) {
            Some('/') => self.skip_while(|c| c != '\n'),
            Some('*') => {
                self.next += 2;
                while !(self.peek() == Some('*') && self.peek_at(1) == Some('/')) {
                    if self.peek().is_none() {
                        return Err(Fault::parse(self.next as u32, "unclosed comment"));
                    }
                    self.next += 1;
                }
                self.next += 2;
            }
            Some(_) | None => self.symbol(&[]),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.next;
        let mut digit: fn(char) -> bool = |c| c.is_ascii_digit() || c == '_';
        if self.accept(&['0']) {
            if self.accept(&['x', 'X']) {
                digit = |c| c.is_ascii_hexdigit() || c == '_';
            } else if self.accept(&['o', 'O']) {
                digit = |c| matches!(c, '0'..='7' | '_');
            } else if self.accept(&['b', 'B']) {
                digit = |c| matches!(c, '0' | '1' | '_');
            }
        }
        self.skip_while(digit);
        // In `1..3` the dots are the range operator.
        if self.peek() == Some('.') && self.peek_at(1) == Some('.') {
            return self.finish_number(start);
        }
        if self.accept(&['.']) {
            self.skip_while(digit);
        }
        if self.accept(&['e', 'E']) {
            self.accept(&['+', '-']);
            self.skip_while(digit);
        }
        if self.peek().is_some_and(is_alphanumeric) {
            self.next += 1;
            let text = self.text(start);
            return Err(Fault::parse(self.next as u32 - 1, format!("bad number syntax: {text:?}")));
        }
        self.finish_number(start)
    }

    fn finish_number(&mut self, start: usize) -> Result<(), Fault> {
        let text = self.text(start).replace('_', "");
        self.push(Token::Number(text), start);
        Ok(())
    }

    fn quoted(&mut self, quote: char) -> Result<(), Fault> {
        let start = self.next;
        self.next += 1;
        loop {
            match self.peek() {
                None | Some('\n') => return Err(Fault::parse(self.next as u32, "literal not terminated")),
                Some('\\') => self.next += 2,
                Some(c) => {
                    self.next += 1;
                    if c == quote {
                        break;
                    }
                }
            }
        }
        let body = self.chars.get(start + 1..self.next - 1).unwrap_or_default();
        let text =
            unescape(body, quote).map_err(|(offset, message)| Fault::parse((start + 1 + offset) as u32, message))?;
        self.push(Token::Text(text), start);
        Ok(())
    }

    /// A string between backticks: no escapes, a doubled backtick stands for one.
    fn raw(&mut self) -> Result<(), Fault> {
        let start = self.next;
        let mut text = String::new();
        self.next += 1;
        loop {
            match (self.peek(), self.peek_at(1)) {
                (None, _) => return Err(Fault::parse(self.next as u32, "literal not terminated")),
                (Some('`'), Some('`')) => {
                    text.push('`');
                    self.next += 2;
                }
                (Some('`'), _) => break,
                (Some(c), _) => {
                    text.push(c);
                    self.next += 1;
                }
            }
        }
        self.next += 1;
        self.push(Token::Text(text), start);
        Ok(())
    }

    fn push(&mut self, token: Token, start: usize) {
        self.out.push(Spanned { token, at: start as u32 });
    }

    fn text(&self, start: usize) -> String {
        self.chars.get(start..self.next).unwrap_or_default().iter().collect()
    }

    fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.next + ahead).copied()
    }

    fn accept(&mut self, any: &[char]) -> bool {
        let found = self.peek().is_some_and(|c| any.contains(&c));
        self.next += usize::from(found);
        found
    }

    fn skip_while(&mut self, keep: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&keep) {
            self.next += 1;
        }
    }
}
