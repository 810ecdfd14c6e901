//! The picture of the concept page: one bad release seen by a gate and by evidence, and good releases beside it.

use std::fmt::Write;

use super::race::{Lumps, Run, plan, run};
use super::traffic::Scenario;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 16.0;
const POLLS: u32 = 60;

/// One panel: where it is, and what its axis shows.
struct Panel {
    top: f64,
    height: f64,
    low: f64,
    high: f64,
}

impl Panel {
    fn y(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - (value.clamp(self.low, self.high) - self.low) / (self.high - self.low))
    }

    fn line(&self, values: impl Iterator<Item = f64>, style: &str) -> String {
        let points: Vec<String> =
            values.enumerate().map(|(poll, value)| format!("{:.1},{:.1}", x(poll), self.y(value))).collect();
        format!("<polyline fill=\"none\" {style} points=\"{}\"/>\n", points.join(" "))
    }

    fn level(&self, value: f64, text: &str, style: &str) -> String {
        let y = self.y(value);
        format!(
            "<line x1=\"{LEFT}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\" {style}/>\n<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>\n",
            WIDTH - RIGHT,
            WIDTH - RIGHT,
            y - 5.0
        )
    }

    fn tick(&self, value: f64, text: &str) -> String {
        format!("<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>\n", LEFT - 6.0, self.y(value) + 4.0)
    }
}

fn x(poll: usize) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * (poll + 1) as f64 / f64::from(POLLS)
}

/// An SVG document.
pub(super) fn picture() -> String {
    let bad = Scenario { ratio: 2.0, polls: POLLS, seconds_per_poll: 10.0, ..Scenario::hour(100.0) };
    let good = Scenario { ratio: 1.0, ..bad.clone() };
    let bad = typical(&bad);
    let good: Vec<Run> = (100..120).map(|seed| run(&good, &plan(1), Lumps::Declared, seed)).collect();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 470\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>A release with twice the errors of stable, seen by a gate and by evidence</title>\n\
         <rect width=\"{WIDTH}\" height=\"470\" fill=\"#fff\"/>\n"
    );
    let rates = Panel { top: 30.0, height: 150.0, low: 0.0, high: 0.02 };
    let evidence = Panel { top: 225.0, height: 200.0, low: -3.0, high: 6.0 };
    let heading = |y: f64, text: &str| format!("<text x=\"{LEFT}\" y=\"{y}\" font-weight=\"bold\">{text}</text>\n");
    svg += &heading(20.0, "Errors of the last minute: stable 0.3 %, canary 0.6 %, 100 requests/s");
    svg += &rate_lines(&rates, &bad);
    svg += &heading(215.0, "Evidence E of the same release (red), and of 20 releases as good as stable (grey)");
    for run in &good {
        svg += &evidence.line(
            run.log_evidence.iter().map(|log| log / std::f64::consts::LN_10),
            "stroke=\"#999\" stroke-opacity=\"0.6\"",
        );
    }
    let decimal = bad.log_evidence.iter().map(|log| log / std::f64::consts::LN_10);
    svg += &evidence.line(decimal, "stroke=\"#c0392b\" stroke-width=\"2.5\"");
    svg += &evidence.level(
        20.0_f64.log10(),
        "abort at E = 20: falseAbortRate 0.05",
        "stroke=\"#222\" stroke-dasharray=\"6 4\"",
    );
    for (power, text) in [(-2, "0.01"), (0, "1"), (2, "100"), (4, "10 000"), (6, "1 000 000")] {
        svg += &evidence.tick(f64::from(power), text);
    }
    if let Some(poll) = bad.crosses(20.0_f64.ln()) {
        let (x, seconds) = (x(poll - 1), poll * 10);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"425\" stroke=\"#c0392b\" stroke-dasharray=\"2 3\"/>\n\
             <text x=\"{:.1}\" y=\"420\" fill=\"#c0392b\">aborted after {} min {:02} s</text>",
            rates.top,
            x + 5.0,
            seconds / 60,
            seconds % 60
        );
    }
    for minute in 0..=10 {
        let x = LEFT + (WIDTH - LEFT - RIGHT) * f64::from(minute) / 10.0;
        let _ = writeln!(svg, "<text x=\"{x:.0}\" y=\"442\" text-anchor=\"middle\">{minute}</text>");
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"462\" text-anchor=\"middle\">minutes; the canary's share grows from 5 % to 50 %</text>",
        (WIDTH + LEFT) / 2.0
    );
    svg + "</svg>\n"
}

/// The run that is aborted neither early nor late: the median of 201.
fn typical(scenario: &Scenario) -> Run {
    let mut runs: Vec<Run> = (0..201).map(|seed| run(scenario, &plan(1), Lumps::Declared, seed)).collect();
    runs.sort_by_key(|run| run.crosses(20.0_f64.ln()).unwrap_or(usize::MAX));
    runs.swap_remove(100)
}

fn rate_lines(panel: &Panel, run: &Run) -> String {
    type Side = fn(&serin_core::evidence::Stratum) -> serin_core::evidence::Arm;
    let rate = |side: Side, poll: usize| {
        let last = run.polls[poll.saturating_sub(5)..=poll].iter().flat_map(|poll| &poll.strata).map(side);
        let arm = last.fold(serin_core::evidence::Arm::default(), serin_core::evidence::Arm::plus);
        arm.events as f64 / arm.requests.max(1) as f64
    };
    let line = |side: Side, style: &str| panel.line((0..run.polls.len()).map(|poll| rate(side, poll)), style);
    let mut svg = line(|stratum| stratum.stable(), "stroke=\"#2c7fb8\" stroke-width=\"1.5\"");
    svg += &line(|stratum| stratum.canary(), "stroke=\"#c0392b\" stroke-width=\"1.5\"");
    svg += &panel.level(0.01, "a 99 % gate fails above this line", "stroke=\"#222\" stroke-dasharray=\"6 4\"");
    for (value, text) in [(0.0, "0 %"), (0.01, "1 %"), (0.02, "2 %")] {
        svg += &panel.tick(value, text);
    }
    svg
}
