//! Arithmetic, comparisons and set operators between numbers and vectors.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};

use super::eval::Eval;
use super::value::{Labels, NAME, Sample, Value, distinct};

/// Evaluates an operation.
pub(super) fn eval(eval: &Eval<'_>, operation: &BinaryExpr) -> Result<Value, String> {
    let (left, right) = (eval.eval(&operation.lhs)?, eval.eval(&operation.rhs)?);
    let symbol = operation.op.to_string();
    let modifier = operation.modifier.clone().unwrap_or_default();
    let operator = Operator::named(&symbol, &modifier);
    match (left, right, operator) {
        (Value::Vector(left), Value::Vector(right), None) => {
            set_operation(&symbol, left, right, &modifier).map(Value::Vector)
        }
        (Value::Vector(left), Value::Vector(right), Some(operator)) => {
            between_vectors(operator, left, right, &modifier).map(Value::Vector)
        }
        (Value::Scalar(left), Value::Scalar(right), Some(operator)) => Ok(Value::Scalar(operator.number(left, right))),
        (Value::Vector(left), Value::Scalar(right), Some(operator)) => {
            with_number(operator, left, |value| (operator.number(value, right), value)).map(Value::Vector)
        }
        (Value::Scalar(left), Value::Vector(right), Some(operator)) => {
            with_number(operator, right, |value| (operator.number(left, value), value)).map(Value::Vector)
        }
        (left, right, Some(_) | None) => Err(format!(
            "binary expression must contain only scalar and instant vector types, got {} and {}",
            left.kind(),
            right.kind()
        )),
    }
}

/// An operator that computes a number from two.
#[derive(Debug, Clone, Copy)]
struct Operator {
    apply: fn(f64, f64) -> f64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Arithmetic,
    /// Keeps what compares true, with its value.
    Filter,
    /// Yields 1 or 0.
    Bool,
}

impl Operator {
    /// `None` for a set operator.
    fn named(symbol: &str, modifier: &BinModifier) -> Option<Self> {
        let apply: fn(f64, f64) -> f64 = match symbol {
            "+" => |left, right| left + right,
            "-" => |left, right| left - right,
            "*" => |left, right| left * right,
            "/" => |left, right| left / right,
            "%" => |left, right| left % right,
            "^" => f64::powf,
            "atan2" => f64::atan2,
            "==" => |left, right| f64::from(left == right),
            "!=" => |left, right| f64::from(left != right),
            ">" => |left, right| f64::from(left > right),
            "<" => |left, right| f64::from(left < right),
            ">=" => |left, right| f64::from(left >= right),
            "<=" => |left, right| f64::from(left <= right),
            _set_operator => return None,
        };
        let compares = ["==", "!=", ">", "<", ">=", "<="].contains(&symbol);
        let kind = match (compares, modifier.return_bool) {
            (false, _) => Kind::Arithmetic,
            (true, false) => Kind::Filter,
            (true, true) => Kind::Bool,
        };
        Some(Self { apply, kind })
    }

    fn number(self, left: f64, right: f64) -> f64 {
        (self.apply)(left, right)
    }

    /// What becomes of a pair: its value and whether the metric keeps its name. `None` if it is filtered out.
    fn result(self, computed: f64, kept: f64) -> Option<f64> {
        match self.kind {
            Kind::Arithmetic | Kind::Bool => Some(computed),
            Kind::Filter => (computed != 0.0).then_some(kept),
        }
    }

    fn labels(self, mut labels: Labels) -> Labels {
        if self.kind != Kind::Filter {
            labels.remove(NAME);
        }
        labels
    }
}

fn with_number(
    operator: Operator,
    samples: Vec<Sample>,
    compute: impl Fn(f64) -> (f64, f64),
) -> Result<Vec<Sample>, String> {
    let results = samples.into_iter().filter_map(|sample| {
        let (computed, kept) = compute(sample.value);
        Some(Sample { value: operator.result(computed, kept)?, labels: operator.labels(sample.labels) })
    });
    distinct(results.collect())
}

