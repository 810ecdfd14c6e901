//! The builtins, grouped by what they work on. A group answers `None` for arguments that it does not take.

pub(super) mod base64;
pub(super) mod json;
pub(super) mod lists;
pub(super) mod numbers;
pub(super) mod texts;
pub(super) mod times;
