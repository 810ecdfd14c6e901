//! Label selectors, raw.

use std::collections::BTreeMap;

use serde_json::Value;

/// `matchLabels` of a selector.
pub(super) fn match_labels(selector: &Value) -> BTreeMap<String, String> {
    labels_at(selector, "/matchLabels")
}

/// A map of texts at a place in an object; empty if there is none.
pub(super) fn labels_at(object: &Value, pointer: &str) -> BTreeMap<String, String> {
    let map = object.pointer(pointer).and_then(Value::as_object);
    map.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// Whether a selector has no condition.
pub(super) fn is_empty(selector: &Value) -> bool {
    match_labels(selector).is_empty() && expressions(selector).next().is_none()
}

/// Whether a selector matches some labels.
///
/// # Errors
/// A sentence about an expression that cannot be read.
pub(super) fn matches(selector: &Value, labels: &BTreeMap<String, String>) -> Result<bool, String> {
    let mut all = match_labels(selector).iter().all(|(key, value)| labels.get(key) == Some(value));
    for expression in expressions(selector) {
        all &= matches_expression(expression, labels)?;
    }
    Ok(all)
}

fn expressions(selector: &Value) -> impl Iterator<Item = &Value> {
    selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten()
}

fn matches_expression(expression: &Value, labels: &BTreeMap<String, String>) -> Result<bool, String> {
    let text = |key: &str| expression.get(key).and_then(Value::as_str).unwrap_or_default();
    let values: Vec<&str> =
        expression.get("values").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let label = labels.get(text("key")).map(String::as_str);
    match text("operator") {
        "In" => Ok(label.is_some_and(|label| values.contains(&label))),
        "NotIn" => Ok(label.is_none_or(|label| !values.contains(&label))),
        "Exists" => Ok(label.is_some()),
        "DoesNotExist" => Ok(label.is_none()),
        other => Err(format!("operator {other:?} is unknown; use In, NotIn, Exists or DoesNotExist")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(case: &str, selector: &Value, wanted: Option<bool>) {
        let labels = labels_at(&json!({"app": "reviews", "tier": "web"}), "");
        assert_eq!(matches(selector, &labels).ok(), wanted, "{case}");
    }

    #[test]
    fn selectors_match_labels() {
        let one = |key: &str, operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        check("all labels agree", &json!({"matchLabels": {"app": "reviews"}}), Some(true));
        check("one differs", &json!({"matchLabels": {"app": "reviews", "tier": "db"}}), Some(false));
        check("a value among others", &one("tier", "In", &["db", "web"]), Some(true));
        check("a value not among others", &one("tier", "NotIn", &["db"]), Some(true));
        check("a missing key is in nothing", &one("x", "In", &["y"]), Some(false));
        check("a missing key is not in anything", &one("x", "NotIn", &["y"]), Some(true));
        check("a key that is there", &one("app", "Exists", &[]), Some(true));
        check("a key that must not be there", &one("app", "DoesNotExist", &[]), Some(false));
        check("an unknown operator", &one("app", "Gt", &["1"]), None);
        check("no condition", &json!({}), Some(true));
    }
}
