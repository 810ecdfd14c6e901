//! Values as text, in Go's formats.

use chrono::{DateTime, FixedOffset};

use super::error::Trouble;
use super::limits::Meter;
use super::value::{Key, Value};

/// A value as Go's `%v` prints it.
pub(super) fn display(value: &Value, meter: &mut Meter) -> Result<String, Trouble> {
    let mut out = String::new();
    print(value, &mut out, meter)?;
    Ok(out)
}

fn print(value: &Value, out: &mut String, meter: &mut Meter) -> Result<(), Trouble> {
    let before = out.len();
    match value {
        Value::Nil => out.push_str("<nil>"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Int(value) | Value::Int64(value) => out.push_str(&value.to_string()),
        Value::Byte(value) => out.push_str(&value.to_string()),
        Value::Float(value) => out.push_str(&float(*value)),
        Value::Text(text) => out.push_str(text),
        Value::Time(time) => out.push_str(&time_text(time)),
        Value::Duration(span) => out.push_str(&duration(*span)),
        Value::Zone(_) => out.push_str("UTC"),
        Value::List(list) => {
            out.push('[');
            for (index, item) in list.items.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                print(item, out, meter)?;
            }
            out.push(']');
        }
        Value::Dict(dict) => {
            out.push_str("map[");
            for (index, (key, value)) in dict.entries.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                print(&Key::value(key), out, meter)?;
                out.push(':');
                print(value, out, meter)?;
            }
            out.push(']');
        }
    }
    meter.text(out.len() - before)
}

/// A float with the fewest digits that read back as itself: `%v`.
pub(super) fn float(value: f64) -> String {
    match () {
        () if value.is_nan() => "NaN".to_owned(),
        () if value.is_infinite() => if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        () => {
            let (digits, exponent) = scientific(value);
            if (-4..6).contains(&exponent) {
                return value.to_string();
            }
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
    }
}

/// A finite float as Go's JSON encoder writes it.
pub(super) fn float_json(value: f64) -> String {
    let (digits, exponent) = scientific(value);
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{}", exponent.unsigned_abs())
}

/// The mantissa with its sign, and the decimal exponent.
fn scientific(value: f64) -> (String, i32) {
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => (digits.to_owned(), exponent.parse().unwrap_or_default()),
        None => (text, 0),
    }
}

/// A duration as `1h2m3.5s`.
pub(super) fn duration(nanoseconds: i64) -> String {
    let size = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let fraction = |unit: u64| {
        let (whole, rest) = (size / unit, size % unit);
        if rest == 0 {
            return whole.to_string();
        }
        let width = unit.ilog10() as usize;
        format!("{whole}.{}", format!("{rest:0width$}").trim_end_matches('0'))
    };
    match size {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(1_000_000)),
        _ => {
            let minutes = size / 60_000_000_000;
            let seconds = size % 60_000_000_000;
            let mut tail = format!("{:09}", seconds % 1_000_000_000);
            tail.truncate(tail.trim_end_matches('0').len());
            let dot = if tail.is_empty() { "" } else { "." };
            let seconds = format!("{}{dot}{tail}s", seconds / 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// A time as Go prints it.
fn time_text(time: &DateTime<FixedOffset>) -> String {
    let zone = if time.offset().local_minus_utc() == 0 { "UTC".to_owned() } else { time.format("%z").to_string() };
    format!("{}{} {} {zone}", time.format("%Y-%m-%d %H:%M:%S"), nanoseconds(time), time.format("%z"))
}

/// A time as JSON holds it.
pub(super) fn time_rfc3339(time: &DateTime<FixedOffset>) -> String {
    let zone = if time.offset().local_minus_utc() == 0 { "Z".to_owned() } else { time.format("%:z").to_string() };
    format!("{}{}{zone}", time.format("%Y-%m-%dT%H:%M:%S"), nanoseconds(time))
}

fn nanoseconds(time: &DateTime<FixedOffset>) -> String {
    match time.timestamp_subsec_nanos() {
        0 => String::new(),
        nanoseconds => format!(".{}", format!("{nanoseconds:09}").trim_end_matches('0')),
    }
}
