//! What was found: in which file, object and field, and how bad it is.

use std::fmt;
use std::path::PathBuf;

use serde_json::{Value, json};
use serin_controller::{Kind, ObjectName};

use crate::observed::kind_of;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// The controller or the API server would refuse it.
    Error,
    /// It may be right, and should be looked at.
    Warning,
}

/// An object of a file.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) file: PathBuf,
    /// As in the file.
    pub(super) kind: String,
    /// The controller's name for the kind; `None` for kinds that it does not read.
    pub(super) known: Option<Kind>,
    pub(super) name: ObjectName,
    /// With its namespace filled in.
    pub(super) value: Value,
}

impl Object {
    /// An object in its namespace, or in a given one if it names none.
    pub(super) fn new(file: PathBuf, mut value: Value, namespace: &str) -> Self {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, known, name) = (text("/kind"), kind_of(&value), text("/metadata/name"));
        let of_cluster = known.is_some_and(|kind| !kind.is_namespaced());
        let own = Some(text("/metadata/namespace")).filter(|own| !own.is_empty());
        let namespace = if of_cluster { String::new() } else { own.unwrap_or_else(|| namespace.to_owned()) };
        if !namespace.is_empty() {
            value["metadata"]["namespace"] = json!(namespace);
        }
        Object { file, kind, known, name: ObjectName::new(namespace, name), value }
    }

    /// Whether this is an object of our API group.
    pub(super) fn is_ours(&self) -> bool {
        self.value["apiVersion"].as_str().is_some_and(|version| version.starts_with("argoproj.io/"))
    }

    /// An error in this object.
    pub(super) fn error(&self, field: impl Into<String>, message: impl Into<String>) -> Finding {
        self.finding(Severity::Error, field.into(), message.into())
    }

    /// Something in this object to look at.
    pub(super) fn warning(&self, field: impl Into<String>, message: impl Into<String>) -> Finding {
        self.finding(Severity::Warning, field.into(), message.into())
    }

    fn finding(&self, severity: Severity, field: String, message: String) -> Finding {
        let object = Some((self.kind.clone(), self.name.clone()));
        Finding { severity, file: self.file.clone(), object, field, message }
    }
}

/// Something found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    pub(super) file: PathBuf,
    /// Kind and name; `None` if the file is no manifest.
    pub(super) object: Option<(String, ObjectName)>,
    /// Empty if the whole object or file is meant.
    pub(super) field: String,
    pub(super) message: String,
}

impl Finding {
    /// The finding as one JSON object.
    pub(super) fn to_json(&self) -> Value {
        let object = self.object.as_ref().map(|(kind, name)| {
            let namespace = Some(&name.namespace).filter(|namespace| !namespace.is_empty());
            json!({"kind": kind, "namespace": namespace, "name": name.name})
        });
        json!({
            "severity": match self.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "file": self.file.display().to_string(),
            "object": object,
            "field": self.field,
            "message": self.message,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if let Some((kind, name)) = &self.object {
            write!(f, "{kind} ")?;
            if !name.namespace.is_empty() {
                write!(f, "{}/", name.namespace)?;
            }
            write!(f, "{}: ", name.name)?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}
