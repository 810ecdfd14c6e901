//! Lists and failures of watches against a fake API server.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::*;
use crate::clock::SystemClock;
use crate::engine::Deps;
use crate::fake::{self, Asked, NoSource};

fn engine(answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static) -> (Engine, fake::Log) {
    let (client, log) = fake::client(answer);
    (Engine::new(Deps::new(client, Arc::new(SystemClock), Arc::new(NoSource))), log)
}

/// Lists one Rollout and nothing else; watches break at once; Istio's API is served in `istio`.
fn answer(asked: &Asked, istio: Option<&str>) -> (u16, Value) {
    let resources = json!({"groupVersion": "g", "resources": [
        {"name": "virtualservices", "singularName": "", "namespaced": true, "kind": "VirtualService", "verbs": []},
        {"name": "destinationrules", "singularName": "", "namespaced": true, "kind": "DestinationRule", "verbs": []},
    ]});
    if let Some(version) = asked.path.strip_prefix("/apis/networking.istio.io/").filter(|rest| !rest.contains('/')) {
        return if Some(version) == istio { (200, resources) } else { fake::status(404, "NotFound") };
    }
    if asked.query.contains("watch=true") {
        return fake::status(503, "ServiceUnavailable");
    }
    let rollout = json!({
        "metadata": {"namespace": "shop", "name": "web", "uid": "u", "resourceVersion": "3"},
        "spec": {"strategy": {}},
    });
    let items = if asked.path.ends_with("/rollouts") { vec![rollout] } else { Vec::new() };
    (200, json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "9"}, "items": items}))
}

async fn until_synced(engine: &Engine, scope: &Scope) {
    let stop = CancellationToken::new();
    let (mut watches, mut synced) = start(engine, scope, &stop);
    synced.wait_for(|synced| *synced).await.expect("the watches run");
    stop.cancel();
    while let Some(ended) = watches.join_next().await {
        ended.expect("no watch breaks down");
    }
}

#[tokio::test(start_paused = true)]
async fn the_caches_are_filled_without_istio_too() {
    let (engine, log) = engine(|asked| answer(asked, None));
    until_synced(&engine, &Scope::default()).await;
    assert!(engine.next_due().is_some(), "the Rollout is due");
    let asked = log.all();
    assert!(asked.iter().all(|asked| !asked.path.ends_with("/virtualservices")), "Istio's kinds are not listed");
    let replica_sets = asked.iter().filter(|asked| asked.path.ends_with("/replicasets"));
    let lists: Vec<&str> = replica_sets.map(|asked| &*asked.query).filter(|query| query.contains("limit=")).collect();
    let without = "labelSelector=%21rollouts-pod-template-hash%2C%21pod-template-hash";
    for selector in ["labelSelector=rollouts-pod-template-hash", without] {
        assert!(lists.iter().any(|query| query.contains(selector)), "{selector}: {lists:?}");
    }
    assert_eq!(lists.len(), 2, "never all of them: {lists:?}");
}

#[tokio::test(start_paused = true)]
async fn the_version_of_istio_is_found_by_asking() {
    let (engine, log) = engine(|asked| answer(asked, Some("v1alpha3")));
    until_synced(&engine, &Scope::default()).await;
    assert!(log.all().iter().any(|asked| asked.path == "/apis/networking.istio.io/v1alpha3/virtualservices"));
    assert_eq!(engine.cluster().resource(Kind::DestinationRule).root, "apis/networking.istio.io/v1alpha3");
}

#[tokio::test(start_paused = true)]
async fn one_namespace_means_its_objects_only() {
    let (engine, log) = engine(|asked| answer(asked, None));
    until_synced(&engine, &Scope { namespace: Some("shop".to_owned()), ..Scope::default() }).await;
    let lists = log.all();
    let lists = lists.iter().filter(|asked| asked.query.contains("limit="));
    assert!(lists.clone().count() >= 8);
    assert!(lists.clone().all(|asked| asked.path.contains("/namespaces/shop/")), "{lists:?}");
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_cannot_be_listed_is_tried_again_and_holds_up_readiness_only() {
    let forbidden = Arc::new(AtomicBool::new(true));
    let now_forbidden = forbidden.clone();
    let (engine, _log) = engine(move |asked| {
        if asked.path.ends_with("/pods") && now_forbidden.load(Ordering::Relaxed) {
            return fake::status(403, "Forbidden");
        }
        answer(asked, None)
    });
    let stop = CancellationToken::new();
    let (_watches, mut synced) = start(&engine, &Scope::default(), &stop);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!*synced.borrow(), "pods are missing");
    assert!(engine.next_due().is_some(), "other kinds go on");
    forbidden.store(false, Ordering::Relaxed);
    synced.wait_for(|synced| *synced).await.expect("the watches run");
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn istiod_is_watched_where_it_is_and_done_without_where_that_is_refused() {
    let (engine, log) = engine(|asked| match asked.path.ends_with("/endpointslices") {
        true => fake::status(403, "Forbidden"),
        false => answer(asked, None),
    });
    let istiod = Some(ObjectName::new("istio-system", "istiod"));
    until_synced(&engine, &Scope { namespace: Some("shop".to_owned()), istiod, ..Scope::default() }).await;
    let asked = log.all().into_iter().find(|asked| asked.path.ends_with("/endpointslices")).expect("a list");
    assert_eq!(asked.path, "/apis/discovery.k8s.io/v1/namespaces/istio-system/endpointslices");
    assert!(asked.query.contains("service-name%3Distiod"), "{}", asked.query);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_not_taken_for_one_without_istio() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = down.clone();
    let (engine, log) = engine(move |asked| {
        if asked.path.starts_with("/apis/networking.istio.io") && is_down.load(Ordering::Relaxed) {
            return fake::status(503, "ServiceUnavailable");
        }
        answer(asked, Some("v1"))
    });
    let stop = CancellationToken::new();
    let (_watches, mut synced) = start(&engine, &Scope::default(), &stop);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!*synced.borrow(), "nothing is known of Istio");
    down.store(false, Ordering::Relaxed);
    synced.wait_for(|synced| *synced).await.expect("the watches run");
    assert!(log.all().iter().any(|asked| asked.path == "/apis/networking.istio.io/v1/virtualservices"));
    stop.cancel();
}
