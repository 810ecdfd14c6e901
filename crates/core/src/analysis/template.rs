//! Analysis templates, and the templates within them, as one list of metrics.

use std::collections::{BTreeMap, BTreeSet};

use serin_api::labels::{ANALYSIS_SEMANTICS, ANALYSIS_SEMANTICS_ARGO};
use serin_api::{AnalysisTemplateRef, Argument, DryRun, MeasurementRetention, Metric};

use super::merge::combine;
use super::sample::Semantics;
use crate::field_error::FieldError;
use crate::rollout::observed::{Found, Template, TemplateKey};

/// Everything that some templates, and those within them, ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flat {
    /// Metrics of all, each name once.
    pub metrics: Vec<Metric>,
    /// Arguments of all, each name once.
    pub args: Vec<Argument>,
    /// Dry-run rules of all.
    pub dry_run: Vec<DryRun>,
    /// Retention rules of all.
    pub measurement_retention: Vec<MeasurementRetention>,
    /// The rules for absent data that a template asks for; `None` if none does.
    pub semantics: Option<Semantics>,
}

/// The keys that references name, in their order.
#[must_use]
pub fn keys(refs: &[AnalysisTemplateRef]) -> Vec<TemplateKey> {
    refs.iter()
        .map(|one| TemplateKey { cluster_scope: one.cluster_scope == Some(true), name: one.template_name.clone() })
        .collect()
}

/// Puts the named templates together with all that are nested in them; a template that is named twice counts once.
///
/// # Errors
/// Every template that is missing, malformed or contains itself, and every contradiction between two; the field is the
/// place in the list of references, such as `templates[0]`.
pub fn flatten(
    refs: &[TemplateKey],
    templates: &BTreeMap<TemplateKey, Found<Template>>,
) -> Result<Flat, Vec<FieldError>> {
    let mut walk = Walk { templates, path: Vec::new(), seen: BTreeSet::new(), found: Vec::new(), errors: Vec::new() };
    for (index, key) in refs.iter().enumerate() {
        walk.visit(key, &format!("templates[{index}]"));
    }
    let Walk { found, mut errors, .. } = walk;
    let flat = join(&found, &mut errors);
    if errors.is_empty() { Ok(flat) } else { Err(errors) }
}

/// The rules for absent data that an object asks for by its annotation; `None` if it does not.
///
/// # Errors
/// A sentence about a value that names no rules.
pub fn semantics_of(annotations: &BTreeMap<String, String>) -> Result<Option<Semantics>, String> {
    match annotations.get(ANALYSIS_SEMANTICS).map(String::as_str) {
        None => Ok(None),
        Some(ANALYSIS_SEMANTICS_ARGO) => Ok(Some(Semantics::Argo)),
        Some("serin") => Ok(Some(Semantics::Serin)),
        Some(other) => Err(format!("`{other}` is not a value of {ANALYSIS_SEMANTICS}; write argo or serin")),
    }
}

/// How a template is spoken of.
fn title(key: &TemplateKey) -> String {
    let kind = if key.cluster_scope { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" };
    format!("{kind} `{}`", key.name)
}

struct Walk<'t> {
    templates: &'t BTreeMap<TemplateKey, Found<Template>>,
    /// The templates that led to the present one.
    path: Vec<TemplateKey>,
    seen: BTreeSet<TemplateKey>,
    found: Vec<&'t Template>,
    errors: Vec<FieldError>,
}

/// Templates within templates within …: more than this is refused.
const DEPTH_MAX: usize = 32;

impl Walk<'_> {
    fn visit(&mut self, key: &TemplateKey, field: &str) {
        if let Some(start) = self.path.iter().position(|above| above == key) {
            let mut names: Vec<String> = self.path[start..].iter().map(title).collect();
            names.push(title(key));
            self.refuse(field, format!("templates contain themselves: {}", names.join(" → ")));
            return;
        }
        if !self.seen.insert(key.clone()) {
            return;
        }
        let template = match self.templates.get(key) {
            Some(Found::Present(template)) => template,
            Some(Found::Malformed(why)) => return self.refuse(field, format!("{} cannot be read: {why}", title(key))),
            Some(Found::Missing) | None => {
                let within = self.path.last().map(|above| format!(", which {} includes,", title(above)));
                return self.refuse(field, format!("{}{} does not exist", title(key), within.unwrap_or_default()));
            }
        };
        if self.path.len() == DEPTH_MAX {
            return self.refuse(field, format!("{} is nested more than {DEPTH_MAX} deep", title(key)));
        }
        self.found.push(template);
        self.path.push(key.clone());
        for nested in keys(&template.spec.templates) {
            self.visit(&nested, field);
        }
        self.path.pop();
    }

    fn refuse(&mut self, field: &str, message: String) {
        self.errors.push(FieldError::new(field, message));
    }
}

