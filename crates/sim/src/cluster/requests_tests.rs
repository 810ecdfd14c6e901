//! Tests of single requests: what the server answers, in the words that kubectl prints.

use std::sync::Arc;

use bytes::Bytes;
use chrono::DateTime;
use futures::FutureExt;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::clock::SimClock;

const ROLLOUT: &str = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/default/deployments";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

fn cluster() -> Cluster {
    let cluster = Cluster::new(Arc::new(SimClock::new(DateTime::UNIX_EPOCH)));
    let spec = json!({"replicas": 2, "selector": {"matchLabels": {"app": "a"}}});
    for resource in [&ROLLOUTS, &DEPLOYMENTS] {
        let object = json!({"metadata": {"name": "a", "namespace": "default"}, "spec": spec});
        cluster.create(resource, object).unwrap();
    }
    cluster
}

fn send(cluster: &Cluster, (method, path, kind): (&str, &str, &str), body: &Value) -> (u16, Value) {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let request = http::Request::builder().method(method).uri(path).header("content-type", kind).body(body).unwrap();
    let response = cluster.respond(&request).unwrap();
    let code = response.status().as_u16();
    let body = response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap())
}

/// Sends one request to a fresh cluster and compares the status code, the reason and a part of the message.
#[expect(clippy::needless_pass_by_value, reason = "the cases are written as values")]
fn check(sentence: &str, request: (&str, String, &str), body: Value, expected: (u16, &str, &str)) {
    let (method, path, kind) = request;
    let (code, answer) = send(&cluster(), (method, &path, kind), &body);
    let (reason, message) = (answer["reason"].as_str(), answer["message"].as_str());
    assert_eq!((code, reason), (expected.0, Some(expected.1)), "{sentence}: {answer}");
    assert!(message.is_some_and(|text| text.contains(expected.2)), "{sentence}: {answer}");
}

#[test]
fn refusals_have_the_code_the_reason_and_the_words_of_the_real_server() {
    let at = |base: &str, rest: &str| format!("{base}{rest}");
    let named = |name: &str| json!({"metadata": {"name": name}});
    check(
        "a missing object",
        ("GET", at(ROLLOUT, "/b"), JSON),
        Value::Null,
        (404, "NotFound", "rollouts.argoproj.io \"b\" not found"),
    );
    check(
        "a missing kind",
        ("GET", "/apis/argoproj.io/v1/rollouts".into(), JSON),
        Value::Null,
        (404, "NotFound", "the server could not find the requested resource"),
    );
    check(
        "a missing namespace",
        ("POST", ROLLOUT.replace("default", "none"), JSON),
        named("b"),
        (404, "NotFound", "namespaces \"none\" not found"),
    );
    check(
        "a second object of one name",
        ("POST", DEPLOYMENT.into(), JSON),
        named("a"),
        (409, "AlreadyExists", "deployments.apps \"a\" already exists"),
    );
    check(
        "an object without a name",
        ("POST", DEPLOYMENT.into(), JSON),
        json!({}),
        (422, "Invalid", "Deployment.apps \"\" is invalid: metadata.name: Required value"),
    );
    check(
        "a name that is no subdomain",
        ("POST", DEPLOYMENT.into(), JSON),
        named("A"),
        (422, "Invalid", "metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain"),
    );
    check(
        "a namespace that contradicts the path",
        ("POST", DEPLOYMENT.into(), JSON),
        json!({"metadata": {"name": "b", "namespace": "kube-system"}}),
        (400, "BadRequest", "does not match the namespace sent on the request"),
    );
    check(
        "a kind that contradicts the path",
        ("POST", DEPLOYMENT.into(), JSON),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}}),
        (400, "BadRequest", "does not match the expected API version (apps/v1, Deployment)"),
    );
    check(
        "a method that the resource has not",
        ("POST", at(ROLLOUT, "/a"), JSON),
        json!({}),
        (405, "MethodNotAllowed", "does not allow this method"),
    );
    check(
        "a body that is no JSON object",
        ("POST", DEPLOYMENT.into(), JSON),
        json!([1]),
        (400, "BadRequest", "must be an object"),
    );
}

