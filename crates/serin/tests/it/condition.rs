//! `serin condition`.

use serde_json::Value;

use crate::program::{code, serin, serin_with_input, stderr, stdout};

/// Recorded verdicts of the reference implementation, one a line.
const CASES: &str = include_str!("../../../core/tests/data/condition_cases.jsonl");

#[test]
fn a_batch_gets_the_recorded_verdicts() {
    let output = serin_with_input(&["condition", "--batch"], CASES);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let answers: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let cases: Vec<Value> = CASES.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((cases.len(), answers.len()), (712, 712));
    for (case, answer) in cases.iter().zip(&answers) {
        assert_eq!(case["verdict"], answer["verdict"], "{case} {answer}");
        assert_eq!(answer["message"].is_string(), answer["verdict"] == "error", "{answer}");
    }
}

#[test]
fn lines_that_are_no_cases_are_answered_too() {
    let good = r#"{"expression": "result > 1", "type": "scalar", "result": 2}"#;
    let output = serin_with_input(&["condition", "--batch"], &format!("nonsense\n{good}\n[]\n"));
    let lines: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let verdicts: Vec<&str> = lines.iter().filter_map(|line| line["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["error", "true", "error"]);
}

#[track_caller]
fn check(case: &str, arguments: &[&str], wanted: (i32, &str, &str)) {
    let output = serin(&[&["condition"], arguments].concat());
    let (out, err) = (stdout(&output), stderr(&output));
    assert_eq!(code(&output), wanted.0, "{case}: {out}{err}");
    assert_eq!(out.trim_end(), wanted.1, "{case}");
    assert!(err.contains(wanted.2), "{case}: {err}");
}

#[test]
fn one_condition_gives_one_verdict() {
    check("true", &["result[0] >= 0.95", "--result", "[0.99]"], (0, "true", ""));
    check("false", &["result[0] >= 0.95", "--result", "[0.9]", "--type", "vec"], (1, "false", ""));
    check("a negative result", &["result < 0", "--result", "-1"], (0, "true", ""));
    check("a special number", &["isNaN(result)", "--result", "NaN", "--type", "scalar"], (0, "true", ""));
    check("an error is shown where it is", &["result[0] >= ", "--result", "[1]"], (2, "", "\n  result[0] >= \n"));
    check("no vector", &["true", "--result", "{}", "--type", "vec"], (2, "", "error: --result: `{}` is no list"));
    check("no result", &["true"], (2, "", "--result"));
    check("a batch has no expression", &["--batch", "true"], (2, "", "--batch"));
}
