//! PromQL's functions, as far as they make sense for what is scraped here.

use promql_parser::label::MatchOp;
use promql_parser::parser::{Call, Expr, VectorSelector};
use regex::Regex;

use super::eval::Eval;
use super::histogram;
use super::over_time::{self, Change};
use super::value::{Labels, NAME, Sample, Value, Window, distinct, unnamed};

/// Evaluates a call.
pub(super) fn eval(eval: &Eval<'_>, call: &Call) -> Result<Value, String> {
    let name = call.func.name;
    if let Some(result) = of_range(eval, call) {
        return result;
    }
    if let Some(result) = of_each(eval, call) {
        return result;
    }
    match name {
        "time" => Ok(Value::Scalar(eval.at as f64 / 1000.0)),
        "pi" => Ok(Value::Scalar(std::f64::consts::PI)),
        "vector" => Ok(Value::Vector(vec![Sample { labels: Labels::new(), value: eval.scalar(argument(call, 0)?)? }])),
        "scalar" => Ok(Value::Scalar(match eval.vector(argument(call, 0)?)?.as_slice() {
            [only] => only.value,
            _none_or_many => f64::NAN,
        })),
        "absent" => {
            let present = !eval.vector(argument(call, 0)?)?.is_empty();
            Ok(absent(present, argument(call, 0)?))
        }
        "absent_over_time" => {
            let present = !range(eval, argument(call, 0)?)?.series.is_empty();
            Ok(absent(present, argument(call, 0)?))
        }
        "histogram_quantile" => {
            let phi = eval.scalar(argument(call, 0)?)?;
            Ok(Value::Vector(histogram::quantiles(phi, eval.vector(argument(call, 1)?)?)))
        }
        "label_replace" => label_replace(eval, call),
        "label_join" => label_join(eval, call),
        "sort" => sorted(eval, call, |left, right| left.total_cmp(&right)),
        "sort_desc" => sorted(eval, call, |left, right| right.total_cmp(&left)),
        other => Err(format!("the function {other} is not understood here")),
    }
}

fn argument(call: &Call, index: usize) -> Result<&Expr, String> {
    call.args
        .args
        .get(index)
        .map(AsRef::as_ref)
        .ok_or_else(|| format!("argument {} of {} is missing", index + 1, call.func.name))
}

fn range(eval: &Eval<'_>, expr: &Expr) -> Result<Window, String> {
    match eval.eval(expr)? {
        Value::Matrix(window) => Ok(window),
        other @ (Value::Scalar(_) | Value::Text(_) | Value::Vector(_)) => {
            Err(format!("expected type range vector, got {}", other.kind()))
        }
    }
}

fn string(eval: &Eval<'_>, call: &Call, index: usize) -> Result<String, String> {
    match eval.eval(argument(call, index)?)? {
        Value::Text(text) => Ok(text),
        other @ (Value::Scalar(_) | Value::Vector(_) | Value::Matrix(_)) => {
            Err(format!("expected type string, got {}", other.kind()))
        }
    }
}

/// Functions that make one value of each series of a range; `None` if this is none of them.
fn of_range(eval: &Eval<'_>, call: &Call) -> Option<Result<Value, String>> {
    let name = call.func.name;
    let (changes, over_range) = match name {
        "rate" => (Some(Change::Rate), true),
        "increase" => (Some(Change::Increase), true),
        "delta" => (Some(Change::Delta), true),
        "irate" => (Some(Change::Rate), false),
        "idelta" => (Some(Change::Delta), false),
        _other => (None, true),
    };
    let is_other = name == "deriv" || name == "quantile_over_time" || over_time::named(name, &[0.0]).is_some();
    if changes.is_none() && !is_other {
        return None;
    }
    let compute = || -> Result<Value, String> {
        let phi = if name == "quantile_over_time" { eval.scalar(argument(call, 0)?)? } else { 0.0 };
        let window = range(eval, argument(call, usize::from(name == "quantile_over_time"))?)?;
        let mut samples = Vec::new();
        for series in &window.series {
            let values: Vec<f64> = series.points.iter().map(|(_, value)| *value).collect();
            let value = match changes {
                Some(kind) if over_range => over_time::change(kind, &series.points, &window),
                Some(kind) => over_time::instant_change(kind, &series.points),
                None if name == "deriv" => over_time::slope(&series.points),
                None if name == "quantile_over_time" => Some(over_time::quantile_of(phi, &values)),
                None => over_time::named(name, &values),
            };
            // The newest or oldest sample of a series is still that metric; everything else is computed.
            let keeps_name = matches!(name, "last_over_time" | "first_over_time");
            let labels = if keeps_name { series.labels.clone() } else { unnamed(&series.labels) };
            samples.extend(value.map(|value| Sample { labels, value }));
        }
        Ok(Value::Vector(distinct(samples)?))
    };
    Some(compute())
}

