//! What a program of Go's testing package writes with `-test.v`: how a test ended, and why it failed.

/// How much of a reason is told.
const REASON_LETTERS_MAX: usize = 160;

/// How a test ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ending {
    pub(super) seconds: f64,
    /// Why it failed; absent if it passed.
    pub(super) failure: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Pass,
    Fail,
    Skip,
}

/// How the test SUITE/TEST ended, of which the program wrote this.
pub(super) fn ending(name: &str, said: &str) -> Ending {
    let (failure, seconds) = match said.lines().find_map(|line| marked(line, name)) {
        Some((Mark::Pass, seconds)) => (None, seconds),
        Some((Mark::Fail, seconds)) => (Some(reason(said)), seconds),
        Some((Mark::Skip, seconds)) => (Some(format!("skipped itself: {}", reason(said))), seconds),
        None => (Some(format!("did not end: {}", reason(said))), 0.0),
    };
    Ending { seconds, failure }
}

/// The mark that a line gives this test, and the seconds that it took.
fn marked(line: &str, name: &str) -> Option<(Mark, f64)> {
    [("--- PASS: ", Mark::Pass), ("--- FAIL: ", Mark::Fail), ("--- SKIP: ", Mark::Skip)].iter().find_map(
        |(text, mark)| {
            // What a test writes without an end of line is in front of it.
            let (_, rest) = line.split_once(text)?;
            let (marked, seconds) = rest.trim_end().split_once(" (")?;
            let seconds = seconds.trim_end_matches("s)").parse().unwrap_or(0.0);
            (marked == name).then_some((*mark, seconds))
        },
    )
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

    fn check(sentence: &str, text: &str, expected: Option<&str>) {
        assert_eq!(ending("TestA/One", text).failure.as_deref(), expected, "{sentence}");
    }

    #[test]
    fn the_end_of_a_test_is_read() {
        check("a test that passes", "=== RUN   TestA/One\n    --- PASS: TestA/One (1.50s)\n", None);
        check(
            "a message is the reason",
            "    common.go:72: timed out\n    --- FAIL: TestA/One (90.00s)\n",
            Some("timed out"),
        );
        check(
            "an assertion's message is below its place",
            "    a_test.go:9: \n        \tError Trace:\ta_test.go:9\n        \tError:      \tNot equal:\n        \t            \texpected: 1\n        \tTest:       \tTestA/One\nlater\n    --- FAIL: TestA/One (2.00s)\n",
            Some("Not equal: expected: 1"),
        );
        check(
            "an error of the log comes with the warning before it",
            concat!(
                "time=\"now\" level=warning msg=\"saw: \\\"2\\\"\"\n",
                "time=\"now\" level=error msg=\"not met\" rollout=a\n",
                "    --- FAIL: TestA/One (2.00s)\n"
            ),
            Some("saw: \"2\": not met"),
        );
        check(
            "what was written before without an end of line does not hide the mark",
            "rollout patched    --- PASS: TestA/One (1.50s)\n",
            None,
        );
        check("a test that never ended", "panic: no\nlater\n", Some("did not end: panic: no"));
        check(
            "another test's end is not this one's",
            "    --- PASS: TestA/OneMore (1.50s)\n",
            Some("did not end:     --- PASS: TestA/OneMore (1.50s)"),
        );
        check(
            "a test that skips itself has not passed",
            "    a_test.go:5: no Istio\n    --- SKIP: TestA/One (0.00s)\n",
            Some("skipped itself: no Istio"),
        );
    }

    #[test]
    fn seconds_are_read() {
        assert_eq!(ending("TestA/One", "    --- PASS: TestA/One (12.34s)\n").seconds.to_string(), "12.34");
    }
}
