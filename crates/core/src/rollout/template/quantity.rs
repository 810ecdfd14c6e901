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
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
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
