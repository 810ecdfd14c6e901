//! The request of a web metric, from its fields.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use serin_api::WebMetric;
use serin_core::json_path::JsonPath;

use crate::address::Address;
use crate::headers::{authenticate, headers, seconds_to_wait};
use crate::transport::TransportOptions;

/// The provider's name in manifests.
const PROVIDER: &str = "web";
/// How long to wait for an answer unless the metric says otherwise.
const SECONDS_DEFAULT: u64 = 10;

/// All that is needed to ask.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) request: Request<Bytes>,
    pub(super) options: TransportOptions,
    /// The URL without what may be secret in it.
    pub(super) shown: String,
    pub(super) path: Path,
}

/// Which part of the answer is the result.
#[derive(Debug)]
pub(super) enum Path {
    /// All of it.
    Whole,
    /// What a JSONPath finds first; beside it the path as it was written.
    At(JsonPath, String),
}

impl Ask {
    /// Reads the metric's fields. Fails with a sentence that names the field and how to mend it.
    pub(super) fn new(metric: &WebMetric) -> Result<Self, String> {
        let (address, shown) = Address::parse_url(&metric.url)
            .ok_or("provider.web.url is no URL; write http://host:port/path or https://…")?;
        let timeout = seconds_to_wait("provider.web.timeoutSeconds", metric.timeout_seconds, SECONDS_DEFAULT)?;
        let method = method(metric)?;
        let body = body(metric, &method)?;
        let mut request = Request::builder()
            .method(method)
            .uri(&address.base)
            .body(body)
            .map_err(|error| format!("provider.web.url cannot be asked: {error}"))?;
        let mut headers = headers(PROVIDER, &metric.headers)?;
        if let Some(authentication) = &metric.authentication {
            authenticate(PROVIDER, authentication, &mut headers)?;
        }
        address.authorize(&mut headers);
        if metric.json_body.is_some() {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        *request.headers_mut() = headers;
        let options = TransportOptions { timeout, insecure: metric.insecure };
        Ok(Self { request, options, shown, path: path(metric)? })
    }
}

fn method(metric: &WebMetric) -> Result<Method, String> {
    match metric.method.as_deref().unwrap_or_default() {
        "" | "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        other => Err(format!("provider.web.method is {other}; write GET, POST or PUT")),
    }
}

fn body(metric: &WebMetric, method: &Method) -> Result<Bytes, String> {
    let text = metric.body.as_deref().filter(|body| !body.is_empty());
    let body = match (text, &metric.json_body) {
        (None, None) => return Ok(Bytes::new()),
        (Some(_), Some(_)) => return Err("provider.web.body: use either body or jsonBody".to_owned()),
        (Some(text), None) => Bytes::from(text.to_owned()),
        (None, Some(json)) => Bytes::from(json.to_string()),
    };
    if method == Method::GET {
        return Err("provider.web.method must be POST or PUT when there is a body".to_owned());
    }
    Ok(body)
}

fn path(metric: &WebMetric) -> Result<Path, String> {
    let text = metric.json_path.as_deref().unwrap_or_default().trim();
    match text.trim_start_matches('{').trim_end_matches('}').trim() {
        "" | "$" => Ok(Path::Whole),
        _ => {
            let path = JsonPath::parse(text).map_err(|error| format!("provider.web.jsonPath: {error}"))?;
            Ok(Path::At(path, text.to_owned()))
        }
    }
}
