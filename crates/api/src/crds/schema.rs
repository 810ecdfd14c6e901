//! Schemas as JSON: walking over them, and cutting them down to what an API server accepts.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Keywords that say nothing to the API server, or the wrong thing: our defaults are those of Rust, not of the API, and
/// without `nullable` the API server removes nulls before anybody sees them.
const MEANINGLESS: [&str; 6] = ["$schema", "title", "default", "nullable", "minimum", "uniqueItems"];

/// The schema of a type, without references.
pub(super) fn of<T: JsonSchema>() -> Value {
    let mut settings = SchemaSettings::openapi3();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    clean(&mut schema);
    schema
}

/// Removes the [`MEANINGLESS`] keywords of a schema and all schemas in it.
pub(super) fn clean(schema: &mut Value) {
    each(schema, &mut |node| {
        node.retain(|keyword, _| !MEANINGLESS.contains(&keyword.as_str()));
    });
}

/// Removes the descriptions of a schema and all schemas in it.
pub(super) fn strip_descriptions(schema: &mut Value) {
    each(schema, &mut |node| {
        node.remove("description");
    });
}

/// Calls `on_property` for the properties of a schema and of the schemas in it, outermost first, with the property's
/// name and schema, or that of its items if it is a list. Where it returns false, what lies inside is not visited.
pub(super) fn visit(schema: &mut Value, on_property: &mut dyn FnMut(&str, &mut Value) -> bool) {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (name, property) in properties {
            let mut node = property;
            while node.get("items").is_some() {
                node = &mut node["items"];
            }
            if on_property(name, node) {
                visit(node, on_property);
            }
        }
    }
    if let Some(values) = schema.get_mut("additionalProperties") {
        visit(values, on_property);
    }
}

/// The schema of a label selector.
pub(super) fn selector() -> Value {
    json!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": { "type": "object", "additionalProperties": { "type": "string" } },
            "matchExpressions": {
                "type": "array",
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": { "type": "string" },
                        "operator": { "type": "string" },
                        "values": {
                            "type": "array",
                            "x-kubernetes-list-type": "atomic",
                            "items": { "type": "string" },
                        },
                    },
                },
            },
        },
    })
}

/// Calls `on_node` for a schema and all schemas in it, outermost first.
pub(super) fn each(schema: &mut Value, on_node: &mut dyn FnMut(&mut Map<String, Value>)) {
    let Some(node) = schema.as_object_mut() else {
        return;
    };
    on_node(node);
    for (keyword, value) in node {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for property in properties.values_mut() {
                    each(property, on_node);
                }
            }
            ("items" | "additionalProperties" | "not", value) => each(value, on_node),
            ("anyOf" | "oneOf" | "allOf", Value::Array(schemas)) => {
                for schema in schemas {
                    each(schema, on_node);
                }
            }
            _ => {}
        }
    }
}