fn join(found: &[&Template], errors: &mut Vec<FieldError>) -> Flat {
    let mut flat = Flat::default();
    let mut names = BTreeSet::new();
    for template in found {
        for metric in &template.spec.metrics {
            if !names.insert(&metric.name) {
                errors.push(FieldError::new("templates", format!("two metrics have the same name '{}'", metric.name)));
            }
            flat.metrics.push(metric.clone());
        }
        for rule in &template.spec.dry_run {
            if !flat.dry_run.contains(rule) {
                flat.dry_run.push(rule.clone());
            }
        }
        for rule in &template.spec.measurement_retention {
            add_retention(&mut flat.measurement_retention, rule, errors);
        }
        match (flat.semantics, template.semantics) {
            (Some(one), Some(other)) if one != other => errors.push(FieldError::new(
                "templates",
                "the templates ask for different rules by the annotation serin.dev/analysis-semantics; one run has one",
            )),
            (before, asked) => flat.semantics = before.or(asked),
        }
    }
    let args: Vec<Vec<Argument>> = found.iter().map(|template| template.spec.args.clone()).collect();
    match combine(&args) {
        Ok(args) => flat.args = args,
        Err(different) => errors.extend(different),
    }
    flat
}

/// Adds a retention rule unless there is one for the same metrics.
pub(super) fn add_retention(
    rules: &mut Vec<MeasurementRetention>,
    rule: &MeasurementRetention,
    errors: &mut Vec<FieldError>,
) {
    match rules.iter().find(|before| before.metric_name == rule.metric_name) {
        Some(before) if before.limit != rule.limit => errors.push(FieldError::new(
            "measurementRetention",
            format!("two rules for `{}` have different limits: {} and {}", rule.metric_name, before.limit, rule.limit),
        )),
        Some(_) => {}
        None => rules.push(rule.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn key(name: &str) -> TemplateKey {
        let (cluster_scope, name) = name.strip_prefix("cluster/").map_or((false, name), |name| (true, name));
        TemplateKey { cluster_scope, name: name.to_owned() }
    }

    /// Templates by name as JSON specs; `null` is missing, a text is malformed.
    fn cluster(specs: Value) -> BTreeMap<TemplateKey, Found<Template>> {
        let Value::Object(specs) = specs else { panic!("an object of templates") };
        let read = |(name, spec): (String, Value)| {
            let found = match spec {
                Value::Null => Found::Missing,
                Value::String(why) => Found::Malformed(why),
                spec @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                    let semantics = spec
                        .get("argo")
                        .map(|argo| if *argo == json!(true) { Semantics::Argo } else { Semantics::Serin });
                    Found::Present(Template {
                        spec: Arc::new(serde_json::from_value(spec).expect("a spec")),
                        semantics,
                    })
                }
            };
            (key(&name), found)
        };
        specs.into_iter().map(read).collect()
    }

    fn metrics(names: &[&str]) -> Value {
        names.iter().map(|name| json!({"name": name})).collect()
    }

    fn nested(names: &[&str]) -> Value {
        names
            .iter()
            .map(|name| json!({"templateName": key(name).name, "clusterScope": key(name).cluster_scope}))
            .collect()
    }

    #[track_caller]
    fn check(what: &str, refs: &[&str], specs: Value, expected: Result<&[&str], &[&str]>) {
        let refs: Vec<TemplateKey> = refs.iter().map(|name| key(name)).collect();
        match (flatten(&refs, &cluster(specs)), expected) {
            (Ok(flat), Ok(expected)) => {
                let names: Vec<&str> = flat.metrics.iter().map(|metric| metric.name.as_str()).collect();
                assert_eq!(names, expected, "{what}");
            }
            (Err(errors), Err(expected)) => {
                let texts: Vec<String> = errors.iter().map(FieldError::to_string).collect();
                assert_eq!(texts, expected, "{what}");
            }
            (got, _) => panic!("{what}: {got:?}"),
        }
    }

    #[test]
    fn templates_are_put_together() {
        check(
            "two in their order",
            &["b", "a"],
            json!({"a": {"metrics": metrics(&["m"])}, "b": {"metrics": metrics(&["n"])}}),
            Ok(&["n", "m"]),
        );
        check(
            "nested ones, across scopes, each once",
            &["a", "c"],
            json!({
                "a": {"metrics": metrics(&["m"]), "templates": nested(&["cluster/a", "c"])},
                "cluster/a": {"metrics": metrics(&["n"]), "templates": nested(&["c"])},
                "c": {"metrics": metrics(&["o"])},
            }),
            Ok(&["m", "n", "o"]),
        );
        check("none", &[], json!({}), Ok(&[]));
    }

    #[test]
    fn templates_that_cannot_be_put_together_are_named() {
        check(
            "missing ones",
            &["a", "cluster/b", "c"],
            json!({"a": null, "c": {"templates": nested(&["d"])}}),
            Err(&[
                "templates[0]: AnalysisTemplate `a` does not exist",
                "templates[1]: ClusterAnalysisTemplate `b` does not exist",
                "templates[2]: AnalysisTemplate `d`, which AnalysisTemplate `c` includes, does not exist",
            ]),
        );
        check(
            "a malformed one",
            &["a"],
            json!({"a": "no spec"}),
            Err(&["templates[0]: AnalysisTemplate `a` cannot be read: no spec"]),
        );
        check(
            "one that contains itself",
            &["a"],
            json!({"a": {"templates": nested(&["a"])}}),
            Err(&["templates[0]: templates contain themselves: AnalysisTemplate `a` → AnalysisTemplate `a`"]),
        );
        check(
            "a circle of three, entered from outside",
            &["x"],
            json!({
                "x": {"templates": nested(&["a"])}, "a": {"templates": nested(&["b"])},
                "b": {"templates": nested(&["cluster/c"])}, "cluster/c": {"templates": nested(&["a"])},
            }),
            Err(&["templates[0]: templates contain themselves: AnalysisTemplate `a` → AnalysisTemplate `b` → \
                   ClusterAnalysisTemplate `c` → AnalysisTemplate `a`"]),
        );
        check(
            "the same metric twice",
            &["a", "b"],
            json!({"a": {"metrics": metrics(&["x"])}, "b": {"metrics": metrics(&["x"])}}),
            Err(&["templates: two metrics have the same name 'x'"]),
        );
        check(
            "different rules for absent data",
            &["a", "b"],
            json!({"a": {"argo": true}, "b": {"argo": false}}),
            Err(&[
                "templates: the templates ask for different rules by the annotation serin.dev/analysis-semantics; one run has one",
            ]),
        );
    }

    #[test]
    fn a_chain_without_end_is_refused() {
        let chain: serde_json::Map<String, Value> =
            (0..1000).map(|n| (format!("t{n}"), json!({"templates": nested(&[&format!("t{}", n + 1)])}))).collect();
        check(
            "a chain",
            &["t0"],
            Value::Object(chain),
            Err(&["templates[0]: AnalysisTemplate `t32` is nested more than 32 deep"]),
        );
    }

    #[test]
    fn rules_and_arguments_are_joined() {
        let specs = json!({
            "a": {"args": [{"name": "x"}], "dryRun": [{"metricName": "m"}], "measurementRetention": [{"metricName": "m", "limit": 3}]},
            "b": {"args": [{"name": "x", "value": "1"}], "dryRun": [{"metricName": "m"}], "argo": true},
        });
        let flat = flatten(&[key("a"), key("b")], &cluster(specs)).expect("flat");
        assert_eq!(json!(flat.args), json!([{"name": "x", "value": "1"}]));
        assert_eq!((flat.dry_run.len(), flat.measurement_retention[0].limit), (1, 3));
        assert_eq!(flat.semantics, Some(Semantics::Argo));
    }
}
