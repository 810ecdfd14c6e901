//! Fields that the definition of a kind does not know, or demands: what the API server would drop or refuse.

use serde_json::{Map, Value};

/// The schema of a kind of ours; `None` for other kinds.
pub(super) fn schema_of(kind: &str) -> Option<Value> {
    let definition = serin_api::crds().iter().find(|definition| definition.spec.names.kind == kind)?;
    let schema = definition.spec.versions.first()?.schema.as_ref()?.open_api_v3_schema.as_ref()?;
    serde_json::to_value(schema).ok()
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) field: String,
    pub(super) message: String,
}

/// Every field of `spec` that is unknown or missing.
pub(super) fn check(object: &Value, schema: &Value) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    visit(&object["spec"], &schema["properties"]["spec"], "spec", &mut misfits);
    misfits
}

fn visit(value: &Value, schema: &Value, path: &str, misfits: &mut Vec<Misfit>) {
    match value {
        Value::Object(members) => visit_members(members, schema, path, misfits),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                visit(item, &schema["items"], &format!("{path}[{index}]"), misfits);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn visit_members(members: &Map<String, Value>, schema: &Value, path: &str, misfits: &mut Vec<Misfit>) {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if members.get(name).is_none_or(Value::is_null) {
            misfits.push(Misfit { field: format!("{path}.{name}"), message: "is required".to_owned() });
        }
    }
    let known = schema["properties"].as_object();
    let is_open = schema["x-kubernetes-preserve-unknown-fields"] == true || known.is_none();
    for (name, value) in members {
        let field = format!("{path}.{name}");
        match known.and_then(|known| known.get(name)) {
            Some(schema) => visit(value, schema, &field, misfits),
            None if schema["additionalProperties"].is_object() => {
                visit(value, &schema["additionalProperties"], &field, misfits);
            }
            None if is_open => {}
            None => misfits.push(Misfit { field, message: unknown(name, known) }),
        }
    }
}

fn unknown(name: &str, known: Option<&Map<String, Value>>) -> String {
    let mut message = "there is no such field, it would be ignored".to_owned();
    let names = known.into_iter().flat_map(Map::keys);
    let closest = names.map(|known| (distance(name, known), known)).min();
    if let Some((_, closest)) = closest.filter(|(distance, _)| *distance <= 1 + name.len() / 5) {
        message.push_str(&format!("; did you mean {closest}?"));
    }
    message
}

/// Number of characters to insert, delete or replace; a change of case counts nothing.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_spec(case: &str, kind: &str, spec: &Value, wanted: &[&str]) {
        let schema = schema_of(kind).expect("a kind of ours");
        let found = check(&json!({"spec": spec}), &schema);
        let found: Vec<String> = found.iter().map(|m| format!("{}: {}", m.field, m.message)).collect();
        assert_eq!(found, wanted, "{case}");
    }

    #[test]
    fn unknown_and_missing_fields_are_told() {
        check_spec(
            "a wrong letter",
            "Rollout",
            &json!({"replica": 3}),
            &["spec.replica: there is no such field, it would be ignored; did you mean replicas?"],
        );
        check_spec(
            "a field of nothing",
            "Rollout",
            &json!({"strategy": {"canary": {"steps": [{"setWeight": 5, "bogusThing": 1}]}}}),
            &["spec.strategy.canary.steps[0].bogusThing: there is no such field, it would be ignored"],
        );
        check_spec(
            "a metric without provider",
            "AnalysisTemplate",
            &json!({"metrics": [{"name": "m"}]}),
            &["spec.metrics[0].provider: is required"],
        );
        check_spec(
            "labels have names of their own",
            "Rollout",
            &json!({"selector": {"matchLabels": {"app": "x"}}, "template": {"metadata": {"labels": {"app": "x"}}}}),
            &[],
        );
    }
}
