//! The server's answers to what clients really send.

use bytes::Bytes;
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{Config, SkyWalking};
use crate::metrics::{Call, Caller, Outcome, Server, Store};

const SERVICE: &str = "canary|reviews|bookinfo|cluster-1|-";

/// 2024-10-04 12:00:00 UTC.
fn noon() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_728_043_200)
}

fn minute(offset: i64) -> DateTime<Utc> {
    noon() + TimeDelta::minutes(offset)
}

/// A store in which the canary of reviews served, in the minutes after noon, the given (status, duration in ms).
fn store(minutes: &[(i64, &[(u16, f64)])]) -> Store {
    let store = Store::default();
    let caller = Caller { workload: "client".to_owned(), namespace: "bookinfo".to_owned() };
    let server = Server {
        workload: "reviews-rollout".to_owned(),
        namespace: "bookinfo".to_owned(),
        app: "reviews".to_owned(),
        version: "canary".to_owned(),
        canonical_service: "reviews".to_owned(),
        canonical_revision: "canary".to_owned(),
    };
    let call = store.call(&Call::answered(&caller, "reviews.bookinfo.svc.cluster.local", server));
    for (offset, requests) in minutes {
        for (index, (status, duration_ms)) in requests.iter().enumerate() {
            let time = minute(*offset) + TimeDelta::seconds(index as i64);
            store.recording().add(
                call,
                time.timestamp_millis(),
                Outcome { status: *status, flags: "-", duration_ms: *duration_ms },
            );
        }
    }
    store
}

/// The spec's hand check: 5 ok at 100 ms, 3 ok at 600 ms, 2 errors at 100 ms.
fn hand_check() -> Vec<(u16, f64)> {
    [vec![(200, 100.0); 5], vec![(200, 600.0); 3], vec![(500, 100.0); 2]].concat()
}

fn config(version: &str) -> Config {
    Config { version: version.to_owned(), ..Config::default() }
}

fn post(server: &SkyWalking, body: &Value, now: DateTime<Utc>) -> (StatusCode, Value) {
    let request = Request::post("/graphql")
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_string()))
        .unwrap();
    let response = server.respond(&request, now);
    (response.status(), serde_json::from_slice(response.body()).unwrap_or(Value::Null))
}

fn read(server: &SkyWalking, metric: &str, duration: (&str, &str), now: DateTime<Utc>) -> (StatusCode, Value) {
    let query = "query q($duration: Duration!, $name: String!, $service: String!) {
        m: readMetricsValues(condition: { name: $name, entity: { scope: Service, serviceName: $service, normal: true } },
            duration: $duration) { label values { values { id value } } } }";
    let variables = json!({ "duration": { "start": duration.0, "end": duration.1, "step": "MINUTE" }, "name": metric, "service": SERVICE });
    post(server, &json!({ "query": query, "variables": variables }), now)
}

