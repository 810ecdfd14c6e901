//! SkyWalking 9.5 and newer: windows, empty buckets, expressions, errors; and upstream's way to ask.

use graphql_parser::parse_query;
use serde_json::{Value, json};
use serin_core::analysis::sample::Semantics;
use serin_providers::{Answer, Sources, TransportErrorKind};

use crate::fake::{Fake, line, measure, noon, reply};

/// A server: what it says about itself, and its answers to everything else.
pub(crate) struct Oap {
    pub(crate) version: &'static str,
    pub(crate) zone: &'static str,
    /// Answer to the user's query.
    pub(crate) data: Value,
    /// Answer to the query for traffic.
    pub(crate) calls: Value,
    /// Types of the metrics that are asked for, in the order of their names.
    pub(crate) types: &'static [&'static str],
}

impl Oap {
    pub(crate) fn new(version: &'static str, data: Value) -> Self {
        Self { version, zone: "+0000", data, calls: Value::Null, types: &["REGULAR_VALUE", "REGULAR_VALUE"] }
    }

    pub(crate) fn fake(self) -> Fake {
        Fake::new(move |seen| {
            let body: Value = serde_json::from_str(&seen.body).expect("JSON");
            let query = body["query"].as_str().expect("a query");
            parse_query::<String>(query).unwrap_or_else(|error| panic!("{query}: {error}"));
            let data = if query.contains("getTimeInfo") {
                json!({"version": self.version, "getTimeInfo": {"timezone": self.zone, "currentTimestamp": 0}})
            } else if query.contains("typeOfMetrics") {
                let types = self.types.iter().enumerate();
                types.map(|(index, name)| (format!("name{index}"), json!(name))).collect()
            } else if query.contains("calls0") || query.contains("calls1") {
                self.calls.clone()
            } else {
                self.data.clone()
            };
            let duration = &body["variables"]["duration"];
            let alone = duration["start"] == duration["end"] && query.contains("readMetricsValues");
            // So says 9.2.0 of one minute.
            let refused = alone && self.version.starts_with("9.2.");
            let data = if refused {
                json!({"data": null, "errors": [{"message": "the range can't exceed 500 minutes"}]})
            } else {
                data
            };
            // A whole answer instead of data is given as it is.
            let whole = data.get("errors").is_some() || data.get("data").is_some();
            reply(200, &if whole { data } else { json!({"data": data}) }.to_string())
        })
    }
}

/// Buckets with values, `None` being an empty one, under the name that we give to the mark.
fn marked(values: &[Option<u64>]) -> Value {
    let bucket = |value: &Option<u64>| json!({"value": value.unwrap_or(0), "serinMark": value.is_none()});
    json!({"values": {"values": values.iter().map(bucket).collect::<Vec<_>>()}})
}

pub(crate) const APDEX: &str = "query queryData($duration: Duration!) {
    service_apdex: readMetricsValues(
      condition: { name: \"service_apdex\", entity: { scope: Service, serviceName: \"reviews\", normal: true } },
      duration: $duration) {
        label values { values { value } }
      }
  }";

pub(crate) async fn ask(query: &str, semantics: Semantics, fake: &Fake) -> Answer {
    ask_back(query, "3m", semantics, fake).await
}

/// Asks with this interval.
pub(crate) async fn ask_back(query: &str, interval: &str, semantics: Semantics, fake: &Fake) -> Answer {
    let fields = json!({"address": "http://oap:12800/", "interval": interval, "query": query});
    let measure = measure(&json!({"skywalking": fields}), semantics);
    Sources::default().measure(&measure, &Default::default(), noon(), fake).await
}

/// Checks the outcome's beginning and the value text.
#[track_caller]
pub(crate) fn same(what: &str, answer: &Answer, (outcome, value): (&str, &str)) {
    let got = line(&answer.outcome);
    assert!(got.starts_with(outcome), "{what}: {got}");
    assert_eq!(answer.value, value, "{what}");
}

async fn check(what: &str, query: &str, data: Value, expected: (&str, &str)) -> Answer {
    let answer = ask(query, Semantics::Serin, &Oap::new("10.1.0-d28dfea", data).fake()).await;
    same(what, &answer, expected);
    answer
}

