//! When the next request begins.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// A generator that was held up for longer than this does not make up for what is before.
const BEHIND_MAX: Duration = Duration::from_secs(1);

/// How requests are to follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// Requests a second, above 0.
    pub(super) per_second: f64,
    /// Whether none is to begin.
    pub(super) paused: bool,
}

/// The times of the requests: one gap after the other, begun anew after each change of the pace.
pub(super) struct Schedule {
    changes: watch::Receiver<Pace>,
    pace: Pace,
    last: Option<Instant>,
}

impl Schedule {
    pub(super) fn new(changes: watch::Receiver<Pace>) -> Self {
        let pace = *changes.borrow();
        Schedule { changes, pace, last: None }
    }

    /// Waits until the next request is due, and not at all for one that is late. `None` when nobody can change the pace
    /// any more.
    pub(super) async fn next(&mut self) -> Option<()> {
        loop {
            let pace = *self.changes.borrow_and_update();
            if pace != self.pace {
                self.pace = pace;
                self.last = None;
            }
            if pace.paused {
                self.changes.changed().await.ok()?;
                continue;
            }
            let due = due(self.last, pace.per_second, Instant::now());
            tokio::select! {
                () = sleep_until(due) => {
                    self.last = Some(due);
                    return Some(());
                }
                changed = self.changes.changed() => changed.ok()?,
            }
        }
    }
}

fn due(last: Option<Instant>, per_second: f64, now: Instant) -> Instant {
    let Some(last) = last else { return now };
    let due = last + Duration::from_secs_f64(1.0 / per_second);
    now.checked_sub(BEHIND_MAX).map_or(due, |earliest| due.max(earliest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_keep_their_times_however_late_they_begin() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let check = |what: &str, last: Option<Instant>, now: Instant, expected: Instant| {
            assert_eq!(due(last, 50.0, now), expected, "{what}");
        };
        check("the first one is due now", None, at(7), at(7));
        check("the next one after a gap", Some(at(7)), at(8), at(27));
        check("a late one at its own time", Some(at(100)), at(500), at(120));
        check("one of long ago is left out", Some(at(100)), at(5000), at(4000));
    }
}
