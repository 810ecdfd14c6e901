//! Parses a GraphQL request, checks it against the schema, runs it, and cuts the answer to what was selected.

use std::cell::Cell;
use std::collections::BTreeMap;

use graphql_parser::query::{
    Definition, Document, Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet, Type,
    VariableDefinition, parse_query,
};
use serde_json::{Map, Value, json};

use super::literal::{misfit, resolve, undeclared};
use super::schema::{self, Argument};
use super::{Asked, Version, queries};

/// Why a request gets no data.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The document does not fit the schema: HTTP 400.
    Invalid(Vec<Value>),
    /// Fetching failed: HTTP 200 without any data, not even that of the fields that went well.
    Failed(Vec<Value>),
    /// Old servers break on a missing variable: HTTP 500, no JSON.
    Crashed,
}

/// Runs the document in `body` (`query`, `variables`, `operationName`).
pub(super) fn execute(body: &Value, asked: Asked<'_>) -> Result<Value, Refusal> {
    let text = body
        .get("query")
        .and_then(Value::as_str)
        .ok_or_else(|| invalid("Invalid syntax : the query is missing", "InvalidSyntax"))?;
    if nesting(text) > NESTING_MAX {
        return Err(invalid("Invalid syntax : the document is nested too deeply", "InvalidSyntax"));
    }
    let document = parse_query::<String>(text)
        .map_err(|error| invalid(&format!("Invalid syntax : {error}"), "InvalidSyntax"))?
        .into_static();
    let operation = &Operation::of(&document, body.get("operationName").and_then(Value::as_str))?;
    let version = asked.config.number();
    let run = Run {
        fragments: fragments(&document),
        variables: variables(operation, body.get("variables"), version)?,
        version,
        budget: Cell::new(SELECTIONS_MAX),
    };
    let selected = run.flatten(operation.selection, 0)?;
    run.check(&selected, "Query", "")?;
    let mut data = Map::new();
    for field in selected {
        let key = response_key(field);
        let value = run.fetch(field, asked).map_err(|message| {
            let message = format!("Exception while fetching data (/{key}) : {message}");
            Refusal::Failed(vec![json!({
                "message": message, "path": [key], "locations": [location(field)], "extensions": { "classification": "DataFetchingException" },
            })])
        })?;
        let returns = schema::find("Query", &field.name, version).map_or("String", |found| found.returns);
        data.insert(key.to_owned(), run.project(&value, returns, &field.selection_set)?);
    }
    Ok(Value::Object(data))
}

/// Deeper documents would only exercise the parser's stack.
const NESTING_MAX: usize = 64;

/// Fragments that spread one another multiply; no client looks at as much.
const SELECTIONS_MAX: usize = 100_000;

/// The deepest nesting of brackets, strings not understood: an upper bound is enough.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _other => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// What the checks and the projection need to know about the document.
struct Run<'a> {
    fragments: BTreeMap<&'a str, &'a FragmentDefinition<'static, String>>,
    variables: BTreeMap<String, Value>,
    version: Version,
    /// How many more selections may be looked at.
    budget: Cell<usize>,
}

struct Operation<'a> {
    selection: &'a SelectionSet<'static, String>,
    variables: &'a [VariableDefinition<'static, String>],
}

impl<'a> Operation<'a> {
    /// The operation of that name, or the only one.
    fn of(document: &'a Document<'static, String>, name: Option<&str>) -> Result<Operation<'a>, Refusal> {
        let operations: Vec<(Option<&str>, Operation<'a>)> = document
            .definitions
            .iter()
            .filter_map(|definition| match definition {
                Definition::Operation(OperationDefinition::SelectionSet(selection)) => {
                    Some((None, Operation { selection, variables: &[] }))
                }
                Definition::Operation(OperationDefinition::Query(query)) => Some((
                    query.name.as_deref(),
                    Operation { selection: &query.selection_set, variables: &query.variable_definitions },
                )),
                Definition::Operation(OperationDefinition::Mutation(_) | OperationDefinition::Subscription(_))
                | Definition::Fragment(_) => None,
            })
            .collect();
        let wanted = name.filter(|name| !name.is_empty());
        let mut matching = operations.into_iter().filter(|(known, _)| wanted.is_none() || *known == wanted);
        match (matching.next(), matching.next()) {
            (Some((_, operation)), None) => Ok(operation),
            (Some(_), Some(_)) => {
                Err(invalid("Must provide operation name if query contains multiple operations", "ValidationError"))
            }
            (None, _) => Err(invalid("There is no such query in the document", "ValidationError")),
        }
    }
}

