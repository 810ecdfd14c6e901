//! Evaluates an expression at one moment.

use std::time::{Duration, SystemTime};

use promql_parser::parser::{AtModifier, Expr, Offset, SubqueryExpr, VectorSelector};

use super::select::{Samples, Wanted};
use super::value::{Sample, Series, Value, Window, distinct, is_stale, unnamed};
use super::{aggregate, binary, functions};

/// How far back an instant selector looks for the newest sample (Prometheus' default).
const LOOKBACK_MS: i64 = 5 * 60 * 1000;

/// The step of a subquery that names none (Prometheus' default evaluation interval).
const SUBQUERY_STEP_MS: i64 = 60 * 1000;

/// More steps than this are refused, in range queries and subqueries alike (Prometheus' limit for range queries).
pub(super) const STEPS_MAX: i64 = 11_000;

/// The moment of evaluation and what `start()` and `end()` mean, in milliseconds since 1970.
#[derive(Clone, Copy)]
pub(super) struct Eval<'a> {
    pub(super) samples: &'a dyn Samples,
    pub(super) at: i64,
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Eval<'_> {
    /// The value of `expr`; the error is a message for the user.
    pub(super) fn eval(&self, expr: &Expr) -> Result<Value, String> {
        match expr {
            Expr::NumberLiteral(literal) => Ok(Value::Scalar(literal.val)),
            Expr::StringLiteral(literal) => Ok(Value::Text(literal.val.clone())),
            Expr::Paren(paren) => self.eval(&paren.expr),
            Expr::Unary(unary) => negate(self.eval(&unary.expr)?),
            Expr::VectorSelector(selector) => Ok(Value::Vector(self.newest(selector))),
            Expr::MatrixSelector(selector) => {
                let to = self.moment(selector.vs.at.as_ref(), selector.vs.offset.as_ref());
                let from = to.saturating_sub(millis(selector.range));
                let mut series = self.samples.select(&Wanted(&selector.vs), from, to);
                for series in &mut series {
                    series.points.retain(|(_, value)| !is_stale(*value));
                }
                series.retain(|series| !series.points.is_empty());
                Ok(Value::Matrix(Window { series, from, to }))
            }
            Expr::Subquery(subquery) => self.subquery(subquery),
            Expr::Aggregate(aggregation) => aggregate::eval(self, aggregation),
            Expr::Binary(operation) => binary::eval(self, operation),
            Expr::Call(call) => functions::eval(self, call),
            Expr::Extension(_) => Err("extensions of PromQL are not understood here".to_owned()),
        }
    }

    /// The vector that `expr` must yield.
    pub(super) fn vector(&self, expr: &Expr) -> Result<Vec<Sample>, String> {
        match self.eval(expr)? {
            Value::Vector(samples) => Ok(samples),
            other @ (Value::Scalar(_) | Value::Text(_) | Value::Matrix(_)) => {
                Err(format!("expected type instant vector, got {}", other.kind()))
            }
        }
    }

    /// The number that `expr` must yield.
    pub(super) fn scalar(&self, expr: &Expr) -> Result<f64, String> {
        match self.eval(expr)? {
            Value::Scalar(value) => Ok(value),
            other @ (Value::Vector(_) | Value::Text(_) | Value::Matrix(_)) => {
                Err(format!("expected type scalar, got {}", other.kind()))
            }
        }
    }

    /// The newest sample of each series that is not older than the lookback.
    fn newest(&self, selector: &VectorSelector) -> Vec<Sample> {
        let until = self.moment(selector.at.as_ref(), selector.offset.as_ref());
        self.samples
            .select(&Wanted(selector), until.saturating_sub(LOOKBACK_MS), until)
            .into_iter()
            .filter_map(|series| {
                let (_, value) = *series.points.last()?;
                (!is_stale(value)).then_some(Sample { labels: series.labels, value })
            })
            .collect()
    }

    fn subquery(&self, subquery: &SubqueryExpr) -> Result<Value, String> {
        let to = self.moment(subquery.at.as_ref(), subquery.offset.as_ref());
        let from = to.saturating_sub(millis(subquery.range));
        let step = subquery.step.map_or(SUBQUERY_STEP_MS, millis).max(1);
        if (to - from) / step > STEPS_MAX {
            return Err(format!("a subquery of more than {STEPS_MAX} steps is refused; use a longer step"));
        }
        // Steps lie on multiples of the step, whatever the time of the query.
        let mut found: std::collections::BTreeMap<_, Vec<_>> = std::collections::BTreeMap::new();
        let mut at = (from.div_euclid(step) + 1) * step;
        while at <= to {
            let samples = match (Eval { at, ..*self }).eval(&subquery.expr)? {
                Value::Vector(samples) => samples,
                Value::Scalar(value) => vec![Sample { labels: super::value::Labels::new(), value }],
                other @ (Value::Text(_) | Value::Matrix(_)) => {
                    return Err(format!("subquery is only allowed on instant vector, got {} instead", other.kind()));
                }
            };
            for sample in samples {
                found.entry(sample.labels).or_default().push((at, sample.value));
            }
            at += step;
        }
        let series = found.into_iter().map(|(labels, points)| Series { labels, points }).collect();
        Ok(Value::Matrix(Window { series, from, to }))
    }

    /// The moment that a selector means with its `@` and `offset`.
    fn moment(&self, at: Option<&AtModifier>, offset: Option<&Offset>) -> i64 {
        let base = match at {
            None => self.at,
            Some(AtModifier::Start) => self.start,
            Some(AtModifier::End) => self.end,
            Some(AtModifier::At(time)) => match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(since) => millis(since),
                Err(before) => -millis(before.duration()),
            },
        };
        match offset {
            None => base,
            Some(Offset::Pos(back)) => base.saturating_sub(millis(*back)),
            Some(Offset::Neg(ahead)) => base.saturating_add(millis(*ahead)),
        }
    }
}

/// A duration in milliseconds, cut to a thousand years so that sums cannot overflow.
fn millis(duration: Duration) -> i64 {
    const MAX: i64 = 1000 * 366 * 86_400 * 1000;
    i64::try_from(duration.as_millis()).unwrap_or(MAX).min(MAX)
}

fn negate(value: Value) -> Result<Value, String> {
    match value {
        Value::Scalar(value) => Ok(Value::Scalar(-value)),
        Value::Vector(samples) => {
            let negated =
                samples.into_iter().map(|sample| Sample { labels: unnamed(&sample.labels), value: -sample.value });
            Ok(Value::Vector(distinct(negated.collect())?))
        }
        other @ (Value::Text(_) | Value::Matrix(_)) => Err(format!(
            "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
            other.kind()
        )),
    }
}
