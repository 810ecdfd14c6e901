//! Conditions against recorded verdicts of the reference implementation, positions of errors, the sandbox, and fuzzing.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use serin_core::analysis::condition::{Condition, ConditionErrorKind, MetricResult, evaluate_time};

/// One JSON object a line: expression, result, type of the result, verdict.
const CASES: &str = include_str!("../data/condition_cases.jsonl");

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("test data")
}

fn number(json: &serde_json::Value) -> f64 {
    match json.as_str() {
        Some("NaN") => f64::NAN,
        Some("+Inf") => f64::INFINITY,
        Some("-Inf") => f64::NEG_INFINITY,
        Some(other) => panic!("{other} is no number"),
        None => json.as_f64().expect("test data"),
    }
}

fn result(kind: &str, text: &str) -> MetricResult {
    let json: serde_json::Value = serde_json::from_str(text).expect("test data");
    match kind {
        "vec" => MetricResult::Vector(json.as_array().expect("test data").iter().map(number).collect()),
        "scalar" => MetricResult::Scalar(number(&json)),
        "json" => MetricResult::Json(json),
        other => panic!("unknown type {other}"),
    }
}

fn verdict(expression: &str, result: &MetricResult) -> &'static str {
    match Condition::parse(expression).and_then(|condition| condition.evaluate(result, now())) {
        Ok(true) => "true",
        Ok(false) => "false",
        Err(_) => "error",
    }
}

#[test]
fn every_recorded_verdict_is_ours_too() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for line in CASES.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("test data");
        let field = |name: &str| case[name].as_str().expect("test data").to_owned();
        let ours = verdict(&field("expression"), &result(&field("type"), &field("result")));
        if ours != field("verdict") {
            wrong.push(format!("{ours} instead of {line}"));
        }
        count += 1;
    }
    assert_eq!(count, 712);
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn isolated_rules() {
    let document =
        r#"{"code": 200, "name": "hello", "list": [1, 2, 3], "rows": [{"v": 9}, {"v": 7, "x": 1}], "z": null}"#;
    let check = |sentence: &str, expression: &str, wanted: &str| {
        assert_eq!(verdict(expression, &result("json", document)), wanted, "{sentence}: {expression}");
    };
    check("comparisons chain", "1 < 2 <= 2 < 3", "true");
    check("a chain compares neighbours, not the result", "3 > 2 > 2", "false");
    check("`x && false` never evaluates x", "result.list[9] > 1 && false", "false");
    check("an index out of range is an error", "result.list[9] != 1", "error");
    check("negative indexes count from the end", "result.list[-1] == 3", "true");
    check("slices clamp", "result.list[1:9] == [2, 3]", "true");
    check("a missing field is nil", "result.missing == nil", "true");
    check("a field of nil is an error", "result.missing.deep == nil", "error");
    check("one `?.` guards the rest of the chain", "result.z?.a.b.c == nil", "true");
    check("predicates must be bool", "all(result.list, #)", "error");
    check("a literal list of strings demands a string", "result.code in [\"a\"]", "error");
    check(
        "combined quantifiers meet errors in the order of the elements",
        "any(result.rows, .x > 0) || any(result.rows, .v > 8)",
        "error",
    );
    check("numbers inside maps compare with their type", "{\"a\": 1} == {\"a\": 1.0}", "false");
    check("numbers inside lists compare by value", "[1] == [1.0]", "true");
    check("nan is never equal", "0/0 == 0/0", "false");
    check("keys of groups have a type", "groupBy(result.list, asInt(#))[1] == nil", "true");
    check("pipes call functions", "result.list | filter(# > 1) | len() == 2", "true");
    check("regular expressions are Go's", "\"a{b\" matches \"a{b\" and not (\"٣\" matches \"\\\\d\")", "true");
    check("look-ahead does not exist", "\"x\" matches \"(?=x)\"", "error");
    check("strings are never numbers", "\"1\" < 2", "error");
    check("now is the moment of the measurement", "now() - date(\"2026-09-21\") > duration(\"1h\")", "true");
    check("durations have methods", "duration(\"90s\").Minutes() == 1.5", "true");
    check("an unknown name is an error even where it is not reached", "true || unknown", "error");
    check("nodes may be literally impossible", "false && 1 % 0 == 1", "error");
    check("conversions print as Go does", "string(1e6) == \"1e+06\" and string([1.5, nil]) == \"[1.5 <nil>]\"", "true");
    check("json is printed as Go does", "toJSON({\"a\": \"<\"}) == \"{\\n  \\\"a\\\": \\\"\\\\u003c\\\"\\n}\"", "true");
    check("text goes to base64 and back", "fromBase64(toBase64(\"héllo\")) == \"héllo\"", "true");
    check("byte literals are refused", "b\"a\" == \"a\"", "error");
    check("other time zones are refused", "timezone(\"Europe/Berlin\") != nil", "error");
}

