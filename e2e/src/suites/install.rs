//! The suite `install`.

use crate::kit::Case;

pub(super) fn cases() -> Vec<Case> {
    Vec::new()
}
