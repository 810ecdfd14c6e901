//! Draws a story while it happens, on one screen that is painted over again and again.

use super::draw::{Detail, WIDTH, lines};
use super::{Live, Traffic};
use crate::bar::fit;
use crate::console::{Console, Paint};
use crate::story::{clock, thousands};

/// The lines of a moment.
pub(crate) fn live_lines(live: &Live, paint: Paint) -> Vec<String> {
    let headline = fit(&live.headline, WIDTH - 12);
    let mut all = vec![format!("{}  {}", paint.faint(&clock(live.elapsed)), paint.strong(&headline)), String::new()];
    for rollout in &live.rollouts {
        all.extend(lines(rollout, Detail::Short, live.now, paint));
        all.push(String::new());
    }
    all.push(traffic(&live.traffic, paint));
    all.push(String::new());
    all.extend(live.news.iter().cloned());
    all.push(String::new());
    all.extend(live.hints.iter().map(|hint| paint.faint(&fit(hint, WIDTH))));
    all
}

fn traffic(traffic: &Traffic, paint: Paint) -> String {
    let failed = format!("{} failed", thousands(traffic.failed));
    let by_routing = format!("{} by routing", thousands(traffic.failed_by_routing));
    format!(
        "{:.0} requests/s   {} served   {}   {}",
        traffic.per_second,
        thousands(traffic.served),
        if traffic.failed > 0 { paint.warn(&failed) } else { failed },
        if traffic.failed_by_routing > 0 { paint.bad(&by_routing) } else { paint.good(&by_routing) },
    )
}

/// A screen that is painted over. The cursor is hidden until this is dropped.
#[derive(Debug)]
pub(crate) struct Screen {
    painted: Vec<String>,
}

/// Hides the cursor and clears the screen.
const BEGIN: &str = "\x1b[?25l\x1b[2J";
/// Shows the cursor again.
const END: &str = "\x1b[?25h";
/// To the first line.
const HOME: &str = "\x1b[H";
/// Clears the rest of a line, and the rest of the screen.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

impl Screen {
    /// A fresh screen.
    pub(crate) fn begin(console: &mut Console) -> anyhow::Result<Self> {
        console.write(BEGIN)?;
        Ok(Screen { painted: Vec::new() })
    }

    /// Paints the lines, if they are others than before.
    pub(crate) fn paint(&mut self, lines: Vec<String>, console: &mut Console) -> anyhow::Result<()> {
        if lines == self.painted {
            return Ok(());
        }
        let mut picture = String::from(HOME);
        for line in &lines {
            picture.push_str(line);
            picture.push_str(CLEAR_LINE);
            picture.push_str("\r\n");
        }
        picture.push_str(CLEAR_BELOW);
        self.painted = lines;
        console.write(&picture)?;
        console.flush()
    }

    /// Leaves the picture where it is, and the cursor below it.
    pub(crate) fn end(self, console: &mut Console) -> anyhow::Result<()> {
        console.write(END)?;
        console.flush()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_moment_shows_headline_traffic_and_news() {
        let live = Live {
            headline: "A bad version comes".to_owned(),
            elapsed: TimeDelta::seconds(75),
            traffic: Traffic { per_second: 39.7, served: 12_345, failed: 17, failed_by_routing: 0 },
            news: vec!["+00:01:00  step".to_owned()],
            hints: vec!["Ctrl-C ends it".to_owned()],
            ..Live::default()
        };
        let drawn = live_lines(&live, Paint::PLAIN).join("\n");
        for part in [
            "+00:01:15  A bad version comes",
            "40 requests/s   12,345 served   17 failed   0 by routing",
            "+00:01:00  step",
            "Ctrl-C ends it",
        ] {
            assert!(drawn.contains(part), "{part}\n{drawn}");
        }
    }
}
