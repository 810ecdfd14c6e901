//! Structural schemas: defaults, types and the few rules that the simulation enforces.

use serde_json::{Map, Value};

use super::error::Cause;

/// Fills in the schema's defaults where a field is absent, and drops nulls that the schema does not allow.
pub(crate) fn fill(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => fill_map(schema, map),
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| fill(schema, item));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Everything that is wrong with the value, by path; `old` is what stood in its place before.
pub(crate) fn faults(schema: &Value, value: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut found = Vec::new();
    examine(schema, (value, old), "", &mut found);
    found
}

fn fill_map(schema: &Value, map: &mut Map<String, Value>) {
    let properties = schema["properties"].as_object();
    for (name, property) in properties.into_iter().flatten() {
        let nullable = property["nullable"] == true || opaque(property);
        if !nullable && map.get(name).is_some_and(Value::is_null) {
            map.remove(name);
        }
        if !map.contains_key(name)
            && let Some(default) = property.get("default")
        {
            map.insert(name.clone(), default.clone());
        }
        if let Some(value) = map.get_mut(name) {
            fill(property, value);
        }
    }
    if let Some(values) = schema.get("additionalProperties").filter(|s| s.is_object()) {
        for (name, value) in map.iter_mut() {
            if properties.is_none_or(|known| !known.contains_key(name)) {
                fill(values, value);
            }
        }
    }
}

fn examine(schema: &Value, (value, old): (&Value, Option<&Value>), path: &str, found: &mut Vec<Cause>) {
    if value.is_null() && (schema["nullable"] == true || opaque(schema)) {
        return;
    }
    if let Some(cause) = wrong_type(schema, value, path) {
        found.push(cause);
        return;
    }
    found.extend(wrong_value(schema, value, path));
    found.extend(changed(schema, (value, old), path));
    match value {
        Value::Object(map) => examine_map(schema, (map, old), path, found),
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    examine(schema, (item, None), &format!("{path}[{index}]"), found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn examine_map(schema: &Value, (map, old): (&Map<String, Value>, Option<&Value>), path: &str, found: &mut Vec<Cause>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        _ => format!("{path}.{name}"),
    };
    for required in schema["required"].as_array().into_iter().flatten() {
        if let Some(name) = required.as_str().filter(|name| !map.contains_key(*name)) {
            found.push(Cause {
                field: below(name),
                reason: "FieldValueRequired",
                message: "Required value".to_owned(),
            });
        }
    }
    let properties = &schema["properties"];
    for (name, value) in map {
        let known = properties.get(name).or_else(|| schema.get("additionalProperties"));
        if let Some(schema) = known.filter(|schema| schema.is_object()) {
            let old = old.and_then(|old| old.get(name));
            examine(schema, (value, old), &below(name), found);
        }
    }
}

fn wrong_type(schema: &Value, value: &Value, path: &str) -> Option<Cause> {
    let is = name_of(value);
    let (fits, wanted) = if schema["x-kubernetes-int-or-string"] == true {
        (matches!(is, "integer" | "string"), "integer,string")
    } else {
        let wanted = schema["type"].as_str()?;
        (is == wanted || (wanted == "number" && is == "integer"), wanted)
    };
    (!fits).then(|| Cause {
        field: path.to_owned(),
        reason: "FieldValueTypeInvalid",
        message: format!("Invalid value: \"{is}\": {path} in body must be of type {wanted}: \"{is}\""),
    })
}

fn wrong_value(schema: &Value, value: &Value, path: &str) -> Option<Cause> {
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        return Some(Cause {
            field: path.to_owned(),
            reason: "FieldValueNotSupported",
            message: format!("Unsupported value: {value}: supported values: {}", allowed.join(", ")),
        });
    }
    let number = value.as_f64()?;
    let bound = |keyword: &str| schema[keyword].as_f64();
    let wrong = match (bound("minimum"), bound("maximum")) {
        (Some(least), _) if number < least => format!("greater than or equal to {least}"),
        (_, Some(most)) if number > most => format!("less than or equal to {most}"),
        _ => return None,
    };
    Some(Cause {
        field: path.to_owned(),
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {value}: {path} in body should be {wrong}"),
    })
}

/// The one CEL rule that is understood: a field that must stay as it was.
fn changed(schema: &Value, (value, old): (&Value, Option<&Value>), path: &str) -> Option<Cause> {
    let rules = schema["x-kubernetes-validations"].as_array()?;
    let rule = rules.iter().find(|rule| rule["rule"] == "self == oldSelf")?;
    if old.is_none_or(|old| old == value) {
        return None;
    }
    let message = rule["message"].as_str().unwrap_or("field is immutable");
    Some(Cause {
        field: path.to_owned(),
        reason: "FieldValueInvalid",
        message: format!("Invalid value: \"{}\": {message}", name_of(value)),
    })
}

fn opaque(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true && schema.get("type").is_none()
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() && number.as_f64().is_none_or(|n| n.fract() != 0.0) => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["name"], "properties": {
            "name": {"type": "string"},
            "replicas": {"type": "integer", "minimum": 0, "default": 1},
            "surge": {"x-kubernetes-int-or-string": true},
            "mode": {"type": "string", "enum": ["fast", "safe"]},
            "fixed": {"type": "object", "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "is immutable"}]},
            "any": {"x-kubernetes-preserve-unknown-fields": true},
            "list": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "number"}}}},
        }}}})
    }

    #[expect(clippy::needless_pass_by_value, reason = "the cases are written as values")]
    fn check(sentence: &str, spec: Value, expected: &[&str]) {
        let old = json!({"spec": {"name": "a", "fixed": {"a": 1}}});
        let mut object = json!({ "spec": spec });
        fill(&schema(), &mut object);
        let found: Vec<String> = faults(&schema(), &object, Some(&old))
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        assert_eq!(found, expected, "{sentence}");
    }

    #[test]
    fn values_are_checked_as_the_api_server_does() {
        check("a good object passes", json!({"name": "a", "surge": "25%", "any": {"x": [1]}, "unknown": 1}), &[]);
        check("nulls of fields that may not be null count as absent", json!({"name": "a", "replicas": null}), &[]);
        check("whole floats are integers", json!({"name": "a", "replicas": 2.0}), &[]);
        check("required fields are demanded", json!({}), &["spec.name: Required value"]);
        check(
            "types are checked, in lists too",
            json!({"name": "a", "replicas": "two", "list": [{"n": 1}, {"n": "x"}]}),
            &[
                "spec.list[1].n: Invalid value: \"string\": spec.list[1].n in body must be of type number: \"string\"",
                "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\"",
            ],
        );
        check(
            "bounds and enums are checked",
            json!({"name": "a", "replicas": -1, "mode": "bold"}),
            &[
                "spec.mode: Unsupported value: \"bold\": supported values: \"fast\", \"safe\"",
                "spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
            ],
        );
        check(
            "what must stay stays",
            json!({"name": "a", "fixed": {"a": 2}}),
            &["spec.fixed: Invalid value: \"object\": is immutable"],
        );
    }

    #[test]
    fn defaults_are_filled_in() {
        let mut object = json!({"spec": {"name": "a"}});
        fill(&schema(), &mut object);
        assert_eq!(object["spec"]["replicas"], 1);
    }
}
