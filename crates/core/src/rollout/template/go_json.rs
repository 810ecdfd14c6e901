//! A pod template as Go writes it, whose bytes Argo Rollouts hashes: fields in the order of Go's types, empty ones left out.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use super::quantity;

/// Go's types. What a newer Kubernetes adds is unknown here, and a template that uses it has no such text.
const FIELDS: &str = include_str!("pod_fields.txt");

/// The type of a whole template.
const ROOT: &str = "PodTemplateSpec";

/// Characters that Go escapes in JSON texts and others do not.
pub(super) const GO_ESCAPES: [(&str, &str); 5] =
    [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u{2028}", "\\u2028"), ("\u{2029}", "\\u2029")];

/// A field of a type.
#[derive(Debug)]
struct Field {
    name: &'static str,
    /// Whether it is left out when it is empty.
    is_optional: bool,
    /// Its type.
    kind: &'static str,
}

type Types = BTreeMap<&'static str, Vec<Field>>;

/// The text of a template; none if it has a field that Go's types do not have, or a value that does not fit its field.
pub(super) fn text(template: &Value) -> Option<String> {
    static TYPES: OnceLock<Types> = OnceLock::new();
    let mut out = String::new();
    write(TYPES.get_or_init(types), ROOT, template, &mut out)?;
    Some(out)
}

fn types() -> Types {
    let mut types = Types::new();
    let mut current = "";
    for line in FIELDS.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ").and_then(|field| field.split_once(' ')) {
            Some((name, kind)) => {
                let bare = name.trim_end_matches(['?', '0']);
                types.entry(current).or_default().push(Field { name: bare, is_optional: bare != name, kind });
            }
            None => current = line,
        }
    }
    types
}

/// Writes a value of a type; a null is that type's value of nothing.
fn write(types: &Types, kind: &'static str, value: &Value, out: &mut String) -> Option<()> {
    if let Some(inner) = kind.strip_prefix('*') {
        return if value.is_null() { write_plain(value, out) } else { write(types, inner, value, out) };
    }
    if let Some(inner) = kind.strip_prefix("[]") {
        return write_list(types, inner, value, out);
    }
    if let Some(inner) = kind.strip_prefix("{}") {
        return write_map(types, inner, value, out);
    }
    match (kind, value) {
        ("string" | "time", Value::String(_)) | ("bool", Value::Bool(_)) | ("intstr", Value::String(_)) => {
            write_plain(value, out)
        }
        ("string", Value::Null) => write_plain(&Value::from(""), out),
        ("bool", Value::Null) => write_plain(&Value::from(false), out),
        ("int" | "intstr", Value::Null) => write_plain(&Value::from(0), out),
        ("int" | "intstr", Value::Number(number)) => number.as_i64().and_then(|it| write_plain(&Value::from(it), out)),
        ("quantity", Value::Null) => write_plain(&Value::from("0"), out),
        ("quantity", _) => write_plain(&Value::from(quantity::canonical(value)?), out),
        _ => write_struct(types, types.get(kind)?, value, out),
    }
}

fn write_struct(types: &Types, fields: &[Field], value: &Value, out: &mut String) -> Option<()> {
    let nothing = serde_json::Map::new();
    let members = match value {
        Value::Null => &nothing,
        Value::Object(members) => members,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
    };
    let is_known = |name: &String| fields.iter().any(|field| field.name == name);
    if !members.iter().all(|(name, value)| value.is_null() || is_known(name)) {
        return None;
    }
    out.push('{');
    let mut is_first = true;
    for field in fields {
        let value = members.get(field.name).unwrap_or(&Value::Null);
        if field.is_optional && is_empty(types, field.kind, value) {
            continue;
        }
        separate(&mut is_first, out);
        write_plain(&Value::from(field.name), out)?;
        out.push(':');
        write(types, field.kind, value, out)?;
    }
    out.push('}');
    Some(())
}

/// What Go leaves out: nothing, no elements, an empty text, no, and zero; but neither a structure nor what is pointed at.
fn is_empty(types: &Types, kind: &str, value: &Value) -> bool {
    let is_pointer = kind.starts_with('*');
    match value {
        Value::Null => !types.contains_key(kind) && kind != "quantity" && kind != "intstr",
        Value::Bool(value) => !is_pointer && !value,
        Value::Number(number) => !is_pointer && kind == "int" && number.as_i64() == Some(0),
        Value::String(text) => !is_pointer && kind == "string" && text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => kind.starts_with("{}") && members.is_empty(),
    }
}

fn write_list(types: &Types, kind: &'static str, value: &Value, out: &mut String) -> Option<()> {
    let items = match value {
        Value::Null => return write_plain(value, out),
        Value::Array(items) => items,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => return None,
    };
    out.push('[');
    let mut is_first = true;
    for item in items {
        separate(&mut is_first, out);
        write(types, kind, item, out)?;
    }
    out.push(']');
    Some(())
}

