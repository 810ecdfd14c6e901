//! The HTTP API over what a mesh served.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{Request, StatusCode};
use serde_json::{Value as Json, json};

use super::super::Prometheus;
use super::NOON;
use crate::metrics::{Call, Caller, Outcome, Server, Store};

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(NOON).unwrap()
}

/// A server with one request of 60 ms a second to the canary in the ten minutes after noon, every tenth failing by routing.
fn server() -> Prometheus {
    let store = Store::default();
    let caller = Caller { workload: "productpage-v1".to_owned(), namespace: "bookinfo".to_owned() };
    let host = "reviews.bookinfo.svc.cluster.local";
    let server = Server {
        workload: "reviews-rollout".to_owned(),
        namespace: "bookinfo".to_owned(),
        app: "reviews".to_owned(),
        version: "canary".to_owned(),
        canonical_service: "reviews".to_owned(),
        canonical_revision: "canary".to_owned(),
    };
    let answered = store.call(&Call::answered(&caller, host, server));
    let refused = store.call(&Call::refused(&caller, host));
    for second in 0..600 {
        let time = noon() + TimeDelta::seconds(second);
        if second % 10 == 0 {
            store.recording().add(
                refused,
                time.timestamp_millis(),
                Outcome { status: 503, flags: "UH", duration_ms: 0.0 },
            );
        } else {
            store.recording().add(
                answered,
                time.timestamp_millis(),
                Outcome { status: 200, flags: "-", duration_ms: 60.0 },
            );
        }
    }
    Prometheus::new(store)
}

fn get(path: &str, now: DateTime<Utc>) -> (StatusCode, Json) {
    let response = server().respond(&Request::get(path).body(Bytes::new()).unwrap(), now);
    (response.status(), serde_json::from_slice(response.body()).unwrap_or(Json::Null))
}

