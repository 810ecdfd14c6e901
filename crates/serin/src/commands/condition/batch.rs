//! Many conditions at once: JSON lines in, JSON lines out.

use std::io::BufRead;

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Form, result, verdict};
use crate::console::Console;

/// One line of input.
#[derive(Debug, Deserialize)]
struct Case {
    expression: String,
    #[serde(rename = "type")]
    form: Option<String>,
    result: Value,
}

/// Answers each line that is not blank by one line.
pub(super) fn run(input: &mut dyn BufRead, console: &mut Console) -> anyhow::Result<()> {
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        if !line.trim_ascii().is_empty() {
            console.line(answer(&line))?;
        }
        line.clear();
    }
    Ok(())
}

fn answer(line: &[u8]) -> Value {
    match judge(line) {
        Ok(verdict) => json!({"verdict": verdict.to_string()}),
        Err(message) => json!({"verdict": "error", "message": message}),
    }
}

fn judge(line: &[u8]) -> Result<bool, String> {
    let case: Case = serde_json::from_slice(line).map_err(|error| {
        format!("the line is no case of the form {{\"expression\": …, \"type\": …, \"result\": …}}: {error}")
    })?;
    let form = case.form.map(|form| Form::from_str(&form, false)).transpose();
    let form = form.map_err(|_| "type must be vec, scalar or json".to_owned())?;
    let result = match &case.result {
        Value::String(text) => result::read(text, form),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            result::convert(&case.result, form)
        }
    };
    let result = result.map_err(|message| format!("result: {message}"))?;
    verdict(&case.expression, &result).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(case: &str, line: &str, verdict: &str) {
        let answer = answer(line.as_bytes());
        assert_eq!(answer["verdict"], verdict, "{case}: {answer}");
        assert_eq!(answer["message"].is_string(), verdict == "error", "{case}: {answer}");
    }

    #[test]
    fn every_line_gets_a_verdict() {
        check("JSON in a string", r#"{"expression": "result[0] > 1", "type": "vec", "result": "[2]"}"#, "true");
        check("plain JSON", r#"{"expression": "result[0] > 1", "type": "vec", "result": [1]}"#, "false");
        check("no type", r#"{"expression": "result > 1", "result": 2}"#, "true");
        check("an unknown type", r#"{"expression": "true", "type": "matrix", "result": 2}"#, "error");
        check("a bad condition", r#"{"expression": "result >", "type": "scalar", "result": 2}"#, "error");
        check("no result", r#"{"expression": "true"}"#, "error");
        check("no JSON", "true", "error");
        check("not even text", "\u{fffd}", "error");
    }
}
