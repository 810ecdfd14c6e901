//! Times, durations and time zones.

use chrono::{DateTime, FixedOffset};

use super::super::error::Trouble;
use super::super::layout;
use super::super::value::Value;

/// The forms that `date` tries, in this order.
const LAYOUTS: [&str; 7] = [
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
];

/// Calls a function of this group.
pub(in super::super) fn call(
    now: DateTime<FixedOffset>,
    name: &str,
    arguments: &[Value],
) -> Result<Option<Value>, Trouble> {
    let value = match (name, arguments) {
        ("now", []) => Value::Time(now),
        ("now", [Value::Zone(zone)]) => Value::Time(now.with_timezone(zone)),
        ("duration", [Value::Text(text)]) => match parse_duration(text) {
            Some(span) => Value::Duration(span),
            None => return Err(format!("invalid duration {text:?}").into()),
        },
        ("timezone", [Value::Text(name)]) => Value::Zone(zone(name)?),
        ("date", [Value::Zone(zone), rest @ ..]) => date(*zone, rest)?,
        ("date", rest) => date(utc(), rest)?,
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn utc() -> FixedOffset {
    chrono::Offset::fix(&chrono::Utc)
}

/// Only UTC: the rules of all other zones would have to be shipped and kept up to date.
fn zone(name: &str) -> Result<FixedOffset, Trouble> {
    match name {
        "" | "UTC" | "Etc/UTC" | "GMT" | "Etc/GMT" => Ok(utc()),
        _ => Err(format!("time zone {name:?} is not supported, only UTC is").into()),
    }
}

fn date(default_zone: FixedOffset, arguments: &[Value]) -> Result<Value, Trouble> {
    match arguments {
        [Value::Text(text)] => {
            let found = LAYOUTS.iter().find_map(|layout| layout::parse(layout, text, default_zone).ok());
            found.map(Value::Time).ok_or_else(|| format!("invalid date {text}").into())
        }
        [Value::Text(text), Value::Text(layout)] => {
            layout::parse(layout, text, default_zone).map(Value::Time).map_err(Trouble::from)
        }
        [Value::Text(text), Value::Text(layout), Value::Text(name)] => {
            layout::parse(layout, text, zone(name)?).map(Value::Time).map_err(Trouble::from)
        }
        _ => Err("date takes strings".into()),
    }
}

/// A duration such as `-1h2.5m` in nanoseconds, as Go's `time.ParseDuration` reads it.
fn parse_duration(text: &str) -> Option<i64> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let whole = digits(&mut rest);
        let mut fraction = "";
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            fraction = digits(&mut rest);
        }
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit = unit(&mut rest)?;
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        // Beyond these digits a fraction no longer changes a nanosecond of an hour.
        let (fraction, _) = fraction.split_at(fraction.len().min(15));
        let numerator: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        let part = (numerator as f64 * (unit as f64 / 10_f64.powi(fraction.len() as i32))) as u64;
        total = total.checked_add(whole.checked_mul(unit)?.checked_add(part)?)?;
    }
    if negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
}

fn digits<'a>(rest: &mut &'a str) -> &'a str {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    *rest = after;
    digits
}

fn unit(rest: &mut &str) -> Option<u64> {
    let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    *rest = after;
    Some(match name {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}
