//! The anti-affinity terms that a controller injects into pod templates, and templates without them.

use serde_json::Value;
use serin_api::labels::POD_TEMPLATE_HASH;

/// The list of terms that the scheduler must honour.
pub(crate) const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
/// The list of terms that the scheduler tries to honour.
pub(crate) const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// The pod template without injected terms, and without whatever is empty for lack of them.
pub(crate) fn without_injected(template: &Value) -> Value {
    let mut template = template.clone();
    remove_injected(&mut template);
    template
}

/// Removes injected terms: those that keep pods away from others by their pod-template-hash. No author knows a hash.
pub(super) fn remove_injected(template: &mut Value) {
    let Some(affinity) = template.pointer_mut("/spec/affinity") else { return };
    let Some(rules) = affinity.get_mut("podAntiAffinity").and_then(Value::as_object_mut) else { return };
    let mut removed = false;
    for (list, term) in [(REQUIRED, ""), (PREFERRED, "/podAffinityTerm")] {
        let Some(terms) = rules.get_mut(list).and_then(Value::as_array_mut) else { continue };
        let before = terms.len();
        terms.retain(|one| !one.pointer(term).is_some_and(is_injected));
        removed |= terms.len() < before;
        if terms.is_empty() && before > 0 {
            rules.remove(list);
        }
    }
    if removed && rules.is_empty() {
        affinity.as_object_mut().and_then(|affinity| affinity.remove("podAntiAffinity"));
    }
    if removed && affinity.as_object().is_some_and(serde_json::Map::is_empty) {
        template["spec"].as_object_mut().and_then(|spec| spec.remove("affinity"));
    }
}

fn is_injected(term: &Value) -> bool {
    let expressions = term.pointer("/labelSelector/matchExpressions").and_then(Value::as_array);
    let is_ours = |expression: &Value| {
        let values = expression.get("values").and_then(Value::as_array);
        expression["key"] == POD_TEMPLATE_HASH && expression["operator"] == "In" && values.is_some_and(|v| v.len() == 1)
    };
    expressions.is_some_and(|all| all.len() == 1 && all.iter().all(is_ours))
        && term["topologyKey"] == "kubernetes.io/hostname"
        && term.pointer("/labelSelector/matchLabels").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(case: &str, affinity: &Value, wanted: Option<&Value>) {
        let template = json!({"spec": {"containers": [], "affinity": affinity}});
        assert_eq!(without_injected(&template).pointer("/spec/affinity"), wanted, "{case}");
    }

    #[test]
    fn only_injected_terms_go() {
        let select = |key: &str, values: &[&str]| {
            json!({"labelSelector": {"matchExpressions": [{"key": key, "operator": "In", "values": values}]},
                "namespaces": ["shop"], "topologyKey": "kubernetes.io/hostname"})
        };
        let ours = select(POD_TEMPLATE_HASH, &["abc"]);
        let theirs = select("app", &["web"]);
        let weighted = |term: &Value| json!({"weight": 5, "podAffinityTerm": term});
        check("a lone one takes everything with it", &json!({"podAntiAffinity": {REQUIRED: [ours]}}), None);
        check("so does a preferred one", &json!({"podAntiAffinity": {PREFERRED: [weighted(&ours)]}}), None);
        let kept = json!({"podAntiAffinity": {PREFERRED: [weighted(&theirs)]}});
        let mixed = json!({"podAntiAffinity": {PREFERRED: [weighted(&theirs), weighted(&ours)], REQUIRED: [ours]}});
        check("the author's stay", &mixed, Some(&kept));
        let node = json!({"nodeAffinity": {"x": 1}, "podAntiAffinity": {REQUIRED: [ours]}});
        check("so do other rules", &node, Some(&json!({"nodeAffinity": {"x": 1}})));
        let several = json!({"podAntiAffinity": {REQUIRED: [select(POD_TEMPLATE_HASH, &["a", "b"])]}});
        check("a term of another shape is not ours", &several, Some(&several));
        check("what was empty before stays", &json!({}), Some(&json!({})));
        check("what is no affinity stays", &json!(7), Some(&json!(7)));
    }
}
