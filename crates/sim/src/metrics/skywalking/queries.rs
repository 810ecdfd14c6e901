//! One function for each query of the schema; values are complete, the document cuts them.

use chrono::Utc;
use serde_json::{Value, json};

use super::super::timeline::{Cell, Seconds};
use super::duration::{Bucket, buckets};
use super::values::{Metric, RANKS, percentile};
use super::{Asked, Version, expression};

/// Answers the query `name`. An error is the message of an exception.
pub(super) fn fetch(name: &str, arguments: &Value, asked: Asked<'_>) -> Result<Value, String> {
    match name {
        "version" => Ok(json!(format!("{}-0000000", asked.config.version))),
        "getTimeInfo" => Ok(time_info(asked)),
        "checkHealth" => Ok(json!({ "score": 0, "details": "" })),
        "typeOfMetrics" => Ok(json!(Metric::by_name(text(arguments, "name")).map_or("UNKNOWN", Metric::kind))),
        "listMetrics" => list_metrics(arguments),
        "findService" => Ok(find_service(text(arguments, "serviceName"), asked)),
        "readMetricsValue" => read_value(arguments, asked).map(|value| json!(value.unwrap_or(0))),
        "readNullableMetricsValue" => read_value(arguments, asked)
            .map(|value| json!({ "value": value.unwrap_or(0), "isEmptyValue": value.is_none() })),
        "readMetricsValues" => read_values(arguments, asked),
        "readLabeledMetricsValues" => read_labeled(arguments, asked),
        "execExpression" => expression::execute(arguments, asked),
        _checked_by_the_schema => Err(format!("java.lang.UnsupportedOperationException: {name}")),
    }
}

