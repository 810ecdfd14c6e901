//! Errors as they are found, in the forms that the Kubernetes API gives them.

use serde_json::Value;

use crate::field_error::FieldError;

/// All errors found so far, in order.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<FieldError>);

impl Report {
    /// A field has a value that it must not have.
    pub(super) fn invalid(&mut self, field: impl Into<String>, value: impl Into<Value>, detail: impl AsRef<str>) {
        let message = format!("Invalid value: {}: {}", value.into(), detail.as_ref());
        self.push(FieldError::new(field, message));
    }

    /// A field is missing.
    pub(super) fn required(&mut self, field: impl Into<String>, detail: &str) {
        self.push(FieldError::new(field, format!("Required value: {detail}")));
    }

    /// A field must not be there.
    pub(super) fn forbidden(&mut self, field: impl Into<String>, detail: &str) {
        self.push(FieldError::new(field, format!("Forbidden: {detail}")));
    }

    /// An error in its own words.
    pub(super) fn push(&mut self, error: FieldError) {
        if !self.0.contains(&error) {
            self.0.push(error);
        }
    }

    /// The number, unless it is negative, which is an error.
    pub(super) fn not_negative(&mut self, field: impl Into<String>, number: Option<i32>) -> Option<i32> {
        match number {
            Some(number) if number < 0 => {
                self.invalid(field, number, "must be greater than or equal to 0");
                None
            }
            Some(_) | None => number,
        }
    }

    /// Whether nothing is wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything that is wrong.
    pub(super) fn into_errors(self) -> Vec<FieldError> {
        self.0
    }
}
