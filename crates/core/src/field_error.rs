//! What is wrong with an object that somebody wrote, and in which field.

use std::fmt;

/// One mistake in a spec; a spec can have many, and all are reported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldError {
    /// Path of the field, such as `metrics[0].interval`; relative to the spec it was found in.
    pub field: String,
    /// What is wrong and how to mend it, without the path.
    pub message: String,
}

impl FieldError {
    /// A mistake at `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        FieldError { field: field.into(), message: message.into() }
    }

    /// The same mistake seen from an object that holds the spec under `prefix`.
    #[must_use]
    pub fn under(self, prefix: &str) -> Self {
        let field = match (prefix.is_empty(), self.field.is_empty()) {
            (true, _) => self.field,
            (false, true) => prefix.to_owned(),
            (false, false) if self.field.starts_with('[') => format!("{prefix}{}", self.field),
            (false, false) => format!("{prefix}.{}", self.field),
        };
        FieldError { field, message: self.message }
    }

    /// Several mistakes as one line, for messages in a status.
    #[must_use]
    pub fn join(errors: &[FieldError]) -> String {
        errors.iter().map(FieldError::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_keeps_its_path_when_it_is_seen_from_outside() {
        for (field, prefix, text) in [
            ("count", "metrics[0]", "metrics[0].count: bad"),
            ("[1]", "metrics", "metrics[1]: bad"),
            ("", "spec", "spec: bad"),
            ("count", "", "count: bad"),
            ("", "", "bad"),
        ] {
            assert_eq!(FieldError::new(field, "bad").under(prefix).to_string(), text);
        }
    }
}
