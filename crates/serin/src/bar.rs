//! Weights as bars, values in short form, and lines that fit.

use serde_json::Value;

use crate::console::Paint;

/// A share in percent as a bar of some cells; anything above nothing shows.
pub(crate) fn bar(percent: i32, cells: usize, paint: Paint) -> String {
    let percent = usize::try_from(percent.clamp(0, 100)).unwrap_or(0);
    let full = (percent * cells + 50) / 100;
    let full = if percent > 0 { full.max(1) } else { 0 };
    format!("{}{}", paint.active(&"█".repeat(full)), paint.faint(&"░".repeat(cells - full)))
}

/// The text, cut to a number of characters with a mark that something is missing.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if flat.chars().count() <= width {
        return flat;
    }
    let kept: String = flat.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The text in lines of at most `width` characters, broken between words.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(fit(word, width)),
        }
    }
    lines
}

/// A measured value for people: of a JSON document, the numbers in it.
pub(crate) fn short_value(value: &str, width: usize) -> String {
    let Ok(json) = serde_json::from_str::<Value>(value) else { return fit(value, width) };
    let mut numbers = Vec::new();
    collect_numbers(&json, &mut numbers);
    if numbers.is_empty() { fit(value, width) } else { fit(&numbers.join(" "), width) }
}

fn collect_numbers(json: &Value, numbers: &mut Vec<String>) {
    match json {
        Value::Number(number) => numbers.push(rounded(number.as_f64().unwrap_or_default())),
        Value::String(text) => {
            if let Ok(number) = text.parse::<f64>() {
                numbers.push(rounded(number));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_numbers(item, numbers)),
        Value::Object(members) => members.values().for_each(|member| collect_numbers(member, numbers)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// At most four places behind the point, and none that say nothing.
fn rounded(number: f64) -> String {
    let text = format!("{number:.4}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_shares() {
        let check = |percent, wanted: &str| assert_eq!(bar(percent, 10, Paint::PLAIN), wanted, "{percent} %");
        check(0, "░░░░░░░░░░");
        check(1, "█░░░░░░░░░");
        check(40, "████░░░░░░");
        check(100, "██████████");
        check(250, "██████████");
        check(-3, "░░░░░░░░░░");
    }

    #[test]
    fn texts_fit() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("much too long", 6), "much…");
        assert_eq!(fit("two\nlines", 20), "two lines");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), Vec::<String>::new());
    }

    #[test]
    fn values_are_short() {
        let check = |value: &str, wanted: &str| assert_eq!(short_value(value, 20), wanted, "{value}");
        check("0.98765432", "0.9877");
        check("[1,0.5]", "1 0.5");
        check(r#"{"apdex": {"values": [{"value": "9950"}, {"value": 9900}]}}"#, "9950 9900");
        check("no JSON", "no JSON");
        check("NaN", "NaN");
        check("{}", "{}");
    }
}
