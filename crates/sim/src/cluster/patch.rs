//! The ways in which a client may send only what it changes.

use serde_json::Value;

use super::error::ApiError;
use super::registry::Kind;
use super::strategic;

/// The kind of a patch, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl PatchKind {
    pub(crate) fn of(content_type: &str) -> Option<Self> {
        let bare = content_type.split(';').next().unwrap_or_default().trim();
        match bare {
            "application/json-patch+json" => Some(Self::Json),
            "application/merge-patch+json" => Some(Self::Merge),
            "application/strategic-merge-patch+json" => Some(Self::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+cbor" => Some(Self::Apply),
            _ => None,
        }
    }
}

/// The object with the patch applied; `kind` decides whether lists merge by key.
pub(crate) fn apply(how: PatchKind, kind: &Kind, object: &Value, patch: &Value) -> Result<Value, ApiError> {
    let mut next = object.clone();
    match how {
        PatchKind::Json => {
            let operations: json_patch::Patch = serde_json::from_value(patch.clone())
                .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
            json_patch::patch(&mut next, &operations).map_err(|_| {
                ApiError::unprocessable("the server rejected our request due to an error in our request")
            })?;
        }
        PatchKind::Merge => merge(&mut next, patch)?,
        PatchKind::Strategic if kind.custom => return Err(unsupported()),
        PatchKind::Strategic => strategic::merge(&mut next, patch)?,
        PatchKind::Apply => return Err(unsupported()),
    }
    if !next.is_object() {
        return Err(ApiError::unprocessable("the patch must leave an object"));
    }
    Ok(next)
}

/// A content type that the resource does not take.
pub(crate) fn unsupported() -> ApiError {
    ApiError::new(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    )
}

fn merge(object: &mut Value, patch: &Value) -> Result<(), ApiError> {
    if !patch.is_object() {
        return Err(ApiError::bad_request("error decoding patch: a merge patch must be an object"));
    }
    json_patch::merge(object, patch);
    Ok(())
}
