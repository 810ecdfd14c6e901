//! The reference of all fields, from the schemas of the definitions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde_json::Value;

const INTRODUCTION: &str = "\
# Fields of `argoproj.io/v1alpha1`

<!-- Made by `cargo xtask codegen` from crates/api: change the doc comments there, not this file. -->

Every field that the CustomResourceDefinitions of Serin know. `[]` stands for the items of a list, `{}` for the values of a map.
A field in **bold** has to be given. What Serin adds is described in [extensions](extensions.md).
A field that is known here but whose behaviour Serin does not have yet makes a Rollout invalid, with a message that names it.
";

/// Fewer fields than this are repeated rather than referred to.
const SHARED_FIELDS_MIN: usize = 4;

/// The page: a table for each kind.
pub(super) fn page(definitions: &[Value]) -> Result<String> {
    let mut page = INTRODUCTION.to_owned();
    let mut seen = BTreeMap::new();
    for definition in definitions {
        let names = &definition["spec"]["names"];
        let kind = names["kind"].as_str().context("a definition without a kind")?;
        let schema = definition
            .pointer("/spec/versions/0/schema/openAPIV3Schema")
            .with_context(|| format!("{kind} has no schema"))?;
        let _ = writeln!(page, "\n## {kind}\n");
        let _ = writeln!(page, "{}\n", introduction(definition));
        page.push_str("| Field | Type | Meaning |\n|---|---|---|\n");
        let mut table = Table { kind, rows: String::new(), seen: &mut seen };
        for part in ["spec", "status"] {
            table.properties_of(&schema["properties"][part], part);
        }
        page.push_str(&table.rows);
    }
    Ok(page)
}

fn introduction(definition: &Value) -> String {
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let short: Vec<String> =
        spec["names"]["shortNames"].as_array().into_iter().flatten().map(|name| format!("`{}`", text(name))).collect();
    let scope = if spec["scope"] == "Cluster" { "of the whole cluster" } else { "of a namespace" };
    let mut line = format!("An object {scope}; `kubectl get {}`", text(&spec["names"]["plural"]));
    if !short.is_empty() {
        let _ = write!(line, ", in short {}", short.join(", "));
    }
    line + "."
}

/// The rows of one kind.
struct Table<'a> {
    kind: &'a str,
    rows: String,
    /// Where a schema was described first, as text for a reader, by the schema.
    seen: &'a mut BTreeMap<String, String>,
}

impl Table<'_> {
    /// A row for each property of an object at `path`, and for what is in them.
    fn properties_of(&mut self, schema: &Value, path: &str) {
        let required = schema["required"].as_array();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let must = required.is_some_and(|required| required.iter().any(|it| it == name));
            self.property(property, &format!("{path}.{name}"), must);
        }
    }

    fn property(&mut self, schema: &Value, path: &str, must: bool) {
        let (inner, suffix) = innermost(schema);
        let inner_path = format!("{path}{suffix}");
        let mut meaning = meaning(schema, inner);
        let mut descends = inner["properties"].is_object();
        if let Some(kubernetes) = kubernetes_type(path, inner) {
            append(&mut meaning, &format!("{kubernetes} of Kubernetes."));
            descends = false;
        } else if descends && fields(inner) >= SHARED_FIELDS_MIN {
            let place = format!("`{inner_path}` of {}", self.kind);
            match self.seen.get(&inner["properties"].to_string()) {
                Some(first) => {
                    append(&mut meaning, &format!("The same fields as {first}."));
                    descends = false;
                }
                None => {
                    self.seen.insert(inner["properties"].to_string(), place);
                }
            }
        }
        let name = if must { format!("**`{path}`**") } else { format!("`{path}`") };
        let _ = writeln!(self.rows, "| {name} | {} | {meaning} |", type_name(schema));
        if descends {
            self.properties_of(inner, &inner_path);
        }
    }
}

/// What a list or map holds, through all levels, with the text that goes behind the path.
fn innermost(schema: &Value) -> (&Value, String) {
    let mut inner = schema;
    let mut suffix = String::new();
    loop {
        if inner["items"].is_object() {
            inner = &inner["items"];
            suffix.push_str("[]");
        } else if inner["additionalProperties"].is_object() {
            inner = &inner["additionalProperties"];
            suffix.push_str("{}");
        } else {
            return (inner, suffix);
        }
    }
}

/// Types that Kubernetes documents itself.
fn kubernetes_type(path: &str, schema: &Value) -> Option<&'static str> {
    let properties = &schema["properties"];
    let has = |name: &str| properties[name].is_object();
    if path.ends_with(".template") && has("metadata") && has("spec") {
        Some("`PodTemplateSpec`")
    } else if path.ends_with(".job.spec") && has("template") {
        Some("`JobSpec`")
    } else if path.ends_with(".job.metadata") {
        Some("`ObjectMeta`")
    } else if has("matchLabels") && has("matchExpressions") {
        Some("`LabelSelector`")
    } else {
        None
    }
}

fn fields(schema: &Value) -> usize {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.map(|(_, property)| 1 + fields(innermost(property).0)).sum()
}

fn type_name(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    if schema["items"].is_object() {
        return format!("list of {}", type_name(&schema["items"]));
    }
    if schema["additionalProperties"].is_object() {
        return format!("map of {}", type_name(&schema["additionalProperties"]));
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("string"), Some("date-time")) => "time".to_owned(),
        (Some(name), _) => name.to_owned(),
        (None, _) => "any".to_owned(),
    }
}

/// Description, values and default in one cell.
fn meaning(schema: &Value, inner: &Value) -> String {
    let description = schema["description"].as_str().or(inner["description"].as_str()).unwrap_or_default();
    let mut meaning = description.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    if let Some(values) = inner["enum"].as_array() {
        let values: Vec<String> = values.iter().map(|value| format!("`{}`", plain(value))).collect();
        append(&mut meaning, &format!("One of {}.", values.join(", ")));
    }
    if !schema["default"].is_null() {
        append(&mut meaning, &format!("Default: `{}`.", plain(&schema["default"])));
    }
    meaning
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn append(text: &mut String, sentence: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(sentence);
}
