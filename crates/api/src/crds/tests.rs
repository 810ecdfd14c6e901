//! What an API server demands of a definition, and what clients demand of ours.

use std::collections::BTreeSet;

use super::*;

/// The API server stores at most this much in the annotation that `kubectl apply` writes.
const APPLY_BYTES_MAX: usize = 256 * 1024;

const KEYWORDS: [&str; 17] = [
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
    "x-kubernetes-embedded-resource",
];

fn schema_of(definition: &CustomResourceDefinition) -> Value {
    let validation = definition.spec.versions[0].schema.as_ref().unwrap();
    serde_json::to_value(validation.open_api_v3_schema.as_ref().unwrap()).unwrap()
}

fn definition(kind: &str) -> CustomResourceDefinition {
    crds().iter().find(|definition| definition.spec.names.kind == kind).unwrap().clone()
}

/// What is wrong with a schema and the schemas in it, by the API server's rules for structural schemas.
fn faults(path: &str, schema: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let Some(node) = schema.as_object() else {
        return vec![format!("{path}: not a schema")];
    };
    let set = |keyword: &str| node.get(keyword) == Some(&Value::Bool(true));
    for keyword in node.keys().filter(|keyword| !KEYWORDS.contains(&keyword.as_str())) {
        faults.push(format!("{path}: keyword {keyword}"));
    }
    let free = set("x-kubernetes-preserve-unknown-fields");
    let kind = node.get("type").and_then(Value::as_str);
    match kind {
        None if free || set("x-kubernetes-int-or-string") => {}
        Some("object" | "array" | "string" | "integer" | "boolean") if !set("x-kubernetes-int-or-string") => {}
        _ => faults.push(format!("{path}: type {kind:?}")),
    }
    if node.contains_key("items") != (kind == Some("array")) {
        faults.push(format!("{path}: items and the type array belong together"));
    }
    if (node.contains_key("properties") || node.contains_key("additionalProperties")) && kind != Some("object") {
        faults.push(format!("{path}: properties in something else than an object"));
    }
    if node.contains_key("properties") && node.contains_key("additionalProperties") {
        faults.push(format!("{path}: both properties and additionalProperties"));
    }
    let no_properties = json!({});
    let properties = node.get("properties").unwrap_or(&no_properties).as_object().unwrap();
    for field in node.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !properties.contains_key(field.as_str().unwrap()) {
            faults.push(format!("{path}: requires {field}, which it does not have"));
        }
    }
    for (name, property) in properties {
        faults.extend(self::faults(&format!("{path}.{name}"), property));
    }
    for (keyword, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(inner) = node.get(keyword) {
            faults.extend(self::faults(&format!("{path}{suffix}"), inner));
        }
    }
    faults.extend(list_faults(path, schema));
    faults
}

/// The keys of a list must be required or have a default, and only maps have keys.
fn list_faults(path: &str, schema: &Value) -> Vec<String> {
    let keys = schema["x-kubernetes-list-map-keys"].as_array().cloned().unwrap_or_default();
    let is_map = schema["x-kubernetes-list-type"] == "map";
    if is_map == keys.is_empty() {
        return vec![format!("{path}: keys and the list type map belong together")];
    }
    let items = &schema["items"];
    let required = items["required"].as_array().cloned().unwrap_or_default();
    keys.iter()
        .filter(|key| {
            let property = &items["properties"][key.as_str().unwrap()];
            !property["type"].is_string() || !(required.contains(key) || property.get("default").is_some())
        })
        .map(|key| format!("{path}: key {key} is neither required nor has a default"))
        .collect()
}

#[test]
fn an_api_server_accepts_the_schemas() {
    for definition in crds() {
        let kind = &definition.spec.names.kind;
        assert_eq!(faults(kind, &schema_of(definition)), Vec::<String>::new());
    }
}

#[test]
fn the_checker_finds_faults() {
    let cases = [
        ("a reference", json!({ "$ref": "#/x" })),
        ("no type", json!({ "properties": {} })),
        ("a choice", json!({ "type": "object", "anyOf": [] })),
        ("a list without items", json!({ "type": "array" })),
        (
            "a map with properties",
            json!({ "type": "object", "properties": {}, "additionalProperties": { "type": "string" } }),
        ),
        ("a requirement without a property", json!({ "type": "object", "required": ["a"] })),
        (
            "an optional list key",
            json!({
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["a"],
                "items": { "type": "object", "properties": { "a": { "type": "string" } } },
            }),
        ),
    ];
    for (case, schema) in cases {
        assert_ne!(faults("", &schema), Vec::<String>::new(), "{case}");
    }
}