fn write_map(types: &Types, kind: &'static str, value: &Value, out: &mut String) -> Option<()> {
    let members = match value {
        Value::Null => return write_plain(value, out),
        Value::Object(members) => members,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
    };
    let sorted: BTreeMap<&String, &Value> = members.iter().collect();
    out.push('{');
    let mut is_first = true;
    for (key, value) in sorted {
        separate(&mut is_first, out);
        write_plain(&Value::from(key.as_str()), out)?;
        out.push(':');
        write(types, kind, value, out)?;
    }
    out.push('}');
    Some(())
}

fn separate(is_first: &mut bool, out: &mut String) {
    if !std::mem::take(is_first) {
        out.push(',');
    }
}

/// Writes a value without members.
fn write_plain(value: &Value, out: &mut String) -> Option<()> {
    let mut text = value.to_string();
    for (from, to) in GO_ESCAPES {
        if text.contains(from) {
            text = text.replace(from, to);
        }
    }
    out.push_str(&text);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(case: &str, spec: &Value, expected: Option<&str>) {
        let found = text(&json!({"spec": spec}));
        let expected = expected.map(|spec| format!(r#"{{"metadata":{{}},"spec":{spec}}}"#));
        assert_eq!(found, expected, "{case}");
    }

    #[test]
    fn a_template_is_written_as_go_writes_it() {
        check("nothing", &json!({}), Some(r#"{"containers":null}"#));
        check(
            "the order is that of the types",
            &json!({"containers": [{"image": "i", "name": "n"}], "restartPolicy": "Always", "volumes": []}),
            Some(r#"{"containers":[{"name":"n","image":"i","resources":{}}],"restartPolicy":"Always"}"#),
        );
        check(
            "no and zero are left out, but not where they are pointed at",
            &json!({"containers": [], "hostPID": false, "shareProcessNamespace": false, "priority": 0}),
            Some(r#"{"containers":[],"shareProcessNamespace":false,"priority":0}"#),
        );
        check(
            "an empty object is written where it is pointed at",
            &json!({"containers": null, "volumes": [{"name": "v", "emptyDir": {}}], "securityContext": {}}),
            Some(r#"{"volumes":[{"name":"v","emptyDir":{}}],"containers":null,"securityContext":{}}"#),
        );
        check(
            "maps are sorted, quantities canonical, and signs escaped",
            &json!({"containers": null, "nodeSelector": {"b": "<&>", "a": ""}, "overhead": {"cpu": 0.001, "memory": "1024Mi"}}),
            Some(
                r#"{"containers":null,"nodeSelector":{"a":"","b":"\u003c\u0026\u003e"},"overhead":{"cpu":"1m","memory":"1Gi"}}"#,
            ),
        );
        check(
            "a divisor is always written",
            &json!({"containers": [{"name": "n", "resources": {}, "env": [{
                "name": "e", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}},
            }]}]}),
            Some(
                r#"{"containers":[{"name":"n","env":[{"name":"e","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu","divisor":"0"}}}],"resources":{}}]}"#,
            ),
        );
        check(
            "ports are numbers or names",
            &json!({"containers": [{"name": "n", "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 0},
                "readinessProbe": {"tcpSocket": {"port": "http"}}}]}),
            Some(
                r#"{"containers":[{"name":"n","resources":{},"livenessProbe":{"httpGet":{"port":80}},"readinessProbe":{"tcpSocket":{"port":"http"}}}]}"#,
            ),
        );
        check("a field of a newer Kubernetes", &json!({"containers": null, "newer": 1}), None);
        check(
            "but not if it says nothing",
            &json!({"containers": null, "newer": null}),
            Some(r#"{"containers":null}"#),
        );
        check("a value that does not fit", &json!({"containers": null, "hostPID": "yes"}), None);
        check("another", &json!({"containers": {}}), None);
        check("a number that is none", &json!({"containers": null, "priority": 1.5}), None);
    }

    #[test]
    fn metadata_is_written_without_the_time_of_creation() {
        let template =
            json!({"metadata": {"creationTimestamp": null, "annotations": {}, "labels": {"app": "a"}}, "spec": {}});
        let expected = r#"{"metadata":{"labels":{"app":"a"}},"spec":{"containers":null}}"#;
        assert_eq!(text(&template).as_deref(), Some(expected));
    }

    #[test]
    fn every_type_that_is_named_is_known() {
        let types = types();
        for field in types.values().flatten() {
            let bare = field.kind.trim_start_matches(['*', '[', ']', '{', '}']);
            let is_basic = ["string", "bool", "int", "intstr", "quantity", "time", "raw"].contains(&bare);
            assert!(is_basic || types.contains_key(bare), "{} of {}", field.kind, field.name);
        }
        assert_eq!(types.len(), 109);
    }
}
