//! The JSONPath of printer columns: fields, indices, wildcards and equality filters.

use serde_json::Value;

/// The values that a path such as `.status.conditions[?(@.type=="Ready")].status` finds; none if it is malformed.
pub(crate) fn find<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![object];
    let mut rest = path.trim_start_matches('$');
    while !rest.is_empty() {
        let Some((step, tail)) = next_step(rest) else {
            return Vec::new();
        };
        found = found.into_iter().flat_map(|value| step.apply(value)).collect();
        rest = tail;
    }
    found
}

enum Step<'p> {
    Field(&'p str),
    Index(usize),
    All,
    Where(Vec<&'p str>, Value),
}

impl Step<'_> {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => value.get(index).into_iter().collect(),
            Self::All => match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(map) => map.values().collect(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
            },
            Self::Where(path, wanted) => value
                .as_array()
                .into_iter()
                .flatten()
                .filter(|item| path.iter().fold(*item, |item, field| &item[*field]) == wanted)
                .collect(),
        }
    }
}

fn next_step(path: &str) -> Option<(Step<'_>, &str)> {
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, tail) = rest.split_at(end);
        let step = if name == "*" { Step::All } else { Step::Field(name) };
        return (!name.is_empty()).then_some((step, tail));
    }
    let (inner, tail) = path.strip_prefix('[')?.split_once(']')?;
    let step = if inner == "*" {
        Step::All
    } else if let Some(filter) = inner.strip_prefix("?(@.") {
        let (field, value) = filter.strip_suffix(')')?.split_once("==")?;
        let value = value.trim().replace('\'', "\"");
        let wanted = serde_json::from_str(&value).ok()?;
        Step::Where(field.trim().split('.').collect(), wanted)
    } else if let Ok(index) = inner.parse() {
        Step::Index(index)
    } else {
        Step::Field(inner.trim_matches(['\'', '"']))
    };
    Some((step, tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(path: &str, expected: &Value) {
        let object = json!({
            "spec": {"hosts": ["a", "b"], "n": 3},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]},
        });
        assert_eq!(&json!(find(&object, path)), expected, "{path}");
    }

    #[test]
    fn paths_find_what_kubectl_finds() {
        check(".spec.n", &json!([3]));
        check("$.spec['n']", &json!([3]));
        check(".spec.hosts", &json!([["a", "b"]]));
        check(".spec.hosts[1]", &json!(["b"]));
        check(".spec.hosts[*]", &json!(["a", "b"]));
        check(".status.conditions[?(@.type==\"Ready\")].status", &json!(["True"]));
        check(".status.conditions[?(@.type=='Other')].status", &json!(["False"]));
        check(".spec.none.at.all", &json!([]));
        check("spec", &json!([]));
        check(".spec[", &json!([]));
    }
}
