//! What happens, as one line of JSON each on the standard output.

use std::io::Write;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

/// Writes a line: the time, the name of the event, and the fields of `fields`.
pub(crate) fn event(name: &'static str, fields: impl Serialize) {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    if let Ok(line) = serde_json::to_string(&Line { time, event: name, fields }) {
        // Nobody reading is no reason to stop.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}

#[derive(Serialize)]
struct Line<F> {
    time: String,
    event: &'static str,
    #[serde(flatten)]
    fields: F,
}
