//! Secrets leave no trace, whatever a source echoes.

use std::collections::BTreeMap;

use serde_json::json;
use serin_core::analysis::sample::{ArgValue, Semantics};
use serin_providers::{Answer, Sources};

use crate::fake::{Fake, Seen, measure, noon, reply};

const SECRET: &str = "s3cr\"t /+é";

/// Measures with the secret in a header, as password and in the query.
async fn ask(answer: impl Fn(&Seen) -> String + Send + Sync + 'static, status: u16) -> Answer {
    let provider = json!({"prometheus": {
        "address": "http://prometheus",
        "query": "up{token=\"{{args.token}}\", app=\"{{args.app}}\"}",
        "authentication": {"basicAuth": {"username": "me", "password": "{{args.token}}"}},
    }});
    let mut measure = measure(&provider, Semantics::Serin);
    let secret = ArgValue::Secret { name: "s".into(), key: "k".into() };
    measure.args = BTreeMap::from([("token".into(), secret), ("app".into(), ArgValue::Known("reviews".into()))]);
    let secrets = BTreeMap::from([("token".to_owned(), SECRET.to_owned())]);
    let fake = Fake::new(move |seen| reply(status, &answer(seen)));
    Sources::default().measure(&measure, &secrets, noon(), &fake).await
}

/// Checks that an answer shows `reviews`, stars, and no secret.
fn check(what: &str, answer: &Answer) {
    let text = format!("{:?}", (&answer.outcome, &answer.value, &answer.metadata));
    for part in ["s3cr", "%2F%2B", "czNjc", "bWU6c"] {
        assert!(!text.contains(part), "{what}: {text}");
    }
    assert!(text.contains("*****"), "{what}: {text}");
    assert!(text.contains("reviews"), "{what}: {text}");
}

#[tokio::test]
async fn secrets_that_are_echoed_are_redacted() {
    let error = |said: String| json!({"status": "error", "errorType": "bad_data", "error": said}).to_string();
    let echo = move |seen: &Seen| {
        error(format!("{} {:?} reviews {SECRET}", seen.body, seen.headers["authorization"].to_str()))
    };
    check("in an error", &ask(echo, 400).await);
    check("in a body that is no JSON", &ask(|seen| format!("reviews {} {SECRET}", seen.body), 500).await);
    let warning = |_: &Seen| {
        json!({"status": "success", "warnings": [format!("reviews {SECRET}")], "data": {"resultType": "vector", "result": []}})
            .to_string()
    };
    check("in a warning", &ask(warning, 200).await);
}

#[tokio::test]
async fn secrets_in_a_json_value_are_redacted_there_and_judged_as_they_are() {
    let provider = json!({"skywalking": {"address": "http://oap", "interval": "1m", "query": "{ version }"}});
    let mut measure = measure(&provider, Semantics::Argo);
    measure.args.insert("token".into(), ArgValue::Secret { name: "s".into(), key: "k".into() });
    let secrets = BTreeMap::from([("token".to_owned(), SECRET.to_owned())]);
    let fake = Fake::always(200, &json!({"data": {"version": SECRET}}).to_string());
    let answer = Sources::default().measure(&measure, &secrets, noon(), &fake).await;
    assert_eq!(answer.value, r#"{"version":"*****"}"#);
    assert!(format!("{:?}", answer.outcome).contains("s3cr"), "the condition sees the value");
}
