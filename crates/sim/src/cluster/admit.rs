//! What the API server checks and fills in before it stores an object.

use serde_json::Value;

use super::error::{ApiError, Cause};
use super::meta;
use super::registry::Kind;

const NAME_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";

/// Refuses objects without a name, or with one that cannot stand in a path.
pub(crate) fn name(kind: &Kind, object: &Value) -> Result<(), ApiError> {
    let name = meta::name(object);
    let cause = if name.is_empty() {
        Cause {
            field: "metadata.name".to_owned(),
            reason: "FieldValueRequired",
            message: "Required value: name or generateName is required".to_owned(),
        }
    } else if is_subdomain(name) {
        return Ok(());
    } else {
        Cause {
            field: "metadata.name".to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: \"{name}\": {NAME_RULE}"),
        }
    };
    Err(ApiError::invalid(kind, name, &[cause]))
}

/// Fills in what the kind's schema gives a default.
pub(crate) fn defaults(_kind: &Kind, _object: &mut Value) {}

/// Refuses values of the wrong type and changes of what must stay.
pub(crate) fn check(_kind: &Kind, _new: &Value, _old: Option<&Value>) -> Result<(), ApiError> {
    Ok(())
}

fn is_subdomain(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() <= 253 && name.starts_with(edge) && name.ends_with(edge) && name.chars().all(inner)
}