#[tokio::test]
async fn empty_buckets_are_left_out_and_zeros_stay() {
    let one = |values: &[Option<u64>]| json!({"service_apdex": marked(values)});
    let full = r#"{"service_apdex":{"values":{"values":[{"value":10000},{"value":9900}]}}}"#;
    let answer =
        check("empty ones are left out", APDEX, one(&[None, Some(10000), None, Some(9900)]), ("measured", full)).await;
    assert_eq!(answer.metadata["emptyBuckets"], "2");
    assert_eq!(answer.metadata["serverVersion"], "10.1.0-d28dfea");
    assert_eq!(answer.metadata["window"], "2026-11-21 1157 to 2026-11-21 1159 (+0000)");

    let zero = r#"{"service_apdex":{"values":{"values":[{"value":0}]}}}"#;
    let answer = check("a zero is a value", APDEX, one(&[Some(0)]), ("measured", zero)).await;
    assert_eq!(answer.metadata.get("emptyBuckets"), None);
    let nothing = "no data: SkyWalking has nothing for service_apdex of Service \"reviews\" in 2026-11-21 1157 to";
    check("only empty ones", APDEX, one(&[None, None]), (nothing, "")).await;
    check("no buckets at all", APDEX, one(&[]), (nothing, "")).await;
    check("null", APDEX, json!({"service_apdex": null}), (nothing, "")).await;
    check("a field that was skipped", APDEX, json!({"x": 1}), ("measured", r#"{"x":1}"#)).await;
}

#[tokio::test]
async fn what_the_user_asks_for_stays() {
    let query = APDEX.replace("values { value }", "values { v: value gone: isEmptyValue }");
    let data = json!({"service_apdex": {"values": {"values": [{"v": 0, "gone": true}, {"v": 7, "gone": false}]}}});
    let kept = r#"{"service_apdex":{"values":{"values":[{"gone":false,"v":7}]}}}"#;
    check("aliases of the user", &query, data, ("measured", kept)).await;

    let query = APDEX.replace("values { values { value } }", "outer: values { inner: values { serinMark: value } }");
    let data = json!({"service_apdex": {"outer": {"inner": [{"serinMark": 0, "serinMarkx": true}, {"serinMark": 7, "serinMarkx": false}]}}});
    let kept = r#"{"service_apdex":{"outer":{"inner":[{"serinMark":7}]}}}"#;
    check("an alias like ours", &query, data, ("measured", kept)).await;
}

#[tokio::test]
async fn one_empty_reading_among_several_is_no_data() {
    let query = APDEX.trim_end().trim_end_matches('}').to_owned()
        + "sla: readMetricsValues(condition: {name: \"service_sla\", entity: {serviceName: \"reviews\"}}, duration: $duration) { values { values { value } } } }";
    let data = json!({"service_apdex": marked(&[None]), "sla": marked(&[Some(9000)])});
    check("all over nothing would be true", &query, data, ("no data: SkyWalking has nothing for service_apdex of", ""))
        .await;
}

#[tokio::test]
async fn labelled_readings_are_sifted_by_label() {
    let query = "query($duration: Duration!) { p: readLabeledMetricsValues(condition: {name: \"service_percentile\",
        entity: {scope: Service, serviceName: \"reviews\", normal: true}}, labels: [], duration: $duration) { label values { values { value } } } }";
    let labelled = |label: &str, values: &[Option<u64>]| {
        let mut series = marked(values);
        series["label"] = json!(label);
        series
    };
    let data = json!({"p": [labelled("{p=50}", &[Some(100), None]), labelled("{p=99}", &[Some(600), None])]});
    let kept = r#"{"p":[{"label":"{p=50}","values":{"values":[{"value":100}]}},{"label":"{p=99}","values":{"values":[{"value":600}]}}]}"#;
    check("two labels", query, data, ("measured", kept)).await;
    check("no series", query, json!({"p": []}), ("no data: SkyWalking has nothing for service_percentile", "")).await;
}

#[tokio::test]
async fn single_numbers_are_told_from_nothing() {
    let query = "query($duration: Duration!) { apdex: readMetricsValue(condition: {name: \"service_apdex\", entity: {scope: Service, serviceName: \"reviews\", normal: true}}, duration: $duration) }";
    let data = |value: u64, empty: bool| json!({"apdex": value, "serinValue_": {"isEmptyValue": empty}});
    check("a zero", query, data(0, false), ("measured", r#"{"apdex":0}"#)).await;
    check("nothing", query, data(0, true), ("no data: ", "")).await;

    let query =
        query.replace("readMetricsValue(", "readNullableMetricsValue(").replace("duration) }", "duration) { value } }");
    let data = |empty: bool| json!({"apdex": {"value": 0, "serinMark": empty}});
    check("a zero that can be empty", &query, data(false), ("measured", r#"{"apdex":{"value":0}}"#)).await;
    check("one that is", &query, data(true), ("no data: ", "")).await;
}

#[tokio::test]
async fn expressions_are_read() {
    let query = "query($duration: Duration!) { a: execExpression(expression: \"service_apdex\",
        entity: {scope: Service, serviceName: \"reviews\", normal: true}, duration: $duration) { results { values { id value } } } }";
    let data = |values: Value| json!({"a": {"results": [{"values": values}], "serinMark": null, "serinMarkx": "TIME_SERIES_VALUES"}});
    let kept = r#"{"a":{"results":[{"values":[{"id":"2","value":"0.95"}]}]}}"#;
    let values = json!([{"id": "1", "value": null}, {"id": "2", "value": "0.95"}]);
    check("strings stay strings, nulls go", query, data(values), ("measured", kept)).await;
    check(
        "only nulls",
        query,
        data(json!([{"id": "1", "value": null}])),
        ("no data: SkyWalking has nothing for service_apdex", ""),
    )
    .await;
    let unknown = json!({"a": {"results": [], "serinMark": "Metric: [nope] does not exist.", "serinMarkx": "UNKNOWN"}});
    check(
        "an error of its own",
        query,
        unknown,
        ("wrong: SkyWalking rejects service_apdex of Service \"reviews\": Metric: [nope]", ""),
    )
    .await;
    let illegal = json!({"a": {"results": [], "serinMark": null, "serinMarkx": "UNKNOWN"}});
    check("no type and no error", query, illegal, ("wrong: SkyWalking gives no result for service_apdex", "")).await;

    let query = query.replace("results {", "type error results {");
    let data =
        json!({"a": {"type": "SINGLE_VALUE", "error": null, "results": [{"values": [{"id": null, "value": "1"}]}]}});
    let kept = r#"{"a":{"error":null,"results":[{"values":[{"id":null,"value":"1"}]}],"type":"SINGLE_VALUE"}}"#;
    check("what the user asks for himself stays", &query, data, ("measured", kept)).await;
}

#[tokio::test]
async fn a_metric_that_the_server_does_not_know_is_wrong() {
    let data = json!({"service_apdex": marked(&[None])});
    let oap = Oap { types: &["UNKNOWN"], ..Oap::new("9.6.0", data) };
    let answer = ask(APDEX, Semantics::Serin, &oap.fake()).await;
    same("unknown", &answer, ("wrong: metric service_apdex is unknown to the SkyWalking server", ""));
}

#[tokio::test]
async fn windows_are_in_the_servers_time_zone_which_is_asked_for_now_and_then() {
    let data = json!({"service_apdex": marked(&[Some(1)])});
    let sources = Sources::default();
    let fake = Oap { zone: "+0530", ..Oap::new("10.1.0", data) }.fake();
    let fields = json!({"address": "http://oap:12800", "interval": "3m", "query": APDEX});
    let measure = measure(&json!({"skywalking": fields}), Semantics::Serin);
    for minutes in [0, 9, 10, 5] {
        let now = noon() + chrono::TimeDelta::minutes(minutes);
        sources.measure(&measure, &Default::default(), now, &fake).await;
    }
    let seen = fake.seen();
    let asked = |part: &str| seen.iter().map(|seen| seen.body.contains(part)).collect::<Vec<_>>();
    // At 10 minutes it is asked again, and when the clock goes back.
    assert_eq!(asked("getTimeInfo"), [true, false, false, true, false, true, false]);
    let body: Value = serde_json::from_str(&seen[1].body).unwrap();
    let duration = json!({"start": "2026-11-21 1727", "end": "2026-11-21 1729", "step": "MINUTE"});
    assert_eq!(body["variables"], json!({"duration": duration}));
    assert_eq!(seen[1].url, "http://oap:12800/graphql");
    assert_eq!(seen[1].headers["content-type"], "application/json; charset=utf-8");
}

/// It may have come back as another one: in another zone, where every minute is empty, or of another version.
#[tokio::test]
async fn a_server_that_gave_no_value_is_asked_anew_what_it_is() {
    for (what, data, expected) in [
        ("no data", json!({"service_apdex": marked(&[None])}), [true, true]),
        ("wrong", json!({"data": null, "errors": [{"message": "no"}]}), [true, true]),
        ("measured", json!({"service_apdex": marked(&[Some(1)])}), [true, false]),
    ] {
        let sources = Sources::default();
        let fake = Oap::new("10.1.0", data).fake();
        let fields = json!({"address": "http://oap:12800", "interval": "3m", "query": APDEX});
        let measure = measure(&json!({"skywalking": fields}), Semantics::Serin);
        let mut asked = [false; 2];
        for again in &mut asked {
            let before = fake.seen().len();
            sources.measure(&measure, &Default::default(), noon(), &fake).await;
            *again = fake.seen()[before..].iter().any(|seen| seen.body.contains("getTimeInfo"));
        }
        assert_eq!(asked, expected, "{what}");
    }
}

#[tokio::test]
async fn queries_that_cannot_be_changed_go_out_as_they_are() {
    let fragment = "query($duration: Duration!) { service_apdex: readMetricsValues(condition: {name: \"a\", entity: {}}, duration: $duration) { ...V } }
        fragment V on MetricsValues { values { values { value } } }";
    let data = json!({"service_apdex": {"values": {"values": [{"value": 0}]}}});
    let fake = Oap::new("10.1.0", data).fake();
    let answer = ask(fragment, Semantics::Serin, &fake).await;
    same("a fragment", &answer, ("measured", r#"{"service_apdex":{"values":{"values":[{"value":0}]}}}"#));
    assert!(answer.metadata["zerosMayBeEmpty"].contains("fragments"), "{answer:?}");
    let body: Value = serde_json::from_str(&fake.seen()[1].body).unwrap();
    assert_eq!(body["query"], fragment);

    let astral = APDEX.replace("reviews", "reviews🐦");
    let data = json!({"service_apdex": {"values": {"values": [{"value": 1}]}}});
    let answer = ask(&astral, Semantics::Serin, &Oap::new("10.1.0", data).fake()).await;
    same(
        "characters that the printer gets wrong",
        &answer,
        ("measured", r#"{"service_apdex":{"values":{"values":[{"value":1}]}}}"#),
    );
    assert!(answer.metadata.contains_key("zerosMayBeEmpty"), "{answer:?}");
}

#[tokio::test]
async fn errors_are_sorted_by_whose_they_are() {
    let broken = |message: &str| json!({"data": null, "errors": [{"message": message}]});
    let rejected = "wrong: SkyWalking rejects the query: Exception while fetching data (/x)";
    let refused = "Exception while fetching data (/x) : java.lang.IllegalArgumentException: Invalid format";
    let store = "Exception while fetching data (/x) : java.net.ConnectException: Connection refused";
    check("a query that fails", APDEX, broken(refused), (rejected, "")).await;
    check("a store that is down", APDEX, broken(store), ("down: SkyWalking cannot read its store", "")).await;
    check(
        "no data in the answer",
        APDEX,
        json!({"data": null}),
        ("wrong: no results returned from SkyWalking query", ""),
    )
    .await;
}

#[tokio::test]
async fn answers_that_are_none_are_sorted() {
    let invalid = r#"{"errors":[{"message":"Validation error (FieldUndefined@[fooBar])"}]}"#;
    let cases = [
        ("validation", 400, invalid, "wrong: SkyWalking rejects the query: Validation error"),
        ("an old server's crash", 500, "Internal Server Error", "down: SkyWalking at http://oap:12800 answered 500"),
        ("a starting server", 503, "", "down: "),
        ("too many requests", 429, invalid, "down: "),
        ("a wrong path", 404, "", "wrong: SkyWalking at http://oap:12800 answered 404"),
        ("no rights", 403, "", "wrong: "),
        ("a web page", 200, "<html>", "wrong: SkyWalking at http://oap:12800 answered with a web page"),
        ("cut", 200, r#"{"data":{"#, "down: "),
        ("a list", 200, "[1]", "wrong: no results returned"),
        ("text", 200, "\"x\"", "wrong: no results returned"),
    ];
    for (what, status, body, expected) in cases {
        same(what, &ask(APDEX, Semantics::Serin, &Fake::always(status, body)).await, (expected, ""));
        same(what, &ask(APDEX, Semantics::Argo, &Fake::always(status, body)).await, (expected, ""));
    }
    for kind in [TransportErrorKind::Timeout, TransportErrorKind::Refused, TransportErrorKind::Dns] {
        let answer = ask(APDEX, Semantics::Serin, &Fake::failing(kind)).await;
        same("no answer", &answer, ("down: SkyWalking at http://oap:12800 cannot be reached", ""));
    }
}

#[tokio::test]
async fn a_server_must_say_what_it_is() {
    for (version, zone) in [("", "+0000"), ("latest", "+0000"), ("10.1.0", "Asia/Kolkata")] {
        let fake = Oap { zone, ..Oap::new(version, json!({})) }.fake();
        same(version, &ask(APDEX, Semantics::Serin, &fake).await, ("wrong: the SkyWalking server says that its", ""));
    }
}

#[tokio::test]
async fn wrong_fields_are_named_and_nothing_is_sent() {
    let cases = [
        (json!({"interval": "3m", "query": "{ version }"}), "provider.skywalking.address is empty"),
        (
            json!({"address": "oap:12800", "interval": "3m", "query": "{ version }"}),
            "provider.skywalking.address oap:12800 is not a URL",
        ),
        (
            json!({"address": "http://oap", "query": "{ version }"}),
            "provider.skywalking.interval: `` is not a duration",
        ),
        (
            json!({"address": "http://oap", "interval": "0s", "query": "{ version }"}),
            "provider.skywalking.interval: `0s` is not longer",
        ),
        (json!({"address": "http://oap", "interval": "3m", "query": ""}), "provider.skywalking.query is empty"),
        (
            json!({"address": "http://oap", "interval": "3m", "query": "query {\n version"}),
            "provider.skywalking.query is not GraphQL: query parse error: Parse error at 2:",
        ),
        (
            json!({"address": "http://oap", "interval": "3m", "query": "query($x: Int!) { a(x: $x) }"}),
            "provider.skywalking.query: variable $x has no value",
        ),
    ];
    for (fields, message) in cases {
        let fake = Fake::always(200, "{}");
        let measure = measure(&json!({ "skywalking": fields }), Semantics::Serin);
        let answer = Sources::default().measure(&measure, &Default::default(), noon(), &fake).await;
        same(message, &answer, (&format!("wrong: {message}"), ""));
        assert!(fake.seen().is_empty(), "{message}");
    }
}

#[tokio::test]
async fn upstreams_way_is_one_query_up_to_now_and_the_data_as_it_is() {
    let data = json!({"service_apdex": {"values": {"values": [{"value": 10000}, {"value": 0}]}}});
    let fake = Oap { zone: "+0530", ..Oap::new("9.2.0", data) }.fake();
    let answer = ask(APDEX, Semantics::Argo, &fake).await;
    same(
        "as sent",
        &answer,
        ("measured Json", r#"{"service_apdex":{"values":{"values":[{"value":10000},{"value":0}]}}}"#),
    );
    assert_eq!(answer.metadata.len(), 0);
    let [seen] = &fake.seen()[..] else { panic!("one request") };
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body["query"], APDEX);
    let duration = json!({"start": "2026-11-21 1157", "end": "2026-11-21 1200", "step": "MINUTE"});
    assert_eq!(body["variables"], json!({"duration": duration}));
}
