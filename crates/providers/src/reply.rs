//! What the answers of HTTP servers mean, where the metrics source itself did not say it.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Request, Response, StatusCode};
use serde_json::Value;
use serin_core::analysis::sample::Outcome;

use crate::transport::{Transport, TransportError, TransportErrorKind, TransportOptions};

/// Who is asked, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// `Prometheus` or the like.
    pub(crate) kind: &'a str,
    /// Where it is, without credentials.
    pub(crate) address: &'a str,
}

impl Source<'_> {
    /// Sends a request; no answer at all is an outcome.
    pub(crate) async fn send(
        &self,
        transport: &dyn Transport,
        request: Request<Bytes>,
        options: &TransportOptions,
    ) -> Result<Response<Bytes>, Outcome> {
        transport.send(request, options).await.map_err(|error| self.unanswered(&error))
    }

    fn unanswered(&self, error: &TransportError) -> Outcome {
        match error.kind {
            TransportErrorKind::TooLarge => {
                wrong(format!("{} at {}: {error}; make the query give less", self.kind, self.address))
            }
            TransportErrorKind::Timeout
            | TransportErrorKind::Refused
            | TransportErrorKind::Dns
            | TransportErrorKind::Tls
            | TransportErrorKind::Other => {
                down(format!("{} at {} cannot be reached: {error}", self.kind, self.address))
            }
        }
    }

    /// What a status other than 2xx means if the body does not say more; `None` for 2xx.
    pub(crate) fn refused(&self, response: &Response<Bytes>) -> Option<Outcome> {
        let status = response.status();
        if status.is_success() {
            return None;
        }
        let text = excerpt(response.body());
        let said = if text.is_empty() { String::new() } else { format!(": {text}") };
        let start = format!("{} at {} answered {status}", self.kind, self.address);
        Some(match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => down(format!("{start}{said}")),
            _ if status.is_server_error() => down(format!("{start}{said}")),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                wrong(format!("{start}; check the credentials of the metric{said}"))
            }
            StatusCode::NOT_FOUND => wrong(format!("{start}; check the path of the address{said}")),
            _ if status.is_redirection() => {
                let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
                wrong(format!("{start}, a redirect to {to}; write the address that is meant"))
            }
            _ => wrong(format!("{start}{said}")),
        })
    }

    /// The body as JSON. A web page is a wrong address; other text is an answer that was cut or garbled on its way.
    pub(crate) fn json(&self, response: &Response<Bytes>) -> Result<Value, Outcome> {
        let error = match serde_json::from_slice(response.body()) {
            Ok(json) => return Ok(json),
            Err(error) => error,
        };
        let text = excerpt(response.body());
        let start = format!("{} at {} answered", self.kind, self.address);
        if is_page(response) {
            return Err(wrong(format!(
                "{start} with a web page; check the address, and whether a proxy asks to sign in: {text}"
            )));
        }
        Err(down(format!("{start} with {} bytes that are not JSON ({error}): {text}", response.body().len())))
    }
}

/// The question is wrong.
pub(crate) fn wrong(message: impl Into<String>) -> Outcome {
    Outcome::Wrong { message: message.into() }
}

/// The source cannot be asked.
pub(crate) fn down(message: impl Into<String>) -> Outcome {
    Outcome::SourceDown { message: message.into() }
}

/// A float with the fewest digits that read back as itself, without exponent: `0.99`, `NaN`, `+Inf`, `-Inf`.
pub(crate) fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

fn is_page(response: &Response<Bytes>) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("text/html") || response.body().trim_ascii_start().starts_with(b"<")
}

/// The beginning of a body on one line.
fn excerpt(body: &Bytes) -> String {
    const CHARS_MAX: usize = 200;
    let start = &body[..body.len().min(4 * CHARS_MAX)];
    let text = String::from_utf8_lossy(start);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut short: String = line.chars().take(CHARS_MAX).collect();
    if short.len() < line.len() || start.len() < body.len() {
        short.push('…');
    }
    short
}