/// The labels by which elements of both sides find each other.
fn signature(labels: &Labels, matching: Option<&LabelModifier>) -> Labels {
    let counts = |name: &str| match matching {
        None => name != NAME,
        Some(LabelModifier::Include(on)) => on.labels.iter().any(|label| label == name),
        Some(LabelModifier::Exclude(ignoring)) => name != NAME && !ignoring.labels.iter().any(|label| label == name),
    };
    labels.iter().filter(|(name, _)| counts(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn set_operation(
    symbol: &str,
    left: Vec<Sample>,
    right: Vec<Sample>,
    modifier: &BinModifier,
) -> Result<Vec<Sample>, String> {
    let matching = modifier.matching.as_ref();
    let signatures = |side: &[Sample]| -> BTreeSet<Labels> {
        side.iter().map(|sample| signature(&sample.labels, matching)).collect()
    };
    let in_right = signatures(&right);
    let has = |known: &BTreeSet<Labels>, sample: &Sample| known.contains(&signature(&sample.labels, matching));
    Ok(match symbol {
        "and" => left.into_iter().filter(|sample| has(&in_right, sample)).collect(),
        "unless" => left.into_iter().filter(|sample| !has(&in_right, sample)).collect(),
        "or" => {
            let in_left = signatures(&left);
            left.into_iter().chain(right.into_iter().filter(|sample| !has(&in_left, sample))).collect()
        }
        other => return Err(format!("the operator {other} is not understood here")),
    })
}

/// One-to-one, or many-to-one with `group_left` and `group_right`.
fn between_vectors(
    operator: Operator,
    left: Vec<Sample>,
    right: Vec<Sample>,
    modifier: &BinModifier,
) -> Result<Vec<Sample>, String> {
    let matching = modifier.matching.as_ref();
    // The "one" side is looked up, the other is walked; with group_right they change places, not operands.
    let swapped = matches!(modifier.card, VectorMatchCardinality::OneToMany(_));
    let one_to_one = matches!(modifier.card, VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany);
    let (many, one, one_is) = if swapped { (right, left, "left") } else { (left, right, "right") };
    let mut ones: BTreeMap<Labels, &Sample> = BTreeMap::new();
    for sample in &one {
        let key = signature(&sample.labels, matching);
        if ones.contains_key(&key) {
            return Err(format!(
                "found duplicate series for the match group {key:?} on the {one_is} hand-side of the operation;many-to-many matching not allowed: matching labels must be unique on one side"
            ));
        }
        ones.insert(key, sample);
    }
    let mut used = BTreeSet::new();
    let mut results = Vec::new();
    for sample in many {
        let key = signature(&sample.labels, matching);
        let Some(partner) = ones.get(&key) else {
            continue;
        };
        let (left, right) = if swapped { (partner.value, sample.value) } else { (sample.value, partner.value) };
        let Some(value) = operator.result(operator.number(left, right), left) else {
            continue;
        };
        if one_to_one && !used.insert(key) {
            return Err("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                .to_owned());
        }
        results.push(Sample { labels: joined(operator.labels(sample.labels), &partner.labels, modifier), value });
    }
    distinct(results)
}

/// The labels of a result: of a pair those that were matched on, else those of the "many" side and the ones asked for.
fn joined(mut many: Labels, one: &Labels, modifier: &BinModifier) -> Labels {
    match &modifier.card {
        VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => match &modifier.matching {
            None => many,
            Some(LabelModifier::Include(on)) => {
                many.retain(|name, _| on.labels.contains(name));
                many
            }
            Some(LabelModifier::Exclude(ignoring)) => {
                many.retain(|name, _| !ignoring.labels.contains(name));
                many
            }
        },
        VectorMatchCardinality::ManyToOne(included) | VectorMatchCardinality::OneToMany(included) => {
            for name in &included.labels {
                many.remove(name);
                many.extend(one.get(name).map(|value| (name.clone(), value.clone())));
            }
            many
        }
    }
}
