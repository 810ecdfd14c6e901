//! Users' GraphQL documents: which of their fields read metrics, and where in the answer the values will be.

use std::fmt;

use graphql_parser::query::{self, Definition, Field, OperationDefinition, Selection, SelectionSet, Type, parse_query};
use serin_core::analysis::sample::Outcome;

use crate::reply::wrong;

/// A parsed document.
pub(super) type Document = query::Document<'static, String>;

/// An argument's value as it is written.
pub(super) type Literal = query::Value<'static, String>;

/// A definition of a variable.
pub(super) type Variable = query::VariableDefinition<'static, String>;

/// A field of the query that reads a metric.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reading {
    /// Its name in the answer.
    pub(super) key: String,
    /// The metric's name, if it is written out.
    pub(super) metric: Option<String>,
    /// What is read.
    pub(super) kind: Kind,
    /// The arguments of the field.
    pub(super) arguments: Vec<(String, Literal)>,
}

/// What a field reads, by the place of the values in its answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// `readMetricsValues`, or `readLabeledMetricsValues`, which gives a list of the same: a value a minute.
    Series(Vec<Buckets>),
    /// `readMetricsValue`: one number. Holds the name of the field in the answer that says whether it is empty.
    Value(Option<String>),
    /// `readNullableMetricsValue`: a number that may be marked as empty.
    Nullable(Mark),
    /// `execExpression`: an expression in MQE.
    Expression {
        /// Where the server says what is wrong with the expression.
        error: Mark,
        /// Where it says of which type the result is.
        result_type: Mark,
        /// Where the values are: names of `results`, `values` and `value` in the answer.
        values: Vec<[String; 3]>,
    },
}

/// Where the buckets of a series are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Buckets {
    /// Name of the object within the series.
    pub(super) outer: String,
    /// Name of the list within that.
    pub(super) inner: String,
    /// Name of the number in each bucket, if the user asks for it.
    pub(super) value: Option<String>,
    /// Where a bucket says that it is empty, if the server can say so.
    pub(super) empty: Option<Mark>,
}

/// A field that tells something about the values beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its name in the answer.
    pub(super) key: String,
    /// Whose it is.
    pub(super) origin: Origin,
}

/// Who asked for a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The user, who gets it.
    User,
    /// We did, and take it out of the answer again.
    Added,
}

/// Parses a document, and refuses one that cannot work because it needs a value that nobody has.
pub(super) fn parse(text: &str) -> Result<Document, Outcome> {
    let document = parse_query::<String>(text)
        .map_err(|error| {
            let message = error.to_string();
            let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
            wrong(format!("provider.skywalking.query is not GraphQL: {message}"))
        })?
        .into_static();
    let mut variables = document.definitions.iter().flat_map(variables);
    let unknown = variables.find(|variable| {
        variable.name != "duration"
            && variable.default_value.is_none()
            && matches!(variable.var_type, Type::NonNullType(_))
    });
    match unknown {
        Some(variable) => Err(wrong(format!(
            "provider.skywalking.query: variable ${} has no value; only $duration is given, write other values into the query",
            variable.name
        ))),
        None => Ok(document),
    }
}

/// The variables that a definition declares.
pub(super) fn variables<'d>(definition: &'d Definition<'static, String>) -> &'d [Variable] {
    match definition {
        Definition::Operation(OperationDefinition::Query(query)) => &query.variable_definitions,
        Definition::Operation(OperationDefinition::Mutation(mutation)) => &mutation.variable_definitions,
        Definition::Operation(OperationDefinition::Subscription(subscription)) => &subscription.variable_definitions,
        Definition::Operation(OperationDefinition::SelectionSet(_)) | Definition::Fragment(_) => &[],
    }
}

/// What the single query of a document selects. Fails with what else the document is.
pub(super) fn selection(document: &mut Document) -> Result<&mut SelectionSet<'static, String>, String> {
    match &mut document.definitions[..] {
        [Definition::Operation(OperationDefinition::Query(query))] => Ok(&mut query.selection_set),
        [Definition::Operation(OperationDefinition::SelectionSet(set))] => Ok(set),
        _ => Err("the document is more than one query, or has fragments".to_owned()),
    }
}

/// The fields of a selection. Fails if there is anything else, or two that have the same name in the answer.
pub(super) fn fields<'s>(
    set: &'s mut SelectionSet<'static, String>,
) -> Result<Vec<&'s mut Field<'static, String>>, String> {
    let mut fields: Vec<&'s mut Field<'static, String>> = Vec::with_capacity(set.items.len());
    for item in &mut set.items {
        let Selection::Field(field) = item else { return Err("the query has fragments".to_owned()) };
        if fields.iter().any(|other| response_key(other) == response_key(field)) {
            return Err(format!("the query asks for `{}` twice in one place", response_key(field)));
        }
        fields.push(field);
    }
    Ok(fields)
}

/// The name of a field in the answer.
pub(super) fn response_key<'f>(field: &'f Field<'static, String>) -> &'f str {
    field.alias.as_deref().unwrap_or(&field.name)
}

/// The value of an argument.
pub(super) fn argument<'a>(arguments: &'a [(String, Literal)], name: &str) -> Option<&'a Literal> {
    arguments.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// A field of an object that is written out.
pub(super) fn member<'l>(object: Option<&'l Literal>, name: &str) -> Option<&'l Literal> {
    match object {
        Some(Literal::Object(fields)) => fields.get(name),
        _ => None,
    }
}

/// The text of a string or an enum value.
pub(super) fn text(literal: Option<&Literal>) -> Option<&str> {
    match literal {
        Some(Literal::String(text) | Literal::Enum(text)) => Some(text),
        _ => None,
    }
}

impl Reading {
    /// What is measured: the `entity` of the field.
    pub(super) fn entity(&self) -> Option<&Literal> {
        member(argument(&self.arguments, "condition"), "entity").or_else(|| argument(&self.arguments, "entity"))
    }
}

/// `service_apdex of Service "reviews"`.
impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expression = text(argument(&self.arguments, "expression"));
        f.write_str(self.metric.as_deref().or(expression).unwrap_or(&self.key))?;
        let entity = self.entity();
        if let Some(service) = text(member(entity, "serviceName")) {
            write!(f, " of {} \"{service}\"", text(member(entity, "scope")).unwrap_or("Service"))?;
        }
        for part in ["serviceInstanceName", "endpointName", "destServiceName"] {
            if let Some(name) = text(member(entity, part)) {
                write!(f, ", {part} \"{name}\"")?;
            }
        }
        Ok(())
    }
}
