//! Draws a story while it happens, on one screen that is painted over again and again.

use super::draw::{Detail, WIDTH, lines};
use super::{Live, Traffic};
use crate::bar::fit;
use crate::console::{Console, Paint};
use crate::story::{clock, thousands};

/// The lines of a moment, on a screen of some height; where it does not suffice, the oldest news are left out.
pub(crate) fn live_lines(live: &Live, height: usize, paint: Paint) -> Vec<String> {
    let headline = fit(&live.headline, WIDTH - 12);
    let mut all = vec![format!("{}  {}", paint.faint(&clock(live.elapsed)), paint.strong(&headline)), String::new()];
    for rollout in &live.rollouts {
        all.extend(lines(rollout, Detail::Short, live.now, paint));
        all.push(String::new());
    }
    all.push(traffic(&live.traffic, paint));
    all.push(String::new());
    let room = height.saturating_sub(all.len() + live.hints.len() + 2);
    all.extend(live.news.iter().skip(live.news.len().saturating_sub(room)).cloned());
    all.push(String::new());
    // People copy these, so that they are not cut.
    all.extend(live.hints.iter().map(|hint| paint.faint(hint)));
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

/// Hides the cursor, cuts lines that are too long instead of breaking them, and clears the screen.
const BEGIN: &str = "\x1b[?25l\x1b[?7l\x1b[2J";
/// Shows the cursor again, and breaks lines again.
const END: &str = "\x1b[?7h\x1b[?25h";
/// Lines of a screen that does not say how many it has.
const HEIGHT: usize = 50;
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

    /// Number of lines that can be painted.
    pub(crate) fn height() -> usize {
        let rows = terminal_size::terminal_size().map(|(_, height)| usize::from(height.0));
        // The cursor stands below the last line.
        rows.unwrap_or(HEIGHT).max(2) - 1
    }

    /// Paints the lines, if they are others than before; those that the screen has no room for are left out.
    pub(crate) fn paint(&mut self, mut lines: Vec<String>, console: &mut Console) -> anyhow::Result<()> {
        lines.truncate(Self::height());
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
        let drawn = live_lines(&live, 50, Paint::PLAIN).join("\n");
        for part in [
            "+00:01:15  A bad version comes",
            "40 requests/s   12,345 served   17 failed   0 by routing",
            "+00:01:00  step",
            "Ctrl-C ends it",
        ] {
            assert!(drawn.contains(part), "{part}\n{drawn}");
        }
        let small = live_lines(&live, 6, Paint::PLAIN).join("\n");
        assert!(!small.contains("step") && small.contains("Ctrl-C"), "{small}");
    }
}
