//! Values of flags and environment variables; each error says what to give instead.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};

/// Longer waits are mistakes.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Requests a second; one process does not do more.
const RATE_MAX: f64 = 10_000.0;

/// When something happens, counted from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// After this time.
    After(Duration),
    /// Not at all.
    Never,
}

/// A number from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    number(text).filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "give a number from 0 to 1".to_owned())
}

/// Requests a second, above 0.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let usable = |rate: &f64| *rate > 0.0 && *rate <= RATE_MAX;
    number(text).filter(usable).ok_or_else(|| format!("give requests a second, above 0 and at most {RATE_MAX}"))
}

/// A duration; milliseconds without a unit.
pub(crate) fn milliseconds(text: &str) -> Result<Duration, String> {
    let mistake = || "give milliseconds, or a duration such as 250ms or 1.5s".to_owned();
    duration(text, 0.001).ok_or_else(mistake)
}

/// A duration; seconds without a unit.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let mistake = || "give seconds, or a duration such as 500ms, 10s or 2m".to_owned();
    duration(text, 1.0).ok_or_else(mistake)
}

/// A duration above 0; seconds without a unit.
pub(crate) fn time_limit(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(|time| if time.is_zero() { Err("give a time above 0".to_owned()) } else { Ok(time) })
}

/// Seconds, a duration, or `never`.
pub(crate) fn when(text: &str) -> Result<When, String> {
    if text == "never" {
        return Ok(When::Never);
    }
    let mistake = || "give seconds, a duration such as 500ms, or never".to_owned();
    duration(text, 1.0).map(When::After).ok_or_else(mistake)
}

/// A version: it becomes the value of a header and of a label.
pub(crate) fn version(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=63).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("give 1 to 63 letters, digits, dots, dashes or underscores".to_owned())
    }
}

/// A URL that plain HTTP can ask.
pub(crate) fn target(text: &str) -> Result<Uri, String> {
    let uri: Option<Uri> = text.parse().ok();
    uri.filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some_and(|host| !host.is_empty()))
        .ok_or_else(|| "give a URL such as http://reviews:9080/reviews/0; only http is known".to_owned())
}

/// The value of the header `host`.
pub(crate) fn host(text: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_str(text).ok().filter(|value| !value.is_empty());
    value.filter(|_| !text.contains([' ', '/'])).ok_or_else(|| "give a host such as reviews.example.com".to_owned())
}

/// A further header, written as HTTP does.
pub(crate) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let mistake = || "give a name and a value such as x-team: shop".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(mistake)?;
    Ok((name.trim().parse().map_err(|_| mistake())?, value.trim().parse().map_err(|_| mistake())?))
}

fn duration(text: &str, unit: f64) -> Option<Duration> {
    let split = text.find(|character: char| character.is_ascii_alphabetic()).unwrap_or(text.len());
    let (amount, name) = text.split_at(split);
    let unit = match name {
        "" => unit,
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let time = Duration::try_from_secs_f64(number(amount)? * unit).ok()?;
    (time <= LONGEST).then_some(time)
}

/// Digits with at most one point; no sign, no exponent, no space.
fn number(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_or_that_of_their_flag() {
        let check = |text, in_milliseconds: Option<u64>, in_seconds: Option<u64>| {
            assert_eq!(milliseconds(text).ok(), in_milliseconds.map(Duration::from_millis), "{text}");
            assert_eq!(seconds(text).ok(), in_seconds.map(Duration::from_millis), "{text}");
        };
        check("250", Some(250), Some(250_000));
        check("250ms", Some(250), Some(250));
        check("1.5s", Some(1500), Some(1500));
        check("2m", Some(120_000), Some(120_000));
        check("0", Some(0), Some(0));
        for wrong in
            ["", "ms", "-1", "+1", "1e3", "1 s", "1d", "1.2.3", "NaN", "inf", "9000h", "ä", "99999999999999999999999"]
        {
            check(wrong, None, None);
        }
    }

    #[test]
    fn limits_are_kept() {
        assert_eq!(share("0"), Ok(0.0));
        assert_eq!(share("1"), Ok(1.0));
        assert!(share("1.01").is_err());
        assert_eq!(rate("0.5"), Ok(0.5));
        assert!(rate("0").is_err() && rate("10001").is_err());
        assert!(time_limit("0").is_err());
        assert_eq!(when("never"), Ok(When::Never));
        assert_eq!(when("2"), Ok(When::After(Duration::from_secs(2))));
        assert!(version("").is_err() && version("v 1").is_err() && version("v1.2-rc_1").is_ok());
        assert!(target("https://a").is_err() && target("a:80").is_err() && target("http://a").is_ok());
        assert!(header("x-team").is_err() && header("x team: a").is_err());
        assert_eq!(
            header("X-Team: a:b").map(|(name, value)| (name.to_string(), value)),
            Ok(("x-team".to_owned(), HeaderValue::from_static("a:b")))
        );
        assert!(host("").is_err() && host("http://a").is_err() && host("a.example:80").is_ok());
    }
}
