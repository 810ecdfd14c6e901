//! Label and field selectors of lists and watches.

use serde_json::Value;

use super::error::ApiError;
use super::meta;

/// What a list or watch asks for; empty selects everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<Requirement>,
}

#[derive(Clone, Debug, PartialEq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
}

impl Selector {
    /// Parses the two query parameters.
    pub(crate) fn parse(labels: &str, fields: &str) -> Result<Self, ApiError> {
        let selector = Self { labels: parse_labels(labels)?, fields: parse_fields(fields)? };
        Ok(selector)
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.labels.iter().all(|wanted| wanted.holds(labels[&wanted.key].as_str()))
            && self.fields.iter().all(|wanted| wanted.holds(Some(&field(object, &wanted.key))))
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let among = |values: &[String]| value.is_some_and(|value| values.iter().any(|v| v == value));
        match &self.test {
            Test::In(values) => among(values),
            Test::NotIn(values) => !among(values),
            Test::Exists => value.is_some(),
            Test::Missing => value.is_none(),
        }
    }
}

/// The field as selectors compare it: text, and empty where it is absent.
fn field(object: &Value, path: &str) -> String {
    let mut value = object;
    for part in path.split('.') {
        value = &value[part];
    }
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null if path == "metadata.name" => meta::name(object).to_owned(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

fn parse_fields(text: &str) -> Result<Vec<Requirement>, ApiError> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            parse_equality(part)
                .ok_or_else(|| ApiError::bad_request(format!("invalid field selector: {part:?}; use key=value")))
        })
        .collect()
}

fn parse_equality(part: &str) -> Option<Requirement> {
    let (key, value, negative) = if let Some((key, value)) = part.split_once("!=") {
        (key, value, true)
    } else if let Some((key, value)) = part.split_once("==") {
        (key, value, false)
    } else {
        let (key, value) = part.split_once('=')?;
        (key, value, false)
    };
    let values = vec![value.trim().to_owned()];
    Some(Requirement {
        key: key.trim().to_owned(),
        test: if negative { Test::NotIn(values) } else { Test::In(values) },
    })
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, ApiError> {
    split_outside_parentheses(text).into_iter().filter(|part| !part.is_empty()).map(parse_label).collect()
}

fn parse_label(part: &str) -> Result<Requirement, ApiError> {
    let wrong = || {
        ApiError::bad_request(format!(
            "unable to parse requirement: {part:?}; use key=value, key!=value, key in (a,b), key notin (a,b), key or !key"
        ))
    };
    if let Some(values) = part.strip_suffix(')') {
        let (head, values) = values.split_once('(').ok_or_else(wrong)?;
        let (key, operator) = head.trim().rsplit_once(' ').ok_or_else(wrong)?;
        let values = values.split(',').map(|v| v.trim().to_owned()).collect();
        let test = match operator {
            "in" => Test::In(values),
            "notin" => Test::NotIn(values),
            _ => return Err(wrong()),
        };
        return requirement(key, test).ok_or_else(wrong);
    }
    if let Some(found) = parse_equality(part) {
        return requirement(&found.key, found.test).ok_or_else(wrong);
    }
    let found = match part.strip_prefix('!') {
        Some(key) => requirement(key, Test::Missing),
        None => requirement(part, Test::Exists),
    };
    found.ok_or_else(wrong)
}

fn requirement(key: &str, test: Test) -> Option<Requirement> {
    let key = key.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (!key.is_empty() && key.chars().all(plain)).then(|| Requirement { key: key.to_owned(), test })
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_u32, 0);
    for (index, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(sentence: &str, labels: &str, fields: &str, expected: Result<bool, ()>) {
        let object = json!({
            "metadata": {"name": "reviews", "namespace": "bookinfo", "labels": {"app": "reviews", "tier": "web"}},
            "status": {"phase": "Running"}, "involvedObject": {"kind": "Pod"},
        });
        let got = Selector::parse(labels, fields).map(|selector| selector.matches(&object)).map_err(|_| ());
        assert_eq!(got, expected, "{sentence}");
    }

    #[test]
    fn selectors_choose_as_the_api_server_does() {
        check("nothing selects everything", "", "", Ok(true));
        check("equality holds", "app=reviews", "", Ok(true));
        check("two signs are one", "app==reviews", "", Ok(true));
        check("equality fails", "app=ratings", "", Ok(false));
        check("all must hold", "app=reviews,tier=db", "", Ok(false));
        check("inequality includes absence", "zone!=a", "", Ok(true));
        check("sets hold", "app in (ratings, reviews),tier", "", Ok(true));
        check("negated sets fail", "app notin (ratings,reviews)", "", Ok(false));
        check("absence holds", "!zone", "", Ok(true));
        check("absence fails", "!app", "", Ok(false));
        check("fields by name", "", "metadata.name=reviews", Ok(true));
        check("nested fields", "", "involvedObject.kind=Pod,status.phase!=Failed", Ok(true));
        check("a wrong label selector is refused", "app in reviews)", "", Err(()));
        check("a wrong field selector is refused", "", "metadata.name", Err(()));
    }
}