fn fragments<'a>(
    document: &'a Document<'static, String>,
) -> BTreeMap<&'a str, &'a FragmentDefinition<'static, String>> {
    document
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::Fragment(fragment) => Some((fragment.name.as_str(), fragment)),
            Definition::Operation(_) => None,
        })
        .collect()
}

/// The declared variables with their values; those without value and default are absent.
fn variables(
    operation: &Operation<'_>,
    given: Option<&Value>,
    version: Version,
) -> Result<BTreeMap<String, Value>, Refusal> {
    let mut values = BTreeMap::new();
    for definition in operation.variables {
        let given = given.and_then(|given| given.get(&definition.name)).filter(|value| !value.is_null()).cloned();
        let default = definition.default_value.as_ref().map(|literal| resolve(literal, &BTreeMap::new()));
        match (given.or(default), &definition.var_type) {
            (Some(value), _) => {
                values.insert(definition.name.clone(), value);
            }
            (None, Type::NonNullType(_)) if version < Version(9, 4) => {
                return Err(Refusal::Crashed);
            }
            (None, Type::NonNullType(_)) => {
                let name = &definition.name;
                return Err(invalid(
                    &format!(
                        "Variable '{name}' has an invalid value: Variable '{name}' has coerced Null value for NonNull type"
                    ),
                    "ValidationError",
                ));
            }
            (None, Type::NamedType(_) | Type::ListType(_)) => {
                values.insert(definition.name.clone(), Value::Null);
            }
        }
    }
    Ok(values)
}

