//! What the binary says of flags and variables that it cannot use.

use crate::processes::command;

/// It does not start, and says why.
async fn check(subcommand: &str, variables: &[(&str, &str)], named: &str) {
    let output = command(subcommand, variables).output().await.expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains(named), "{named} is not in: {error}");
}

#[tokio::test]
async fn a_bad_variable_is_named() {
    check("serve", &[], "VERSION").await;
    for (name, value) in [
        ("VERSION", "two words"),
        ("PORT", "99999"),
        ("LISTEN", "here"),
        ("ERROR_RATE", "1.5"),
        ("ERROR_RATE", ""),
        ("LATENCY", "fast"),
        ("LATENCY_RATE", "-1"),
        ("READY_AFTER", "soon"),
        ("CRASH_AFTER", "-5"),
        ("DRAIN", "1d"),
    ] {
        check("serve", &[("VERSION", "v1"), (name, value)], name).await;
    }
    check("load", &[], "TARGET").await;
    for (name, value) in [
        ("TARGET", "https://a"),
        ("HOST", "a b"),
        ("HEADER", "x-team"),
        ("RATE", "0"),
        ("TIMEOUT", "0"),
        ("PORT", "x"),
        ("FRESH", "perhaps"),
        ("PAUSED", "2"),
        ("CONNECTIONS", "0"),
    ] {
        check("load", &[("TARGET", "http://a"), (name, value)], name).await;
    }
}