#[test]
fn preconditions_and_patches_are_refused_as_by_the_real_server() {
    let at = |base: &str, rest: &str| format!("{base}{rest}");
    check(
        "an update computed from an older object",
        ("PUT", at(DEPLOYMENT, "/a"), JSON),
        json!({"metadata": {"name": "a", "resourceVersion": "1"}}),
        (409, "Conflict", "Operation cannot be fulfilled on deployments.apps \"a\": the object has been modified;"),
    );
    check(
        "an update of a custom resource without a version",
        ("PUT", at(ROLLOUT, "/a"), JSON),
        json!({"metadata": {"name": "a"}}),
        (422, "Invalid", "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"),
    );
    check(
        "a patch with an older version",
        ("PATCH", at(ROLLOUT, "/a"), MERGE),
        json!({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 3}}),
        (409, "Conflict", "rollouts.argoproj.io \"a\""),
    );
    check(
        "a patch for another uid",
        ("PATCH", at(ROLLOUT, "/a/status"), MERGE),
        json!({"metadata": {"uid": "other"}, "status": {}}),
        (409, "Conflict", "Precondition failed: UID in precondition: other"),
    );
    check(
        "a strategic patch of a custom resource",
        ("PATCH", at(ROLLOUT, "/a"), "application/strategic-merge-patch+json"),
        json!({}),
        (415, "UnsupportedMediaType", "application/merge-patch+json"),
    );
    check(
        "an apply without a manager",
        ("PATCH", at(ROLLOUT, "/a"), "application/apply-patch+yaml"),
        json!({}),
        (400, "BadRequest", "fieldManager: Required value"),
    );
    check(
        "a deletion with a foreign uid",
        ("DELETE", at(ROLLOUT, "/a"), JSON),
        json!({"preconditions": {"uid": "other"}}),
        (409, "Conflict", "UID in precondition: other"),
    );
    check(
        "a scale below zero",
        ("PATCH", at(ROLLOUT, "/a/scale"), MERGE),
        json!({"spec": {"replicas": -1}}),
        (422, "Invalid", "must be greater than or equal to 0"),
    );
}

#[test]
fn a_dry_run_answers_and_stores_nothing() {
    let cluster = cluster();
    let before = cluster.version();
    let body = json!({"metadata": {"generateName": "b-"}, "spec": {"replicas": 7}});
    let (code, made) = send(&cluster, ("POST", &format!("{DEPLOYMENT}?dryRun=All"), JSON), &body);
    assert_eq!(code, 201);
    assert!(meta::name(&made).starts_with("b-") && meta::name(&made).len() == 7, "{made}");
    let path = format!("{DEPLOYMENT}/a?dryRun=All");
    let (_, changed) = send(&cluster, ("PATCH", &path, MERGE), &json!({"spec": {"replicas": 7}}));
    assert_eq!((&changed["spec"]["replicas"], meta::generation(&changed)), (&json!(7), 2));
    let (code, _) = send(&cluster, ("DELETE", &path, JSON), &Value::Null);
    assert_eq!(code, 200);
    assert_eq!(cluster.version(), before);
}

#[test]
fn the_scale_reads_and_writes_what_the_definition_says() {
    let cluster = cluster();
    let path = format!("{ROLLOUT}/a/scale");
    let (_, scaled) = send(&cluster, ("PATCH", &path, MERGE), &json!({"spec": {"replicas": 5}}));
    assert_eq!(scaled["spec"]["replicas"], 5);
    let status = json!({"status": {"HPAReplicas": 4, "selector": "app=a"}});
    cluster.patch_merge(&ROLLOUTS, "default", "a", &status).unwrap();
    let (_, scale) = send(&cluster, ("GET", &path, JSON), &Value::Null);
    assert_eq!(scale["status"], json!({"replicas": 4, "selector": "app=a"}));
    let live = cluster.get(&ROLLOUTS, "default", "a").unwrap();
    assert_eq!((&live["spec"]["replicas"], meta::generation(&live)), (&json!(5), 2));
}