#[test]
fn each_definition_is_small_enough_for_kubectl_apply() {
    for definition in crds() {
        let bytes = serde_json::to_string(&definition).unwrap().len();
        assert!(bytes < APPLY_BYTES_MAX, "{} has {bytes} bytes", definition.spec.names.kind);
    }
}

#[test]
fn the_definitions_have_the_names_that_clients_use() {
    let names: Vec<_> = crds()
        .iter()
        .map(|crd| {
            let short = crd.spec.names.short_names.clone().unwrap().join(",");
            (crd.metadata.name.clone().unwrap(), short, crd.spec.scope.clone(), crd.spec.versions[0].name.clone())
        })
        .collect();
    let expected = [
        ("rollouts", "ro", "Namespaced"),
        ("analysistemplates", "at", "Namespaced"),
        ("clusteranalysistemplates", "cat", "Cluster"),
        ("analysisruns", "ar", "Namespaced"),
        ("experiments", "exp", "Namespaced"),
    ]
    .map(|(plural, short, scope)| {
        (format!("{plural}.argoproj.io"), short.to_owned(), scope.to_owned(), "v1alpha1".to_owned())
    });
    assert_eq!(names, expected);
}

#[test]
fn only_a_rollout_has_subresources_but_runs_and_experiments_have_a_status() {
    for definition in crds() {
        let kind = definition.spec.names.kind.as_str();
        let subresources = definition.spec.versions[0].subresources.clone().unwrap_or_default();
        assert_eq!(subresources.status.is_some(), kind == "Rollout", "{kind}");
        assert_eq!(subresources.scale.is_some(), kind == "Rollout", "{kind}");
        let has_status = schema_of(definition).pointer("/properties/status/properties/phase").is_some();
        assert_eq!(has_status, !kind.ends_with("Template"), "{kind}");
    }
    let scale = definition("Rollout").spec.versions[0].subresources.clone().unwrap().scale.unwrap();
    assert_eq!(scale.spec_replicas_path, ".spec.replicas");
    assert_eq!(scale.status_replicas_path, ".status.HPAReplicas");
    assert_eq!(scale.label_selector_path.as_deref(), Some(".status.selector"));
}

#[test]
fn a_rollout_may_hold_what_only_the_controller_judges() {
    let schema = schema_of(&definition("Rollout"));
    let at = |pointer: &str| schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is missing"));
    let pod = "/properties/spec/properties/template/properties/spec";
    let container = format!("{pod}/properties/containers/items");
    for free in [
        pod.to_owned(),
        container.clone(),
        format!("{pod}/properties/volumes"),
        format!("{container}/properties/resources/properties/requests"),
        "/properties/spec/properties/strategy/properties/canary/properties/trafficRouting/properties/plugins"
            .to_owned(),
    ] {
        assert_eq!(at(&free)["x-kubernetes-preserve-unknown-fields"], true, "{free}");
    }
    assert_eq!(at(&format!("{container}/properties/ports/items/properties/protocol"))["default"], "TCP");
    let selector = at("/properties/spec/properties/selector");
    assert_eq!(selector["x-kubernetes-validations"][0]["rule"], "self == oldSelf");
    assert_eq!(at("/properties/spec/properties/strategy").get("required"), None);
    assert_eq!(at("/properties/spec").get("required"), None);
    assert_eq!(at("/properties/status").get("required"), None);
}

#[test]
fn the_only_defaults_are_those_that_the_field_knows() {
    fn defaults(schema: &Value, found: &mut BTreeSet<String>) {
        if let Some(properties) = schema["properties"].as_object() {
            for (name, property) in properties {
                if let Some(default) = property.get("default") {
                    found.insert(format!("{name}={default}"));
                }
                defaults(property, found);
            }
        }
        for keyword in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(keyword) {
                defaults(inner, found);
            }
        }
    }
    let mut found = BTreeSet::new();
    for definition in crds() {
        defaults(&schema_of(definition), &mut found);
    }
    let expected = [
        "apiVersion=\"v1\"",
        "interval=\"5m\"",
        "name=\"\"",
        "protocol=\"TCP\"",
        "requestTimeout=\"10s\"",
        "service=\"\"",
    ];
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
}
