//! Lines about long work: what begins, and how long it took.

use std::time::Instant;

use anyhow::Result;

/// Does something that takes a while, between a line that says what it is and one with its seconds.
///
/// # Errors
/// Those of `work`.
pub fn timed<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("        … {what}");
    let begin = Instant::now();
    let done = work()?;
    println!("{:6.1}s ✓ {what}", begin.elapsed().as_secs_f64());
    Ok(done)
}

/// A stopwatch over several stages.
#[derive(Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Runs from now on.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Says that a stage is over, with the seconds since the start of all.
    pub fn stage(&self, what: &str) {
        println!("{:6.1}s {what}", self.0.elapsed().as_secs_f64());
    }
}
