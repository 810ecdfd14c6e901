//! Prometheus: what is asked for, and what answers mean.

use http::Method;
use serde_json::{Value, json};
use serin_core::analysis::sample::Semantics;
use serin_providers::{Answer, Defaults, Sources, TransportErrorKind};

use crate::fake::{Fake, line, measure, noon, reply};

async fn ask(fields: Value, fake: &Fake) -> Answer {
    let defaults = Defaults { prometheus_address: Some("http://default:9090".into()) };
    let measure = measure(&json!({ "prometheus": fields }), Semantics::Serin);
    Sources::new(defaults).measure(&measure, &Default::default(), noon(), fake).await
}

fn plain() -> Value {
    json!({"address": "http://prometheus:9090", "query": "up"})
}

/// Checks the outcome's beginning and the value text.
async fn check(what: &str, fake: Fake, (outcome, value): (&str, &str)) {
    let answer = ask(plain(), &fake).await;
    let got = line(&answer.outcome);
    assert!(got.starts_with(outcome), "{what}: {got}");
    assert_eq!(answer.value, value, "{what}");
}

fn success(kind: &str, result: &str) -> Fake {
    Fake::always(200, &format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#))
}

#[tokio::test]
async fn results_are_measured() {
    let vector = r#"[{"metric":{"pod":"b"},"value":[1763726440.1,"0.99"]},{"metric":{},"value":[1763726440,"1e-7"]}]"#;
    let odd = r#"[{"metric":{},"value":[1,"NaN"]},{"metric":{},"value":[1,"+Inf"]},{"metric":{},"value":[1,"-Inf"]}]"#;
    let matrix = r#"[{"metric":{"a":"1"},"values":[[1,"1"],[2,"2"]]},{"metric":{},"values":[[1,"3.5"]]}]"#;
    check("a scalar", success("scalar", r#"[1,"0.5"]"#), ("measured Scalar(0.5)", "0.5")).await;
    check("no number", success("scalar", r#"[1,"NaN"]"#), ("measured Scalar(NaN)", "NaN")).await;
    check("a vector keeps its order", success("vector", vector), ("measured Vector([0.99, 1e-7])", "[0.99,0.0000001]"))
        .await;
    check("odd numbers", success("vector", odd), ("measured Vector([NaN, inf, -inf])", "[NaN,+Inf,-Inf]")).await;
    check("an empty vector is a result", success("vector", "[]"), ("measured Vector([])", "[]")).await;
    check("a matrix is flat", success("matrix", matrix), ("measured Vector([1.0, 2.0, 3.5])", "[1,2,3.5]")).await;
    check("large numbers", success("scalar", r#"[1,"1e21"]"#), ("measured", "1000000000000000000000")).await;
    let stats = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"2"],"stats":{"seriesFetched":"1"}},
        "isPartial":false,"stats":{"seriesFetched":"1"}}"#;
    check("statistics of other servers", Fake::always(200, stats), ("measured Scalar(2.0)", "2")).await;
}

#[tokio::test]
async fn results_that_are_no_numbers_are_wrong() {
    let histogram = r#"[{"metric":{},"histogram":[1,{"count":"1","sum":"1","buckets":[]}]}]"#;
    let wrong = "wrong: Prometheus metric type not supported";
    check("a string", success("string", r#"[1,"text"]"#), (wrong, "")).await;
    check("a native histogram", success("vector", histogram), (wrong, "")).await;
    check("an unknown type", success("table", "[]"), (wrong, "")).await;
    check("a vector of nonsense", success("vector", "[7]"), ("wrong: Prometheus answered with a result that", ""))
        .await;
}

#[tokio::test]
async fn errors_are_sorted_by_whose_they_are() {
    let error = |status, kind: &str| {
        Fake::always(status, &format!(r#"{{"status":"error","errorType":"{kind}","error":"1:3: parse error"}}"#))
    };
    let refused = "wrong: Prometheus refuses the query";
    check("a query that cannot be parsed", error(400, "bad_data"), (refused, "")).await;
    check("a query that fails", error(422, "execution"), (refused, "")).await;
    check("a failure with status 200", error(200, "execution"), (refused, "")).await;
    check("a time-out in the server", error(503, "timeout"), ("down: Prometheus at http://prometheus:9090 failed", ""))
        .await;
    check("a cancelled query", error(503, "canceled"), ("down: ", "")).await;
    check("an internal error", error(500, "internal"), ("down: ", "")).await;
    check("a starting server", Fake::always(503, "Service Unavailable"), ("down: ", "")).await;
    check("a broken gateway", Fake::always(502, "<html>bad gateway</html>"), ("down: ", "")).await;
    check("too many requests", Fake::always(429, ""), ("down: ", "")).await;
    check("no credentials", Fake::always(401, ""), ("wrong: Prometheus at http://prometheus:9090 answered 401", ""))
        .await;
    check("wrong credentials", Fake::always(403, "denied"), ("wrong: ", "")).await;
    check("a wrong path", Fake::always(404, "404 page not found"), ("wrong: ", "")).await;
    check("a redirect", Fake::always(302, ""), ("wrong: ", "")).await;
    check("a page to sign in", Fake::always(200, "<!doctype html><p>Sign in"), ("wrong: ", "")).await;
    check("another API", Fake::always(200, r#"{"ok":true}"#), ("wrong: ", "")).await;
    check("a list", Fake::always(200, "[]"), ("wrong: ", "")).await;
    check("an answer that was cut", Fake::always(200, r#"{"status":"succ"#), ("down: ", "")).await;
    check("an empty answer", Fake::always(200, ""), ("down: ", "")).await;
    check("a method that is refused twice", Fake::always(405, ""), ("wrong: ", "")).await;
}

#[tokio::test]
async fn no_answer_is_a_source_that_is_down() {
    let down = "down: Prometheus at http://prometheus:9090 cannot be reached: it failed";
    for kind in [
        TransportErrorKind::Timeout,
        TransportErrorKind::Refused,
        TransportErrorKind::Dns,
        TransportErrorKind::Tls,
        TransportErrorKind::Other,
    ] {
        check("no answer", Fake::failing(kind), (down, "")).await;
    }
    check("an answer that is too large", Fake::failing(TransportErrorKind::TooLarge), ("wrong: ", "")).await;
}

#[tokio::test]
async fn warnings_are_kept() {
    let body = r#"{"status":"success","warnings":["a","b"],"infos":["c"],"data":{"resultType":"vector","result":[]}}"#;
    let answer = ask(plain(), &Fake::always(200, body)).await;
    assert_eq!(answer.metadata["warnings"], "\"a\", \"b\"");
    assert_eq!(answer.metadata["infos"], "\"c\"");
}

const EMPTY: &str = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;

#[tokio::test]
async fn an_instant_query_is_a_form() {
    let fake = Fake::always(200, EMPTY);
    let fields = json!({
        "address": "https://me:pass@thanos/prefix/", "query": "sum(rate(x{a=\"b\"}[5m])) > 0", "timeout": 7, "insecure": true,
        "headers": [{"key": "X-Scope-OrgID", "value": "tenant"}, {"key": "x-many", "value": "1"}, {"key": "x-many", "value": "2"}],
    });
    ask(fields, &fake).await;
    let seen = &fake.seen()[0];
    assert_eq!((&seen.method, seen.url.as_str()), (&Method::POST, "https://thanos/prefix/api/v1/query"));
    let query = "sum%28rate%28x%7Ba%3D%22b%22%7D%5B5m%5D%29%29%20%3E%200";
    assert_eq!(seen.body, format!("query={query}&time=1795262440.000&timeout=7s"));
    assert_eq!(seen.headers["x-scope-orgid"], "tenant");
    assert_eq!(seen.headers.get_all("x-many").iter().count(), 2);
    assert_eq!(seen.headers["authorization"], "Basic bWU6cGFzcw==");
    assert_eq!(seen.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!((seen.options.timeout.as_secs(), seen.options.insecure), (7, true));
}

#[tokio::test]
async fn a_range_query_has_its_ends_and_step() {
    let fake = Fake::always(200, EMPTY);
    let range = json!({"start": "now() - duration(\"5m\")", "end": "now()", "step": "90s"});
    ask(json!({"query": "up", "rangeQuery": range}), &fake).await;
    let seen = &fake.seen()[0];
    assert_eq!(seen.url, "http://default:9090/api/v1/query_range");
    assert_eq!(seen.body, "query=up&start=1795262140.000&end=1795262440.000&step=90&timeout=30s");
}

#[tokio::test]
async fn servers_without_post_are_asked_by_get() {
    let fake = Fake::new(|seen| if seen.method == Method::POST { reply(405, "") } else { reply(200, EMPTY) });
    let answer = ask(plain(), &fake).await;
    assert_eq!(answer.value, "[]");
    let seen = &fake.seen()[1];
    assert_eq!(seen.url, "http://prometheus:9090/api/v1/query?query=up&time=1795262440.000&timeout=30s");
    assert_eq!(seen.body, "");
}

#[tokio::test]
async fn credentials_are_sent_once() {
    let basic = json!({"basicAuth": {"username": "u", "password": "p"}, "oauth2": {}, "sigv4": {}});
    let fake = Fake::always(200, EMPTY);
    ask(json!({"query": "up", "authentication": basic}), &fake).await;
    assert_eq!(fake.seen()[0].headers["authorization"], "Basic dTpw");

    let fake = Fake::always(200, EMPTY);
    let bearer = json!([{"key": "Authorization", "value": "Bearer token\n"}]);
    ask(json!({"query": "up", "headers": bearer, "authentication": basic}), &fake).await;
    assert_eq!(fake.seen()[0].headers["authorization"], "Bearer token");
}

#[tokio::test]
async fn wrong_fields_are_named_and_nothing_is_sent() {
    let range = |start: &str, end: &str, step: &str| json!({"query": "up", "rangeQuery": {"start": start, "end": end, "step": step}});
    let cases = [
        (
            json!({"address": "prometheus:9090", "query": "up"}),
            "prometheus address prometheus:9090 is not is url format",
        ),
        (json!({"query": " "}), "provider.prometheus.query is empty"),
        (json!({"query": "up", "timeout": -1}), "provider.prometheus.timeout is -1"),
        (range("", "now()", "1m"), "provider.prometheus.rangeQuery.start is empty"),
        (range("now()", "5 +", "1m"), "provider.prometheus.rangeQuery.end: "),
        (range("now()", "now() - duration(\"1m\")", "1m"), "provider.prometheus.rangeQuery: start"),
        (range("now()", "now()", ""), "provider.prometheus.rangeQuery.step: "),
        (range("now()", "now()", "-1s"), "provider.prometheus.rangeQuery.step: "),
        (json!({"query": "up", "headers": [{"key": "a b", "value": ""}]}), "provider.prometheus.headers[0].key"),
        (json!({"query": "up", "headers": [{"key": "a", "value": "x\ny"}]}), "provider.prometheus.headers[0].value"),
        (
            json!({"query": "up", "authentication": {"oauth2": {"tokenUrl": "http://t"}}}),
            "provider.prometheus.authentication.oauth2 is not supported yet",
        ),
        (
            json!({"query": "up", "authentication": {"sigv4": {"region": "eu"}}}),
            "provider.prometheus.authentication.sigv4 is not supported yet",
        ),
    ];
    for (fields, message) in cases {
        let fake = Fake::always(200, EMPTY);
        let got = line(&ask(fields, &fake).await.outcome);
        assert!(got.starts_with(&format!("wrong: {message}")), "{got}");
        assert!(fake.seen().is_empty(), "{message}");
    }
    let measure = measure(&json!({"prometheus": {"query": "up"}}), Semantics::Serin);
    let fake = Fake::always(200, EMPTY);
    let answer = Sources::default().measure(&measure, &Default::default(), noon(), &fake).await;
    assert!(line(&answer.outcome).starts_with("wrong: prometheus address is not configured"), "{answer:?}");
}
