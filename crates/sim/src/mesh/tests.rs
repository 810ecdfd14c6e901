//! The mesh against hand-written objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Mesh, MeshConfig, MeshView, Quality, Served, Telemetry, Traffic, Versions};
use crate::metrics::Store;

fn start() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn pod(name: &str, hash: &str, labels: &Value, ready: &str) -> Arc<Value> {
    let mut all = json!({ "app": "reviews", "rollouts-pod-template-hash": hash });
    for (key, value) in labels.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    Arc::new(json!({
        "metadata": { "name": name, "namespace": "bookinfo", "labels": all,
            "ownerReferences": [{ "kind": "ReplicaSet", "name": format!("reviews-rollout-{hash}"), "controller": true }] },
        "spec": { "containers": [{ "name": "reviews", "image": format!("reviews:{hash}") }] },
        "status": { "conditions": [{ "type": "Ready", "status": ready }] },
    }))
}

fn virtual_service(http: &Value) -> Arc<Value> {
    Arc::new(
        json!({ "metadata": { "name": "reviews", "namespace": "bookinfo" }, "spec": { "hosts": ["reviews"], "http": http } }),
    )
}

fn weights(stable: u64, canary: u64) -> Arc<Value> {
    virtual_service(&json!([{ "route": [
        { "destination": { "host": "reviews", "subset": "stable" }, "weight": stable },
        { "destination": { "host": "reviews", "subset": "canary" }, "weight": canary },
    ] }]))
}

fn view(routes: Vec<Arc<Value>>) -> MeshView {
    let service = |name: &str| {
        Arc::new(
            json!({ "metadata": { "name": name, "namespace": "bookinfo" }, "spec": { "selector": { "app": "reviews" } } }),
        )
    };
    MeshView {
        virtual_services: routes,
        destination_rules: vec![Arc::new(json!({
            "metadata": { "name": "reviews", "namespace": "bookinfo" },
            "spec": { "host": "reviews", "subsets": [
                { "name": "stable", "labels": { "version": "stable" } },
                { "name": "canary", "labels": { "version": "canary" } },
                { "name": "empty", "labels": { "version": "none" } },
            ] },
        }))],
        services: vec![service("reviews"), service("other")],
        pods: vec![
            pod("stable-1", "aaa", &json!({ "version": "stable" }), "True"),
            pod("stable-2", "aaa", &json!({ "version": "stable" }), "True"),
            pod("canary-1", "bbb", &json!({ "version": "canary" }), "True"),
            pod("canary-2", "bbb", &json!({ "version": "canary" }), "False"),
        ],
    }
}

fn mesh(config: &MeshConfig) -> Mesh {
    Mesh::new(config, Arc::new(Versions::all_healthy()), Store::default())
}

/// Serves 1000 requests over 100 s with a mesh that sees `view`.
fn serve(view: MeshView, traffic: &Traffic) -> Served {
    let mut mesh = mesh(&MeshConfig { seed: 1, ..MeshConfig::default() });
    mesh.observe(start(), view);
    mesh.serve(traffic, start(), start() + TimeDelta::seconds(100))
}

#[test]
fn weights_split_requests_within_the_binomial_bound() {
    for (stable, canary) in [(90, 10), (10, 90), (60, 40), (3, 1)] {
        let mut mesh = mesh(&MeshConfig { seed: 7, ..MeshConfig::default() });
        mesh.observe(start(), view(vec![weights(stable, canary)]));
        let served =
            mesh.serve(&Traffic::to("bookinfo", "reviews").at_rate(100.0), start(), start() + TimeDelta::seconds(100));
        let share = canary as f64 / (stable + canary) as f64;
        let expected = 10_000.0 * share;
        let four_sigma = 4.0 * (10_000.0 * share * (1.0 - share)).sqrt();
        let to_canary = *served.by_subset.get("canary").unwrap_or(&0) as f64;
        assert_eq!((served.requests, served.failed), (9_999, 0));
        assert!(
            (to_canary - expected).abs() < four_sigma,
            "{stable}/{canary}: {to_canary} is not {expected} ± {four_sigma}"
        );
        assert_eq!(served.by_pod_hash.get("bbb"), served.by_subset.get("canary"));
    }
}