#[test]
fn helpers_look_at_the_metric_result_whatever_their_argument() {
    let check = |sentence: &str, expression: &str, result: &MetricResult, wanted: &str| {
        assert_eq!(verdict(expression, result), wanted, "{sentence}: {expression}");
    };
    let (nil, empty) = (MetricResult::Nil, MetricResult::Vector(Vec::new()));
    check("no result is nil", "isNil(1)", &nil, "true");
    check("an empty list is a result", "isNil(nil)", &empty, "false");
    check("default replaces no result", "default(1, 5) == 5", &nil, "true");
    check("default keeps a result", "default(nil, 5) == 5", &MetricResult::Scalar(1.0), "false");
    check("a list is not a number", "isNaN(result)", &empty, "error");
    check("a literal integer counts as a float", "isNaN(1) || isInf(-1)", &nil, "false");
    check("asInt gives no float", "isNaN(asInt(1))", &nil, "error");
}

#[test]
fn errors_say_where_and_what() {
    use ConditionErrorKind::{Limit, Parse, Runtime, Type};
    let check = |expression: &str, kind: ConditionErrorKind, line: usize, column: usize, part: &str| {
        let found = Condition::parse(expression)
            .and_then(|condition| condition.evaluate(&MetricResult::Vector(vec![1.0]), now()))
            .expect_err(expression);
        assert_eq!((found.kind, found.line, found.column), (kind, line, column), "{expression}: {found}");
        assert!(found.message.contains(part), "{expression}: {found}");
        assert_eq!(found.to_string(), format!("{} ({line}:{column})", found.message));
    };
    check("result[0] >", Parse, 1, 11, "unexpected end");
    check("result[0] > 1\n  && )", Parse, 2, 6, "unexpected token )");
    check("'abc", Parse, 1, 5, "not terminated");
    check("'a\\q'", Parse, 1, 3, "escape");
    check("result @ 1", Parse, 1, 8, "unrecognized");
    check("true || nope", Type, 1, 9, "unknown name nope");
    check("result[0]", Type, 1, 7, "expected bool, but got float64");
    check("result == 'x'", Type, 1, 8, "mismatched types []float64 and string");
    check("result[0] > 0 && len(1) > 0", Type, 1, 18, "invalid argument for len");
    check("result[3] > 0", Runtime, 1, 7, "index out of range");
    check("len(1..1000000) > 0", Limit, 1, 6, "memory budget");
    check("let result = 1; true", Type, 1, 5, "cannot redeclare");
    check("1 ?? 2 == 1", Parse, 1, 8, "cannot be mixed");
}

#[test]
fn absence_is_handled_only_by_a_call() {
    let check = |expression: &str, wanted: bool| {
        assert_eq!(Condition::parse(expression).expect("test data").handles_absence(), wanted, "{expression}");
    };
    check("len(result) > 0 && result[0] > 1", true);
    check("result | len() > 0", true);
    check("isNil(result)", true);
    check("any(result, isNaN(#))", true);
    check("isInf(result)", true);
    check("default(result, 0) < 1", true);
    check("result.len == 1", false);
    check("result == \"len(\" // len(result)", false);
    check("result[0] >= 0.95", false);
}

