//! The printer columns of each kind.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::registry::Kind;
use super::table::age;

type Cell = Box<dyn Fn(&Value, DateTime<Utc>) -> Value>;

/// One column: its heading and how a cell is computed.
pub(crate) struct Column {
    pub name: String,
    pub kind: String,
    pub format: String,
    pub priority: i64,
    pub cell: Cell,
}

impl Column {
    /// The definition as tables carry it.
    pub(crate) fn definition(&self) -> Value {
        json!({
            "name": self.name, "type": self.kind, "format": self.format,
            "description": self.name, "priority": self.priority,
        })
    }

    fn new(
        name: &str,
        kind: &str,
        cell: impl Fn(&Value, DateTime<Utc>) -> Value + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            kind: kind.to_owned(),
            format: if name == "Name" { "name" } else { "" }.to_owned(),
            priority: 0,
            cell: Box::new(cell),
        }
    }
}

/// The columns of a kind, Name first.
pub(crate) fn columns(_kind: &Kind) -> Vec<Column> {
    vec![
        Column::new("Name", "string", |object, _| {
            object["metadata"]["name"].clone()
        }),
        Column::new("Age", "string", |object, now| {
            age(&object["metadata"]["creationTimestamp"], now)
        }),
    ]
}
