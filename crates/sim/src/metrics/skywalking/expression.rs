//! The simple forms of MQE, SkyWalking's expression language: a metric, an aggregate of it, and a division by a number.

use serde_json::{Value, json};

use super::Asked;
use super::duration::{Bucket, buckets};
use super::queries::{cells, service_in, text};
use super::values::{Metric, RANKS, percentile};

/// A metric as an expression names it.
struct Parsed<'a> {
    aggregate: Option<Aggregate>,
    metric: &'a str,
    divisor: f64,
}

/// One value a bucket, where there is one.
type Line = Vec<(Bucket, Option<f64>)>;

#[derive(Clone, Copy)]
enum Aggregate {
    Avg,
    Count,
    Latest,
    Max,
    Min,
    Sum,
}

/// Answers `execExpression`.
pub(super) fn execute(arguments: &Value, asked: Asked<'_>) -> Result<Value, String> {
    let expression = text(arguments, "expression");
    let Some(parsed) = parse(expression) else {
        return Ok(unknown(&json!(format!(
            "Expression: {expression} error: not one of the forms that are understood here."
        ))));
    };
    let Some(metric) = Metric::by_name(parsed.metric) else {
        return Ok(unknown(&json!(format!("Metric: [{}] does not exist.", parsed.metric))));
    };
    let Some(service) = service_in(&arguments["entity"]) else {
        return illegal_entity(arguments, asked);
    };
    let cells = cells(service, &arguments["duration"], asked)?;
    let lines: Vec<(Value, Line)> = match metric {
        Metric::Percentile => RANKS
            .iter()
            .enumerate()
            .map(|(index, rank)| {
                let of_rank = cells
                    .iter()
                    .map(|(bucket, cell)| (*bucket, cell.as_ref().map(|cell| percentile(cell, *rank) as f64)));
                (percentile_label(index, asked), of_rank.collect())
            })
            .collect(),
        Metric::Apdex | Metric::Cpm | Metric::Sla | Metric::RespTime => {
            let values = cells
                .iter()
                .map(|(bucket, cell)| (*bucket, cell.as_ref().map(|cell| metric.value(cell, bucket.step) as f64)));
            vec![(json!([]), values.collect())]
        }
    };
    let kind = if parsed.aggregate.is_some() { "SINGLE_VALUE" } else { "TIME_SERIES_VALUES" };
    let results: Vec<Value> = lines
        .into_iter()
        .map(|(labels, values)| json!({ "metric": { "labels": labels }, "values": line(&parsed, &values) }))
        .collect();
    Ok(json!({ "type": kind, "results": results, "error": null }))
}

fn unknown(error: &Value) -> Value {
    json!({ "type": "UNKNOWN", "results": [], "error": error })
}

/// Version 9 answers an entity that it does not understand with nulls, version 10 with type UNKNOWN and no error.
fn illegal_entity(arguments: &Value, asked: Asked<'_>) -> Result<Value, String> {
    if asked.config.number() >= super::Version(10, 0) {
        return Ok(unknown(&Value::Null));
    }
    let values: Vec<Value> = buckets(&arguments["duration"], asked.config.time_zone)?
        .iter()
        .map(|bucket| json!({ "id": (bucket.begin * 1000).to_string(), "value": null }))
        .collect();
    Ok(json!({ "type": "TIME_SERIES_VALUES", "results": [{ "metric": null, "values": values }], "error": null }))
}

fn percentile_label(index: usize, asked: Asked<'_>) -> Value {
    if asked.config.number() >= super::Version(10, 0) {
        json!([{ "key": "p", "value": RANKS[index].to_string() }])
    } else {
        json!([{ "key": "_", "value": index.to_string() }])
    }
}

/// The values of one line of the answer: strings, or null where there is no data.
fn line(parsed: &Parsed<'_>, values: &[(Bucket, Option<f64>)]) -> Vec<Value> {
    let show = |value: Option<f64>| value.map_or(Value::Null, |value| json!(decimal(value / parsed.divisor)));
    match parsed.aggregate {
        None => values
            .iter()
            .map(|(bucket, value)| json!({ "id": (bucket.begin * 1000).to_string(), "value": show(*value) }))
            .collect(),
        Some(aggregate) => {
            let present: Vec<f64> = values.iter().filter_map(|(_, value)| *value).collect();
            vec![json!({ "id": null, "value": show(aggregate.of(&present)) })]
        }
    }
}

/// At most three decimals, cut, without trailing zeros.
fn decimal(value: f64) -> String {
    let text = format!("{:.3}", (value * 1000.0).trunc() / 1000.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Aggregate {
    /// Over the buckets with data; `None` without any.
    fn of(self, present: &[f64]) -> Option<f64> {
        let sum: f64 = present.iter().sum();
        let last = *present.last()?;
        Some(match self {
            Self::Avg => sum / present.len() as f64,
            Self::Count => present.len() as f64,
            Self::Latest => last,
            Self::Max => present.iter().copied().fold(f64::MIN, f64::max),
            Self::Min => present.iter().copied().fold(f64::MAX, f64::min),
            Self::Sum => sum,
        })
    }
}

/// `metric`, `aggregate(metric)`, and either of them divided by a number.
fn parse(expression: &str) -> Option<Parsed<'_>> {
    let (subject, divisor) = match expression.split_once('/') {
        Some((subject, number)) => (subject.trim(), number.trim().parse::<f64>().ok().filter(|number| *number != 0.0)?),
        None => (expression.trim(), 1.0),
    };
    let (aggregate, metric) = match subject.split_once('(') {
        None => (None, subject),
        Some((function, rest)) => (Some(aggregate(function.trim())?), rest.strip_suffix(')')?.trim()),
    };
    // Labels in braces select nothing of these metrics; the server ignores those that it does not know.
    let metric = metric.split('{').next().unwrap_or(metric).trim();
    let is_name = !metric.is_empty() && metric.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(Parsed { aggregate, metric, divisor })
}

fn aggregate(name: &str) -> Option<Aggregate> {
    Some(match name {
        "avg" => Aggregate::Avg,
        "count" => Aggregate::Count,
        "latest" => Aggregate::Latest,
        "max" => Aggregate::Max,
        "min" => Aggregate::Min,
        "sum" => Aggregate::Sum,
        _unknown => return None,
    })
}
