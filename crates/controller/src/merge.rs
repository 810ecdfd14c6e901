//! JSON merge patches (RFC 7386) that change what we mean to change, and leave alone what we do not know.

use serde_json::{Map, Value};

/// The merge patch that turns `raw` into `new` as far as we know its fields, or `None` if there is nothing to change.
///
/// `known` is `raw` as our types read and wrote it. A field that is neither in `known` nor in `new` is none of ours and
/// is left alone; one that is in `known` and not in `new` is removed. Lists are replaced whole.
#[must_use]
pub fn merge_diff(raw: &Value, known: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(known), Value::Object(new)) = (known, new) else {
        return (raw != new).then(|| new.clone());
    };
    let Value::Object(raw) = raw else {
        return (!new.is_empty()).then(|| Value::Object(new.clone()));
    };
    let mut patch = Map::new();
    for (key, value) in new {
        let change = match raw.get(key) {
            Some(old) if old.is_object() && value.is_object() => {
                merge_diff(old, known.get(key).unwrap_or(&Value::Null), value)
            }
            Some(old) => (old != value).then(|| value.clone()),
            None => Some(value.clone()),
        };
        if let Some(change) = change {
            patch.insert(key.clone(), change);
        }
    }
    for key in known.keys() {
        if !new.contains_key(key) && raw.get(key).is_some_and(|old| !old.is_null()) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    if patch.is_empty() {
        return None;
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "reads better in a table")]
    fn check(case: &str, [raw, known, new]: [Value; 3], patch: Option<Value>) {
        assert_eq!(merge_diff(&raw, &known, &new), patch, "{case}");
    }

    #[test]
    fn a_patch_says_what_changes_and_nothing_else() {
        check("nothing changes", [json!({"a": 1}), json!({"a": 1}), json!({"a": 1})], None);
        check(
            "a value changes",
            [json!({"a": 1, "b": 2}), json!({"a": 1, "b": 2}), json!({"a": 3, "b": 2})],
            Some(json!({"a": 3})),
        );
        check("a new field is added", [json!({}), json!({}), json!({"a": 1})], Some(json!({"a": 1})));
        check(
            "a field that we knew and dropped becomes null",
            [json!({"a": 1, "b": 2}), json!({"a": 1, "b": 2}), json!({"b": 2})],
            Some(json!({"a": null})),
        );
        check(
            "a field that we do not know is left alone",
            [json!({"a": 1, "foreign": 2}), json!({"a": 1}), json!({"a": 1})],
            None,
        );
        check(
            "a default that our types write although the object lacks it is written once",
            [json!({}), json!({"canary": {}}), json!({"canary": {}})],
            Some(json!({"canary": {}})),
        );
        check(
            "objects are compared field by field",
            [
                json!({"o": {"a": 1, "foreign": 1, "gone": 1}}),
                json!({"o": {"a": 1, "gone": 1}}),
                json!({"o": {"a": 2}}),
            ],
            Some(json!({"o": {"a": 2, "gone": null}})),
        );
        check(
            "lists are replaced whole",
            [json!({"l": [1, 2]}), json!({"l": [1, 2]}), json!({"l": [2]})],
            Some(json!({"l": [2]})),
        );
        check(
            "a malformed value that we could not read is overwritten",
            [json!({"a": "x"}), json!({}), json!({"a": 1})],
            Some(json!({"a": 1})),
        );
        check("no status yet", [Value::Null, json!({}), json!({"a": 1})], Some(json!({"a": 1})));
        check(
            "a null that stands for nothing is not removed again",
            [json!({"a": null}), json!({"a": null}), json!({})],
            None,
        );
    }
}