fn encoded(query: &str) -> String {
    query.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn query(expression: &str, now: DateTime<Utc>) -> Json {
    let (status, answer) = get(&format!("/prometheus/api/v1/query?query={}", encoded(expression)), now);
    assert_eq!(status, StatusCode::OK, "{expression}: {answer}");
    answer["data"]["result"].clone()
}

#[test]
fn what_the_mesh_served_can_be_queried() {
    let now = noon() + TimeDelta::minutes(10);
    let result = query(
        r#"sum(rate(istio_requests_total{reporter="destination",destination_workload="reviews-rollout"}[2m])) * 120"#,
        now,
    );
    // Every 15 s a scrape; two minutes hold 108 requests that were answered.
    let rate: f64 = result[0]["value"][1].as_str().unwrap().parse().unwrap();
    assert!((rate - 108.0).abs() < 1.5, "{result}");
    assert_eq!(result[0]["value"][0], json!(NOON / 1000 + 600));
    let refused = query(r#"count by (reporter, response_flags) (istio_requests_total{response_code="503"})"#, now);
    assert_eq!(refused[0]["metric"], json!({ "reporter": "source", "response_flags": "UH" }));
    assert_eq!(refused.as_array().unwrap().len(), 1);
    let p99 = query(
        "histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{destination_version=\"canary\"}[5m])))",
        now,
    );
    assert_eq!(p99[0]["value"][1], "99.5");
    let average = query(
        "sum(istio_request_duration_milliseconds_sum{reporter=\"destination\"}) / sum(istio_request_duration_milliseconds_count{reporter=\"destination\"})",
        now,
    );
    assert_eq!(average[0]["value"][1], "60");
    assert_eq!(query("up", now)[0]["value"][1], "1");
}

#[test]
fn a_query_sees_neither_the_future_nor_what_was_not_scraped() {
    let total = r#"sum(istio_requests_total{reporter="destination"})"#;
    // The scrapes of the default settings lie 7, 22, 37 and 52 s into each minute.
    assert_eq!(query(total, noon() + TimeDelta::seconds(6)), json!([]));
    assert_eq!(query(total, noon() + TimeDelta::seconds(8))[0]["value"][1], "6");
    let ahead =
        format!("/api/v1/query?query={}&time=2024-10-04T12:05:00Z", encoded("sum(istio_requests_total) or vector(-1)"));
    assert_eq!(get(&ahead, noon()).1["data"]["result"][0]["value"][1], "-1");
}

#[test]
fn the_api_speaks_as_prometheus_does() {
    let now = noon() + TimeDelta::minutes(10);
    let (status, answer) = get("/api/v1/query?query=sum(", now);
    assert_eq!(
        (status, &answer["status"], &answer["errorType"]),
        (StatusCode::BAD_REQUEST, &json!("error"), &json!("bad_data"))
    );
    assert!(answer["error"].as_str().unwrap().starts_with("invalid parameter \"query\""), "{answer}");
    assert_eq!(get("/api/v1/query", now).0, StatusCode::BAD_REQUEST);
    assert_eq!(get("/api/v1/query?query=1&time=yesterday", now).0, StatusCode::BAD_REQUEST);
    assert_eq!(
        get("/api/v1/query?query=1%2B1", now).1,
        json!({ "status": "success", "data": { "resultType": "scalar", "result": [NOON / 1000 + 600, "2"] } })
    );
    assert_eq!(get("/api/v1/query?query=1&time=1728043200.5", now).1["data"]["result"], json!([1_728_043_200.5, "1"]));
    assert_eq!(get("/api/v1/nope", now).0, StatusCode::NOT_FOUND);
    assert_eq!(get("/-/healthy", now).0, StatusCode::OK);
    let (_, names) = get("/api/v1/label/__name__/values", now);
    assert_eq!(names["data"].as_array().unwrap().len(), 5);
    let range = format!("/api/v1/query_range?query={}&start=1728043200&end=1728043260&step=30s", encoded("vector(1)"));
    let points = json!([[NOON / 1000, "1"], [NOON / 1000 + 30, "1"], [NOON / 1000 + 60, "1"]]);
    assert_eq!(
        get(&range, now).1["data"],
        json!({ "resultType": "matrix", "result": [{ "metric": {}, "values": points }] })
    );
    for wrong in [
        "start=2&end=1&step=1",
        "start=1&end=2&step=0",
        "start=0&end=99999&step=1",
        "start=1&end=2",
        "start=1&end=2&step=-1e400",
    ] {
        assert_eq!(get(&format!("/api/v1/query_range?query=1&{wrong}"), now).0, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let form = Request::post("/api/v1/query").body(Bytes::from("query=1+%2B+1")).unwrap();
    let answer: Json = serde_json::from_slice(server().respond(&form, now).body()).unwrap();
    assert_eq!(answer["data"]["result"][1], "2");
}

#[test]
fn no_query_makes_the_server_panic() {
    let server = server();
    let now = noon();
    let long = [
        "(".repeat(50_000),
        "1+".repeat(99_999) + "1",
        "-".repeat(20_000) + "1",
        "a and ".repeat(1_600) + "a",
        "abs(".repeat(200),
    ];
    let odd = [
        "foo[1e400]",
        "foo[-1s]",
        "foo offset 1e300s",
        "foo @ 1e300",
        "foo[99999999y]",
        "\u{0}",
        "{}",
        "topk(1e300, up)",
        "foo[5m:0s]",
        "%%%",
    ];
    for expression in long.iter().map(String::as_str).chain(odd) {
        let form = Bytes::from(format!("query={}", encoded(expression)));
        let status = server.respond(&Request::post("/api/v1/query").body(form).unwrap(), now).status();
        let shown: String = expression.chars().take(30).collect();
        assert!(
            [StatusCode::OK, StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY].contains(&status),
            "{shown}: {status}"
        );
    }
}

#[test]
fn an_address_may_have_a_path_of_its_own() {
    let check = |path: &str, known: bool, status: StatusCode| {
        assert_eq!(Prometheus::knows(path), known, "{path}");
        assert_eq!(get(&format!("{path}?query=1"), noon()).0, status, "{path}");
    };
    check("/api/v1/query", true, StatusCode::OK);
    check("/prometheus/api/v1/query", true, StatusCode::OK);
    check("/api/v1/namespaces/mesh/services/prometheus:9090/proxy/api/v1/query", true, StatusCode::OK);
    check("/prometheus/-/ready", true, StatusCode::OK);
    check("/api/v1/label/job/values", true, StatusCode::OK);
    check("/api/v1/verdict", false, StatusCode::NOT_FOUND);
    check("/team/-/verdict", false, StatusCode::NOT_FOUND);
}
