//! Who wrote the routes of a VirtualService last, from `metadata.managedFields`, of which nothing else is kept.
//!
//! The lists `spec.http`, `spec.tls` and `spec.tcp` are each one field to the API server: whoever changes one weight
//! owns the whole list from then on, and everybody else loses it.
//! Source: <https://kubernetes.io/docs/reference/using-api/server-side-apply/>

use serde_json::Value;
use serin_core::istio::routes::Protocol;
use serin_core::rollout::observed::Writer;

use crate::cluster::FIELD_MANAGER;

/// The longest name of a field manager that the API server takes, in bytes.
const MANAGER_MAX: usize = 128;

/// Who owns a list of routes since the latest moment; of several at one moment the one that is not us.
pub(super) fn of(object: &Value) -> Writer {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array);
    let owners = entries.into_iter().flatten().filter(|entry| owns_routes(entry));
    let newest = owners.max_by_key(|entry| (text(entry, "time"), text(entry, "manager") != FIELD_MANAGER));
    match newest.map(|entry| (text(entry, "manager"), text(entry, "operation"))) {
        None => Writer::Unknown,
        Some((FIELD_MANAGER, _)) => Writer::Own,
        Some((manager, operation)) => {
            let ends = (0..=manager.len().min(MANAGER_MAX)).rev();
            let end = ends.into_iter().find(|end| manager.is_char_boundary(*end)).unwrap_or(0);
            Writer::Other { manager: manager[..end].to_owned(), operation: operation.to_owned() }
        }
    }
}

/// Times of managedFields are all in UTC with whole seconds, so their texts sort as they do.
fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn owns_routes(entry: &Value) -> bool {
    let spec = entry.pointer("/fieldsV1/f:spec");
    spec.is_some_and(|spec| Protocol::ALL.iter().any(|protocol| spec.get(format!("f:{}", protocol.key())).is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(manager: &str, operation: &str, second: u32, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "networking.istio.io/v1",
            "time": format!("2026-01-01T00:00:{second:02}Z"), "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn the_newest_owner_of_the_routes_is_named() {
        let (routes, hosts) = (json!({"f:spec": {"f:http": {}}}), json!({"f:spec": {"f:hosts": {}}}));
        let flux = || Writer::Other { manager: "kustomize-controller".to_owned(), operation: "Apply".to_owned() };
        let cases = [
            ("nobody is named", json!(null), Writer::Unknown),
            ("nobody owns routes", json!([entry("kubectl", "Update", 1, &hosts)]), Writer::Unknown),
            ("it is not a list", json!({"manager": "x"}), Writer::Unknown),
            ("only we own them", json!([entry("serin", "Update", 3, &routes)]), Writer::Own),
            (
                "what somebody does to other fields is nobody's business",
                json!([entry("serin", "Update", 3, &routes), entry("kubectl", "Update", 9, &hosts)]),
                Writer::Own,
            ),
            (
                "a tool that applied them",
                json!([entry("kubectl", "Update", 9, &hosts), entry("kustomize-controller", "Apply", 5, &routes)]),
                flux(),
            ),
            (
                "several lists with several owners: the newest",
                json!([
                    entry("serin", "Update", 7, &json!({"f:spec": {"f:tcp": {}}})),
                    entry("kustomize-controller", "Apply", 8, &routes),
                ]),
                flux(),
            ),
            (
                "in one second: the other",
                json!([
                    entry("kustomize-controller", "Apply", 8, &routes),
                    entry("serin", "Update", 8, &json!({"f:spec": {"f:tcp": {}}})),
                ]),
                flux(),
            ),
        ];
        for (case, managed, expected) in cases {
            assert_eq!(of(&json!({"metadata": {"managedFields": managed}})), expected, "{case}");
        }
    }

    #[test]
    fn a_name_without_end_is_cut_off() {
        let long = "ü".repeat(100);
        let managed = json!([entry(&long, "Update", 1, &json!({"f:spec": {"f:http": {}}}))]);
        let Writer::Other { manager, .. } = of(&json!({"metadata": {"managedFields": managed}})) else {
            panic!("somebody else");
        };
        assert_eq!(manager, "ü".repeat(64));
    }
}
