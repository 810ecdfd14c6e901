//! Traffic as the sign of data, for servers before 9.5, which give 0 for a minute without any.

use std::collections::{BTreeMap, BTreeSet};

use graphql_parser::query::Value as GraphQl;
use serde_json::Value;
use serin_core::analysis::sample::Outcome;

use super::document::{Document, Kind, Literal, Reading, argument, member, text, variables};
use super::endpoint::Endpoint;
use super::rewrite::{Question, reads_back};
use super::window::Window;

/// What is known of the traffic behind each reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Presence {
    /// Calls per minute, by the reading's place in the question.
    pub(super) calls: BTreeMap<usize, Vec<u64>>,
    /// Why nothing is known although it was asked for.
    pub(super) doubt: Option<String>,
}

/// The query for the traffic behind readings, and why some are not in it.
pub(super) fn query(document: &Document, readings: &[Reading]) -> (Option<String>, Option<String>) {
    let (mut fields, mut used, mut left_out) = (Vec::new(), BTreeSet::new(), Vec::new());
    for (index, reading) in readings.iter().enumerate() {
        match &reading.kind {
            Kind::Series(_) | Kind::Value(_) => {}
            Kind::Nullable(_) | Kind::Expression { .. } => continue,
        }
        match field(index, reading) {
            Some((field, literals)) => {
                fields.push(field);
                literals.iter().for_each(|literal| names(literal, &mut used));
            }
            None => left_out.push(reading.key.as_str()),
        }
    }
    let mut doubt = (!left_out.is_empty())
        .then(|| format!("there is no count of calls for what `{}` reads", left_out.join("`, `")));
    let text = (!fields.is_empty()).then(|| operation(document, &fields, &used)).filter(|text| reads_back_as_is(text));
    if text.is_none() && !fields.is_empty() {
        doubt = Some("the query has text that cannot be written again without change".to_owned());
    }
    (text, doubt)
}

/// Asks for the traffic if an answer has zeros. That the server does not know it is a doubt; that it is down is an error.
pub(super) async fn ask(
    endpoint: &Endpoint<'_>,
    question: &Question,
    data: &Value,
    window: &Window,
) -> Result<Presence, Outcome> {
    let Some(query) = question.presence.as_ref().filter(|_| has_zero(data)) else { return Ok(Presence::default()) };
    let answer = match endpoint.ask(query, window).await {
        Ok(answer) => answer,
        Err(Outcome::Wrong { message }) => {
            return Ok(Presence { calls: BTreeMap::new(), doubt: Some(format!("the count of calls: {message}")) });
        }
        Err(down) => return Err(down),
    };
    let calls = (0..question.readings.len()).filter_map(|index| {
        let buckets = answer[key(index)]["values"]["values"].as_array()?;
        Some((index, buckets.iter().map(|bucket| bucket["value"].as_u64().unwrap_or(0)).collect()))
    });
    Ok(Presence { calls: calls.collect(), doubt: None })
}

fn key(index: usize) -> String {
    format!("calls{index}")
}

/// The field for the traffic of one reading, with the values that stand in it.
fn field(index: usize, reading: &Reading) -> Option<(String, [Literal; 2])> {
    let metric = match text(member(reading.entity(), "scope")).unwrap_or("Service") {
        "Service" => "service_cpm",
        "ServiceInstance" => "service_instance_cpm",
        "Endpoint" => "endpoint_cpm",
        _ => return None,
    };
    let GraphQl::Object(mut condition) = argument(&reading.arguments, "condition")?.clone() else { return None };
    condition.insert("name".to_owned(), Literal::String(metric.to_owned()));
    let condition = GraphQl::Object(condition);
    let duration = argument(&reading.arguments, "duration")?.clone();
    let name = key(index);
    let field = format!(
        "{name}: readMetricsValues(condition: {condition}, duration: {duration}) {{ values {{ values {{ value }} }} }}"
    );
    Some((field, [condition, duration]))
}

/// A query of these fields that declares the variables that it uses, and no others.
fn operation(document: &Document, fields: &[String], used: &BTreeSet<String>) -> String {
    let declared = document.definitions.iter().flat_map(variables);
    let declared: Vec<String> =
        declared.filter(|variable| used.contains(&variable.name)).map(ToString::to_string).collect();
    let declared = if declared.is_empty() { String::new() } else { format!("({})", declared.join(", ")) };
    format!("query calls{declared} {{ {} }}", fields.join(" "))
}

fn reads_back_as_is(text: &str) -> bool {
    // Printed once more, since the fields above are not laid out as the printer does it.
    graphql_parser::parse_query::<String>(text).is_ok_and(|parsed| reads_back(&parsed.to_string()))
}

/// Names of the variables in a value.
fn names(literal: &Literal, out: &mut BTreeSet<String>) {
    match literal {
        GraphQl::Variable(name) => {
            out.insert(name.clone());
        }
        GraphQl::List(items) => items.iter().for_each(|item| names(item, out)),
        GraphQl::Object(fields) => fields.values().for_each(|field| names(field, out)),
        GraphQl::Int(_)
        | GraphQl::Float(_)
        | GraphQl::String(_)
        | GraphQl::Boolean(_)
        | GraphQl::Null
        | GraphQl::Enum(_) => {}
    }
}

fn has_zero(data: &Value) -> bool {
    match data {
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(items) => items.iter().any(has_zero),
        Value::Object(fields) => fields.values().any(has_zero),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}
