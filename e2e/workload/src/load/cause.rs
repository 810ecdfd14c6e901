//! Why a request failed: the proxy's own answers by their text, the client's own failures by their error.

use std::error::Error;
use std::fmt;
use std::io;

use http::StatusCode;

/// How much of a proxy's text goes into a cause.
const TEXT_MAX: usize = 160;

/// A failure. Its text is the key of the counts; the crate's documentation lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The proxy answered instead of a server.
    Proxy(StatusCode, String),
    /// The name of the target has no address.
    Dns,
    /// No connection in time.
    ConnectTimeout,
    /// No connection.
    Connect(io::ErrorKind),
    /// No complete answer in time.
    Timeout,
    /// The connection was reset before the answer.
    Reset,
    /// The connection was closed before the answer.
    Closed,
    /// The connection ended within the answer.
    CutOff,
    /// The answer is not one of HTTP/1.
    NotHttp,
    /// The server let go of a kept connection at the moment of its next use.
    Stale,
}

impl Cause {
    /// What `error` says of a connection that had been made.
    pub(super) fn of_exchange(error: &hyper::Error) -> Self {
        if error.is_parse() {
            return Cause::NotHttp;
        }
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                let is_reset = matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
                return if is_reset { Cause::Reset } else { Cause::Closed };
            }
            source = error.source();
        }
        Cause::Closed
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Proxy(status, text) => f.write_str(&of_proxy(*status, text)),
            Cause::Dns => f.write_str("dns"),
            Cause::ConnectTimeout => f.write_str("connect-timeout"),
            Cause::Connect(io::ErrorKind::ConnectionRefused) => f.write_str("refused"),
            Cause::Connect(io::ErrorKind::TimedOut) => f.write_str("connect-timeout"),
            Cause::Connect(io::ErrorKind::ConnectionReset) => f.write_str("reset"),
            Cause::Connect(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                f.write_str("unreachable")
            }
            Cause::Connect(kind) => write!(f, "connect-error ({kind})"),
            Cause::Timeout => f.write_str("timeout"),
            Cause::Reset => f.write_str("reset"),
            Cause::Closed => f.write_str("closed"),
            Cause::CutOff => f.write_str("cut-off"),
            Cause::NotHttp => f.write_str("not-http"),
            Cause::Stale => f.write_str(serin_workload::STALE_CONNECTION),
        }
    }
}

/// The texts of Envoy's own answers: "Local reply" in `source/common/router/router.cc` and `utility.cc` of its sources.
fn of_proxy(status: StatusCode, text: &str) -> String {
    const RESET: &str = "upstream connect error or disconnect/reset before headers. ";
    let code = status.as_u16();
    let text = text.trim();
    if let Some(rest) = text.strip_prefix(RESET) {
        return match rest.strip_prefix("retried and the latest reset reason: ") {
            Some(reason) => format!("upstream-reset-retried ({code}): {}", shortened(reason)),
            None => {
                let reason = rest.strip_prefix("reset reason: ").unwrap_or(rest);
                format!("upstream-reset ({code}): {}", shortened(reason))
            }
        };
    }
    match (status, text) {
        (_, "no healthy upstream") => format!("no-healthy-upstream ({code})"),
        (_, "upstream request timeout") => format!("upstream-timeout ({code})"),
        (StatusCode::NOT_FOUND, _) => format!("no-route ({code})"),
        (StatusCode::SERVICE_UNAVAILABLE, "") => format!("no-cluster ({code})"),
        (_, "") => format!("proxy ({code})"),
        (_, text) => format!("proxy ({code}): {}", shortened(text)),
    }
}

/// The first line, and not all of a long one.
fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().filter(|character| !character.is_control()).take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, text: &str, expected: &str) {
        let status = StatusCode::from_u16(status).expect("a status");
        assert_eq!(Cause::Proxy(status, text.to_owned()).to_string(), expected, "{text}");
    }

    #[test]
    fn answers_of_the_proxy_are_told_apart() {
        check(503, "no healthy upstream", "no-healthy-upstream (503)");
        check(
            503,
            "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
            "upstream-reset (503): connection termination",
        );
        check(
            503,
            "upstream connect error or disconnect/reset before headers. retried and the latest reset reason: \
             remote connection failure, transport failure reason: delayed connect error: Connection refused",
            "upstream-reset-retried (503): remote connection failure, transport failure reason: delayed connect error: \
             Connection refused",
        );
        check(504, "upstream request timeout", "upstream-timeout (504)");
        check(404, "", "no-route (404)");
        check(503, "", "no-cluster (503)");
        check(500, "", "proxy (500)");
        check(403, "RBAC: access denied\nmore", "proxy (403): RBAC: access denied");
    }

    #[test]
    fn long_texts_are_cut() {
        let cause = Cause::Proxy(StatusCode::BAD_GATEWAY, "ä".repeat(5000)).to_string();
        assert_eq!(cause.chars().count(), "proxy (502): ".len() + TEXT_MAX);
    }
}
