//! `sum`, `avg`, `topk` and the like.

use std::collections::BTreeMap;

use promql_parser::parser::{AggregateExpr, LabelModifier};

use super::eval::Eval;
use super::value::{Labels, NAME, Sample, Value, largest, moments, number, quantile, smallest};

/// Evaluates an aggregation.
pub(super) fn eval(eval: &Eval<'_>, aggregation: &AggregateExpr) -> Result<Value, String> {
    let mut groups: BTreeMap<Labels, Vec<Sample>> = BTreeMap::new();
    for sample in eval.vector(&aggregation.expr)? {
        groups.entry(group(&sample.labels, aggregation.modifier.as_ref())).or_default().push(sample);
    }
    let parameter = || match &aggregation.param {
        Some(param) => eval.scalar(param),
        None => Err("the aggregation needs a parameter".to_owned()),
    };
    let operator = aggregation.op.to_string();
    let fold: fn(&[f64]) -> f64 = match operator.as_str() {
        "sum" => |values| values.iter().sum(),
        "avg" => |values| moments(values).0,
        "min" => smallest,
        "max" => largest,
        "count" => |values| values.len() as f64,
        "group" => |_| 1.0,
        "stddev" => |values| moments(values).1.sqrt(),
        "stdvar" => |values| moments(values).1,
        "quantile" => {
            let phi = parameter()?;
            return Ok(Value::Vector(folded(groups, |values| quantile(phi, values.to_vec()))));
        }
        "topk" => {
            return Ok(Value::Vector(extremes(groups, parameter()?, |left, right| right.total_cmp(&left))));
        }
        "bottomk" => {
            return Ok(Value::Vector(extremes(groups, parameter()?, |left, right| left.total_cmp(&right))));
        }
        "count_values" => return count_values(eval, aggregation, groups),
        other => return Err(format!("the aggregation {other} is not understood here")),
    };
    Ok(Value::Vector(folded(groups, fold)))
}

/// The labels that a group keeps. Without a modifier all series are one group.
fn group(labels: &Labels, modifier: Option<&LabelModifier>) -> Labels {
    let keep = |name: &str| match modifier {
        None => false,
        Some(LabelModifier::Include(listed)) => listed.labels.iter().any(|label| label == name),
        Some(LabelModifier::Exclude(listed)) => name != NAME && !listed.labels.iter().any(|label| label == name),
    };
    labels.iter().filter(|(name, _)| keep(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn folded(groups: BTreeMap<Labels, Vec<Sample>>, fold: impl Fn(&[f64]) -> f64) -> Vec<Sample> {
    groups
        .into_iter()
        .map(|(labels, samples)| {
            let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
            Sample { labels, value: fold(&values) }
        })
        .collect()
}

/// The first `count` samples of each group in this order, NaN last, with all their labels.
fn extremes(
    groups: BTreeMap<Labels, Vec<Sample>>,
    count: f64,
    order: fn(f64, f64) -> std::cmp::Ordering,
) -> Vec<Sample> {
    // A NaN or negative count becomes 0.
    let count = count as usize;
    groups
        .into_values()
        .flat_map(|mut samples| {
            samples.sort_by(|left, right| {
                left.value.is_nan().cmp(&right.value.is_nan()).then(order(left.value, right.value))
            });
            samples.truncate(count);
            samples
        })
        .collect()
}

fn count_values(
    eval: &Eval<'_>,
    aggregation: &AggregateExpr,
    groups: BTreeMap<Labels, Vec<Sample>>,
) -> Result<Value, String> {
    let label = match aggregation.param.as_ref().map(|param| eval.eval(param)).transpose()? {
        Some(Value::Text(label)) => label,
        Some(Value::Scalar(_) | Value::Vector(_) | Value::Matrix(_)) | None => {
            return Err("count_values needs a label name as its first argument".to_owned());
        }
    };
    let mut counts: BTreeMap<Labels, f64> = BTreeMap::new();
    for (labels, samples) in groups {
        for sample in samples {
            let mut labels = labels.clone();
            labels.insert(label.clone(), number(sample.value));
            *counts.entry(labels).or_default() += 1.0;
        }
    }
    Ok(Value::Vector(counts.into_iter().map(|(labels, value)| Sample { labels, value }).collect()))
}