/// `Ok`: every request is answered by pods of this hash. `Err`: every request fails by routing, on its way to this subset.
fn check(sentence: &str, routes: Vec<Arc<Value>>, traffic: &Traffic, wanted: Result<&str, &str>) {
    let served = serve(view(routes), traffic);
    assert_eq!(served.requests, 999, "{sentence}");
    match wanted {
        Ok(hash) => {
            assert_eq!(served.by_pod_hash.get(hash), Some(&999), "{sentence}: {served:?}");
            assert_eq!(served.failed, 0, "{sentence}: {served:?}");
        }
        Err(subset) => {
            assert_eq!(served.by_subset.get(subset), Some(&999), "{sentence}: {served:?}");
            assert_eq!((served.failed, served.failed_by_routing), (999, 999), "{sentence}");
        }
    }
}

fn to(host: &str, subset: &str) -> Value {
    json!([{ "route": [{ "destination": { "host": host, "subset": subset } }] }])
}

#[test]
fn destinations() {
    let calls = |sentence: &str, host: &str, subset: &str, wanted: Result<&str, &str>| {
        check(sentence, vec![virtual_service(&to(host, subset))], &Traffic::to("bookinfo", "reviews"), wanted);
    };
    let full = "reviews.bookinfo.svc.cluster.local";
    calls("a subset without ready pods fails", "reviews", "empty", Err("empty"));
    calls("a subset that nobody defines fails", "reviews", "nope", Err("nope"));
    calls("a destination that does not exist fails", "nope", "", Err(""));
    calls("a single destination needs no weight", "reviews", "canary", Ok("bbb"));
    calls("a fully qualified destination is the same", full, "canary", Ok("bbb"));
}

#[test]
fn rules() {
    let rule = |condition: Value, subset: &str| json!({ "match": [condition], "route": [{ "destination": { "host": "reviews", "subset": subset } }] });
    let routes = virtual_service(&json!([
        rule(json!({ "headers": { "x-beta": { "exact": "yes" } } }), "canary"),
        rule(json!({ "uri": { "prefix": "/v2/" }, "method": { "regex": "GET|HEAD" } }), "empty"),
        rule(json!({ "uri": { "exact": "/" } }), "stable"),
    ]));
    let plain = Traffic::to("bookinfo", "reviews");
    let headers = BTreeMap::from([("X-Beta".to_owned(), "yes".to_owned())]);
    let beta = Traffic { headers, ..plain.clone() };
    let second = Traffic { path: "/v2/x?y=1".to_owned(), ..plain.clone() };
    check("a header picks its rule, in any case", vec![routes.clone()], &beta, Ok("bbb"));
    check("the last rule takes the others", vec![routes.clone()], &plain, Ok("aaa"));
    check("path and method pick their rule", vec![routes], &second, Err("empty"));
}

#[test]
fn which_virtual_service_counts() {
    let other = |spec: Value| Arc::new(json!({ "metadata": { "name": "a", "namespace": "bookinfo" }, "spec": spec }));
    let plain = Traffic::to("bookinfo", "reviews");
    let canary = virtual_service(&to("reviews", "canary"));
    let tcp = other(json!({ "hosts": ["reviews"], "tcp": to("reviews", "canary") }));
    let gateway = other(json!({ "hosts": ["reviews"], "gateways": ["gw"], "http": to("reviews", "empty") }));
    let foreign = other(json!({ "hosts": ["other"], "http": to("reviews", "empty") }));
    let wildcard = other(json!({ "hosts": ["*"], "http": to("reviews", "empty") }));
    let afar = Traffic::to("default", "reviews.bookinfo");
    check("connection routes take all requests", vec![tcp], &plain, Ok("bbb"));
    check("one for gateways leaves sidecars alone", vec![gateway, canary.clone()], &plain, Ok("bbb"));
    check("one for another host does not count", vec![foreign, canary.clone()], &plain, Ok("bbb"));
    check("an exact host goes before a wildcard", vec![wildcard, canary.clone()], &plain, Ok("bbb"));
    check("a caller from elsewhere uses the full name", vec![canary], &afar, Ok("bbb"));
}

