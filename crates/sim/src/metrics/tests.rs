//! From the mesh to the answer of a source: the stories that a simulation tells.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{Sources, Store, skywalking};
use crate::mesh::identity::server_of;
use crate::mesh::{Mesh, MeshConfig, MeshView, Quality, Telemetry, Traffic, Versions};

/// 2024-10-04 12:00:00 UTC.
fn noon() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(1_728_043_200)
}

fn pod(version: &str) -> Arc<Value> {
    Arc::new(json!({
        "metadata": {
            "name": format!("reviews-{version}"), "namespace": "bookinfo",
            "labels": {
                "app": "reviews", "version": version, "rollouts-pod-template-hash": version,
                "service.istio.io/canonical-revision": version,
            },
            "ownerReferences": [{ "kind": "ReplicaSet", "name": format!("reviews-rollout-{version}") }],
        },
        "spec": { "containers": [{ "image": format!("reviews:{version}") }] },
        "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
    }))
}

/// Twenty minutes at 20 requests a second, half of them to the canary.
fn served(quality: Quality, telemetry: Telemetry) -> Sources {
    stored(quality, telemetry).0
}

/// The same, with the store.
fn stored(quality: Quality, telemetry: Telemetry) -> (Sources, Store) {
    let destination = |subset: &str| json!({ "destination": { "host": "reviews", "subset": subset }, "weight": 50 });
    let subset = |name: &str| json!({ "name": name, "labels": { "version": name } });
    let object =
        |spec: Value| Arc::new(json!({ "metadata": { "name": "reviews", "namespace": "bookinfo" }, "spec": spec }));
    let view = MeshView {
        virtual_services: vec![object(
            json!({ "hosts": ["reviews"], "http": [{ "route": [destination("stable"), destination("canary")] }] }),
        )],
        destination_rules: vec![object(json!({ "host": "reviews", "subsets": [subset("stable"), subset("canary")] }))],
        services: vec![object(json!({ "selector": { "app": "reviews" } }))],
        pods: vec![pod("stable"), pod("canary")],
    };
    let versions = Versions { new_images: ["reviews:canary".to_owned()].into(), quality, telemetry };
    let store = Store::default();
    let mut mesh = Mesh::new(&MeshConfig::default(), Arc::new(versions), store.clone());
    mesh.observe(noon(), view);
    let traffic = Traffic::to("bookinfo", "reviews").at_rate(20.0);
    let served = mesh.serve(&traffic, noon(), noon() + TimeDelta::minutes(20));
    assert_eq!(served.failed_by_routing, 0);
    (Sources::new(&store, skywalking::Config::default()), store)
}

fn body(request: &Request<Bytes>, sources: &Sources) -> Value {
    let response = sources.respond(request, noon() + TimeDelta::minutes(20));
    assert_eq!(response.status(), StatusCode::OK);
    serde_json::from_slice(response.body()).unwrap()
}

/// The canary's Apdex of one complete minute, or `None` if it is empty.
fn apdex(sources: &Sources) -> Option<u64> {
    let query = "{ a: readNullableMetricsValue(condition: { name: \"service_apdex\", \
        entity: { scope: Service, serviceName: \"canary|reviews|bookinfo|cluster-1|-\", normal: true } }, \
        duration: { start: \"2024-10-04 1210\", end: \"2024-10-04 1218\", step: MINUTE }) { value isEmptyValue } }";
    let request = Request::post("/graphql").header("content-type", "application/json");
    let answer = body(&request.body(Bytes::from(json!({ "query": query }).to_string())).unwrap(), sources);
    let value = &answer["data"]["a"];
    (value["isEmptyValue"] == false).then(|| value["value"].as_u64().unwrap())
}

