//! Literals of a GraphQL document: as JSON, and whether they fit the schema.

use std::collections::BTreeMap;

use graphql_parser::query::Value as Literal;
use serde_json::{Value, json};

use super::{Version, schema};

/// The first variable in a literal that was never declared.
pub(super) fn undeclared<'a>(
    literal: &'a Literal<'static, String>,
    variables: &BTreeMap<String, Value>,
) -> Option<&'a str> {
    match literal {
        Literal::Variable(name) => (!variables.contains_key(name)).then_some(name.as_str()),
        Literal::List(items) => items.iter().find_map(|item| undeclared(item, variables)),
        Literal::Object(fields) => fields.values().find_map(|item| undeclared(item, variables)),
        Literal::Int(_)
        | Literal::Float(_)
        | Literal::String(_)
        | Literal::Boolean(_)
        | Literal::Null
        | Literal::Enum(_) => None,
    }
}

/// A literal as JSON; enum values become strings, as they are in variables.
pub(super) fn resolve(literal: &Literal<'static, String>, variables: &BTreeMap<String, Value>) -> Value {
    match literal {
        Literal::Variable(name) => variables.get(name).cloned().unwrap_or(Value::Null),
        Literal::Int(number) => json!(number.as_i64()),
        Literal::Float(number) => json!(number),
        Literal::String(text) | Literal::Enum(text) => json!(text),
        Literal::Boolean(truth) => json!(truth),
        Literal::Null => Value::Null,
        Literal::List(items) => items.iter().map(|item| resolve(item, variables)).collect(),
        Literal::Object(fields) => {
            Value::Object(fields.iter().map(|(name, item)| (name.clone(), resolve(item, variables))).collect())
        }
    }
}

/// Why a value does not fit an input type. Scalars of another type than declared are let through.
pub(super) fn misfit(value: &Value, type_name: &str, version: Version) -> Option<String> {
    if let Some(choices) = schema::choices(type_name) {
        let fits = value.is_null() || value.as_str().is_some_and(|text| choices.contains(&text));
        return (!fits).then(|| format!("is not a valid '{type_name}' - {value}"));
    }
    let fields = schema::inputs(type_name)?;
    let Some(object) = value.as_object() else {
        return Some(format!("must be an object of type '{type_name}'"));
    };
    if let Some(unknown) = object.keys().find(|key| !fields.iter().any(|field| field.name == *key)) {
        return Some(format!("contains a field not in '{type_name}': '{unknown}'"));
    }
    fields.iter().find_map(|field| match object.get(field.name) {
        None | Some(Value::Null) => {
            field.needed.by(version).then(|| format!("is missing required fields '[{}]'", field.name))
        }
        Some(inner) => misfit(inner, field.takes, version),
    })
}