#[test]
fn without_a_matching_rule_or_service_there_is_no_route() {
    let only_beta =
        json!([{ "match": [{ "headers": { "x-beta": {} } }], "route": [{ "destination": { "host": "reviews" } }] }]);
    for (host, routes) in [("reviews", vec![virtual_service(&only_beta)]), ("nowhere", Vec::new())] {
        let served = serve(view(routes), &Traffic::to("bookinfo", host));
        assert_eq!((served.requests, served.failed_by_routing), (999, 999), "{host}");
    }
}

#[test]
fn without_a_virtual_service_all_ready_pods_share_the_requests() {
    let served = serve(view(Vec::new()), &Traffic::to("bookinfo", "reviews"));
    assert_eq!(served.by_pod_hash, BTreeMap::from([("aaa".to_owned(), 666), ("bbb".to_owned(), 333)]));
}

#[test]
fn foreign_destinations_keep_their_share() {
    let routes = virtual_service(&json!([{ "route": [
        { "destination": { "host": "reviews", "subset": "stable" }, "weight": 40 },
        { "destination": { "host": "reviews", "subset": "canary" }, "weight": 10 },
        { "destination": { "host": "other" }, "weight": 50 },
    ] }]));
    let served = serve(view(vec![routes]), &Traffic::to("bookinfo", "reviews"));
    let foreign = served.by_subset[""];
    assert!((430..570).contains(&foreign), "{served:?}");
    assert_eq!(served.failed, 0);
}

#[test]
fn how_time_is_cut_does_not_change_the_arrivals() {
    let traffic = Traffic::to("bookinfo", "reviews").at_rate(0.7);
    let mut whole = mesh(&MeshConfig::default());
    let mut cut = mesh(&MeshConfig::default());
    let end = start() + TimeDelta::seconds(1000);
    whole.observe(start(), view(vec![weights(50, 50)]));
    cut.observe(start(), view(vec![weights(50, 50)]));
    let mut served = Served::default();
    let mut begin = start();
    while begin < end {
        let next = begin + TimeDelta::milliseconds(333);
        served.add(&cut.serve(&traffic, begin, next.min(end)));
        begin = next;
    }
    assert_eq!(whole.serve(&traffic, start(), end), served);
}

#[test]
fn a_late_subset_makes_an_early_weight_fail_and_without_delay_nothing_does() {
    let failures = |propagation: TimeDelta, seed: u64| {
        let mut mesh = mesh(&MeshConfig { seed, propagation });
        let traffic = Traffic::to("bookinfo", "reviews");
        let mut before = view(vec![weights(100, 0)]);
        before.destination_rules = Vec::new();
        let served_from = start() + TimeDelta::seconds(60);
        mesh.observe(start(), MeshView { virtual_services: Vec::new(), ..before });
        mesh.observe(served_from, view(vec![weights(0, 100)]));
        mesh.serve(&traffic, served_from, served_from + TimeDelta::seconds(60)).failed_by_routing
    };
    assert_eq!((0..20).map(|seed| failures(TimeDelta::zero(), seed)).sum::<u64>(), 0);
    assert!((0..20).map(|seed| failures(TimeDelta::seconds(10), seed)).sum::<u64>() > 0);
}

