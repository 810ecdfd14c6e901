//! Any HTTP endpoint: what is asked for, and what answers mean.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Response};
use serde_json::{Value, json};
use serin_core::analysis::sample::{ArgValue, Semantics};
use serin_providers::{Answer, Sources, TransportErrorKind};

use crate::fake::{Fake, Reply, line, measure, noon, reply};

const URL: &str = "http://shop/health?key=hidden";

async fn ask(fields: Value, semantics: Semantics, fake: &Fake) -> Answer {
    let mut provider = json!({"url": URL});
    for (field, value) in fields.as_object().expect("fields") {
        provider[field] = value.clone();
    }
    let measure = measure(&json!({"web": provider}), semantics);
    Sources::default().measure(&measure, &BTreeMap::new(), noon(), fake).await
}

/// Checks the outcome's beginning and the value text of a JSONPath under our rules.
async fn check(what: &str, path: &str, fake: Fake, (outcome, value): (&str, &str)) {
    let fields = if path.is_empty() { json!({}) } else { json!({"jsonPath": path}) };
    let answer = ask(fields, Semantics::Serin, &fake).await;
    let got = line(&answer.outcome);
    assert!(got.starts_with(outcome), "{what}: {got}");
    assert!(!got.contains("hidden"), "{what}: {got}");
    assert_eq!(answer.value, value, "{what}");
}

/// Checks what Argo Rollouts' rules make of the same.
async fn check_argo(what: &str, path: &str, fake: Fake, outcome: &str) {
    let got = line(&ask(json!({"jsonPath": path}), Semantics::Argo, &fake).await.outcome);
    assert!(got.starts_with(outcome), "{what}: {got}");
}

fn json_reply(body: &'static str) -> Fake {
    Fake::new(move |_| {
        let reply = Response::builder().header("content-type", "application/json; charset=utf-8");
        Ok(reply.body(Bytes::from(body)).expect("valid by construction"))
    })
}

const BODY: &str = r#"{"data": {"ok": true, "rate": 0.99, "name": "x", "list": [{"v": 1}, {"v": 2}], "none": null}}"#;

#[tokio::test]
async fn the_part_at_the_path_is_measured_with_its_type() {
    let ok = || Fake::always(200, BODY);
    check("a number", "{$.data.rate}", ok(), ("measured Json(Number(0.99))", "0.99")).await;
    check("a whole number", "{$.data.list[0].v}", ok(), ("measured Json(Number(1))", "1")).await;
    check("a text", "{.data.name}", ok(), ("measured Json(String(\"x\"))", "\"x\"")).await;
    check("a truth", "{$.data.ok}", ok(), ("measured Json(Bool(true))", "true")).await;
    check("the first of several", "{$.data.list[*].v}", ok(), ("measured Json(Number(1))", "1")).await;
    check("an object", "{$.data.list[1]}", ok(), ("measured Json(Object {\"v\": Number(2)})", "{\"v\":2}")).await;
    check("null", "{$.data.none}", ok(), ("measured Json(Null)", "null")).await;
    for whole in ["", "{$}", "$"] {
        check("the whole", whole, Fake::always(201, "[1,2]"), ("measured Json(Array [Number(1), Number(2)])", "[1,2]"))
            .await;
    }
}

#[tokio::test]
async fn texts_are_measured_unless_json_was_meant() {
    let text = "measured Json(String(\"all is well\"))";
    check("a text", "", Fake::always(200, "all is well"), (text, "all is well")).await;
    check("nothing", "", Fake::always(204, ""), ("measured Json(String(\"\"))", "")).await;
    check("a page, if nobody wants a part of it", "", Fake::always(200, "<html>"), ("measured", "<html>")).await;
    check("a part of a text", "{$.a}", Fake::always(200, "all is"), ("down: The endpoint at http://shop/health", ""))
        .await;
    check("a part of a page", "{$.a}", Fake::always(200, "<html>"), ("wrong: The endpoint at http://shop/health", ""))
        .await;
    check("JSON that was cut", "", json_reply("{\"a\": "), ("down: The endpoint at http://shop/health", "")).await;
    check_argo("a text", "{$.a}", Fake::always(200, "all is well"), text).await;
}

#[tokio::test]
async fn an_answer_without_the_part_has_no_data() {
    let message = "no data: the answer of http://shop/health has nothing at {$.data.other}";
    check("our rules", "{$.data.other}", Fake::always(200, BODY), (message, "")).await;
    let argo = "wrong: Could not find JSONPath in body: the answer of http://shop/health has nothing at {$.data.other}";
    check_argo("theirs", "{$.data.other}", Fake::always(200, BODY), argo).await;
}

#[tokio::test]
async fn refusals_are_wrong_and_failures_are_down() {
    for (status, outcome) in [
        (
            400,
            "wrong: received non 2xx response code: 400; The endpoint at http://shop/health answered 400 Bad Request",
        ),
        (
            401,
            "wrong: received non 2xx response code: 401; The endpoint at http://shop/health answered 401 Unauthorized; check",
        ),
        (404, "wrong: received non 2xx response code: 404"),
        (302, "wrong: received non 2xx response code: 302"),
        (429, "down: received non 2xx response code: 429"),
        (503, "down: received non 2xx response code: 503; The endpoint at http://shop/health answered 503"),
    ] {
        check("a status", "", Fake::always(status, BODY), (outcome, "")).await;
    }
    for kind in
        [TransportErrorKind::Timeout, TransportErrorKind::Refused, TransportErrorKind::Dns, TransportErrorKind::Tls]
    {
        let down = "down: The endpoint at http://shop/health cannot be reached";
        check("no answer", "", Fake::failing(kind), (down, "")).await;
    }
}

