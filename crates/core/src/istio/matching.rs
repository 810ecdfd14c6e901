//! Matches of HTTP routes: those of one route narrowed by those of another.

use serde_json::{Map, Value, json};

/// The matches that take the requests that both `base` takes and one of `own` describes; empty if there are none.
///
/// Where both look at the same part of a request and either does so by a regular expression, `own` alone decides, since
/// Istio cannot express that two expressions hold at once.
pub(super) fn within(base: &Value, own: &[Value]) -> Vec<Value> {
    let base = base.get("match").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if base.is_empty() {
        return own.to_vec();
    }
    base.iter().flat_map(|base| own.iter().filter_map(|own| both(base, own))).collect()
}

/// One match that demands what two of them demand; `None` if no request could fulfil it.
fn both(base: &Value, own: &Value) -> Option<Value> {
    let mut all = base.as_object().cloned().unwrap_or_default();
    for (key, wanted) in own.as_object().into_iter().flatten() {
        let narrowed = match all.get(key) {
            None => wanted.clone(),
            Some(present) if key == "headers" => json!(both_headers(present, wanted)?),
            Some(present) => narrower(present, wanted)?,
        };
        all.insert(key.clone(), narrowed);
    }
    all.remove("name");
    Some(Value::Object(all))
}

fn both_headers(base: &Value, own: &Value) -> Option<Map<String, Value>> {
    let mut all = base.as_object().cloned().unwrap_or_default();
    for (name, wanted) in own.as_object().into_iter().flatten() {
        let same = all.keys().find(|present| present.eq_ignore_ascii_case(name)).cloned();
        let narrowed = match same.as_ref().and_then(|same| all.get(same)) {
            None => wanted.clone(),
            Some(present) => narrower(present, wanted)?,
        };
        all.insert(same.unwrap_or_else(|| name.clone()), narrowed);
    }
    Some(all)
}

/// The narrower of two string matches; `None` if no text fulfils both.
fn narrower(base: &Value, own: &Value) -> Option<Value> {
    let exact = |one: &Value| one.get("exact").and_then(Value::as_str).map(str::to_owned);
    let prefix = |one: &Value| one.get("prefix").and_then(Value::as_str).map(str::to_owned);
    let begins = |text: String, start: String, whole: &Value| text.starts_with(&start).then(|| whole.clone());
    match ((exact(base), prefix(base)), (exact(own), prefix(own))) {
        ((Some(base_text), _), (Some(text), _)) => (base_text == text).then(|| own.clone()),
        ((Some(text), _), (None, Some(start))) => begins(text, start, base),
        ((None, Some(start)), (Some(text), _)) => begins(text, start, own),
        ((None, Some(wide)), (None, Some(narrow))) => {
            begins(narrow.clone(), wide.clone(), own).or_else(|| begins(wide, narrow, base))
        }
        ((_, _), (_, _)) => Some(own.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(case: &str, base: &Value, own: &Value, wanted: &Value) {
        let own = own.as_array().expect("a list");
        assert_eq!(json!(within(&json!({"match": base}), own)), *wanted, "{case}");
    }

    #[test]
    fn a_request_has_to_match_both() {
        let header = json!([{"headers": {"agent": {"exact": "x"}}}]);
        check("a route for everything", &json!([]), &header, &header);
        check(
            "any of the route's matches",
            &json!([{"uri": {"prefix": "/a"}, "name": "first"}, {"uri": {"exact": "/b"}, "port": 80}]),
            &header,
            &json!([{"uri": {"prefix": "/a"}, "headers": {"agent": {"exact": "x"}}},
                    {"uri": {"exact": "/b"}, "port": 80, "headers": {"agent": {"exact": "x"}}}]),
        );
        check(
            "other headers stay",
            &json!([{"headers": {"tenant": {"exact": "t"}}}]),
            &header,
            &json!([{"headers": {"tenant": {"exact": "t"}, "agent": {"exact": "x"}}}]),
        );
        check(
            "the same header, whatever its case",
            &json!([{"headers": {"Agent": {"prefix": ""}}}]),
            &header,
            &json!([{"headers": {"Agent": {"exact": "x"}}}]),
        );
        check("no request fulfils both", &json!([{"headers": {"agent": {"exact": "y"}}}]), &header, &json!([]));
    }

    #[test]
    fn the_narrower_text_counts() {
        let uri = |kind: &str, text: &str| json!([{"uri": {kind: text}}]);
        check("equal", &uri("exact", "/a"), &uri("exact", "/a"), &uri("exact", "/a"));
        check("within a prefix", &uri("prefix", "/a"), &uri("exact", "/a/b"), &uri("exact", "/a/b"));
        check("a longer prefix", &uri("prefix", "/a"), &uri("prefix", "/a/b"), &uri("prefix", "/a/b"));
        check("a shorter prefix", &uri("prefix", "/a/b"), &uri("prefix", "/a"), &uri("prefix", "/a/b"));
        check("a prefix of the only text", &uri("exact", "/a/b"), &uri("prefix", "/a"), &uri("exact", "/a/b"));
        check("another prefix", &uri("prefix", "/a"), &uri("prefix", "/b"), &json!([]));
        check("an expression decides alone", &uri("prefix", "/a"), &uri("regex", "/a.*"), &uri("regex", "/a.*"));
    }
}
