//! The HTTP API: `/api/v1/query`, `/api/v1/query_range` and the few others that clients touch.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{Method, Request, Response, StatusCode, header};
use promql_parser::parser::{Expr, VectorSelector, parse};
use serde_json::{Value as Json, json};

use super::super::Store;
use super::eval::{Eval, STEPS_MAX};
use super::parameters::{Parameters, duration, time};
use super::scraped::NAMES;
use super::select::{Samples, Wanted};
use super::value::{Labels, NAME, Point, Value, number};

const QUERY: &str = "query";
const QUERY_RANGE: &str = "query_range";
const LABELS: &str = "labels";
const BUILD_INFO: &str = "status/buildinfo";

/// A Prometheus server over what the mesh served.
#[derive(Debug, Clone)]
pub struct Prometheus {
    store: Store,
}

/// Why a query has no answer.
#[derive(Debug)]
enum Failure {
    /// The request or the query is wrong: HTTP 400.
    BadData(String),
    /// The query cannot be computed: HTTP 422.
    Execution(String),
    /// There is no such page: HTTP 404.
    NotFound,
    /// HTTP 405.
    Method,
}

impl Prometheus {
    /// A server that answers from `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Whether a path is one that [`Self::respond`] answers, below whatever path the server's address has.
    #[must_use]
    pub fn knows(path: &str) -> bool {
        let is_served =
            |endpoint| matches!(endpoint, QUERY | QUERY_RANGE | LABELS | BUILD_INFO) || label(endpoint).is_some();
        is_probe(path) || endpoint(path).is_some_and(is_served)
    }

    /// Answers a request as of `now`, under any base path.
    #[must_use]
    pub fn respond(&self, request: &Request<Bytes>, now: DateTime<Utc>) -> Response<Bytes> {
        let path = request.uri().path();
        if is_probe(path) {
            return reply(StatusCode::OK, "text/plain; charset=utf-8", "Prometheus Server is Healthy.\n".to_owned());
        }
        let (status, kind, message) =
            match self.answer(endpoint(path).unwrap_or_default(), request, now.timestamp_millis()) {
                Ok(data) => return success(&data),
                Err(Failure::BadData(message)) => (StatusCode::BAD_REQUEST, "bad_data", message),
                Err(Failure::Execution(message)) => (StatusCode::UNPROCESSABLE_ENTITY, "execution", message),
                Err(Failure::NotFound) => {
                    return reply(
                        StatusCode::NOT_FOUND,
                        "text/plain; charset=utf-8",
                        "404 page not found\n".to_owned(),
                    );
                }
                Err(Failure::Method) => {
                    return reply(
                        StatusCode::METHOD_NOT_ALLOWED,
                        "text/plain; charset=utf-8",
                        "Method Not Allowed\n".to_owned(),
                    );
                }
            };
        let body = json!({ "status": "error", "errorType": kind, "error": message });
        reply(status, "application/json", body.to_string())
    }

    fn answer(&self, endpoint: &str, request: &Request<Bytes>, now: i64) -> Result<Json, Failure> {
        if request.method() != Method::GET && request.method() != Method::POST {
            return Err(Failure::Method);
        }
        let parameters = Parameters::of(request);
        match endpoint {
            QUERY => self.query(&parameters, now),
            QUERY_RANGE => self.query_range(&parameters, now),
            LABELS => Ok(json!(self.label_values(now).keys().collect::<Vec<_>>())),
            BUILD_INFO => Ok(json!({ "version": "3.5.0", "revision": "", "branch": "", "goVersion": "" })),
            other => match label(other) {
                Some(label) => Ok(json!(self.label_values(now).remove(label).unwrap_or_default())),
                None => Err(Failure::NotFound),
            },
        }
    }

    fn query(&self, parameters: &Parameters, now: i64) -> Result<Json, Failure> {
        let expr = parsed(parameters)?;
        let at = parameters.get("time").map_or(Ok(now), |text| time("time", text)).map_err(Failure::BadData)?;
        let contents = self.store.lock();
        // What lies ahead of the clock has not been scraped.
        let seen = UpTo { samples: &*contents, now };
        let value = Eval { samples: &seen, at, start: at, end: at }.eval(&expr).map_err(Failure::Execution)?;
        let (kind, result) = match value {
            Value::Scalar(value) => ("scalar", point((at, value))),
            Value::Text(text) => ("string", json!([seconds(at), text])),
            Value::Vector(samples) => {
                let sample = |labels: &Labels, value| json!({ "metric": labels, "value": point((at, value)) });
                ("vector", samples.iter().map(|each| sample(&each.labels, each.value)).collect())
            }
            Value::Matrix(window) => {
                ("matrix", window.series.iter().map(|series| line(&series.labels, &series.points)).collect())
            }
        };
        Ok(json!({ "resultType": kind, "result": result }))
    }