#[tokio::test]
async fn the_request_is_as_the_metric_says() {
    let fake = Fake::always(200, "1");
    ask(json!({}), Semantics::Serin, &fake).await;
    let fields = json!({
        "method": "PUT", "jsonBody": {"a": [1]}, "timeoutSeconds": 3, "insecure": true,
        "headers": [{"key": "X-Team", "value": "a"}],
        "authentication": {"basicAuth": {"username": "me", "password": "p"}},
    });
    ask(fields, Semantics::Serin, &fake).await;
    let typed = json!([{"key": "Content-Type", "value": "application/x-ndjson"}]);
    ask(json!({"method": "POST", "body": "a\nb"}), Semantics::Serin, &fake).await;
    ask(json!({"method": "POST", "jsonBody": {}, "headers": typed}), Semantics::Serin, &fake).await;
    let seen = fake.seen();
    let header = |at: usize, name: &str| seen[at].headers.get(name).map(|v| v.to_str().expect("text").to_owned());
    assert_eq!((&seen[0].method, seen[0].url.as_str(), seen[0].body.as_str()), (&Method::GET, URL, ""));
    assert_eq!((seen[0].options.timeout.as_secs(), seen[0].options.insecure), (10, false));
    assert_eq!((&seen[1].method, seen[1].body.as_str()), (&Method::PUT, r#"{"a":[1]}"#));
    assert_eq!((seen[1].options.timeout.as_secs(), seen[1].options.insecure), (3, true));
    assert_eq!(header(1, "x-team").as_deref(), Some("a"));
    assert_eq!(header(1, "content-type").as_deref(), Some("application/json"));
    assert_eq!(header(1, "authorization").as_deref(), Some("Basic bWU6cA=="));
    assert_eq!((&seen[2].method, seen[2].body.as_str()), (&Method::POST, "a\nb"));
    assert_eq!(header(2, "content-type"), None);
    assert_eq!(header(3, "content-type").as_deref(), Some("application/x-ndjson"));
}

#[tokio::test]
async fn fields_that_cannot_be_used_are_wrong_and_nobody_is_asked() {
    let fake = Fake::always(200, "1");
    for (fields, expected) in [
        (json!({"url": "shop/health"}), "wrong: provider.web.url is no URL"),
        (json!({"method": "DELETE"}), "wrong: provider.web.method is DELETE; write GET, POST or PUT"),
        (json!({"body": "x"}), "wrong: provider.web.method must be POST or PUT when there is a body"),
        (
            json!({"method": "PUT", "body": "x", "jsonBody": {}}),
            "wrong: provider.web.body: use either body or jsonBody",
        ),
        (json!({"timeoutSeconds": -1}), "wrong: provider.web.timeoutSeconds is -1; write a positive number of seconds"),
        (json!({"jsonPath": "a.b"}), "wrong: provider.web.jsonPath: `a.b` cannot be read as JSONPath"),
        (json!({"headers": [{"key": "a b", "value": ""}]}), "wrong: provider.web.headers[0].key is not a name"),
        (
            json!({"authentication": {"oauth2": {"tokenUrl": "http://t"}}}),
            "wrong: provider.web.authentication.oauth2 is not supported yet",
        ),
    ] {
        let got = line(&ask(fields, Semantics::Serin, &fake).await.outcome);
        assert!(got.starts_with(expected), "{got}");
    }
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn secrets_in_url_headers_and_body_are_redacted() {
    let provider = json!({"web": {
        "url": "http://shop/{{args.token}}", "method": "POST", "body": "token={{args.token}}", "jsonPath": "{$.echo}",
        "headers": [{"key": "Authorization", "value": "Bearer {{args.token}}"}],
    }});
    let mut measure = measure(&provider, Semantics::Serin);
    measure.args.insert("token".into(), ArgValue::Secret { name: "s".into(), key: "k".into() });
    let secrets = BTreeMap::from([("token".to_owned(), "s3cret".to_owned())]);
    let echo = |status: u16| -> Box<dyn Fn(&str) -> Reply + Send + Sync> {
        Box::new(move |body: &str| reply(status, &json!({"echo": body}).to_string()))
    };
    for status in [200, 400, 500] {
        let answer_with = echo(status);
        let fake = Fake::new(move |seen| answer_with(&format!("{} {}", seen.url, seen.body)));
        let answer = Sources::default().measure(&measure, &secrets, noon(), &fake).await;
        let stored = format!("{} {:?}", answer.value, answer.metadata);
        assert!(!stored.contains("s3cret"), "{stored}");
        assert!(status == 200 || !line(&answer.outcome).contains("s3cret"), "{:?}", answer.outcome);
        assert_eq!(fake.seen()[0].headers["authorization"], "Bearer s3cret");
    }
}
