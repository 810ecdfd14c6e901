//! The bounds of the sandbox, and the meter that enforces them during an evaluation.

use super::error::Trouble;

/// Nodes of one expression; the reference implementation has the same bound.
pub(super) const NODES_MAX: u32 = 10_000;
/// Depth of the syntax tree. Every walk over the tree recurses, so this bounds the stack.
pub(super) const DEPTH_MAX: u16 = 128;
/// Nested calls of the expression parser. Parentheses leave no node behind, so they are counted apart.
pub(super) const NESTING_MAX: u16 = 128;
/// Depth of a list or map: what `serde_json` reads, plus what an expression can wrap around it.
pub(super) const VALUE_DEPTH_MAX: u16 = 2 * DEPTH_MAX;
/// Length of an expression in bytes.
pub(super) const SOURCE_BYTES_MAX: usize = 256 * 1024;
/// Steps of one evaluation. A step is a node, an element visited or 64 bytes of text read.
pub(super) const STEPS_MAX: u64 = 1_000_000;
/// Elements that one evaluation may create; 16 bytes of text count as one element.
pub(super) const ELEMENTS_MAX: u64 = 1_000_000;
/// Steps that compiling a regular expression costs, since it is far dearer than any other operation.
pub(super) const REGEX_STEPS: u64 = 2_000;
/// Compiled size of a regular expression in bytes.
pub(super) const REGEX_BYTES_MAX: usize = 1 << 20;

/// Regular expressions written out in one expression; each may hold twice [`REGEX_BYTES_MAX`] for its lifetime.
pub(super) const PATTERNS_MAX: u32 = 32;

const BYTES_PER_STEP: usize = 64;
const BYTES_PER_ELEMENT: usize = 16;

/// Counts down what one evaluation may still spend.
#[derive(Debug)]
pub(super) struct Meter {
    steps: u64,
    elements: u64,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { steps: STEPS_MAX, elements: ELEMENTS_MAX }
    }

    /// Spends `count` steps.
    pub(super) fn steps(&mut self, count: u64) -> Result<(), Trouble> {
        match self.steps.checked_sub(count) {
            Some(left) => {
                self.steps = left;
                Ok(())
            }
            None => Err(Trouble::limit(format!("the evaluation takes more than {STEPS_MAX} steps"))),
        }
    }

    /// Spends the steps of reading `bytes` of text.
    pub(super) fn read(&mut self, bytes: usize) -> Result<(), Trouble> {
        self.steps((bytes / BYTES_PER_STEP) as u64)
    }

    /// Spends the memory of a list or map of `count` elements, before it is allocated.
    pub(super) fn elements(&mut self, count: u64) -> Result<(), Trouble> {
        match self.elements.checked_sub(count) {
            // As in the reference implementation, the last element is already one too many.
            Some(left) if left > 0 => {
                self.elements = left;
                Ok(())
            }
            Some(_) | None => Err(Trouble::limit(format!("memory budget exceeded ({ELEMENTS_MAX} elements)"))),
        }
    }

    /// Spends the memory of `bytes` of text, before it is allocated.
    pub(super) fn text(&mut self, bytes: usize) -> Result<(), Trouble> {
        self.read(bytes)?;
        self.elements((bytes / BYTES_PER_ELEMENT) as u64)
    }
}
