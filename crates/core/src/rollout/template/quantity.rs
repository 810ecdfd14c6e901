//! Resource quantities: `1`, `1000m` and `1e0` are the same amount.

use serde_json::Value;

/// Suffixes by the power of ten, or of two, that they stand for.
const DECIMAL: [(&str, i32); 9] =
    [("n", -9), ("u", -6), ("m", -3), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// Whether Kubernetes reads this as a quantity, however great.
pub(super) fn is_quantity(value: &Value) -> bool {
    let text = match value {
        Value::Number(_) => return true,
        Value::String(text) => text,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return false,
    };
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let is_number = number.bytes().any(|byte| byte.is_ascii_digit()) && number.matches('.').count() <= 1;
    let is_suffix = suffix.is_empty()
        || BINARY.iter().any(|(known, _)| *known == suffix)
        || DECIMAL.iter().any(|(known, _)| *known == suffix)
        || suffix.strip_prefix(['e', 'E']).is_some_and(|power| power.parse::<i32>().is_ok());
    is_number && is_suffix
}

/// The amount in billionths, Kubernetes' finest unit; `None` if this is not a quantity, or too great to compare.
pub(super) fn billionths(value: &Value) -> Option<i128> {
    let text = text_of(value)?;
    if let Some((number, power)) = BINARY.iter().find_map(|(suffix, power)| Some((text.strip_suffix(suffix)?, *power)))
    {
        return scale(number, 0)?.checked_mul(1_i128.checked_shl(power)?);
    }
    if let Some((number, power)) = DECIMAL.iter().find_map(|(suffix, power)| Some((text.strip_suffix(suffix)?, *power)))
    {
        return scale(number, power);
    }
    match text.split_once(['e', 'E']) {
        Some((number, power)) => scale(number, power.parse().ok()?),
        None => scale(&text, 0),
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The amount as Kubernetes writes it: as it was read where that seems good enough to it, else in the greatest unit that
/// keeps a whole number, of powers of two if it was written so.
pub(super) fn canonical(value: &Value) -> Option<String> {
    let amount = billionths(value)?;
    if amount == 0 {
        return Some("0".to_owned());
    }
    let text = text_of(value)?;
    if is_kept(&text) {
        return Some(text);
    }
    let is_binary = BINARY.iter().any(|(suffix, _)| text.ends_with(suffix));
    if is_binary && amount % BILLION == 0 && (amount / BILLION).abs() >= 1024 {
        let (number, power) = factored(amount / BILLION, 1024);
        return Some(format!("{number}{}", suffix_of(&BINARY, power * 10)?));
    }
    let (number, power) = factored(amount, 10);
    let power = i32::try_from(power).ok()? - 9;
    // Decimal units are three powers of ten apart.
    let surplus = power.rem_euclid(3);
    let (number, power) = (number * 10_i128.pow(surplus.unsigned_abs()), power - surplus);
    let is_exponent = !text.ends_with('E') && text.contains(['e', 'E']);
    match power {
        0 => Some(number.to_string()),
        _ if is_exponent => Some(format!("{number}e{power}")),
        _ => Some(format!("{number}{}", suffix_of(&DECIMAL, power)?)),
    }
}

/// Whether Kubernetes keeps the text of a quantity: it takes a whole number of its unit, or of the unit a thousand times
/// smaller and so on, for well written unless that ends in zeros, or is divisible by eight with units of two.
fn is_kept(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text).trim_start_matches('0');
    let (digits, rest) = split_digits(unsigned);
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), split_digits);
    let all = format!("{digits}{fraction}");
    if digits.is_empty() || all.len() > 18 {
        return false;
    }
    if let Some((_, power)) = BINARY.iter().find(|(own, _)| *own == suffix) {
        let precise = digits.len() + usize::try_from(power * 3 / 10).unwrap_or(0) < 15;
        let is_odd = digits.parse::<i64>().is_ok_and(|number| number % 8 != 0);
        return fraction.is_empty() && precise && is_odd;
    }
    let decimal = DECIMAL.iter().find(|(own, _)| *own == suffix).map(|(_, power)| *power);
    let exponent = || suffix.strip_prefix(['e', 'E'])?.parse::<i32>().ok();
    let power = if suffix.is_empty() { Some(0) } else { decimal.or_else(exponent) };
    let scale = power.zip(i32::try_from(fraction.len()).ok()).map(|(power, places)| power - places);
    scale.is_some_and(|scale| scale >= -9 && scale % 3 == 0) && !all.ends_with("000")
}