#[test]
fn a_pod_that_is_gone_before_the_mesh_knows_is_passed_over_while_another_is_left() {
    let mut mesh = mesh(&MeshConfig { seed: 3, propagation: TimeDelta::days(1) });
    let traffic = Traffic::to("bookinfo", "reviews");
    mesh.observe(start(), view(vec![weights(100, 0)]));
    let later = start() + TimeDelta::days(1);
    let until = |seconds| later + TimeDelta::seconds(seconds);
    let mut one_left = view(vec![weights(100, 0)]);
    one_left.pods.remove(0);
    mesh.observe(later, one_left.clone());
    assert_eq!(mesh.serve(&traffic, later, until(10)).failed, 0);
    one_left.pods.remove(0);
    mesh.observe(until(10), one_left);
    let served = mesh.serve(&traffic, until(10), until(20));
    assert_eq!((served.requests, served.failed_by_routing), (100, 100));
}

#[test]
fn the_new_version_fails_as_told() {
    for (quality, failed) in [(Quality::Healthy, 0..=0), (Quality::Errors, 140..=260), (Quality::Slow, 0..=0)] {
        let versions =
            Versions { new_images: ["reviews:bbb".to_owned()].into(), quality, telemetry: Telemetry::Reported };
        let mut mesh = Mesh::new(&MeshConfig::default(), Arc::new(versions), Store::default());
        mesh.observe(start(), view(vec![weights(0, 100)]));
        let served = mesh.serve(&Traffic::to("bookinfo", "reviews"), start(), start() + TimeDelta::seconds(100));
        assert!(failed.contains(&served.failed), "{quality:?}: {served:?}");
        assert_eq!(served.failed_by_routing, 0);
    }
}

#[test]
fn proxies_that_are_cut_off_keep_what_they_know_until_they_are_back() {
    let mut mesh = mesh(&MeshConfig::default());
    let traffic = Traffic::to("bookinfo", "reviews");
    let at = |seconds| start() + TimeDelta::seconds(seconds);
    mesh.observe(start(), view(vec![weights(100, 0)]));
    mesh.cut_off(at(20));
    mesh.observe(at(10), view(vec![weights(0, 100)]));
    let hashes = |served: Served| served.by_pod_hash.into_keys().collect::<Vec<_>>();
    assert_eq!(hashes(mesh.serve(&traffic, start(), at(20))), ["aaa"]);
    assert_eq!(hashes(mesh.serve(&traffic, at(20), at(30))), ["bbb"]);
}

#[test]
fn copies_go_to_the_mirror_and_harm_nobody() {
    let to = |subset: &str| json!([{ "destination": { "host": "reviews", "subset": subset } }]);
    let mirrored = |subset: &str, percent: u64| {
        let mirror = json!({ "host": "reviews", "subset": subset });
        virtual_service(&json!([{ "route": to("stable"), "mirror": mirror, "mirrorPercentage": { "value": percent } }]))
    };
    let traffic = Traffic::to("bookinfo", "reviews");
    let served = serve(view(vec![mirrored("canary", 100)]), &traffic);
    assert_eq!((served.by_pod_hash.get("aaa"), served.mirrored_by_pod_hash.get("bbb")), (Some(&999), Some(&999)));
    let some = serve(view(vec![mirrored("canary", 30)]), &traffic).mirrored_by_pod_hash["bbb"];
    assert!((240..360).contains(&some), "{some} of 999 are about 30 %");
    let lost = serve(view(vec![mirrored("empty", 100)]), &traffic);
    assert_eq!((lost.failed, lost.failed_by_routing, lost.mirrored_by_pod_hash.len()), (0, 0, 0), "{lost:?}");
    let several = json!([{ "route": to("stable"), "mirrors": [
        { "destination": { "host": "reviews", "subset": "canary" }, "percentage": { "value": 100 } },
        { "destination": { "host": "reviews", "subset": "stable" } },
    ] }]);
    let served = serve(view(vec![virtual_service(&several)]), &traffic);
    assert_eq!(served.mirrored_by_pod_hash.values().sum::<u64>(), 2 * 999, "{served:?}");
}
