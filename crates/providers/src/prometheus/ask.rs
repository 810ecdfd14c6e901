//! The request for a PromQL query, from the fields of a metric.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request};
use serin_api::{Authentication, Oauth2Config, PrometheusMetric, PrometheusRangeQuery, Sigv4Config, WebMetricHeader};
use serin_core::analysis::condition::evaluate_time;
use serin_core::analysis::sample::Outcome;
use serin_core::time::parse_duration;

use crate::address::{Address, authorize, percent_encode};
use crate::reply::wrong;
use crate::transport::TransportOptions;

/// All that is needed to ask.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) address: Address,
    pub(super) options: TransportOptions,
    endpoint: &'static str,
    form: String,
    headers: HeaderMap,
}

impl Ask {
    /// Reads the metric's fields. Fails with a sentence that names the field and how to mend it.
    pub(super) fn new(metric: &PrometheusMetric, address: Option<&str>, now: DateTime<Utc>) -> Result<Self, String> {
        let address = address_of(metric, address)?;
        let timeout = timeout(metric)?;
        let query = metric.query.as_deref().filter(|query| !query.trim().is_empty());
        let query = query.ok_or("provider.prometheus.query is empty; write a PromQL query")?;
        let mut form = format!("query={}", percent_encode(query));
        let endpoint = match &metric.range_query {
            Some(range) => {
                form.push_str(&range_form(range, now)?);
                "/api/v1/query_range"
            }
            None => {
                form.push_str(&format!("&time={}", seconds(now)));
                "/api/v1/query"
            }
        };
        // The server stops working on a query that nobody waits for any more.
        form.push_str(&format!("&timeout={}s", timeout.as_secs()));
        let mut headers = headers(&metric.headers)?;
        if let Some(authentication) = &metric.authentication {
            authenticate(authentication, &mut headers)?;
        }
        address.authorize(&mut headers);
        let options = TransportOptions { timeout, insecure: metric.insecure };
        Ok(Self { address, options, endpoint, form, headers })
    }

    /// The query as a form, which may be of any length.
    pub(super) fn post(&self) -> Result<Request<Bytes>, Outcome> {
        let url = format!("{}{}", self.address.base, self.endpoint);
        let request = Request::post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.finish(request, Bytes::from(self.form.clone()))
    }

    /// The query as part of the URL.
    pub(super) fn get(&self) -> Result<Request<Bytes>, Outcome> {
        let url = format!("{}{}?{}", self.address.base, self.endpoint, self.form);
        self.finish(Request::get(url), Bytes::new())
    }

    fn finish(&self, request: http::request::Builder, body: Bytes) -> Result<Request<Bytes>, Outcome> {
        let mut request = request
            .header(ACCEPT, "application/json")
            .body(body)
            .map_err(|error| wrong(format!("provider.prometheus.address with the query is no URL: {error}")))?;
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        Ok(request)
    }
}

fn address_of(metric: &PrometheusMetric, default: Option<&str>) -> Result<Address, String> {
    let own = metric.address.as_deref().filter(|address| !address.trim().is_empty());
    let default = default.filter(|address| !address.trim().is_empty());
    let Some(text) = own.or(default) else {
        return Err("prometheus address is not configured; set provider.prometheus.address, or the environment \
                    variable ARGO_ROLLOUTS_PROMETHEUS_ADDRESS of the controller"
            .to_owned());
    };
    Address::parse(text)
        .ok_or_else(|| format!("prometheus address {text} is not is url format; write http://host:port or https://…"))
}

fn timeout(metric: &PrometheusMetric) -> Result<Duration, String> {
    const SECONDS_DEFAULT: u64 = 30;
    const SECONDS_MAX: u64 = 3600;
    match metric.timeout {
        None | Some(0) => Ok(Duration::from_secs(SECONDS_DEFAULT)),
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds) => Ok(Duration::from_secs(seconds.min(SECONDS_MAX))),
            Err(_) => Err(format!("provider.prometheus.timeout is {seconds}; write a positive number of seconds")),
        },
    }
}

fn range_form(range: &PrometheusRangeQuery, now: DateTime<Utc>) -> Result<String, String> {
    let time = |field: &str, text: &Option<String>| {
        let name = format!("provider.prometheus.rangeQuery.{field}");
        let text = text.as_deref().filter(|text| !text.trim().is_empty());
        let text =
            text.ok_or_else(|| format!("{name} is empty; write an expression such as now() - duration(\"5m\")"))?;
        evaluate_time(text, now).map_err(|error| format!("{name}: {error}"))
    };
    let (start, end) = (time("start", &range.start)?, time("end", &range.end)?);
    if start > end {
        return Err(format!("provider.prometheus.rangeQuery: start ({start}) is after end ({end})"));
    }
    let step = range.step.as_deref().unwrap_or_default();
    let step = parse_duration(step).map_err(|error| format!("provider.prometheus.rangeQuery.step: {error}"))?;
    if step.num_milliseconds() <= 0 {
        return Err("provider.prometheus.rangeQuery.step: write a duration longer than 0, such as 30s".to_owned());
    }
    let step = std::time::Duration::from_millis(step.num_milliseconds().unsigned_abs()).as_secs_f64();
    Ok(format!("&start={}&end={}&step={step}", seconds(start), seconds(end)))
}

/// A moment as Prometheus reads it: seconds since 1970 with milliseconds.
fn seconds(time: DateTime<Utc>) -> String {
    format!("{}.{:03}", time.timestamp(), time.timestamp_subsec_millis())
}

fn headers(given: &[WebMetricHeader]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (index, header) in given.iter().enumerate() {
        let field = format!("provider.prometheus.headers[{index}]");
        let name: HeaderName = header.key.parse().map_err(|_| format!("{field}.key is not a name of a header"))?;
        let mut value: HeaderValue = header
            .value
            .trim()
            .parse()
            .map_err(|_| format!("{field}.value has characters that a header cannot have, such as a line break"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

fn authenticate(authentication: &Authentication, headers: &mut HeaderMap) -> Result<(), String> {
    // Manifests that went through other programs may hold empty objects for what is not used.
    let unsupported = [
        ("oauth2", authentication.oauth2.as_ref().is_some_and(|oauth2| *oauth2 != Oauth2Config::default())),
        ("sigv4", authentication.sigv4.as_ref().is_some_and(|sigv4| *sigv4 != Sigv4Config::default())),
    ];
    if let Some((name, _)) = unsupported.into_iter().find(|(_, set)| *set) {
        return Err(format!(
            "provider.prometheus.authentication.{name} is not supported yet; use basicAuth, or a header Authorization"
        ));
    }
    if let Some(basic) = &authentication.basic_auth {
        let (user, password) = (basic.username.as_deref(), basic.password.as_deref());
        if user.is_some() || password.is_some() {
            authorize(headers, user.unwrap_or_default(), password.unwrap_or_default());
        }
    }
    Ok(())
}
