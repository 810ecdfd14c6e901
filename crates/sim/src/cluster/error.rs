//! What the API server refuses, in the form of a Kubernetes `Status`.

use serde_json::{Value, json};

use super::registry::Kind;

/// A refusal as the API server words it; becomes a `Status` object on the wire.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The HTTP status code.
    pub code: u16,
    /// The machine-readable reason, such as `NotFound`.
    pub reason: &'static str,
    /// The sentence that clients print.
    pub message: String,
    /// The `details` of the Status; null where there are none.
    pub details: Value,
}

/// One wrong field of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    /// The path, for example `spec.replicas`.
    pub field: String,
    /// The cause's reason, for example `FieldValueInvalid`.
    pub reason: &'static str,
    /// What is wrong, without the path.
    pub message: String,
}

impl ApiError {
    /// True for a failed precondition: a stale resourceVersion or a foreign field owner.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.reason == "Conflict"
    }

    /// True where the object or the kind does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code == 404
    }

    /// True where an object of this name exists already.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.reason == "AlreadyExists"
    }

    /// The `Status` object of the wire.
    #[must_use]
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }

    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// The answer for a path that names no known resource.
    pub(crate) fn unknown_path() -> Self {
        let mut error = Self::new(404, "NotFound", "the server could not find the requested resource");
        error.details = json!({});
        error
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        about(404, "NotFound", kind, name, format!("{} \"{name}\" not found", kind.qualified()))
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.qualified());
        about(409, "AlreadyExists", kind, name, message)
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.qualified());
        about(409, "Conflict", kind, name, message)
    }

    /// The conflict of a write that was computed from an older object.
    pub(crate) fn modified(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let listed: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let text = match listed.as_slice() {
            [one] => one.clone(),
            _ => format!("[{}]", listed.join(", ")),
        };
        let title = kind.qualified_kind();
        let message = format!("{title} \"{name}\" is invalid: {text}");
        let mut error = about(422, "Invalid", kind, name, message);
        error.details["kind"] = json!(kind.resource.kind);
        error.details["causes"] = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        error
    }

    /// A patch that could not be applied to the object as it is.
    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message)
    }

    /// A resourceVersion that the server no longer remembers.
    pub(crate) fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    pub(crate) fn method_not_allowed() -> Self {
        let mut error =
            Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
        error.details = json!({});
        error
    }
}

fn about(code: u16, reason: &'static str, kind: &Kind, name: &str, message: String) -> ApiError {
    let mut details = json!({"name": name, "kind": kind.resource.plural});
    if !kind.resource.group.is_empty() {
        details["group"] = json!(kind.resource.group);
    }
    ApiError { code, reason, message, details }
}