#[test]
fn times_are_computed_from_the_given_moment() {
    let five = TimeDelta::minutes(5);
    assert_eq!(evaluate_time("now() - duration(\"5m\")", now()), Ok(now() - five));
    assert_eq!(evaluate_time("now().Add(duration('-5m'))", now()), Ok(now() - five));
    assert_eq!(
        evaluate_time("date('2024-01-02T03:04:05+01:00')", now()).expect("test data").timestamp(),
        1_704_161_045
    );
    let not_a_time = evaluate_time("1 + 1", now()).unwrap_err();
    assert!(not_a_time.message.contains("expected time.Time"), "{not_a_time}");
    assert!(evaluate_time("result", now()).unwrap_err().message.contains("unknown name"));
}

/// Runs on a thread of 2 MiB, as the runtime's workers are.
fn on_a_small_stack(expression: String, result: MetricResult) -> Option<ConditionErrorKind> {
    let run = move || {
        Condition::parse(&expression).and_then(|condition| condition.evaluate(&result, now())).err().map(|e| e.kind)
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).expect("test data").join().expect("no panic")
}

#[test]
fn hostile_expressions_end_in_an_error() {
    let nested = |open: &str, middle: &str, close: &str, count: usize| {
        format!("{}{middle}{}", open.repeat(count), close.repeat(count))
    };
    let huge = "x".repeat(100_000);
    let cases = [
        ("a range without end", "len(1..9223372036854775807) > 0".to_owned()),
        ("a range from the least integer", "len(-9223372036854775807-1..9223372036854775807) > 0".to_owned()),
        ("5,000 parentheses", nested("(", "true", ")", 5_000)),
        ("5,000 brackets", nested("[", "1", "]", 5_000)),
        ("5,000 negations", nested("!", "true", "", 5_000)),
        ("5,000 powers", nested("1**", "1", "", 5_000)),
        ("5,000 sums", nested("1+", "1", "", 5_000)),
        ("5,000 fields", nested("", "result", ".a", 5_000)),
        ("5,000 conditionals", nested("true ? true : ", "true", "", 5_000)),
        ("5,000 declarations", (0..5_000).map(|i| format!("let a{i} = 1; ")).collect::<String>() + "true"),
        ("5,000 calls", nested("len(", "1", ")", 5_000)),
        ("comparisons that share operands", nested("(1 < ", "1", " < 1)", 60)),
        ("20,000 elements", format!("len([{}]) > 0", "1,".repeat(20_000))),
        ("loops in loops", "all(1..999, all(1..999, all(1..999, all(1..999, true))))".to_owned()),
        ("text that doubles", "len(reduce(1..100, #acc + #acc, \"ab\")) > 0".to_owned()),
        ("lists that double", "len(reduce(1..100, concat(#acc, #acc), [1])) > 0".to_owned()),
        ("lists in lists", "len(reduce(1..100000, [#acc], [])) > 0".to_owned()),
        ("maps in maps", "len(reduce(1..100000, {\"a\": #acc}, {})) > 0".to_owned()),
        ("repetition", "len(repeat(repeat(\"abc\", 1000), 100000)) > 0".to_owned()),
        ("replacement", "len(replace(repeat(\"a\", 9999), \"\", repeat(\"b\", 99999))) > 0".to_owned()),
        ("a regular expression that explodes", "\"a\" matches \"((a{1000}){1000}){1000}\"".to_owned()),
        ("regular expressions in a loop", "none(1..9999, \"a\" matches string(#) + \"(a|b)*\")".to_owned()),
        ("a long pattern", format!("\"x\" matches \"{}\"", "(".repeat(9_999))),
        ("long text read again and again", format!("count(1..300000, len(\"{huge}\") > 0) > 0")),
        ("a flood of unique elements", "len(uniq(1..99999)) > 0".to_owned()),
    ];
    for (sentence, expression) in cases {
        let found = on_a_small_stack(expression, MetricResult::Scalar(1.0));
        assert!(found.is_some(), "{sentence} must end in an error");
    }
}