    fn query_range(&self, parameters: &Parameters, now: i64) -> Result<Json, Failure> {
        let expr = parsed(parameters)?;
        let required = |name: &str| {
            parameters.get(name).ok_or_else(|| Failure::BadData(format!("invalid parameter \"{name}\": it is missing")))
        };
        let start = time("start", required("start")?).map_err(Failure::BadData)?;
        let end = time("end", required("end")?).map_err(Failure::BadData)?;
        let step = duration("step", required("step")?).map_err(Failure::BadData)?;
        let refuse = |message: &str| Err(Failure::BadData(message.to_owned()));
        if end < start {
            return refuse("invalid parameter \"end\": end timestamp must not be before start time");
        }
        if step <= 0 {
            return refuse(
                "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer",
            );
        }
        if (end - start) / step > STEPS_MAX {
            return refuse(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
            );
        }
        let contents = self.store.lock();
        let seen = UpTo { samples: &*contents, now };
        let mut lines: BTreeMap<Labels, Vec<Point>> = BTreeMap::new();
        let mut at = start;
        while at <= end {
            match (Eval { samples: &seen, at, start, end }).eval(&expr).map_err(Failure::Execution)? {
                Value::Scalar(value) => lines.entry(Labels::new()).or_default().push((at, value)),
                Value::Vector(samples) => {
                    for sample in samples {
                        lines.entry(sample.labels).or_default().push((at, sample.value));
                    }
                }
                other @ (Value::Text(_) | Value::Matrix(_)) => {
                    let kind = other.kind();
                    return Err(Failure::BadData(format!(
                        "invalid parameter \"query\": invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector"
                    )));
                }
            }
            at += step;
        }
        let result: Vec<Json> = lines.iter().map(|(labels, points)| line(labels, points)).collect();
        Ok(json!({ "resultType": "matrix", "result": result }))
    }

    /// All label names with their values.
    fn label_values(&self, now: i64) -> BTreeMap<String, BTreeSet<String>> {
        let contents = self.store.lock();
        let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in NAMES {
            let selector = VectorSelector::from(name);
            // An hour is enough for a list that people look at.
            for series in contents.select(&Wanted(&selector), now - 3_600_000, now) {
                for (label, value) in series.labels {
                    values.entry(label).or_default().insert(value);
                }
            }
        }
        values.entry(NAME.to_owned()).or_default();
        values
    }
}

/// What stands behind the `/api/v1/` of the API; that of a proxy in front of it, as in an address at an API server, comes before.
fn endpoint(path: &str) -> Option<&str> {
    path.rsplit_once("/api/v1/").map(|(_, endpoint)| endpoint)
}

/// The label whose values an endpoint has.
fn label(endpoint: &str) -> Option<&str> {
    endpoint.strip_prefix("label/").and_then(|rest| rest.strip_suffix("/values"))
}

fn is_probe(path: &str) -> bool {
    path.ends_with("/-/healthy") || path.ends_with("/-/ready")
}

/// Hides what will be scraped after `now`, so that a query for a later time does not see the future.
struct UpTo<'a> {
    samples: &'a dyn Samples,
    now: i64,
}

impl Samples for UpTo<'_> {
    fn select(&self, wanted: &Wanted<'_>, after: i64, until: i64) -> Vec<super::value::Series> {
        self.samples.select(wanted, after, until.min(self.now))
    }
}

/// Deeper nesting of brackets is refused.
const NESTING_MAX: usize = 100;

/// More operators are refused. Each may add a level to the tree that is walked, and half a kilobyte to two of stack with it.
const OPERATORS_MAX: usize = 500;

fn parsed(parameters: &Parameters) -> Result<Expr, Failure> {
    let query = parameters.get("query").unwrap_or_default();
    let refused = |message: &str| Failure::BadData(format!("invalid parameter \"query\": {message}"));
    if query.trim().is_empty() {
        return Err(refused("1:1: parse error: no expression found in input"));
    }
    if nesting(query) > NESTING_MAX || operators(query) > OPERATORS_MAX {
        return Err(refused("the expression is too long or nested too deeply"));
    }
    // A number out of range may make the parser panic; for the user that is a bad query like any other.
    std::panic::catch_unwind(|| parse(query))
        .unwrap_or_else(|_| Err("the expression holds a number or duration out of range".to_owned()))
        .map_err(|message| refused(&format!("parse error: {message}")))
}

/// The deepest nesting of brackets; brackets within strings count too, an upper bound is enough.
fn nesting(query: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in query.bytes() {
        match byte {
            b'(' | b'{' | b'[' => depth += 1,
            b')' | b'}' | b']' => depth = depth.saturating_sub(1),
            _other => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// An upper bound of the number of operators.
fn operators(query: &str) -> usize {
    let signs = query.bytes().filter(|byte| b"+-*/%^<>=".contains(byte)).count();
    let is_word = |word: &&str| ["and", "or", "unless", "atan2"].iter().any(|known| known.eq_ignore_ascii_case(word));
    signs + query.split(|letter: char| !letter.is_alphanumeric()).filter(is_word).count()
}

fn line(labels: &Labels, points: &[Point]) -> Json {
    json!({ "metric": labels, "values": points.iter().copied().map(point).collect::<Vec<_>>() })
}

fn point((at, value): Point) -> Json {
    json!([seconds(at), number(value)])
}

/// Seconds since 1970, without decimals where they are 0.
fn seconds(millis: i64) -> Json {
    if millis % 1000 == 0 { json!(millis / 1000) } else { json!(millis as f64 / 1000.0) }
}

fn success(data: &Json) -> Response<Bytes> {
    reply(StatusCode::OK, "application/json", json!({ "status": "success", "data": data }).to_string())
}

fn reply(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
