//! The forms in which a client may ask for objects: whole, as a table for people, or metadata only.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use super::convert;
use super::registry::Kind;
use super::table;

/// What a client wants to see of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    Table,
    Metadata,
}

impl Form {
    /// The first form of the Accept header that the server knows.
    pub(crate) fn of(accept: &str) -> Self {
        for choice in accept.split(',') {
            if choice.contains("as=Table") {
                return Self::Table;
            }
            if choice.contains("as=PartialObjectMetadata") {
                return Self::Metadata;
            }
            if choice.trim().starts_with("application/json") {
                return Self::Object;
            }
        }
        Self::Object
    }
}

/// How objects of one kind are shown to one client.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub kind: Arc<Kind>,
    pub api_version: String,
    pub form: Form,
    /// `None`, `Metadata` or `Object`: what a table row carries of its object.
    pub include: String,
    /// The present moment, for ages.
    pub now: chrono::DateTime<chrono::Utc>,
}

impl View {
    /// One object in the client's form.
    pub(crate) fn object<'a>(&self, object: &'a Value) -> Cow<'a, Value> {
        let whole = self.whole(object);
        match self.form {
            Form::Object => whole,
            Form::Table => Cow::Owned(table::table(self, &[&whole])),
            Form::Metadata => Cow::Owned(metadata(&whole)),
        }
    }

    /// A list in the client's form; `list` is the metadata of the list.
    pub(crate) fn list(&self, objects: &[Arc<Value>], list: &Value) -> Value {
        let items: Vec<Cow<'_, Value>> = objects.iter().map(|object| self.whole(object)).collect();
        match self.form {
            Form::Object => json!({
                "kind": format!("{}List", self.kind.resource.kind),
                "apiVersion": self.api_version, "metadata": list, "items": items,
            }),
            Form::Table => {
                let items: Vec<&Value> = items.iter().map(AsRef::as_ref).collect();
                let mut table = table::table(self, &items);
                table["metadata"] = list.clone();
                table
            }
            Form::Metadata => json!({
                "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": list,
                "items": items.iter().map(|item| metadata(item)).collect::<Vec<_>>(),
            }),
        }
    }

    fn whole<'a>(&self, object: &'a Value) -> Cow<'a, Value> {
        convert::outgoing(&self.api_version, object).map_or(Cow::Borrowed(object), Cow::Owned)
    }
}

fn metadata(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}