#[test]
fn what_is_just_within_the_limits_works() {
    let check = |expression: String, wanted: bool| {
        let verdict = std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(move || Condition::parse(&expression)?.evaluate(&MetricResult::Scalar(1.0), now()))
            .expect("test data")
            .join()
            .expect("no panic");
        assert_eq!(verdict, Ok(wanted));
    };
    check(format!("{}true{}", "(".repeat(120), ")".repeat(120)), true);
    check(format!("{}true", "!".repeat(120)), true);
    check(format!("{}1 > 5", "1 + ".repeat(120)), true);
    check(format!("{}1{} != nil", "[".repeat(120), "]".repeat(120)), true);
    check("len(1..999998) == 999998".to_owned(), true);
    check("5 in 1..9223372036854775807".to_owned(), true);
    let deep = (0..120).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
    let same =
        Condition::parse("result == result && toJSON(result) != \"\" && flatten(result) == [1]").expect("test data");
    assert_eq!(same.evaluate(&MetricResult::Json(deep), now()), Ok(true));
}

fn expressions() -> Vec<String> {
    let cases = CASES.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("test data"));
    let mut all: Vec<_> = cases.map(|case| case["expression"].as_str().expect("test data").to_owned()).collect();
    all.sort();
    all.dedup();
    all
}

fn results() -> Vec<MetricResult> {
    vec![
        MetricResult::Nil,
        MetricResult::Scalar(f64::NAN),
        MetricResult::Vector(vec![0.5, f64::INFINITY]),
        MetricResult::Vector(Vec::new()),
        result("json", r#"{"code": 200, "list": [1, "a", null], "foo": {"bar": 1}, "name": "héllo"}"#),
    ]
}

/// Evaluating must end, in whatever way; a verdict must repeat.
fn survive(expression: &str) {
    if let Ok(condition) = Condition::parse(expression) {
        for result in results() {
            assert_eq!(condition.evaluate(&result, now()), condition.evaluate(&result, now()), "{expression}");
        }
    }
    if let Err(error) = Condition::parse(expression) {
        assert!(error.line >= 1 && error.column >= 1, "{expression}: {error}");
    }
    let _ = evaluate_time(expression, now());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,60}") {
        survive(&text);
    }

    #[test]
    fn arbitrary_tokens_never_panic(tokens in prop::collection::vec(prop::sample::select(vec![
        "result", "(", ")", "[", "]", "{", "}", ".", "?.", "??", "..", ",", ":", ";", "#", "#acc", "|", "&&", "||", "!",
        "not", "in", "let", "x", "=", "==", "<", "+", "-", "*", "**", "%", "/", "?", "if", "else", "1", "0.5", "'a'",
        "nil", "true", "len(", "map(", "all(", "reduce(", "sort(", "get(", "now()", "duration(", "string(", "matches",
        "9223372036854775807", "toJSON(", "first(", "split(", "max(", "date(",
    ]), 0..25)) {
        survive(&tokens.join(" "));
    }

    #[test]
    fn mutated_conditions_never_panic(
        expression in prop::sample::select(expressions()),
        other in prop::sample::select(expressions()),
        cut in any::<prop::sample::Index>(),
        paste in any::<prop::sample::Index>(),
        noise in prop::option::of(any::<char>()),
    ) {
        let head: Vec<char> = expression.chars().collect();
        let tail: Vec<char> = other.chars().collect();
        let mixed: String = head.iter().take(cut.index(head.len() + 1)).copied().chain(noise)
            .chain(tail.iter().skip(paste.index(tail.len() + 1)).copied()).collect();
        survive(&mixed);
    }
}
