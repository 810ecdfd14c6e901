//! What the fields of several providers say about a request: its headers, who asks, and how long to wait.

use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use serin_api::{Authentication, Oauth2Config, Sigv4Config, WebMetricHeader};

use crate::address::authorize;

/// The headers that a metric gives; `provider` is its provider as manifests spell it.
pub(crate) fn headers(provider: &str, given: &[WebMetricHeader]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (index, header) in given.iter().enumerate() {
        let field = format!("provider.{provider}.headers[{index}]");
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

/// Adds what proves who asks.
pub(crate) fn authenticate(
    provider: &str,
    authentication: &Authentication,
    headers: &mut HeaderMap,
) -> Result<(), String> {
    // Manifests that went through other programs may hold empty objects for what is not used.
    let unsupported = [
        ("oauth2", authentication.oauth2.as_ref().is_some_and(|oauth2| *oauth2 != Oauth2Config::default())),
        ("sigv4", authentication.sigv4.as_ref().is_some_and(|sigv4| *sigv4 != Sigv4Config::default())),
    ];
    if let Some((name, _)) = unsupported.into_iter().find(|(_, set)| *set) {
        return Err(format!(
            "provider.{provider}.authentication.{name} is not supported yet; use basicAuth, or a header Authorization"
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

/// How long to wait for an answer, at most an hour; `default` seconds if `given` is absent or 0.
pub(crate) fn seconds_to_wait(field: &str, given: Option<i64>, default: u64) -> Result<Duration, String> {
    const SECONDS_MAX: u64 = 3600;
    match given {
        None | Some(0) => Ok(Duration::from_secs(default)),
        Some(seconds) => match u64::try_from(seconds) {
            Ok(seconds) => Ok(Duration::from_secs(seconds.min(SECONDS_MAX))),
            Err(_) => Err(format!("{field} is {seconds}; write a positive number of seconds")),
        },
    }
}
