//! The printer columns of each kind.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use serin_core::json_path::JsonPath;

use super::cells;
use super::registry::Kind;
use super::table::age;

/// One column: its heading and how a cell is computed.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    name: String,
    kind: &'static str,
    wide: bool,
    cell: Cell,
}

#[derive(Clone, Debug)]
enum Cell {
    Name,
    /// The value at a path, and what stands for an absent one.
    At(String, Value),
    /// The time since the moment at a path.
    Since(String),
    Computed(fn(&Value, DateTime<Utc>) -> Value),
}

impl Column {
    /// The definition as tables carry it.
    pub(crate) fn definition(&self) -> Value {
        let format = if matches!(self.cell, Cell::Name) { "name" } else { "" };
        json!({
            "name": self.name, "type": self.kind, "format": format,
            "description": self.name, "priority": i32::from(self.wide),
        })
    }

    /// The cell of one object.
    pub(crate) fn cell(&self, object: &Value, now: DateTime<Utc>) -> Value {
        match &self.cell {
            Cell::Name => object["metadata"]["name"].clone(),
            Cell::At(path, absent) => match value_at(object, path) {
                Some(value) if !value.is_null() => shown(value),
                _ => absent.clone(),
            },
            Cell::Since(path) => match value_at(object, path) {
                Some(moment) => age(moment, now),
                None => json!("<unknown>"),
            },
            Cell::Computed(compute) => compute(object, now),
        }
    }

    fn new(name: &str, kind: &'static str, cell: Cell) -> Self {
        Self { name: name.to_owned(), kind, wide: false, cell }
    }

    fn wide(mut self) -> Self {
        self.wide = true;
        self
    }
}

/// The columns of a kind, in the order in which they are printed.
pub(crate) fn columns(kind: &Kind) -> Vec<Column> {
    if !kind.columns.is_empty() {
        let own = kind.columns.iter().map(defined);
        return std::iter::once(name()).chain(own).collect();
    }
    let mut columns = match kind.resource.plural.as_ref() {
        "events" => return events(),
        "pods" => pods(),
        "deployments" => deployments(),
        "replicasets" => replica_sets(),
        "services" => services(),
        "jobs" => vec![text("Status", cells::job_status), text("Completions", cells::completions)],
        "namespaces" => vec![at("Status", ".status.phase", "")],
        "secrets" => vec![at("Type", ".type", "Opaque"), number("Data", cells::data)],
        "configmaps" => vec![number("Data", cells::data)],
        "leases" => vec![at("Holder", ".spec.holderIdentity", "")],
        "customresourcedefinitions" => {
            let created = at("Created At", ".metadata.creationTimestamp", "<unknown>");
            return vec![name(), created];
        }
        "virtualservices" => vec![at("Gateways", ".spec.gateways", ""), at("Hosts", ".spec.hosts", "")],
        "destinationrules" => vec![at("Host", ".spec.host", "")],
        _ => Vec::new(),
    };
    let wide_from = columns.iter().position(|column| column.wide);
    columns.insert(wide_from.unwrap_or(columns.len()), since_creation());
    columns.insert(0, name());
    columns
}

fn pods() -> Vec<Column> {
    vec![
        text("Ready", cells::pod_ready),
        text("Status", cells::pod_status),
        number("Restarts", cells::restarts),
        at("IP", ".status.podIP", "<none>").wide(),
        at("Node", ".spec.nodeName", "<none>").wide(),
    ]
}

fn deployments() -> Vec<Column> {
    vec![
        text("Ready", cells::deployment_ready),
        count("Up-to-date", ".status.updatedReplicas"),
        count("Available", ".status.availableReplicas"),
        text("Containers", cells::containers).wide(),
        text("Images", cells::images).wide(),
        text("Selector", cells::selector).wide(),
    ]
}

fn replica_sets() -> Vec<Column> {
    vec![
        count("Desired", ".spec.replicas"),
        count("Current", ".status.replicas"),
        count("Ready", ".status.readyReplicas"),
        text("Containers", cells::containers).wide(),
        text("Images", cells::images).wide(),
        text("Selector", cells::selector).wide(),
    ]
}

fn services() -> Vec<Column> {
    vec![
        at("Type", ".spec.type", "ClusterIP"),
        at("Cluster-IP", ".spec.clusterIP", "<none>"),
        at("External-IP", ".status.loadBalancer.ingress[0].ip", "<none>"),
        text("Port(s)", cells::ports),
        text("Selector", cells::selector).wide(),
    ]
}

fn events() -> Vec<Column> {
    vec![
        text("Last Seen", cells::last_seen),
        at("Type", ".type", ""),
        at("Reason", ".reason", ""),
        text("Object", cells::involved),
        text("Message", cells::message),
        name().wide(),
    ]
}

/// A column of a CustomResourceDefinition.
fn defined(column: &Value) -> Column {
    let path = column["jsonPath"].as_str().unwrap_or_default().to_owned();
    let heading = column["name"].as_str().unwrap_or_default();
    let (kind, cell) = match column["type"].as_str() {
        Some("date") => ("date", Cell::Since(path)),
        Some("integer") => ("integer", Cell::At(path, Value::Null)),
        Some("number") => ("number", Cell::At(path, Value::Null)),
        Some("boolean") => ("boolean", Cell::At(path, Value::Null)),
        _ => ("string", Cell::At(path, Value::Null)),
    };
    let mut defined = Column::new(heading, kind, cell);
    defined.wide = column["priority"].as_i64().unwrap_or(0) > 0;
    defined
}

fn name() -> Column {
    Column::new("Name", "string", Cell::Name)
}

fn since_creation() -> Column {
    let path = ".metadata.creationTimestamp".to_owned();
    Column::new("Age", "string", Cell::Since(path))
}

/// The first value at the JSONPath of a printer column.
fn value_at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    JsonPath::parse(path).ok()?.find(object).into_iter().next()
}

fn at(name: &str, path: &str, absent: &str) -> Column {
    Column::new(name, "string", Cell::At(path.to_owned(), json!(absent)))
}

fn count(name: &str, path: &str) -> Column {
    Column::new(name, "integer", Cell::At(path.to_owned(), json!(0)))
}

fn text(name: &str, compute: fn(&Value, DateTime<Utc>) -> Value) -> Column {
    Column::new(name, "string", Cell::Computed(compute))
}

fn number(name: &str, compute: fn(&Value, DateTime<Utc>) -> Value) -> Column {
    Column::new(name, "integer", Cell::Computed(compute))
}

/// Tables hold plain values: lists and maps appear as their JSON.
fn shown(value: &Value) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) => json!(value.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
