//! What an answer of Prometheus' HTTP API means.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Response, StatusCode};
use prometheus_http_query::response::{Data, PromqlResult, Sample};
use serde_json::Value;
use serin_core::analysis::condition::MetricResult;
use serin_core::analysis::sample::Outcome;

use crate::Answer;
use crate::reply::{Source, down, number, wrong};

/// Reads the answer to a query.
pub(super) fn read(source: &Source<'_>, response: &Response<Bytes>) -> Result<Answer, Outcome> {
    let body: Option<Value> = serde_json::from_slice(response.body()).ok();
    if let Some(refusal) = body.as_ref().and_then(|body| refusal(source, response.status(), body)) {
        return Err(refusal);
    }
    if let Some(refused) = source.refused(response) {
        return Err(refused);
    }
    let mut body = source.json(response)?;
    if body["status"] != "success" {
        let message = "answered with JSON that is not of Prometheus' API; check the address";
        return Err(wrong(format!("{} at {} {message}", source.kind, source.address)));
    }
    let metadata = notes(&body);
    let result = result(body["data"].take())?;
    Ok(Answer { value: text(&result), outcome: Outcome::Measured(result), metadata })
}

/// The server's own words for why there is no result.
///
/// `timeout`, `canceled`, `unavailable` and `internal` are about the server; all other types are about the query.
fn refusal(source: &Source<'_>, status: StatusCode, body: &Value) -> Option<Outcome> {
    if body["status"] != "error" {
        return None;
    }
    let kind = body["errorType"].as_str().unwrap_or("error");
    let error = body["error"].as_str().unwrap_or("no message");
    let is_down = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || matches!(kind, "timeout" | "canceled" | "unavailable" | "internal");
    Some(if is_down {
        down(format!("{} at {} failed ({kind}): {error}", source.kind, source.address))
    } else {
        wrong(format!("{} refuses the query ({kind}): {error}", source.kind))
    })
}

/// What the server remarks about a query that it answered.
fn notes(body: &Value) -> BTreeMap<String, String> {
    let quoted = |key: &str| {
        let remarks = body[key].as_array()?.iter().filter_map(Value::as_str);
        let remarks: Vec<String> = remarks.map(|remark| format!("\"{remark}\"")).collect();
        (!remarks.is_empty()).then(|| (key.to_owned(), remarks.join(", ")))
    };
    ["warnings", "infos"].into_iter().filter_map(quoted).collect()
}

fn result(mut data: Value) -> Result<MetricResult, Outcome> {
    if !matches!(data["resultType"].as_str(), Some("scalar" | "vector" | "matrix")) {
        return Err(wrong(
            "Prometheus metric type not supported: the query must give a scalar, a vector or a matrix of numbers",
        ));
    }
    if has_histograms(&data) {
        return Err(wrong(
            "Prometheus metric type not supported: the result has native histograms; take a number from them, for example \
             with histogram_quantile() or histogram_sum()",
        ));
    }
    if let Value::Object(fields) = &mut data {
        // Its form differs between servers, and nobody asked for it.
        fields.remove("stats");
    }
    let parsed: PromqlResult = serde_json::from_value(data)
        .map_err(|error| wrong(format!("Prometheus answered with a result that cannot be read: {error}")))?;
    Ok(match parsed.data() {
        Data::Scalar(sample) => MetricResult::Scalar(sample.value()),
        Data::Vector(series) => MetricResult::Vector(series.iter().map(|series| series.sample().value()).collect()),
        Data::Matrix(series) => {
            MetricResult::Vector(series.iter().flat_map(|series| series.samples().iter().map(Sample::value)).collect())
        }
    })
}

fn has_histograms(data: &Value) -> bool {
    let series = data["result"].as_array().into_iter().flatten();
    series.into_iter().any(|series| series.get("histogram").is_some() || series.get("histograms").is_some())
}

fn text(result: &MetricResult) -> String {
    match result {
        MetricResult::Scalar(value) => number(*value),
        MetricResult::Vector(values) => {
            let numbers: Vec<String> = values.iter().map(|value| number(*value)).collect();
            format!("[{}]", numbers.join(","))
        }
        MetricResult::Nil | MetricResult::Json(_) => String::new(),
    }
}
