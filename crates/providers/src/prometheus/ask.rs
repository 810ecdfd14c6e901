//! The request for a PromQL query, from the fields of a metric.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Request};
use serin_api::{PrometheusMetric, PrometheusRangeQuery};
use serin_core::analysis::condition::evaluate_time;
use serin_core::analysis::sample::Outcome;
use serin_core::time::parse_duration;

use crate::address::{Address, percent_encode};
use crate::headers::{authenticate, headers, seconds_to_wait};
use crate::reply::wrong;
use crate::transport::TransportOptions;

/// The provider's name in manifests.
const PROVIDER: &str = "prometheus";

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
        let timeout = seconds_to_wait("provider.prometheus.timeout", metric.timeout, 30)?;
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
        let mut headers = headers(PROVIDER, &metric.headers)?;
        if let Some(authentication) = &metric.authentication {
            authenticate(PROVIDER, authentication, &mut headers)?;
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
