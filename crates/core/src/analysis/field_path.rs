//! Fields of the Rollout as arguments: the downward API's paths for metadata, JSON paths for spec and status.

use serde_json::Value;

/// Reads the field that `path` names from a Rollout given as JSON.
///
/// `metadata.name`, `.namespace`, `.uid`, `.labels['key']` and `.annotations['key']` are those of the downward API; a
/// label or annotation that is not set is the empty text, as it is there. Paths that begin with `spec` or `status` are
/// read step by step: `spec.template.spec.containers[0].image`.
///
/// # Errors
/// A sentence that names the path, if it has no such form or leads nowhere.
pub fn field_path(rollout: &Value, path: &str) -> Result<String, String> {
    let steps = steps(path).ok_or_else(|| refused(path))?;
    match steps.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["metadata", field @ ("name" | "namespace" | "uid")] => Ok(text_at(rollout, &["metadata", field])),
        ["metadata", field @ ("labels" | "annotations"), key] => Ok(text_at(rollout, &["metadata", field, key])),
        ["metadata", field @ ("labels" | "annotations")] => Ok(all_of(rollout, field)),
        ["spec" | "status", ..] => read(rollout, &steps).ok_or_else(|| format!("the Rollout has no field `{path}`")),
        _ => Err(refused(path)),
    }
}

fn refused(path: &str) -> String {
    format!(
        "Analyses arguments must refer to valid object metadata supported by downwardAPI, or to a field of spec or \
         status; `{path}` is neither"
    )
}

fn text_at(object: &Value, steps: &[&str]) -> String {
    let found = steps.iter().try_fold(object, |value, step| value.get(step));
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// All labels or annotations, one `key="value"` a line in the order of keys.
fn all_of(object: &Value, field: &str) -> String {
    let pairs = object.pointer(&format!("/metadata/{field}")).and_then(Value::as_object);
    let mut lines: Vec<String> = pairs
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={:?}", value.as_str().unwrap_or_default()))
        .collect();
    lines.sort();
    lines.join("\n")
}

fn read(object: &Value, steps: &[String]) -> Option<String> {
    let mut value = object;
    for step in steps {
        value = match value {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?)?,
            Value::Object(fields) => fields.get(step)?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
    }
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}

/// Splits `a.b['c'][0]` into its steps, also within `{…}` and after a leading dot or `$`.
fn steps(path: &str) -> Option<Vec<String>> {
    let path = path.trim();
    let path = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).unwrap_or(path);
    let mut rest = path.strip_prefix('$').unwrap_or(path);
    let mut steps = Vec::new();
    if !rest.starts_with(['.', '[']) {
        rest = name(rest, &mut steps)?;
    }
    while !rest.is_empty() {
        rest = if let Some(after) = rest.strip_prefix('.') {
            name(after, &mut steps)?
        } else {
            bracket(rest.strip_prefix('[')?, &mut steps)?
        };
    }
    Some(steps)
}

/// Takes a bare name off the front.
fn name<'p>(rest: &'p str, steps: &mut Vec<String>) -> Option<&'p str> {
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    if name.is_empty() || name.contains([']', '\'', '"', '*', ' ']) {
        return None;
    }
    steps.push(name.to_owned());
    Some(rest)
}

/// Takes the inside of `['key']`, `["key"]` or `[0]`, and the closing bracket, off the front.
fn bracket<'p>(rest: &'p str, steps: &mut Vec<String>) -> Option<&'p str> {
    let (step, rest) = match rest.chars().next()? {
        quote @ ('\'' | '"') => {
            let (key, rest) = rest[1..].split_once(quote)?;
            (key, rest.strip_prefix(']')?)
        }
        _ => {
            rest.split_once(']').filter(|(index, _)| index.bytes().all(|b| b.is_ascii_digit()) && !index.is_empty())?
        }
    };
    steps.push(step.to_owned());
    Some(rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Result<&str, &str>) {
        let rollout = json!({
            "metadata": {
                "name": "reviews", "namespace": "shop", "uid": "u-1",
                "labels": {"region": "eu", "app.kubernetes.io/name": "reviews"},
                "annotations": {"note": "it's \"new\""},
            },
            "spec": {"replicas": 3, "paused": false, "strategy": {"canary": {"steps": [{"setWeight": 10}, {"pause": {}}]}}},
            "status": {"stableRS": "abc", "a.b": {"c]": "odd"}, "nothing": null},
        });
        match (field_path(&rollout, path), expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{path}"),
            (Err(got), Err(part)) => assert!(got.contains(part) && got.contains(path), "{path}: {got}"),
            (got, _) => panic!("{path}: {got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn fields_are_read_by_path() {
        check("metadata.name", Ok("reviews"));
        check("metadata.namespace", Ok("shop"));
        check("metadata.uid", Ok("u-1"));
        check("metadata.labels['region']", Ok("eu"));
        check("metadata.labels[\"app.kubernetes.io/name\"]", Ok("reviews"));
        check("metadata.annotations['note']", Ok("it's \"new\""));
        check("metadata.labels['absent']", Ok(""));
        check("metadata.labels", Ok("app.kubernetes.io/name=\"reviews\"\nregion=\"eu\""));
        check("spec.replicas", Ok("3"));
        check("spec.paused", Ok("false"));
        check("{.spec.replicas}", Ok("3"));
        check("$.status.stableRS", Ok("abc"));
        check("spec.strategy.canary.steps[0].setWeight", Ok("10"));
        check("spec.strategy.canary.steps[1]", Ok("{\"pause\":{}}"));
        check("status['a.b']['c]']", Ok("odd"));
    }

    proptest::proptest! {
        #[test]
        fn no_path_is_too_odd(path in "(spec|metadata|\\$|\\{)?[\\[\\]'\".a-c0-9é{}]{0,20}") {
            let _ = field_path(&json!({"spec": {"a": [1]}, "metadata": {"labels": {"a": "b"}}}), &path);
        }
    }

    #[test]
    fn paths_that_lead_nowhere_are_refused() {
        check("status.nothing", Err("has no field"));
        check("status.absent", Err("has no field"));
        check("spec.replicas.x", Err("has no field"));
        check("spec.strategy.canary.steps[7]", Err("has no field"));
        check("spec.strategy.canary.steps.pause", Err("has no field"));
        check("spec.strategy.canary.steps[99999999999999999999]", Err("has no field"));
        for path in [
            "",
            ".",
            "metadata",
            "metadata.generation",
            "metadata.labels['a",
            "metadata.labels[a]",
            "kind",
            "spec..a",
            "spec.",
            "spec[",
            "spec[]",
            "spec['a'",
            "spec.*",
            "{spec",
            "metadata.ownerReferences[0].name",
            "spec[é]",
        ] {
            check(path, Err("valid object metadata supported by downwardAPI"));
        }
    }
}
