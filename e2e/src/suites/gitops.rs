//! The suite `gitops`.

use crate::kit::Case;

pub(super) fn cases() -> Vec<Case> {
    Vec::new()
}
