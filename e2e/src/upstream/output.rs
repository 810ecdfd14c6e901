//! What a program of Go's testing package writes with `-test.v`: which test begins, how each ended, and why it failed.

use std::collections::BTreeMap;

/// How much of a reason is told.
const REASON_LETTERS_MAX: usize = 160;

/// How a test ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ending {
    pub(super) seconds: f64,
    /// Why it failed; absent if it passed.
    pub(super) failure: Option<String>,
}

impl Ending {
    /// Of a test that the program never came to.
    pub(super) fn missing() -> Self {
        Self { seconds: 0.0, failure: Some("did not run: the suite ended before".to_owned()) }
    }
}

/// The marks that ends were told by, and their seconds, by SUITE/TEST.
#[derive(Debug, Default)]
pub(super) struct Endings(BTreeMap<String, (Mark, f64)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Pass,
    Fail,
    Skip,
}

impl Endings {
    /// Reads one line, which may be about anything.
    pub(super) fn read(&mut self, line: &str) {
        for (text, mark) in [("--- PASS: ", Mark::Pass), ("--- FAIL: ", Mark::Fail), ("--- SKIP: ", Mark::Skip)] {
            // What a test writes without an end of line is in front of it.
            let Some((_, rest)) = line.split_once(text) else { continue };
            let Some((name, seconds)) = rest.trim_end().split_once(" (") else { continue };
            let seconds = seconds.trim_end_matches("s)").parse().unwrap_or(0.0);
            self.0.insert(name.to_owned(), (mark, seconds));
        }
    }

    /// How this test ended, which wrote this.
    pub(super) fn of(&self, name: &str, said: &str) -> Ending {
        let reason = || reason(said);
        let (failure, seconds) = match self.0.get(name) {
            Some((Mark::Pass, seconds)) => (None, *seconds),
            Some((Mark::Fail, seconds)) => (Some(reason()), *seconds),
            Some((Mark::Skip, seconds)) => (Some(format!("skipped itself: {}", reason())), *seconds),
            None => (Some(format!("did not end: {}", reason())), 0.0),
        };
        Ending { seconds, failure }
    }
}

/// The test that begins with this line. Parts of tests do not count.
pub(super) fn begins(line: &str) -> Option<&str> {
    let (_, name) = line.split_once("=== RUN   ")?;
    let name = name.trim_end();
    (name.matches('/').count() == 1).then_some(name)
}

/// The first message of a test, in a line: a sentence after a place in the source, what an assertion says below it, or the first
/// error of its log, with the last warning before it.
fn reason(said: &str) -> String {
    let mut warning = None;
    let mut lines = said.lines();
    while let Some(line) = lines.next() {
        warning = logged(line, "warning").or(warning);
        if let Some(error) = logged(line, "error").or_else(|| logged(line, "fatal")) {
            return shortened(&warning.map_or(error.clone(), |warning| format!("{warning}: {error}")));
        }
        let Some(message) = message(line) else { continue };
        if !message.is_empty() {
            return shortened(message);
        }
        let assertion = lines.by_ref().map(str::trim).skip_while(|line| !line.starts_with("Error:"));
        let words = assertion.take_while(|line| !line.starts_with("Test:")).flat_map(str::split_whitespace).skip(1);
        return shortened(&words.collect::<Vec<_>>().join(" "));
    }
    let last = said.lines().rev().find(|line| line.contains("panic:"));
    shortened(last.or_else(|| said.lines().next_back()).unwrap_or("it said nothing"))
}

/// What a line of the suite's log says on this level.
fn logged(line: &str, level: &str) -> Option<String> {
    let (_, message) = line.split_once(&format!(" level={level} msg="))?;
    let Some(quoted) = message.strip_prefix('"') else { return message.split(' ').next().map(str::to_owned) };
    let quoted = quoted.replace("\\\"", "\u{1}");
    quoted.split('"').next().map(|text| text.replace('\u{1}', "\""))
}

/// What follows `file.go:12: ` at the begin of a line.
fn message(line: &str) -> Option<&str> {
    let (file, rest) = line.trim_start().split_once(".go:")?;
    let (number, message) = rest.split_once(':')?;
    let is_place = !file.contains(char::is_whitespace) && number.parse::<u32>().is_ok() && line.starts_with("    ");
    is_place.then(|| message.trim())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(REASON_LETTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(sentence: &str, text: &str, expected: Option<&str>) {
        let mut endings = Endings::default();
        text.lines().for_each(|line| endings.read(line));
        let ending = endings.of("TestA/One", text);
        assert_eq!(ending.failure.as_deref(), expected, "{sentence}");
    }

    #[test]
    fn the_end_of_a_test_is_read() {
        ending("a test that passes", "=== RUN   TestA/One\n    --- PASS: TestA/One (1.50s)\n", None);
        ending(
            "a message is the reason",
            "    common.go:72: timed out\n    --- FAIL: TestA/One (90.00s)\n",
            Some("timed out"),
        );
        ending(
            "an assertion's message is below its place",
            "    a_test.go:9: \n        \tError Trace:\ta_test.go:9\n        \tError:      \tNot equal:\n        \t            \texpected: 1\n        \tTest:       \tTestA/One\nlater\n    --- FAIL: TestA/One (2.00s)\n",
            Some("Not equal: expected: 1"),
        );
        ending(
            "an error of the log comes with the warning before it",
            concat!(
                "time=\"now\" level=warning msg=\"saw: \\\"2\\\"\"\n",
                "time=\"now\" level=error msg=\"not met\" rollout=a\n",
                "    --- FAIL: TestA/One (2.00s)\n"
            ),
            Some("saw: \"2\": not met"),
        );
        ending(
            "what was written before without an end of line does not hide the mark",
            "rollout patched    --- PASS: TestA/One (1.50s)\n",
            None,
        );
        ending("a test that never ended", "panic: no\nlater\n", Some("did not end: panic: no"));
        ending(
            "another test's end is not this one's",
            "    --- PASS: TestA/OneMore (1.50s)\n",
            Some("did not end:     --- PASS: TestA/OneMore (1.50s)"),
        );
        ending(
            "a test that skips itself has not passed",
            "    a_test.go:5: no Istio\n    --- SKIP: TestA/One (0.00s)\n",
            Some("skipped itself: no Istio"),
        );
    }

    #[test]
    fn seconds_are_read() {
        let mut endings = Endings::default();
        endings.read("    --- PASS: TestA/One (12.34s)\n");
        assert_eq!(endings.of("TestA/One", "").seconds.to_string(), "12.34");
    }

    #[test]
    fn tests_begin_but_suites_and_parts_do_not() {
        assert_eq!(begins("=== RUN   TestA/One\n"), Some("TestA/One"));
        assert_eq!(begins("no end of line=== RUN   TestA/One\n"), Some("TestA/One"));
        assert_eq!(begins("=== RUN   TestA\n"), None);
        assert_eq!(begins("=== RUN   TestA/One/part\n"), None);
        assert_eq!(begins("=== PAUSE TestA/One\n"), None);
    }
}
