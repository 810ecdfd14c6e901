//! Makes a user's query ask what tells an empty value from a zero.

use graphql_parser::query::{Field, Selection, SelectionSet, parse_query};

use super::document::{
    Buckets, Document, Kind, Mark, Origin, Reading, argument, fields, member, response_key, selection, text,
};
use super::presence;
use super::server::Server;

/// A query that is ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    /// The query.
    pub(super) text: String,
    /// The fields of it whose answers are to be sifted.
    pub(super) readings: Vec<Reading>,
    /// A second query that tells in which minutes there was traffic, for servers that do not mark empty values.
    pub(super) presence: Option<String>,
    /// Why empty values cannot be told from zeros, if so.
    pub(super) doubt: Option<String>,
}

/// Prepares a query for a server. One that cannot be changed without risk goes out as it is, and its zeros are zeros.
pub(super) fn rewrite(query: &str, document: &Document, server: &Server) -> Question {
    let as_it_is =
        |doubt: String| Question { text: query.to_owned(), readings: Vec::new(), presence: None, doubt: Some(doubt) };
    let mut changed = document.clone();
    let readings = match readings(&mut changed, server) {
        Ok(readings) => readings,
        Err(doubt) => return as_it_is(doubt),
    };
    if !server.tells_empty() {
        let (presence, doubt) = presence::query(document, &readings);
        return Question { text: query.to_owned(), readings, presence, doubt };
    }
    if changed == *document {
        return Question { text: query.to_owned(), readings, presence: None, doubt: None };
    }
    let text = changed.to_string();
    if !reads_back(&text) {
        return as_it_is("the query has text that cannot be written again without change".to_owned());
    }
    Question { text, readings, presence: None, doubt: None }
}

/// Whether a printed document means what it was printed from. The printer does not get every character right.
pub(super) fn reads_back(text: &str) -> bool {
    parse_query::<String>(text).is_ok_and(|again| again.to_string() == text)
}

/// Finds the readings of a document, and adds what they need, if the server knows it.
fn readings(document: &mut Document, server: &Server) -> Result<Vec<Reading>, String> {
    let root = selection(document)?;
    let mut readings = Vec::new();
    let mut added = Vec::new();
    let mut helper = free_key(root, "serinValue");
    for field in fields(root)? {
        let Some(kind) = kind(field, server)? else { continue };
        let mut reading = Reading {
            key: response_key(field).to_owned(),
            metric: metric(field),
            kind,
            arguments: field.arguments.clone(),
        };
        if let (Kind::Value(empty), true) = (&mut reading.kind, server.tells_empty()) {
            helper.push('_');
            added.push(nullable(field, &helper));
            *empty = Some(helper.clone());
        }
        readings.push(reading);
    }
    root.items.extend(added.into_iter().map(Selection::Field));
    Ok(readings)
}

fn kind(field: &mut Field<'static, String>, server: &Server) -> Result<Option<Kind>, String> {
    Ok(match field.name.as_str() {
        "readMetricsValues" | "readLabeledMetricsValues" => Some(Kind::Series(series(field, server)?)),
        "readMetricsValue" => Some(Kind::Value(None)),
        "readNullableMetricsValue" => Some(Kind::Nullable(mark(&mut field.selection_set, "isEmptyValue")?)),
        "execExpression" => Some(expression(field)?),
        _ => None,
    })
}

fn metric(field: &Field<'static, String>) -> Option<String> {
    text(member(argument(&field.arguments, "condition"), "name")).map(str::to_owned)
}

/// The same reading as a field that says whether there is a value.
fn nullable(field: &Field<'static, String>, key: &str) -> Field<'static, String> {
    Field {
        alias: Some(key.to_owned()),
        name: "readNullableMetricsValue".to_owned(),
        selection_set: SelectionSet {
            span: field.selection_set.span,
            items: vec![Selection::Field(leaf(field, None, "isEmptyValue"))],
        },
        ..field.clone()
    }
}

fn series(field: &mut Field<'static, String>, server: &Server) -> Result<Vec<Buckets>, String> {
    let mut buckets = Vec::new();
    for outer in named(&mut field.selection_set, "values")? {
        let outer_key = response_key(outer).to_owned();
        for inner in named(&mut outer.selection_set, "values")? {
            let inner_key = response_key(inner).to_owned();
            let value = named(&mut inner.selection_set, "value")?.first().map(|field| response_key(field).to_owned());
            let empty = server.tells_empty().then(|| mark(&mut inner.selection_set, "isEmptyValue")).transpose()?;
            buckets.push(Buckets { outer: outer_key.clone(), inner: inner_key, value, empty });
        }
    }
    Ok(buckets)
}

fn expression(field: &mut Field<'static, String>) -> Result<Kind, String> {
    let mut values = Vec::new();
    for results in named(&mut field.selection_set, "results")? {
        let results_key = response_key(results).to_owned();
        for list in named(&mut results.selection_set, "values")? {
            let list_key = response_key(list).to_owned();
            for value in named(&mut list.selection_set, "value")?.into_iter().take(1) {
                values.push([results_key.clone(), list_key.clone(), response_key(value).to_owned()]);
            }
        }
    }
    let error = mark(&mut field.selection_set, "error")?;
    let result_type = mark(&mut field.selection_set, "type")?;
    Ok(Kind::Expression { error, result_type, values })
}

/// The fields of this name, whatever they are called in the answer.
fn named<'s>(
    set: &'s mut SelectionSet<'static, String>,
    name: &str,
) -> Result<Vec<&'s mut Field<'static, String>>, String> {
    Ok(fields(set)?.into_iter().filter(|field| field.name == name).collect())
}

/// Finds a field that is always there, or adds it under a name of its own.
fn mark(set: &mut SelectionSet<'static, String>, name: &str) -> Result<Mark, String> {
    let asked = named(set, name)?.into_iter().find(|field| field.directives.is_empty());
    if let Some(field) = asked {
        return Ok(Mark { key: response_key(field).to_owned(), origin: Origin::User });
    }
    let key = free_key(set, "serinMark");
    let Some(Selection::Field(beside)) = set.items.first() else {
        return Err("a field of the query that has values selects nothing".to_owned());
    };
    let added = leaf(beside, Some(&key), name);
    set.items.push(Selection::Field(added));
    Ok(Mark { key, origin: Origin::Added })
}

fn leaf(beside: &Field<'static, String>, alias: Option<&str>, name: &str) -> Field<'static, String> {
    Field {
        position: beside.position,
        alias: alias.map(str::to_owned),
        name: name.to_owned(),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: SelectionSet { span: (beside.position, beside.position), items: Vec::new() },
    }
}

/// A name that begins like this, and that no field of the selection begins with.
fn free_key(set: &SelectionSet<'static, String>, start: &str) -> String {
    let mut key = start.to_owned();
    let is_taken = |key: &str| {
        let mut taken = set.items.iter().filter_map(|item| match item {
            Selection::Field(field) => Some(response_key(field)),
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
        });
        taken.any(|taken| taken.starts_with(key))
    };
    while is_taken(&key) {
        key.push('x');
    }
    key
}
