//! Which value an argument gets: the Rollout's over the template's default.

use std::collections::BTreeMap;

use serde_json::Value;
use serin_api::{AnalysisRunArgument, Argument};

use super::args::arg_value;
use super::field_path::field_path;
use crate::field_error::FieldError;

/// Where the values come from that a Rollout does not give as text.
#[derive(Clone, Copy, Debug)]
pub struct ArgSources<'a> {
    /// Pod template hash of the stable revision.
    pub stable_hash: &'a str,
    /// Pod template hash of the newest revision.
    pub latest_hash: &'a str,
    /// The Rollout as JSON, for field references.
    pub rollout: &'a Value,
}

/// The values that a Rollout's analysis gives to arguments, by name; an argument without a value is left out.
///
/// # Errors
/// Every argument whose reference cannot be followed, and every one that is given two values.
pub fn given(
    args: &[AnalysisRunArgument],
    sources: ArgSources<'_>,
) -> Result<BTreeMap<String, String>, Vec<FieldError>> {
    let mut values = BTreeMap::<String, String>::new();
    let mut errors = Vec::new();
    for (index, arg) in args.iter().enumerate() {
        let field = format!("args[{index}]");
        match given_value(arg, sources) {
            Ok(None) => {}
            Ok(Some(value)) => match values.get(&arg.name) {
                Some(before) if *before != value => {
                    errors.push(FieldError::new(field, twice(&arg.name, before, &value)));
                }
                Some(_) => {}
                None => {
                    values.insert(arg.name.clone(), value);
                }
            },
            Err(error) => errors.push(error.under(&field)),
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

fn given_value(arg: &AnalysisRunArgument, sources: ArgSources<'_>) -> Result<Option<String>, FieldError> {
    if arg.value.is_some() {
        return Ok(arg.value.clone());
    }
    let Some(from) = &arg.value_from else { return Ok(None) };
    if let Some(field) = &from.field_ref {
        let value = field_path(sources.rollout, &field.field_path);
        return value.map(Some).map_err(|error| FieldError::new("valueFrom.fieldRef.fieldPath", error));
    }
    match from.pod_template_hash_value.as_deref() {
        None => Ok(None),
        Some("Stable") => Ok(Some(sources.stable_hash.to_owned())),
        Some("Latest") => Ok(Some(sources.latest_hash.to_owned())),
        Some(other) => Err(FieldError::new(
            "valueFrom.podTemplateHashValue",
            format!("`{other}` is not a revision; write Stable or Latest"),
        )),
    }
}

/// The arguments of a run: those of its templates, with the given values over the defaults.
///
/// A given value without an argument in the templates is dropped, since a Rollout may give the same values to several
/// analyses.
///
/// # Errors
/// Every argument that two templates give different values, or that has no value: `args.x was not resolved`.
pub fn merge(
    template_args: &[Vec<Argument>],
    given: &BTreeMap<String, String>,
    rollout: &Value,
) -> Result<Vec<Argument>, Vec<FieldError>> {
    let mut args = combine(template_args)?;
    let mut errors = Vec::new();
    for arg in &mut args {
        if let Some(value) = given.get(&arg.name) {
            arg.value = Some(value.clone());
            arg.value_from = None;
        } else if arg.value.is_none()
            && let Some(field) = arg.value_from.as_ref().and_then(|from| from.field_ref.as_ref())
        {
            match field_path(rollout, &field.field_path) {
                Ok(value) => {
                    arg.value = Some(value);
                    arg.value_from = None;
                }
                Err(error) => errors.push(FieldError::new(format!("args.{}", arg.name), error)),
            }
            continue;
        }
        if arg_value(arg).is_none() {
            errors.push(FieldError::new("args", format!("args.{} was not resolved", arg.name)));
        }
    }
    if errors.is_empty() { Ok(args) } else { Err(errors) }
}

/// The arguments of several templates as one list, each name once.
///
/// # Errors
/// Every argument that has different values in two templates.
pub(super) fn combine(template_args: &[Vec<Argument>]) -> Result<Vec<Argument>, Vec<FieldError>> {
    let (mut combined, mut errors) = (Vec::<Argument>::new(), Vec::new());
    for arg in template_args.iter().flatten() {
        let Some(before) = combined.iter_mut().find(|before| before.name == arg.name) else {
            combined.push(arg.clone());
            continue;
        };
        match (&before.value, &arg.value) {
            (Some(one), Some(other)) if one != other => {
                errors.push(FieldError::new("args", twice(&arg.name, one, other)));
            }
            (None, _) if before.value_from.is_none() || arg.value.is_some() => *before = arg.clone(),
            (Some(_) | None, _) => {}
        }
    }
    if errors.is_empty() { Ok(combined) } else { Err(errors) }
}

fn twice(name: &str, one: &str, other: &str) -> String {
    format!("Argument `{name}` specified multiple times with different values: '{one}', '{other}'")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn errors<T>(result: Result<T, Vec<FieldError>>) -> Vec<String> {
        result.map_or_else(|errors| errors.iter().map(FieldError::to_string).collect(), |_| Vec::new())
    }

    /// Template arguments as JSON, one list a template; expected are the merged arguments as JSON or the errors.
    #[track_caller]
    fn check(what: &str, templates: Value, given: &[(&str, &str)], expected: Result<Value, &[&str]>) {
        let templates: Vec<Vec<Argument>> = serde_json::from_value(templates).expect("arguments");
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let rollout = json!({"metadata": {"labels": {"region": "eu"}}});
        let got = merge(&templates, &given, &rollout);
        match expected {
            Ok(args) => assert_eq!(json!(got.expect(what)), args, "{what}"),
            Err(expected) => assert_eq!(errors(got), expected, "{what}"),
        }
    }

    #[test]
    fn the_rollouts_values_come_before_the_templates_defaults() {
        let plain = json!([[{"name": "a", "value": "1"}, {"name": "b"}]]);
        check(
            "a default stays, a missing value is given",
            plain.clone(),
            &[("b", "2")],
            Ok(json!([{"name": "a", "value": "1"}, {"name": "b", "value": "2"}])),
        );
        check(
            "a default is overridden, a stranger is dropped",
            plain.clone(),
            &[("a", "9"), ("b", "2"), ("stranger", "3")],
            Ok(json!([{"name": "a", "value": "9"}, {"name": "b", "value": "2"}])),
        );
        check("a value is missing", plain, &[], Err(&["args: args.b was not resolved"]));
        check(
            "every missing value is told",
            json!([[{"name": "a"}], [{"name": "b"}]]),
            &[],
            Err(&["args: args.a was not resolved", "args: args.b was not resolved"]),
        );
        check(
            "two templates differ",
            json!([[{"name": "a", "value": "1"}], [{"name": "a", "value": "2"}]]),
            &[("a", "3")],
            Err(&["args: Argument `a` specified multiple times with different values: '1', '2'"]),
        );
        check(
            "two templates agree, or one has no value",
            json!([[{"name": "a"}, {"name": "b", "value": "1"}], [{"name": "a", "value": "2"}, {"name": "b"}]]),
            &[],
            Ok(json!([{"name": "a", "value": "2"}, {"name": "b", "value": "1"}])),
        );
        let secret = json!({"name": "t", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}});
        check("a secret is a value", json!([[secret]]), &[], Ok(json!([secret])));
        check(
            "a given value replaces a secret",
            json!([[secret]]),
            &[("t", "x")],
            Ok(json!([{"name": "t", "value": "x"}])),
        );
        check(
            "a field reference is followed",
            json!([[{"name": "r", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['region']"}}}]]),
            &[],
            Ok(json!([{"name": "r", "value": "eu"}])),
        );
    }

    #[test]
    fn values_are_taken_from_where_the_rollout_points() {
        let rollout = json!({"metadata": {"name": "reviews"}});
        let sources = ArgSources { stable_hash: "old", latest_hash: "new", rollout: &rollout };
        let take =
            |args: Value| given(&serde_json::from_value::<Vec<AnalysisRunArgument>>(args).expect("arguments"), sources);
        let values = take(json!([
            {"name": "text", "value": "x"}, {"name": "text", "value": "x"}, {"name": "none"},
            {"name": "stable", "valueFrom": {"podTemplateHashValue": "Stable"}},
            {"name": "latest", "valueFrom": {"podTemplateHashValue": "Latest"}},
            {"name": "name", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]))
        .expect("values");
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(values, [("latest", "new"), ("name", "reviews"), ("stable", "old"), ("text", "x")]);

        let wrong = errors(take(json!([
            {"name": "a", "value": "1"}, {"name": "a", "value": "2"},
            {"name": "b", "valueFrom": {"podTemplateHashValue": "Canary"}},
            {"name": "c", "valueFrom": {"fieldRef": {"fieldPath": "metadata.owner"}}},
        ])));
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert_eq!(wrong[0], "args[1]: Argument `a` specified multiple times with different values: '1', '2'");
        assert_eq!(
            wrong[1],
            "args[2].valueFrom.podTemplateHashValue: `Canary` is not a revision; write Stable or Latest"
        );
        assert!(
            wrong[2].starts_with("args[3].valueFrom.fieldRef.fieldPath: Analyses arguments must refer"),
            "{wrong:?}"
        );
    }
}
