//! The parameters of an API request, from the query string and from a form.

use bytes::Bytes;
use chrono::DateTime;
use http::Request;

/// Parameters in the order in which they take precedence: the form first.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(request: &Request<Bytes>) -> Self {
        let form = std::str::from_utf8(request.body()).unwrap_or_default();
        let query = request.uri().query().unwrap_or_default();
        let pairs = form.split('&').chain(query.split('&')).filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (decoded(name), decoded(value)))
                .collect(),
        )
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

/// A time in milliseconds since 1970, from seconds or RFC 3339.
pub(super) fn time(name: &str, text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        // Beyond this, milliseconds lose their meaning.
        if seconds.abs() < 1e11 {
            return Ok((seconds * 1000.0).round() as i64);
        }
    }
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_millis())
        .map_err(|_| format!("invalid parameter \"{name}\": cannot parse \"{text}\" to a valid timestamp"))
}

/// A duration in milliseconds, from seconds or PromQL's form.
pub(super) fn duration(name: &str, text: &str) -> Result<i64, String> {
    let refused = || format!("invalid parameter \"{name}\": cannot parse \"{text}\" to a valid duration");
    if let Ok(seconds) = text.parse::<f64>() {
        return if seconds.abs() < 1e11 { Ok((seconds * 1000.0).round() as i64) } else { Err(refused()) };
    }
    let parsed = promql_parser::util::parse_duration(text).map_err(|_| refused())?;
    i64::try_from(parsed.as_millis()).map_err(|_| refused())
}

/// Undoes the form's encoding; what is wrongly encoded stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let hex = |index: usize| bytes.get(index).and_then(|byte| char::from(*byte).to_digit(16));
    let mut plain = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        match (bytes[index], hex(index + 1), hex(index + 2)) {
            (b'+', _, _) => plain.push(b' '),
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                index += 2;
            }
            (byte, _, _) => plain.push(byte),
        }
        index += 1;
    }
    String::from_utf8_lossy(&plain).into_owned()
}
