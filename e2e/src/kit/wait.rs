//! Waiting for a condition, and for a condition to stay.

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// How often a condition is looked at. The cluster answers in a few milliseconds.
const EVERY: Duration = Duration::from_millis(100);

/// Waits until `look` gives a value. `what` completes the sentence "… did not happen within"; `look` answers with
/// `Err(why not yet)` until then, and the last such answer is part of the error.
///
/// # Errors
/// If it takes longer than `limit`.
pub(crate) async fn until<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    let end = Instant::now() + limit;
    loop {
        let why = match look().await {
            Ok(value) => return Ok(value),
            Err(why) => why,
        };
        if Instant::now() >= end {
            bail!("within {} s it did not happen: {what}; last seen: {why:#}", limit.as_secs());
        }
        sleep(EVERY).await;
    }
}

/// Looks at a condition over and over for a time in which it must hold.
///
/// # Errors
/// The first time that `look` fails.
pub(crate) async fn hold<F, Fut>(what: &str, time: Duration, mut look: F) -> Result<()>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let end = Instant::now() + time;
    while Instant::now() < end {
        if let Err(why) = look().await {
            bail!("{what}, but: {why:#}");
        }
        sleep(EVERY).await;
    }
    Ok(())
}
