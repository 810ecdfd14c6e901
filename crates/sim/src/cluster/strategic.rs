//! Strategic merge patches of the built-in kinds: lists with a known key merge item by item.

use serde_json::{Map, Value, json};

use super::error::ApiError;
use super::meta;

/// The field that tells the items of a list apart, by the name of the list; other lists are replaced whole.
pub(crate) fn merge_key(list: &str, parent: &str) -> Option<&'static str> {
    match list {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets"
        | "secrets" => Some("name"),
        "ports" if parent == "containers" => Some("containerPort"),
        "ports" => Some("port"),
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "conditions" => Some("type"),
        "ownerReferences" => Some("uid"),
        "hostAliases" => Some("ip"),
        "topologySpreadConstraints" => Some("topologyKey"),
        _ => None,
    }
}

/// Applies the patch to the object.
pub(crate) fn merge(object: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let Some(patch) = patch.as_object() else {
        return Err(ApiError::bad_request("error decoding patch: a strategic merge patch must be an object"));
    };
    merge_map(object, patch, "");
    Ok(())
}

fn merge_map(target: &mut Value, patch: &Map<String, Value>, parent: &str) {
    if patch.get("$patch").and_then(Value::as_str) == Some("replace") {
        let kept = patch.iter().filter(|(field, _)| !field.starts_with('$'));
        *target = Value::Object(kept.map(|(f, v)| (f.clone(), v.clone())).collect());
        return;
    }
    if patch.get("$patch").and_then(Value::as_str) == Some("delete") {
        *target = json!({});
        return;
    }
    let map = meta::map(target);
    if let Some(kept) = patch.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|field, _| kept.iter().any(|name| name == field));
    }
    for (field, value) in patch {
        if let Some(list) = field.strip_prefix("$deleteFromPrimitiveList/") {
            delete_primitives(map, list, value);
        } else if !field.starts_with('$') {
            merge_field(map, field, value, parent);
        }
    }
    for (field, order) in patch {
        if let Some(list) = field.strip_prefix("$setElementOrder/") {
            reorder(map, list, order, parent);
        }
    }
}

fn merge_field(map: &mut Map<String, Value>, field: &str, value: &Value, parent: &str) {
    match value {
        Value::Null => {
            map.remove(field);
        }
        Value::Object(patch) => {
            let target = map.entry(field).or_insert(Value::Null);
            merge_map(target, patch, field);
        }
        Value::Array(items) => match merge_key(field, parent) {
            Some(key) => {
                let target = map.entry(field).or_insert_with(|| json!([]));
                merge_items(target, items, key, field);
            }
            None if field == "finalizers" => {
                let target = map.entry(field).or_insert_with(|| json!([]));
                add_primitives(target, items);
            }
            None => {
                map.insert(field.to_owned(), value.clone());
            }
        },
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            map.insert(field.to_owned(), value.clone());
        }
    }
}

fn merge_items(target: &mut Value, patches: &[Value], key: &str, list: &str) {
    if !target.is_array() {
        *target = json!([]);
    }
    let Some(items) = target.as_array_mut() else {
        return;
    };
    if patches.iter().any(|patch| patch["$patch"] == "replace") {
        items.clear();
    }
    for patch in patches {
        let Some(fields) = patch.as_object() else {
            continue;
        };
        if patch["$patch"] == "replace" && fields.len() == 1 {
            continue;
        }
        let place = items.iter().position(|item| item[key] == patch[key]);
        match (place, patch["$patch"] == "delete") {
            (Some(index), true) => {
                items.remove(index);
            }
            (Some(index), false) => merge_map(&mut items[index], fields, list),
            (None, true) => {}
            (None, false) => {
                let mut item = json!({});
                merge_map(&mut item, fields, list);
                items.push(item);
            }
        }
    }
}

fn add_primitives(target: &mut Value, values: &[Value]) {
    if let Some(items) = target.as_array_mut() {
        for value in values {
            if !items.contains(value) {
                items.push(value.clone());
            }
        }
    }
}

fn delete_primitives(map: &mut Map<String, Value>, list: &str, values: &Value) {
    if let (Some(items), Some(gone)) = (map.get_mut(list).and_then(Value::as_array_mut), values.as_array()) {
        items.retain(|item| !gone.contains(item));
    }
}

/// Brings the items into the wanted order; items that the order does not name keep their places at the end.
fn reorder(map: &mut Map<String, Value>, list: &str, order: &Value, parent: &str) {
    let (Some(items), Some(order)) = (map.get_mut(list).and_then(Value::as_array_mut), order.as_array()) else {
        return;
    };
    let key = merge_key(list, parent);
    items.sort_by_key(|item| {
        let same = |wanted: &Value| match key {
            Some(key) => wanted[key] == item[key],
            None => wanted == item,
        };
        order.iter().position(same).unwrap_or(order.len())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "the cases are written as values")]
    fn check(sentence: &str, patch: Value, expected: Value) {
        let mut object = json!({
            "metadata": {"finalizers": ["a", "b"]},
            "containers": [
                {"name": "app", "image": "app:1", "ports": [{"containerPort": 80}], "args": ["x"]},
                {"name": "proxy", "image": "proxy:1"},
            ],
        });
        merge(&mut object, &patch).expect("the patch is an object");
        assert_eq!(object, expected, "{sentence}");
    }

    #[test]
    fn lists_with_keys_merge_by_item() {
        let finalizers = json!({"finalizers": ["a", "b"]});
        let app = json!({"name": "app", "image": "app:1", "ports": [{"containerPort": 80}], "args": ["x"]});
        let proxy = json!({"name": "proxy", "image": "proxy:1"});
        check(
            "an item is changed, nested lists of values are replaced",
            json!({"containers": [{"name": "app", "image": "app:2", "args": ["y"], "ports": [{"containerPort": 81}]}]}),
            json!({"metadata": finalizers, "containers": [
                {"name": "app", "image": "app:2", "ports": [{"containerPort": 80}, {"containerPort": 81}], "args": ["y"]},
                proxy,
            ]}),
        );
        check(
            "an item is deleted by directive, another one added",
            json!({"containers": [{"name": "proxy", "$patch": "delete"}, {"name": "new"}]}),
            json!({"metadata": finalizers, "containers": [app, {"name": "new"}]}),
        );
        check(
            "the list is replaced by directive",
            json!({"containers": [{"name": "new"}, {"$patch": "replace"}]}),
            json!({"metadata": finalizers, "containers": [{"name": "new"}]}),
        );
        check(
            "the order is set, without the items that are not there",
            json!({"$setElementOrder/containers": [{"name": "proxy"}, {"name": "none"}, {"name": "app"}]}),
            json!({"metadata": finalizers, "containers": [proxy, app]}),
        );
        check(
            "a null removes, plain lists lose what is named",
            json!({"containers": null, "metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
            json!({"metadata": {"finalizers": ["b"]}}),
        );
        check(
            "a map keeps only the named keys",
            json!({"$retainKeys": ["metadata"], "metadata": {"x": 1}}),
            json!({"metadata": {"finalizers": ["a", "b"], "x": 1}}),
        );
    }
}