fn values(answer: &Value) -> Vec<i64> {
    answer["data"]["m"]["values"]["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["value"].as_i64().unwrap())
        .collect()
}

#[test]
fn the_hand_check_of_one_minute() {
    let server = SkyWalking::new(store(&[(1, &hand_check())]), config("10.1.0"));
    for (metric, value) in
        [("service_apdex", 6500), ("service_cpm", 10), ("service_sla", 8000), ("service_resp_time", 250)]
    {
        let (status, answer) = read(&server, metric, ("2024-10-04 1200", "2024-10-04 1202"), minute(10));
        assert_eq!((status, values(&answer)), (StatusCode::OK, vec![0, value, 0]), "{metric}");
    }
    let query = "{ p: readLabeledMetricsValues(condition: { name: \"service_percentile\", entity: { scope: Service, serviceName: \"canary|reviews|bookinfo|cluster-1|-\", normal: true } },
        labels: [], duration: { start: \"2024-10-04 1201\", end: \"2024-10-04 1201\", step: MINUTE }) { label values { values { value } } } }";
    let (_, answer) = post(&server, &json!({ "query": query }), minute(10));
    let ranks: Vec<(&str, i64)> = answer["data"]["p"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["label"].as_str().unwrap(), line["values"]["values"][0]["value"].as_i64().unwrap()))
        .collect();
    assert_eq!(ranks, [("{p=50}", 100), ("{p=75}", 600), ("{p=90}", 600), ("{p=95}", 600), ("{p=99}", 600)]);
}

#[test]
fn the_running_minute_is_partial_and_late() {
    let server = SkyWalking::new(store(&[(0, &[(200, 10.0); 60])]), Config::default());
    let seen = |seconds: i64| {
        values(
            &read(&server, "service_cpm", ("2024-10-04 1200", "2024-10-04 1200"), noon() + TimeDelta::seconds(seconds))
                .1,
        )
    };
    assert_eq!([seen(20), seen(25), seen(55), seen(85), seen(600)], [[0], [0], [30], [60], [60]]);
}

#[test]
fn times_are_read_in_the_zone_of_the_server() {
    let zone = FixedOffset::east_opt(5 * 3600 + 1800).unwrap();
    let server = SkyWalking::new(store(&[(0, &[(200, 10.0)])]), Config { time_zone: zone, ..Config::default() });
    assert_eq!(values(&read(&server, "service_cpm", ("2024-10-04 1200", "2024-10-04 1200"), minute(10)).1), [0]);
    let (_, local) = read(&server, "service_cpm", ("2024-10-04 1730", "2024-10-04 1730"), minute(10));
    assert_eq!(values(&local), [1]);
    let id = local["data"]["m"]["values"]["values"][0]["id"].as_str().unwrap();
    assert_eq!(id, "202410041730_Y2FuYXJ5fHJldmlld3N8Ym9va2luZm98Y2x1c3Rlci0xfC0=.1");
    let (_, info) = post(&server, &json!({ "query": "{ getTimeInfo { timezone currentTimestamp } }" }), minute(10));
    assert_eq!(
        info["data"]["getTimeInfo"],
        json!({ "timezone": "+0530", "currentTimestamp": minute(10).timestamp_millis() })
    );
}

#[test]
fn durations_have_limits_and_a_format() {
    let server = SkyWalking::new(store(&[]), Config::default());
    let cases = [
        ("500 minutes give 501 points", ("2024-10-04 0000", "2024-10-04 0820"), Ok(501)),
        ("501 minutes are too much", ("2024-10-04 0000", "2024-10-04 0821"), Err("can't exceed 500 minutes")),
        (
            "an end before the start says the same",
            ("2024-10-04 0001", "2024-10-04 0000"),
            Err("can't exceed 500 minutes"),
        ),
        ("another format is refused", ("2024-10-04 00:00", "2024-10-04 0001"), Err("Invalid format")),
        ("an impossible time is refused", ("2024-10-04 2561", "2024-10-04 0001"), Err("Invalid format")),
    ];
    for (sentence, duration, wanted) in cases {
        let (status, answer) = read(&server, "service_apdex", duration, noon());
        assert_eq!(status, StatusCode::OK, "{sentence}");
        match wanted {
            Ok(points) => assert_eq!(values(&answer), vec![0; points], "{sentence}"),
            Err(part) => {
                assert_eq!(answer["data"], Value::Null, "{sentence}");
                assert!(answer["errors"][0]["message"].as_str().unwrap().contains(part), "{sentence}: {answer}");
            }
        }
    }
}

#[test]
fn empty_values_can_be_told_apart_from_9_5_on_only() {
    let query = format!(
        "{{ a: readNullableMetricsValue(condition: {{ name: \"service_apdex\", entity: {{ scope: Service, serviceName: \"{SERVICE}\", normal: true }} }}, \
        duration: {{ start: \"2024-10-04 1200\", end: \"2024-10-04 1202\", step: MINUTE }}) {{ value isEmptyValue }} }}"
    );
    let minutes: [(i64, &[(u16, f64)]); 1] = [(1, &[(200, 2500.0)])];
    let new = SkyWalking::new(store(&minutes), config("9.5.0"));
    assert_eq!(
        post(&new, &json!({ "query": query }), minute(9)).1["data"]["a"],
        json!({ "value": 0, "isEmptyValue": false })
    );
    assert_eq!(
        post(&new, &json!({ "query": query }), minute(0)).1["data"]["a"],
        json!({ "value": 0, "isEmptyValue": true })
    );
    let (status, answer) =
        post(&SkyWalking::new(store(&minutes), config("9.2.0")), &json!({ "query": query }), minute(9));
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let message = answer["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("Field 'readNullableMetricsValue' in type 'Query' is undefined"), "{message}");
}

#[test]
fn averages_over_minutes_are_not_weighted_and_rounded_by_version() {
    let minutes: [(i64, &[(u16, f64)]); 2] = [(0, &[(200, 10.0)]), (2, &[(200, 10.0); 4])];
    let query = format!(
        "{{ a: readMetricsValue(condition: {{ name: \"service_cpm\", entity: {{ scope: Service, serviceName: \"{SERVICE}\", normal: true }} }}, \
        duration: {{ start: \"2024-10-04 1200\", end: \"2024-10-04 1204\", step: MINUTE }}) }}"
    );
    for (version, average) in [("9.2.0", 3), ("10.1.0", 2)] {
        let server = SkyWalking::new(store(&minutes), config(version));
        assert_eq!(post(&server, &json!({ "query": query }), minute(9)).1["data"]["a"], json!(average), "{version}");
    }
}

#[test]
fn expressions_answer_with_strings_or_null() {
    let server = SkyWalking::new(store(&[(1, &hand_check())]), config("10.1.0"));
    let ask = |expression: &str| {
        let query = "query q($e: String!, $s: String!) { r: execExpression(expression: $e, entity: { scope: Service, serviceName: $s, normal: true },
            duration: { start: \"2024-10-04 1200\", end: \"2024-10-04 1201\", step: MINUTE }) { type error results { values { id value } } } }";
        post(
            &server,
            &json!({ "query": query, "variables": { "e": expression, "s": SERVICE } }),
            minute(9),
        )
        .1["data"]["r"]
            .clone()
    };
    let noon_ms = noon().timestamp_millis();
    assert_eq!(
        ask("service_apdex"),
        json!({ "type": "TIME_SERIES_VALUES", "error": null, "results": [{ "values": [
            { "id": noon_ms.to_string(), "value": null }, { "id": (noon_ms + 60_000).to_string(), "value": "6500" }] }] })
    );
    assert_eq!(
        ask("avg(service_apdex)/10000"),
        json!({ "type": "SINGLE_VALUE", "error": null, "results": [{ "values": [{ "id": null, "value": "0.65" }] }] })
    );
    assert_eq!(ask("nope"), json!({ "type": "UNKNOWN", "error": "Metric: [nope] does not exist.", "results": [] }));
}

#[test]
fn unknown_things_look_like_zero() {
    let server = SkyWalking::new(store(&[(1, &hand_check())]), config("10.1.0"));
    let (status, answer) = read(&server, "service_apdx", ("2024-10-04 1201", "2024-10-04 1201"), minute(9));
    assert_eq!((status, values(&answer)), (StatusCode::OK, vec![0]));
    assert_eq!(answer["data"]["m"]["values"]["values"][0]["id"], "202410041201_UNKNOWN_METRIC_NAME");
    let query = "{ a: typeOfMetrics(name: \"service_apdx\") b: typeOfMetrics(name: \"service_apdex\") c: findService(serviceName: \"x\") { id } version }";
    let (_, answer) = post(&server, &json!({ "query": query }), minute(9));
    assert_eq!(answer["data"], json!({ "a": "UNKNOWN", "b": "REGULAR_VALUE", "c": null, "version": "10.1.0-0000000" }));
}

#[test]
fn documents_that_do_not_fit_the_schema_are_refused() {
    let cases = [
        ("{ fooBar }", "FieldUndefined@[fooBar]"),
        ("{ getTimeInfo }", "SubselectionRequired@[getTimeInfo]"),
        ("{ version { x } }", "SubselectionNotAllowed@[version]"),
        ("{ typeOfMetrics }", "MissingFieldArgument@[typeOfMetrics]"),
        ("{ typeOfMetrics(name: $x) }", "UndefinedVariable@[typeOfMetrics]"),
        ("{ typeOfMetrics(nom: \"x\") }", "UnknownArgument@[typeOfMetrics]"),
        ("query q($x: String!) { typeOfMetrics(name: $x) }", "Variable 'x' has an invalid value"),
        ("fragment f on Query { ...f } { ...f }", "FragmentCycle"),
        ("{ version", "Invalid syntax"),
        (
            "{ readMetricsValue(condition: { name: \"a\" }, duration: { start: \"a\", end: \"b\", step: WEEK }) }",
            "missing required fields '[entity]'",
        ),
    ];
    let server = SkyWalking::new(store(&[]), config("10.1.0"));
    for (query, part) in cases {
        let (status, answer) = post(&server, &json!({ "query": query }), noon());
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {answer}");
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains(part), "{query}: {answer}");
    }
    let doubling: String = (0..40).map(|n| format!("fragment f{n} on Query {{ ...f{0} ...f{0} }} ", n + 1)).collect();
    let laughs = format!("{doubling} fragment f40 on Query {{ version }} {{ ...f0 }}");
    assert_eq!(post(&server, &json!({ "query": laughs }), noon()).0, StatusCode::BAD_REQUEST);
    let deep = "{a".repeat(100_000);
    assert_eq!(post(&server, &json!({ "query": deep }), noon()).0, StatusCode::BAD_REQUEST);
}

#[test]
fn version_9_2_needs_a_scope_and_breaks_on_a_missing_variable() {
    let server = SkyWalking::new(store(&[]), config("9.2.0"));
    let query = "query q($d: Duration!) { readMetricsValue(condition: { name: \"service_cpm\", entity: { serviceName: \"x\" } }, duration: $d) }";
    let duration = json!({ "start": "2024-10-04 1200", "end": "2024-10-04 1200", "step": "MINUTE" });
    let (status, answer) = post(&server, &json!({ "query": query, "variables": { "d": duration } }), noon());
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer.to_string().contains("[scope]"), "{answer}");
    assert_eq!(post(&server, &json!({ "query": query }), noon()), (StatusCode::INTERNAL_SERVER_ERROR, Value::Null));
}
