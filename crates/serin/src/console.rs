//! Where a subcommand writes to, and whether it may use colours there.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Write};

use clap::ValueEnum;
use owo_colors::{OwoColorize, Style};

use crate::exit::BadInput;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Standard output, and how to paint on it.
pub(crate) struct Console {
    out: Box<dyn Write>,
    is_terminal: bool,
    paint: Paint,
    error_paint: Paint,
}

impl Console {
    /// The console of this process.
    pub(crate) fn standard(when: When) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_terminal = io::stdout().is_terminal();
        Console {
            out: Box::new(BufWriter::new(io::stdout())),
            is_terminal,
            paint: Paint::new(when, is_terminal, no_color),
            error_paint: Paint::new(when, io::stderr().is_terminal(), no_color),
        }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> anyhow::Result<()> {
        Ok(writeln!(self.out, "{line}")?)
    }

    /// Writes a text as it is.
    pub(crate) fn write(&mut self, text: &str) -> anyhow::Result<()> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// Makes what was written visible.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.out.flush()?)
    }

    /// Whether somebody looks at this, rather than a file or a pipe.
    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// How to paint on standard output.
    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    /// Writes an error with all its causes to standard error.
    pub(crate) fn tell_error(&mut self, error: &anyhow::Error) {
        let head = self.error_paint.bad("error:");
        if let Some(bad) = error.downcast_ref::<BadInput>() {
            bad.errors().iter().for_each(|error| eprintln!("{head} {error}"));
            return;
        }
        eprintln!("{head} {error}");
        let mut last = error.to_string();
        for cause in error.chain().skip(1) {
            let text = cause.to_string();
            // Many errors already quote their cause.
            if !last.ends_with(&text) {
                eprintln!("  because: {text}");
            }
            last = text;
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("is_terminal", &self.is_terminal).finish_non_exhaustive()
    }
}

/// Colours that can be read on dark and on light ground, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// No colours.
    pub(crate) const PLAIN: Paint = Paint { on: false };

    fn new(when: When, is_terminal: bool, no_color: bool) -> Self {
        let on = match when {
            When::Auto => is_terminal && !no_color,
            When::Always => true,
            When::Never => false,
        };
        Paint { on }
    }

    /// Something good.
    pub(crate) fn good(self, text: &str) -> String {
        self.with(text, Style::new().green())
    }

    /// Something bad.
    pub(crate) fn bad(self, text: &str) -> String {
        self.with(text, Style::new().red().bold())
    }

    /// Something to look at.
    pub(crate) fn warn(self, text: &str) -> String {
        self.with(text, Style::new().yellow())
    }

    /// Something that moves.
    pub(crate) fn active(self, text: &str) -> String {
        self.with(text, Style::new().cyan())
    }

    /// Something of importance.
    pub(crate) fn strong(self, text: &str) -> String {
        self.with(text, Style::new().bold())
    }

    /// Something that may be overlooked.
    pub(crate) fn faint(self, text: &str) -> String {
        self.with(text, Style::new().dimmed())
    }

    /// A phase of a Rollout, an AnalysisRun, a metric or a measurement.
    pub(crate) fn phase(self, phase: &str) -> String {
        match phase {
            "Healthy" | "Successful" => self.good(phase),
            "Degraded" | "Failed" | "Error" => self.bad(phase),
            "Paused" | "Inconclusive" => self.warn(phase),
            _ => self.active(phase),
        }
    }

    fn with(self, text: &str, style: Style) -> String {
        if self.on && !text.is_empty() { text.style(style).to_string() } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_those_who_see_them() {
        let check = |case: &str, when, is_terminal, no_color, on| {
            assert_eq!(Paint::new(when, is_terminal, no_color), Paint { on }, "{case}");
        };
        check("on a terminal", When::Auto, true, false, true);
        check("not in a pipe", When::Auto, false, false, false);
        check("not for who does not like them", When::Auto, true, true, false);
        check("who asks for them gets them in a pipe, too", When::Always, false, true, true);
        check("who asks for none gets none", When::Never, true, false, false);
        assert_eq!(Paint::PLAIN.bad("x"), "x");
        assert_ne!(Paint { on: true }.bad("x"), "x");
    }
}