/// The digits that a text begins with, and what follows.
fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

const BILLION: i128 = 1_000_000_000;

/// A number without the factors of this base that it has, and how many those were.
fn factored(mut number: i128, base: i128) -> (i128, u32) {
    let mut power = 0;
    while number % base == 0 {
        number /= base;
        power += 1;
    }
    (number, power)
}

/// The suffix that stands for this power; nothing for 0.
fn suffix_of<P: Copy + PartialEq + From<u8>>(suffixes: &[(&'static str, P)], power: P) -> Option<&'static str> {
    if power == P::from(0) {
        return Some("");
    }
    suffixes.iter().find(|(_, own)| *own == power).map(|(suffix, _)| *suffix)
}

/// A decimal number times a power of ten, in billionths; a remainder is rounded up.
fn scale(number: &str, power: i32) -> Option<i128> {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{fraction}");
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mantissa: i128 = all.parse().ok()?;
    let power = power.checked_add(9)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let factor = 10_i128.checked_pow(power.unsigned_abs())?;
    let amount =
        if power >= 0 { mantissa.checked_mul(factor)? } else { mantissa / factor + i128::from(mantissa % factor != 0) };
    Some(sign * amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(case: &str, a: &Value, b: &Value, same: bool) {
        assert_eq!(billionths(a).is_some() && billionths(a) == billionths(b), same, "{case}");
    }

    #[test]
    fn quantities_have_one_way_of_being_written() {
        let cases = [
            (json!("1000m"), "1"),
            (json!("1500m"), "1500m"),
            (json!(0.001), "1m"),
            (json!("0.5"), "500m"),
            (json!("1000"), "1k"),
            (json!(100), "100"),
            (json!("1024Mi"), "1Gi"),
            (json!("1536Mi"), "1536Mi"),
            (json!("0.5Gi"), "512Mi"),
            (json!("1Ki"), "1Ki"),
            (json!("0.5Ki"), "512"),
            (json!("1048576"), "1048576"),
            (json!("1.5M"), "1500k"),
            (json!("1e3"), "1e3"),
            (json!("100e-2"), "1"),
            (json!("-2000m"), "-2"),
            (json!("0Mi"), "0"),
            (json!("10n"), "10n"),
            (json!("4015.735k"), "4015.735k"),
            (json!("4015.73k"), "4015730"),
            (json!(1.234), "1.234"),
            (json!("+5Ki"), "+5Ki"),
            (json!("+8Ki"), "8Ki"),
            (json!("0.123"), "123m"),
        ];
        for (value, expected) in cases {
            assert_eq!(canonical(&value).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(canonical(&json!("much")), None);
    }

    #[test]
    fn quantities_are_compared_by_amount() {
        check("a thousand thousandths", &json!("1000m"), &json!("1"), true);
        check("a number", &json!(2), &json!("2"), true);
        check("a fraction", &json!("0.5"), &json!("500m"), true);
        check("a fraction as a number", &json!(0.5), &json!("500m"), true);
        check("binary units", &json!("1Gi"), &json!("1024Mi"), true);
        check("binary against decimal", &json!("1Gi"), &json!("1G"), false);
        check("a binary fraction", &json!("1.5Gi"), &json!("1536Mi"), true);
        check("an exponent", &json!("1e3"), &json!("1k"), true);
        check("an exponent against exa", &json!("1E"), &json!("1E3"), false);
        check("plain bytes", &json!("1048576"), &json!("1Mi"), true);
        check("different amounts", &json!("100m"), &json!("1"), false);
        check("no quantity", &json!("much"), &json!("much"), false);
        check("nothing", &json!(""), &json!(""), false);
        check("too great", &json!("1e99999999999"), &json!("1e99999999999"), false);
    }
}
