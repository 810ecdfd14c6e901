//! SkyWalking before 9.5, where a minute without data is a 0: traffic tells them apart.

use serde_json::{Value, json};
use serin_core::analysis::sample::Semantics;
use serin_providers::Answer;

use crate::skywalking::{APDEX, Oap, ask, ask_back, same};

/// Asks for the Apdex, whose buckets and those of the calls are these.
async fn apdex(values: &[u64], calls: Value) -> Answer {
    let oap = Oap { calls, ..Oap::new("9.2.0", json!({"service_apdex": series(values)})) };
    ask(APDEX, Semantics::Serin, &oap.fake()).await
}

fn series(values: &[u64]) -> Value {
    let buckets: Vec<Value> = values.iter().map(|value| json!({"value": value})).collect();
    json!({"values": {"values": buckets}})
}

fn calls(values: &[u64]) -> Value {
    json!({"calls0": series(values)})
}

#[tokio::test]
async fn minutes_without_calls_are_left_out() {
    let kept = |values: &[u64]| json!({"service_apdex": series(values)}).to_string();
    let cases: [(&str, &[u64], Value, &[u64]); 5] = [
        ("all have calls", &[9000, 0, 9100], calls(&[1, 2, 3]), &[9000, 0, 9100]),
        ("one has none", &[9000, 0, 9100], calls(&[1, 0, 3]), &[9000, 9100]),
        ("a value without calls is a value", &[9000, 0], calls(&[0, 0]), &[9000]),
        ("counts of other minutes are of no use", &[9000, 0], calls(&[0]), &[9000, 0]),
        ("no counts", &[9000, 0], json!({}), &[9000, 0]),
    ];
    for (what, values, calls, expected) in cases {
        same(what, &apdex(values, calls).await, ("measured", &kept(expected)));
    }
    same(
        "no calls at all",
        &apdex(&[0, 0], calls(&[0, 0])).await,
        ("no data: SkyWalking has nothing for service_apdex", ""),
    );
}

/// Before 9.6 a server refuses one minute alone, as if it were too many.
#[tokio::test]
async fn one_minute_is_asked_for_together_with_the_one_before() {
    for (version, interval, window) in [
        ("9.2.0", "1m", "2026-11-21 1158 to 2026-11-21 1159 (+0000)"),
        ("9.2.0", "20s", "2026-11-21 1158 to 2026-11-21 1159 (+0000)"),
        ("9.5.0", "1m", "2026-11-21 1158 to 2026-11-21 1159 (+0000)"),
        ("9.2.0", "2m", "2026-11-21 1158 to 2026-11-21 1159 (+0000)"),
        ("9.6.0", "1m", "2026-11-21 1159 to 2026-11-21 1159 (+0000)"),
        ("10.1.0", "1m", "2026-11-21 1159 to 2026-11-21 1159 (+0000)"),
    ] {
        let fake = Oap::new(version, json!({"service_apdex": series(&[9000])})).fake();
        let answer = ask_back(APDEX, interval, Semantics::Serin, &fake).await;
        let measured = r#"{"service_apdex":{"values":{"values":[{"value":9000}]}}}"#;
        same(&format!("{interval} of {version}"), &answer, ("measured", measured));
        assert_eq!(answer.metadata["window"], window, "{interval} of {version}");
    }
}

#[tokio::test]
async fn calls_are_asked_for_with_the_same_entity_and_only_if_there_are_zeros() {
    let oap = Oap { calls: calls(&[1, 1]), ..Oap::new("9.2.0", json!({"service_apdex": series(&[9000, 0])})) };
    let fake = oap.fake();
    ask(APDEX, Semantics::Serin, &fake).await;
    let bodies: Vec<Value> = fake.seen().iter().map(|seen| serde_json::from_str(&seen.body).unwrap()).collect();
    assert_eq!(bodies[1]["query"], APDEX, "the user's query is as it was");
    let query = bodies[2]["query"].as_str().unwrap();
    assert!(query.starts_with("query calls($duration: Duration!) { calls0: readMetricsValues(condition: {"), "{query}");
    for part in ["name: \"service_cpm\"", "serviceName: \"reviews\"", "scope: Service", "duration: $duration"] {
        assert!(query.contains(part), "{part} in {query}");
    }
    assert!(!query.contains("isEmptyValue"), "{query}");
    assert_eq!(bodies[2]["variables"], bodies[1]["variables"]);

    let fake = Oap::new("9.2.0", json!({"service_apdex": series(&[9000, 9001])})).fake();
    ask(APDEX, Semantics::Serin, &fake).await;
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn calls_are_counted_by_scope() {
    for (scope, metric) in [("ServiceInstance", "service_instance_cpm"), ("Endpoint", "endpoint_cpm")] {
        let query = APDEX.replace("scope: Service,", &format!("scope: {scope},"));
        let fake = Oap { calls: calls(&[1]), ..Oap::new("9.4.0", json!({"service_apdex": series(&[0])})) }.fake();
        ask(&query, Semantics::Serin, &fake).await;
        assert!(fake.seen()[2].body.contains(metric), "{scope}");
    }
    let query = APDEX.replace("scope: Service,", "scope: ServiceRelation,");
    let fake = Oap::new("9.4.0", json!({"service_apdex": series(&[0])})).fake();
    let answer = ask(&query, Semantics::Serin, &fake).await;
    same(
        "a scope without calls of its own",
        &answer,
        ("measured", r#"{"service_apdex":{"values":{"values":[{"value":0}]}}}"#),
    );
    assert!(answer.metadata["zerosMayBeEmpty"].contains("`service_apdex`"), "{answer:?}");
}

#[tokio::test]
async fn what_the_server_does_not_count_stays_zero() {
    let errors = json!({"data": null, "errors": [{"message": "no such metric"}]});
    let answer = apdex(&[0], errors).await;
    same("no count", &answer, ("measured", r#"{"service_apdex":{"values":{"values":[{"value":0}]}}}"#));
    assert!(answer.metadata["zerosMayBeEmpty"].contains("no such metric"), "{answer:?}");
}

#[tokio::test]
async fn only_zeros_under_traffic_may_be_a_metric_that_is_unknown() {
    let oap = Oap {
        calls: calls(&[5, 5]),
        types: &["UNKNOWN"],
        ..Oap::new("9.2.0", json!({"service_apdex": series(&[0, 0])}))
    };
    let answer = ask(APDEX, Semantics::Serin, &oap.fake()).await;
    same("unknown", &answer, ("wrong: metric service_apdex is unknown to the SkyWalking server", ""));
}

#[tokio::test]
async fn single_numbers_are_told_from_nothing() {
    let query = "query($duration: Duration!) { apdex: readMetricsValue(condition: {name: \"service_apdex\", entity: {scope: Service, serviceName: \"reviews\", normal: true}}, duration: $duration) }";
    for (what, counts, outcome, value) in
        [("idle", [0, 0], "no data: ", ""), ("busy", [0, 1], "measured", r#"{"apdex":0}"#)]
    {
        let oap = Oap { calls: calls(&counts), ..Oap::new("9.2.0", json!({"apdex": 0})) };
        same(what, &ask(query, Semantics::Serin, &oap.fake()).await, (outcome, value));
    }
}