pub(super) fn text<'a>(arguments: &'a Value, key: &str) -> &'a str {
    arguments.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn time_info(asked: Asked<'_>) -> Value {
    let minutes = asked.config.time_zone.local_minus_utc() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let zone = format!("{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60);
    json!({ "timezone": zone, "currentTimestamp": asked.now.timestamp_millis() })
}

fn list_metrics(arguments: &Value) -> Result<Value, String> {
    let pattern =
        regex::Regex::new(&format!("^(?:{})$", arguments.get("regex").and_then(Value::as_str).unwrap_or(".*")))
            .map_err(|error| format!("java.util.regex.PatternSyntaxException: {error}"))?;
    Ok(Metric::ALL
        .into_iter()
        .filter(|(name, _)| pattern.is_match(name))
        .map(|(name, metric)| json!({ "name": name, "type": metric.kind(), "catalog": "SERVICE" }))
        .collect())
}

fn find_service(name: &str, asked: Asked<'_>) -> Value {
    if asked.store.lock().service(name).is_none() {
        return Value::Null;
    }
    json!({ "id": service_id(name), "name": name, "shortName": name, "group": "", "layers": ["MESH"], "normal": true })
}

/// One value a bucket, where there is one.
type Line = Vec<(Bucket, Option<u64>)>;

/// What was asked for in `condition`.
enum Subject<'a> {
    Service(Metric, &'a str),
    UnknownMetric,
    IllegalEntity,
}

impl<'a> Subject<'a> {
    fn of(condition: &'a Value) -> Self {
        let entity = &condition["entity"];
        match Metric::by_name(text(condition, "name")) {
            None => Self::UnknownMetric,
            Some(metric) => match service_in(entity) {
                Some(service) => Self::Service(metric, service),
                None => Self::IllegalEntity,
            },
        }
    }

    /// The part of ids after the bucket's name.
    fn suffix(&self) -> String {
        match self {
            Self::Service(_, service) => service_id(service),
            Self::UnknownMetric => "UNKNOWN_METRIC_NAME".to_owned(),
            Self::IllegalEntity => "ILLEGAL_ENTITY".to_owned(),
        }
    }
}

/// The service that an entity names; `None` if the entity is of another kind or is not said to be normal.
pub(super) fn service_in(entity: &Value) -> Option<&str> {
    let is_service = matches!(text(entity, "scope"), "" | "Service");
    let is_normal = entity.get("normal") == Some(&Value::Bool(true));
    (is_service && is_normal).then_some(text(entity, "serviceName")).filter(|name| !name.is_empty())
}

/// The buckets of the duration, each with what the service did in it.
pub(super) fn cells(service: &str, duration: &Value, asked: Asked<'_>) -> Result<Vec<(Bucket, Option<Cell>)>, String> {
    let visible_until = asked.now.with_timezone(&Utc) - asked.config.flush_lag;
    let store = asked.store.lock();
    let none = Seconds::default();
    let of_service = store.service(service).unwrap_or(&none);
    Ok(buckets(duration, asked.config.time_zone)?
        .into_iter()
        .map(|bucket| (bucket, bucket.cell(of_service, visible_until)))
        .collect())
}

/// The values of a metric that has one value a bucket.
fn series(arguments: &Value, asked: Asked<'_>) -> Result<(String, Line), String> {
    let subject = Subject::of(&arguments["condition"]);
    let suffix = subject.suffix();
    let values = match subject {
        Subject::Service(Metric::Percentile, _) => {
            return Err("java.lang.ClassCastException: PercentileMetrics cannot be cast to a single value".to_owned());
        }
        Subject::Service(metric, service) => cells(service, &arguments["duration"], asked)?
            .into_iter()
            .map(|(bucket, cell)| (bucket, cell.map(|cell| metric.value(&cell, bucket.step))))
            .collect(),
        Subject::UnknownMetric | Subject::IllegalEntity => {
            buckets(&arguments["duration"], asked.config.time_zone)?.into_iter().map(|bucket| (bucket, None)).collect()
        }
    };
    Ok((suffix, values))
}

/// The average over the buckets that are not empty, each counting the same however many calls it had.
fn read_value(arguments: &Value, asked: Asked<'_>) -> Result<Option<u64>, String> {
    let present: Vec<u64> = series(arguments, asked)?.1.into_iter().filter_map(|(_, value)| value).collect();
    let count = present.len() as u64;
    if count == 0 {
        return Ok(None);
    }
    let sum: u64 = present.iter().sum();
    // Version 9 rounds, version 10 drops the rest.
    Ok(Some(if asked.config.number() < Version(10, 0) { (sum + count / 2) / count } else { sum / count }))
}

fn read_values(arguments: &Value, asked: Asked<'_>) -> Result<Value, String> {
    let (suffix, values) = series(arguments, asked)?;
    Ok(values_object(&Value::Null, &suffix, &values))
}

/// The trap of this protocol: an empty bucket is a 0 like any other, unless the caller asks for `isEmptyValue`.
fn values_object(label: &Value, suffix: &str, values: &[(Bucket, Option<u64>)]) -> Value {
    let entries: Vec<Value> = values
        .iter()
        .map(|(bucket, value)| {
            json!({ "id": format!("{}_{suffix}", bucket.name()), "value": value.unwrap_or(0), "isEmptyValue": value.is_none() })
        })
        .collect();
    json!({ "label": label, "values": { "values": entries } })
}

fn read_labeled(arguments: &Value, asked: Asked<'_>) -> Result<Value, String> {
    let Subject::Service(Metric::Percentile, service) = Subject::of(&arguments["condition"]) else {
        return Ok(json!([]));
    };
    let wanted: Vec<&str> = arguments["labels"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let new = asked.config.number() >= Version(10, 0);
    // Version 10.1 answers with nothing to every list of labels that is not empty.
    if new && !wanted.is_empty() {
        return Ok(json!([]));
    }
    let cells = cells(service, &arguments["duration"], asked)?;
    let suffix = service_id(service);
    let labelled = RANKS.iter().enumerate().map(|(index, rank)| {
        let label = if new { format!("{{p={rank}}}") } else { index.to_string() };
        let values: Vec<(Bucket, Option<u64>)> =
            cells.iter().map(|(bucket, cell)| (*bucket, cell.as_ref().map(|cell| percentile(cell, *rank)))).collect();
        (label, values)
    });
    Ok(labelled
        .filter(|(label, _)| wanted.is_empty() || wanted.contains(&label.as_str()))
        .map(|(label, values)| values_object(&json!(label), &suffix, &values))
        .collect())
}

/// The id of a normal service: its name in Base64 (RFC 4648) and a mark.
fn service_id(name: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut id = String::new();
    for chunk in name.as_bytes().chunks(3) {
        let bits =
            chunk.iter().enumerate().fold(0_u32, |bits, (index, byte)| bits | u32::from(*byte) << (16 - 8 * index));
        for digit in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * digit) & 63) as usize];
            id.push(if digit <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    id + ".1"
}