impl<'a> Run<'a> {
    /// The fields of a selection, fragments and inline fragments dissolved, skipped ones left out.
    fn flatten(
        &self,
        selection: &'a SelectionSet<'static, String>,
        depth: usize,
    ) -> Result<Vec<&'a Field<'static, String>>, Refusal> {
        let mut fields = Vec::new();
        // A fragment that spreads itself would never end.
        if depth > NESTING_MAX {
            return Err(invalid("Validation error (FragmentCycle) : Fragment cycles not allowed", "ValidationError"));
        }
        for item in &selection.items {
            let Some(left) = self.budget.get().checked_sub(1) else {
                return Err(invalid("The document selects too much", "ValidationError"));
            };
            self.budget.set(left);
            match item {
                Selection::Field(field) => {
                    if self.included(field) {
                        fields.push(field);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    fields.extend(self.flatten(&fragment.selection_set, depth + 1)?);
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.fragment_name;
                    let Some(fragment) = self.fragments.get(name.as_str()) else {
                        return Err(invalid(
                            &format!("Validation error (UndefinedFragment@[{name}]) : Undefined fragment '{name}'"),
                            "ValidationError",
                        ));
                    };
                    fields.extend(self.flatten(&fragment.selection_set, depth + 1)?);
                }
            }
        }
        Ok(fields)
    }

    /// What `@skip` and `@include` say.
    fn included(&self, field: &Field<'static, String>) -> bool {
        field.directives.iter().all(|directive| {
            let condition = directive
                .arguments
                .iter()
                .find(|(name, _)| name == "if")
                .map(|(_, value)| resolve(value, &self.variables));
            match directive.name.as_str() {
                "skip" => condition != Some(Value::Bool(true)),
                "include" => condition != Some(Value::Bool(false)),
                _other => true,
            }
        })
    }

    /// Refuses fields and arguments that this version of the schema does not have.
    fn check(&self, selected: &[&'a Field<'static, String>], type_name: &str, path: &str) -> Result<(), Refusal> {
        for field in selected.iter().filter(|field| field.name != "__typename") {
            let name = &field.name;
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let refuse = |kind: &str, message: String| {
                Err(Refusal::Invalid(vec![json!({
                    "message": format!("Validation error ({kind}@[{path}]) : {message}"),
                    "locations": [location(field)],
                    "extensions": { "classification": "ValidationError" },
                })]))
            };
            let Some(known) = schema::find(type_name, name, self.version) else {
                return refuse("FieldUndefined", format!("Field '{name}' in type '{type_name}' is undefined"));
            };
            if let Some(problem) = self.argument_problem(field, known.arguments) {
                return refuse(problem.0, problem.1);
            }
            let below = self.flatten(&field.selection_set, 0)?;
            match (schema::fields(known.returns), below.is_empty()) {
                (Some(_), true) => {
                    return refuse(
                        "SubselectionRequired",
                        format!("Subselection required for type '{}' of field '{name}'", known.returns),
                    );
                }
                (None, false) => {
                    return refuse(
                        "SubselectionNotAllowed",
                        format!("Subselection not allowed on leaf type '{}' of field '{name}'", known.returns),
                    );
                }
                (Some(_), false) | (None, true) => self.check(&below, known.returns, &path)?,
            }
        }
        Ok(())
    }

    /// What is wrong with the arguments of a field: the kind of error and the message.
    fn argument_problem(&self, field: &Field<'static, String>, known: &[Argument]) -> Option<(&'static str, String)> {
        for (name, literal) in &field.arguments {
            let Some(argument) = known.iter().find(|argument| argument.name == name) else {
                return Some(("UnknownArgument", format!("Unknown field argument '{name}'")));
            };
            if let Some(variable) = undeclared(literal, &self.variables) {
                return Some(("UndefinedVariable", format!("Undefined variable '{variable}'")));
            }
            if let Some(problem) = misfit(&resolve(literal, &self.variables), argument.takes, self.version) {
                return Some(("WrongType", format!("argument '{name}' {problem}")));
            }
        }
        known
            .iter()
            .find(|argument| {
                argument.needed.by(self.version) && !field.arguments.iter().any(|(name, _)| name == argument.name)
            })
            .map(|missing| ("MissingFieldArgument", format!("Missing field argument '{}'", missing.name)))
    }

    fn fetch(&self, field: &Field<'static, String>, asked: Asked<'_>) -> Result<Value, String> {
        let arguments: Map<String, Value> =
            field.arguments.iter().map(|(name, literal)| (name.clone(), resolve(literal, &self.variables))).collect();
        if field.name == "__typename" {
            return Ok(json!("Query"));
        }
        queries::fetch(&field.name, &Value::Object(arguments), asked)
    }

    /// Keeps of `value` what is selected, under the names that the caller wants.
    fn project(
        &self,
        value: &Value,
        type_name: &str,
        selection: &'a SelectionSet<'static, String>,
    ) -> Result<Value, Refusal> {
        match value {
            Value::Array(items) => Ok(Value::Array(
                items.iter().map(|item| self.project(item, type_name, selection)).collect::<Result<_, _>>()?,
            )),
            Value::Object(object) if schema::fields(type_name).is_some() => {
                let mut kept = Map::new();
                for field in self.flatten(selection, 0)? {
                    let inner = match (schema::find(type_name, &field.name, self.version), object.get(&field.name)) {
                        (Some(known), Some(inner)) => self.project(inner, known.returns, &field.selection_set)?,
                        (None, _) => json!(type_name),
                        (Some(_), None) => Value::Null,
                    };
                    kept.insert(response_key(field).to_owned(), inner);
                }
                Ok(Value::Object(kept))
            }
            Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
        }
    }
}

fn response_key<'a>(field: &'a Field<'static, String>) -> &'a str {
    field.alias.as_ref().unwrap_or(&field.name)
}

fn location(field: &Field<'static, String>) -> Value {
    json!({ "line": field.position.line, "column": field.position.column })
}

fn invalid(message: &str, classification: &str) -> Refusal {
    Refusal::Invalid(vec![
        json!({ "message": message, "locations": [], "extensions": { "classification": classification } }),
    ])
}