/// The canary's success rate and its 99th percentile, or `None` if there are no samples.
fn rate_and_p99(sources: &Sources) -> Option<(f64, f64)> {
    let canary = "reporter=\"destination\",destination_workload=\"reviews-rollout\",destination_version=\"canary\"";
    let ask = |query: String| -> Option<f64> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = body(&Request::get(format!("/api/v1/query?query={encoded}")).body(Bytes::new()).unwrap(), sources);
        answer["data"]["result"][0]["value"][1].as_str().map(|value| value.parse().unwrap())
    };
    let rate = ask(format!(
        "sum(rate(istio_requests_total{{{canary},response_code!~\"5.*\"}}[5m])) / sum(rate(istio_requests_total{{{canary}}}[5m]))"
    ))?;
    let p99 = ask(format!(
        "histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{{{canary}}}[5m])) by (le))"
    ))?;
    Some((rate, p99))
}

#[test]
fn a_healthy_version_looks_perfect_in_both_sources() {
    let sources = served(Quality::Healthy, Telemetry::Reported);
    assert_eq!(apdex(&sources), Some(10_000));
    let (rate, p99) = rate_and_p99(&sources).unwrap();
    assert!(rate == 1.0 && p99 < 100.0, "{rate} {p99}");
}

#[test]
fn errors_and_slowness_show_in_both_sources() {
    let errors = served(Quality::Errors, Telemetry::Reported);
    let apdex_of_errors = apdex(&errors).unwrap();
    assert!((7_500..8_500).contains(&apdex_of_errors), "{apdex_of_errors}");
    let (rate, _) = rate_and_p99(&errors).unwrap();
    assert!((0.75..0.85).contains(&rate), "{rate}");
    let slow = served(Quality::Slow, Telemetry::Reported);
    assert_eq!(apdex(&slow), Some(0));
    let (rate, p99) = rate_and_p99(&slow).unwrap();
    assert!(rate == 1.0 && (2_500.0..5_000.0).contains(&p99), "{rate} {p99}");
}

#[test]
fn a_version_without_telemetry_is_empty_in_both_sources() {
    let sources = served(Quality::Healthy, Telemetry::Missing);
    assert_eq!((apdex(&sources), rate_and_p99(&sources)), (None, None));
}

#[test]
fn what_pods_reported_ends_with_them_and_comes_back_with_them() {
    let (sources, store) = stored(Quality::Healthy, Telemetry::Reported);
    let at = |minutes: i64| noon() + TimeDelta::minutes(minutes);
    let count = |selector: &str, now: DateTime<Utc>| -> u64 {
        let query: String = format!("count({selector})").bytes().map(|byte| format!("%{byte:02x}")).collect();
        let request = Request::get(format!("/api/v1/query?query={query}")).body(Bytes::new()).unwrap();
        let answer: Value = serde_json::from_slice(sources.respond(&request, now).body()).unwrap();
        answer["data"]["result"][0]["value"][1].as_str().map_or(0, |value| value.parse().unwrap())
    };
    let by = |reporter: &str| format!("istio_requests_total{{reporter=\"{reporter}\",destination_version=\"canary\"}}");
    let over_time = format!("rate({}[2m])", by("destination"));
    store.pods_are(at(20), &[server_of(&pod("stable"))].into());
    assert_eq!([count(&by("destination"), at(20)), count(&by("source"), at(20))], [1, 1]);
    assert_eq!([count(&by("destination"), at(21)), count(&by("source"), at(21))], [0, 1]);
    assert_eq!([count(&over_time, at(21)), count(&over_time, at(23))], [1, 0]);
    store.pods_are(at(24), &[server_of(&pod("stable")), server_of(&pod("canary"))].into());
    assert_eq!([count(&by("destination"), at(25)), count(&by("destination"), at(22))], [1, 0]);
}

#[test]
fn other_paths_are_not_found() {
    let sources = Sources::new(&Store::default(), skywalking::Config::default());
    for (path, status) in [("/", 404), ("/graphql/", 404), ("/prometheus/-/healthy", 200), ("/graphql", 405)] {
        let request = Request::get(path).body(Bytes::new()).unwrap();
        assert_eq!(sources.respond(&request, noon()).status().as_u16(), status, "{path}");
    }
}