/// Functions of each value by itself; `None` if this is none of them.
fn of_each(eval: &Eval<'_>, call: &Call) -> Option<Result<Value, String>> {
    let plain: Option<fn(f64) -> f64> = match call.func.name {
        "abs" => Some(f64::abs),
        "ceil" => Some(f64::ceil),
        "exp" => Some(f64::exp),
        "floor" => Some(f64::floor),
        "ln" => Some(f64::ln),
        "log10" => Some(f64::log10),
        "log2" => Some(f64::log2),
        "sgn" => Some(|value| if value == 0.0 || value.is_nan() { value } else { value.signum() }),
        "sqrt" => Some(f64::sqrt),
        "clamp" | "clamp_max" | "clamp_min" | "round" => None,
        _other => return None,
    };
    let number = |index: usize, default: f64| match call.args.args.get(index) {
        Some(expr) => eval.scalar(expr),
        None => Ok(default),
    };
    let compute = || -> Result<Value, String> {
        let (first, second) = (number(1, 1.0)?, number(2, f64::INFINITY)?);
        let samples = eval.vector(argument(call, 0)?)?;
        // An interval that is upside down holds nothing.
        if call.func.name == "clamp" && first > second {
            return Ok(Value::Vector(Vec::new()));
        }
        let results = samples.into_iter().map(|sample| {
            let value = match (plain, call.func.name) {
                (Some(function), _) => function(sample.value),
                (None, "clamp") => sample.value.max(first).min(second),
                (None, "clamp_max") => sample.value.min(first),
                (None, "clamp_min") => sample.value.max(first),
                // Ties are rounded up.
                (None, _round) => (sample.value / first + 0.5).floor() * first,
            };
            Sample { labels: unnamed(&sample.labels), value }
        });
        Ok(Value::Vector(distinct(results.collect())?))
    };
    Some(compute())
}

/// One element 1 if nothing was present, with the labels that the selector asked for by `=`.
fn absent(present: bool, expr: &Expr) -> Value {
    if present {
        return Value::Vector(Vec::new());
    }
    let labels = selector_of(expr).map(asked_for).unwrap_or_default();
    Value::Vector(vec![Sample { labels, value: 1.0 }])
}

fn selector_of(expr: &Expr) -> Option<&VectorSelector> {
    match expr {
        Expr::VectorSelector(selector) => Some(selector),
        Expr::MatrixSelector(selector) => Some(&selector.vs),
        Expr::Paren(paren) => selector_of(&paren.expr),
        Expr::Aggregate(_)
        | Expr::Unary(_)
        | Expr::Binary(_)
        | Expr::Subquery(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Call(_)
        | Expr::Extension(_) => None,
    }
}

/// Labels that are asked for once, by equality.
fn asked_for(selector: &VectorSelector) -> Labels {
    let matchers = &selector.matchers.matchers;
    matchers
        .iter()
        .filter(|matcher| matches!(matcher.op, MatchOp::Equal) && matcher.name != NAME && !matcher.value.is_empty())
        .filter(|matcher| matchers.iter().filter(|other| other.name == matcher.name).count() == 1)
        .map(|matcher| (matcher.name.clone(), matcher.value.clone()))
        .collect()
}

fn label_replace(eval: &Eval<'_>, call: &Call) -> Result<Value, String> {
    let [target, replacement, source, pattern] =
        [string(eval, call, 1)?, string(eval, call, 2)?, string(eval, call, 3)?, string(eval, call, 4)?];
    let pattern = Regex::new(&format!("^(?s:{pattern})$"))
        .map_err(|_| format!("invalid regular expression in label_replace(): {pattern}"))?;
    let replaced = eval.vector(argument(call, 0)?)?.into_iter().map(|mut sample| {
        let value = sample.labels.get(&source).cloned().unwrap_or_default();
        if let Some(captures) = pattern.captures(&value) {
            let mut expanded = String::new();
            captures.expand(&replacement, &mut expanded);
            set(&mut sample.labels, &target, expanded);
        }
        sample
    });
    Ok(Value::Vector(distinct(replaced.collect())?))
}

fn label_join(eval: &Eval<'_>, call: &Call) -> Result<Value, String> {
    let (target, separator) = (string(eval, call, 1)?, string(eval, call, 2)?);
    let sources = (3..call.args.args.len()).map(|index| string(eval, call, index)).collect::<Result<Vec<_>, _>>()?;
    let joined = eval.vector(argument(call, 0)?)?.into_iter().map(|mut sample| {
        let values: Vec<&str> =
            sources.iter().map(|source| sample.labels.get(source).map_or("", String::as_str)).collect();
        let value = values.join(&separator);
        set(&mut sample.labels, &target, value);
        sample
    });
    Ok(Value::Vector(distinct(joined.collect())?))
}

/// A label without value is no label.
fn set(labels: &mut Labels, name: &str, value: String) {
    if value.is_empty() {
        labels.remove(name);
    } else {
        labels.insert(name.to_owned(), value);
    }
}

/// NaN comes last either way.
fn sorted(eval: &Eval<'_>, call: &Call, order: fn(f64, f64) -> std::cmp::Ordering) -> Result<Value, String> {
    let mut samples = eval.vector(argument(call, 0)?)?;
    samples.sort_by(|left, right| left.value.is_nan().cmp(&right.value.is_nan()).then(order(left.value, right.value)));
    Ok(Value::Vector(samples))
}
