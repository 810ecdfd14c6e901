//! Durations as people write them: Go's syntax (`1h30m`, `90s`, `500ms`) and plain seconds.

use chrono::TimeDelta;

/// Reads a Go duration such as `1h30m`, `1.5s` or `250ms`; a plain number is not one (see [`parse_seconds_or_duration`]).
///
/// # Errors
/// A sentence that names the text and shows the form.
pub fn parse_duration(text: &str) -> Result<TimeDelta, String> {
    let wrong = || format!("`{text}` is not a duration; write a number and a unit, such as 30s, 5m or 1h30m");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(TimeDelta::zero());
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut nanos = 0_f64;
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(number_len);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let (unit_nanos, after) = UNITS
            .iter()
            .find_map(|(unit, nanos)| after.strip_prefix(unit).map(|after| (*nanos, after)))
            .ok_or_else(wrong)?;
        nanos += number * unit_nanos;
        rest = after;
    }
    if nanos > MAX_NANOS {
        return Err(format!("`{text}` is longer than a duration can be (292 years)"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded by MAX_NANOS above")]
    let nanos = nanos as i64;
    Ok(TimeDelta::nanoseconds(if negative { -nanos } else { nanos }))
}

/// Reads a whole number of seconds (`30`) or a Go duration (`30s`), as pause durations allow both.
///
/// # Errors
/// A sentence that names the text and shows the form.
pub fn parse_seconds_or_duration(text: &str) -> Result<TimeDelta, String> {
    match text.parse::<i64>() {
        Ok(seconds) => TimeDelta::try_seconds(seconds).ok_or_else(|| format!("`{text}` seconds are too many")),
        Err(_) => parse_duration(text),
    }
}

/// Writes a duration as Go does for whole seconds: `10m`, `1h30m`, `45s`, `0s`; zero parts are left out.
#[must_use]
pub fn format_duration(duration: TimeDelta) -> String {
    let seconds = duration.num_seconds();
    let (sign, seconds) = if seconds < 0 { ("-", -seconds) } else { ("", seconds) };
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut out = String::from(sign);
    for (value, unit) in [(hours, "h"), (minutes, "m"), (rest, "s")] {
        if value > 0 {
            out.push_str(&format!("{value}{unit}"));
        }
    }
    if seconds == 0 { "0s".to_owned() } else { out }
}

/// Units by the number of nanoseconds in them; longer spellings stand before their prefixes.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// The longest duration that 64 bits of nanoseconds hold.
const MAX_NANOS: f64 = 9.223_372_036e18;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, milliseconds: Option<i64>) {
        let got = parse_seconds_or_duration(text).ok().map(|d| d.num_milliseconds());
        assert_eq!(got, milliseconds, "{text}");
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        check("10m", Some(600_000));
        check("1h30m", Some(5_400_000));
        check("1.5s", Some(1_500));
        check("250ms", Some(250));
        check("30", Some(30_000));
        check("0", Some(0));
        check("-5s", Some(-5_000));
        check("", None);
        check("5 m", None);
        check("m", None);
        check("1d", None);
        check("1..5s", None);
        check("99999999999999h", None);
        check("99999999999999999999", None);
    }

    #[test]
    fn durations_are_written_short() {
        for (seconds, text) in [(0, "0s"), (600, "10m"), (5_400, "1h30m"), (3_601, "1h1s"), (-5, "-5s")] {
            assert_eq!(format_duration(TimeDelta::seconds(seconds)), text);
        }
    }
}
