//! The language of `successCondition` and `failureCondition`: expr-lang, parsed, checked and evaluated in a sandbox.
//!
//! ```text
//!  text ─ lexer ─► tokens ─ parser, operand ─► ast ─ check ─► static types ─ eval ─► bool
//!                            build (bounds)          (result type)   limits (meter)
//! ```
//!
//! The verdicts are those of `github.com/expr-lang/expr` v1.17.8 in the environment of Argo Rollouts. Where an
//! expression cannot be evaluated as there, the answer is an error, never a verdict.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an operator or function of the language takes a few types of value and refuses every other one; a type \
              that is added later must be refused too until someone decides otherwise"
)]

mod ast;
mod build;
mod builtins;
mod check;
mod check_calls;
mod equal;
mod error;
mod escape;
mod eval;
mod format;
mod functions;
mod layout;
mod lexer;
mod limits;
mod loops;
mod methods;
mod names;
mod number;
mod operand;
mod order;
mod parser;
mod pattern;
mod quantifier;
mod types;
mod value;

use chrono::{DateTime, Offset, Utc};

pub use error::{ConditionError, ConditionErrorKind};

use check::check;
use error::Fault;
use parser::{Parsed, parse};
use types::Type;
use value::{ListKind, Value};

/// What a measurement gave.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricResult {
    /// Nothing at all.
    Nil,
    /// A single number, which may be NaN or infinite.
    Scalar(f64),
    /// A list of numbers, each of which may be NaN or infinite.
    Vector(Vec<f64>),
    /// A decoded JSON document; every number in it is a float.
    Json(serde_json::Value),
}

/// A condition that has been parsed, and checked as far as that goes without a result.
#[derive(Debug)]
pub struct Condition {
    source: String,
    parsed: Parsed,
}

impl Condition {
    /// Parses a condition and checks what does not depend on the type of the result.
    ///
    /// # Errors
    /// The first error in the text, with its place.
    pub fn parse(source: &str) -> Result<Self, ConditionError> {
        let checked = || {
            let parsed = parse(source)?;
            let (found, _) = check(&parsed.root, parsed.nodes, Some(Type::Unknown))?;
            expect_bool(&parsed, &found)?;
            Ok(parsed)
        };
        let parsed = checked().map_err(|fault: Fault| fault.locate(source))?;
        Ok(Self { source: source.to_owned(), parsed })
    }

    /// The text that was parsed.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Does `result` fulfil the condition? `now` is what the function `now()` answers.
    ///
    /// # Errors
    /// A mismatch of types, a runtime error such as an index out of range, or an exhausted limit.
    pub fn evaluate(&self, result: &MetricResult, now: DateTime<Utc>) -> Result<bool, ConditionError> {
        self.verdict(result, now).map_err(|fault| fault.locate(&self.source))
    }

    fn verdict(&self, result: &MetricResult, now: DateTime<Utc>) -> Result<bool, Fault> {
        let Parsed { root, nodes, .. } = &self.parsed;
        let value = value_of(result).map_err(|trouble| trouble.at(0))?;
        let (found, types) = check(root, *nodes, Some(Type::of(&value)))?;
        expect_bool(&self.parsed, &found)?;
        match eval::run(root, &types, value, now.fixed_offset())? {
            Value::Bool(verdict) => Ok(verdict),
            other => Err(not_bool(&self.parsed, &other.type_name())),
        }
    }

    /// True if the condition itself deals with missing or undefined values: it calls `len`, `isNil`, `isNaN`,
    /// `isInf` or `default`.
    #[must_use]
    pub fn handles_absence(&self) -> bool {
        self.parsed.handles_absence
    }
}

/// Evaluates an expression that gives a time, such as `now() - duration("5m")`. There is no `result` in it.
///
/// # Errors
/// As for a condition; also if the expression gives anything but a time.
pub fn evaluate_time(source: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, ConditionError> {
    let evaluated = || {
        let Parsed { root, nodes, .. } = parse(source)?;
        let (_, types) = check(&root, nodes, None)?;
        match eval::run(&root, &types, Value::Nil, now.with_timezone(&Utc.fix()))? {
            Value::Time(time) => Ok(time.to_utc()),
            other => Err(Fault::typed(root.at, format!("expected time.Time, but got {}", other.type_name()))),
        }
    };
    evaluated().map_err(|fault: Fault| fault.locate(source))
}

fn value_of(result: &MetricResult) -> Result<Value, error::Trouble> {
    match result {
        MetricResult::Nil => Ok(Value::Nil),
        MetricResult::Scalar(value) => Ok(Value::Float(*value)),
        MetricResult::Vector(values) => {
            Value::list(ListKind::Float, values.iter().map(|value| Value::Float(*value)).collect())
        }
        MetricResult::Json(json) => Value::from_json(json),
    }
}

fn expect_bool(parsed: &Parsed, found: &Type) -> Result<(), Fault> {
    if *found == Type::Bool || found.is_unknown() { Ok(()) } else { Err(not_bool(parsed, &found.to_string())) }
}

fn not_bool(parsed: &Parsed, found: &str) -> Fault {
    Fault::typed(parsed.root.at, format!("expected bool, but got {found}"))
}
